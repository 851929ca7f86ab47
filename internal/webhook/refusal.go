package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Refusal is why a request is not taken in. Message is for the record; the sender is told the code alone.
type Refusal struct {
	Status  int
	Code    string
	Message string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// The reason codes of refusals, as they stand in records.
const (
	UnknownRoute       = "UnknownRoute"       // 404
	MethodNotAllowed   = "MethodNotAllowed"   // 405
	TooLarge           = "TooLarge"           // 413
	SignatureMissing   = "SignatureMissing"   // 401: a header that the route wants is not there
	SignatureMalformed = "SignatureMalformed" // 401: cut short, or of another form
	SignatureWrong     = "SignatureWrong"     // 401: made with another key, or over another body
	KeyUnknown         = "KeyUnknown"         // 401: Mayfly holds no such key
	TimestampStale     = "TimestampStale"     // 401: signed more than five minutes ago, or ahead
	BodyMalformed      = "BodyMalformed"      // 400: signed, and not what the route reads
	Replayed           = "Replayed"           // 409
)

// Events in records.
const (
	eventRefused = "refused"
	eventIgnored = "ignored"
)

// step is the name of the function in records.
const step = "ReceiveWebhook"

// tally is the refusals of one kind since the last that is on record.
type tally struct {
	recorded time.Time
	more     int
}

// quiet is how long refusals of a kind are counted and not recorded after one that was. A flood of bad requests writes one
// record per minute, route and reason in each of the few processes that there may be (infra bounds them), and each record
// says how many it stands for. The exact number of refused requests is CloudWatch's metric Url4xxCount.
const quiet = time.Minute

// refuse puts a refusal on record, or counts it.
func (r *Receiver) refuse(ctx context.Context, in *Request, no *Refusal) error {
	kind := in.Route + " " + no.Code
	r.mu.Lock()
	if r.refused == nil {
		r.refused = map[string]tally{}
	}
	t := r.refused[kind]
	if !t.recorded.IsZero() && in.At.Sub(t.recorded) < quiet {
		t.more++
		r.refused[kind] = t
		r.mu.Unlock()
		return nil
	}
	r.refused[kind] = tally{recorded: in.At}
	r.mu.Unlock()
	reason := no.Message
	if t.more > 0 {
		reason = fmt.Sprintf("%s; %d more of these since %s", reason, t.more, audit.Stamp(t.recorded))
	}
	rec := record(in, eventRefused)
	rec.Outcome, rec.ReasonCode, rec.Reason = audit.FailedClean, no.Code, reason
	_, err := r.Log.Append(ctx, audit.Head{}, rec)
	return err
}

// ignore puts on record that a signed request concerns no secret.
func (r *Receiver) ignore(ctx context.Context, in *Request, said reading) error {
	rec := record(in, eventIgnored)
	rec.ReasonCode, rec.Reason, rec.TriggerID = "NothingAffected", said.ignored, clip(said.id)
	_, err := r.Log.Append(ctx, audit.Head{}, rec)
	return err
}

// record starts a record in the chain that concerns no single secret. It holds nothing that an unknown sender wrote.
func record(in *Request, event string) audit.Record {
	sum := sha256.Sum256([]byte(in.ID + "\x00" + event))
	return audit.Record{
		ID: hex.EncodeToString(sum[:16]), Time: audit.Stamp(in.At), Environment: audit.NoEnvironment, Secret: audit.NoSecret,
		Event: event, Step: step, TriggerSource: trigger.WebhookSource + "/" + in.Route, Actor: in.Source, Attempt: 1,
	}
}
