package inspection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/internal/wire"
)

// EventBus is a Bus of EventBridge.
type EventBus struct {
	events wire.Service
	name   string
}

// NewBus makes a bus by its name, with the credentials, Region and endpoint of a configuration.
func NewBus(cfg aws.Config, name string) EventBus { return EventBus{wire.New(cfg, "events", ""), name} }

// entry and answer are of https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
type (
	entry  struct{ EventBusName, Source, DetailType, Detail string }
	answer struct {
		FailedEntryCount int
		Entries          []struct{ ErrorCode, ErrorMessage string }
	}
)

// Put implements Bus.
func (b EventBus) Put(ctx context.Context, f trigger.InspectionFinding) error {
	detail, err := json.Marshal(f)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "write the event of a finding")
	}
	var said answer
	err = b.events.Call(ctx, "AWSEvents.PutEvents", map[string]any{
		"Entries": []entry{{b.name, trigger.InspectionSource, f.DetailType(), string(detail)}},
	}, &said)
	if err == nil && said.FailedEntryCount > 0 {
		err = errors.New("the bus did not take it")
		if len(said.Entries) > 0 {
			err = errors.New(said.Entries[0].ErrorCode + ": " + said.Entries[0].ErrorMessage)
		}
	}
	return fault.Wrap(err, fault.OutcomeUnknown, "put the event of %s of %s on bus %s", f.Finding, f.Secret, b.name)
}
