package webhook

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// maxDetail keeps an event well below the 256 KB that EventBridge and Step Functions carry.
const maxDetail = 128 << 10

// perCall is how many entries PutEvents takes.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
const perCall = 10

// EventBus is the Bus.
type EventBus struct {
	Events interface {
		PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
	}
	Name string
}

// Put implements Bus. Errors: *Refusal when an event is too large, OutcomeUnknown.
func (b *EventBus) Put(ctx context.Context, in *Request, es []trigger.Normalised) error {
	var entries []types.PutEventsRequestEntry
	for _, e := range es {
		detail, err := json.Marshal(e)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "write a %s", e.DetailType())
		}
		if len(detail) > maxDetail {
			return &Refusal{http.StatusRequestEntityTooLarge, TooLarge, "what is left of the body is still larger than an event may be"}
		}
		entries = append(entries, types.PutEventsRequestEntry{
			EventBusName: &b.Name, Source: aws.String(trigger.WebhookSource), DetailType: aws.String(e.DetailType()),
			Detail: aws.String(string(detail)), Time: aws.Time(in.At),
		})
	}
	for len(entries) > 0 {
		n := min(perCall, len(entries))
		out, err := b.Events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries[:n]})
		if err != nil {
			return fault.Wrap(err, fault.OutcomeUnknown, "put an event of route %s on bus %s", in.Route, b.Name)
		}
		if out.FailedEntryCount > 0 {
			return fault.New(fault.OutcomeUnknown, "bus %s took only part of %d events of route %s: the sender has to send them again", b.Name, n, in.Route)
		}
		entries = entries[n:]
	}
	return nil
}
