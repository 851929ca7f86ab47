package trigger

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// request is what a person or a script sends: the input of mayfly-rotate.
type request struct {
	Secret  string  `json:"secret"`
	Trigger Trigger `json:"trigger"`
}

var secretID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$`)

// bare reads an event without an envelope: a request, or something that is none of Mayfly's business.
func bare(event []byte, members map[string]json.RawMessage) (Resolution, error) {
	if _, ok := members["secret"]; ok {
		var r request
		if err := strict(event, &r); err != nil {
			return Resolution{}, err
		}
		return r.resolve()
	}
	for _, known := range []struct {
		member, why string
		kind        Type
	}{
		{"Step", "a rotation step of Secrets Manager belongs to the function of that step", Schedule},
		{"eventSource", "a CloudTrail record without its EventBridge envelope is not read", ""},
		{"repository", "GitHub's webhooks are not read without their signature", Commit},
	} {
		if _, ok := members[known.member]; ok {
			return ignore(Trigger{Type: known.kind}, known.why), nil
		}
	}
	return ignore(Trigger{}, "the event has neither a source nor a secret"), nil
}

// manualEvent reads a request that came over the event bus; the event's id names the trigger where the request does not.
func manualEvent(e envelope) (Resolution, error) {
	var r request
	if err := strict(e.Detail, &r); err != nil {
		return Resolution{}, err
	}
	if r.Trigger.ID == "" {
		r.Trigger.ID = e.ID
	}
	if r.Trigger.Source == "" {
		r.Trigger.Source = e.Source
	}
	return r.resolve()
}

func (r request) resolve() (Resolution, error) {
	t := r.Trigger
	if t.Type == "" {
		t.Type = Manual
	}
	if t.Source == "" {
		t.Source = "by hand"
	}
	switch {
	case !secretID.MatchString(r.Secret) || len(r.Secret) > 128:
		return Resolution{}, fault.New(fault.InputMalformed, "secret %q is no secret id; write <environment>/<name>", clip(r.Secret, 128))
	case !slices.Contains(Types(), t.Type):
		return Resolution{}, fault.New(fault.InputMalformed, "trigger type %q is unknown; use manual", clip(string(t.Type), 40))
	case t.ID == "" || t.ID != clip(t.ID, 256):
		return Resolution{}, fault.New(fault.InputMalformed, "the trigger needs an id of 1 to 256 bytes; two requests with one id are one request")
	case !(t.Severity >= 0 && t.Severity <= 10):
		return Resolution{}, fault.New(fault.InputMalformed, "severity %g is not on the scale from 0 to 10", t.Severity)
	}
	t.Source, t.Actor, t.Reason = clip(t.Source, 128), clip(t.Actor, 256), clip(t.Reason, 512)
	return found(t, KeySecret+r.Secret), nil
}

// strict reads JSON of our own making, where an unknown member is a mistake.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.New(fault.InputMalformed, `the request is not {"secret": "<environment>/<name>", "trigger": {"type", "id", "source", "actor", "reason"}}`)
	}
	return nil
}
