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

// bare reads an event without an envelope: a request, the body of a webhook, or something that is none of Mayfly's
// business. Signatures are the receiver's to check; whoever may hand over an event without it may ask for a rotation, too.
func bare(event []byte, members map[string]json.RawMessage) (Resolution, error) {
	if _, ok := members["secret"]; ok {
		var r request
		if err := strict(event, &r, requestShape); err != nil {
			return Resolution{}, err
		}
		return r.resolve()
	}
	if read := webhook(members); read != nil {
		n, err := read(event)
		if err != nil {
			return Resolution{}, err
		}
		return n.Resolution()
	}
	for _, known := range []struct {
		member, why string
		kind        Type
	}{
		{"Step", "a rotation step of Secrets Manager belongs to the function of that step", Schedule},
		{"eventSource", "a CloudTrail record without its EventBridge envelope is not read", ""},
	} {
		if _, ok := members[known.member]; ok {
			return ignore(Trigger{Type: known.kind}, known.why), nil
		}
	}
	return ignore(Trigger{}, "the event has neither a source nor a secret"), nil
}

// webhook finds the reader of the webhook that has these members; nil if none is known by them.
func webhook(members map[string]json.RawMessage) func([]byte) (Normalised, error) {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return members[name] == nil })
	}
	switch {
	case has("ref", "repository", "commits"):
		return func(body []byte) (Normalised, error) { return NewGitHubPush(body) }
	case has("deployment_status", "repository"):
		return func(body []byte) (Normalised, error) { return NewGitHubDeployment(body) }
	case len(members) == 1 && has("event"):
		return func(body []byte) (Normalised, error) { return NewPagerDutyIncident(body) }
	}
	return nil
}

// manualEvent reads a request that came over the event bus; the event's id names the trigger where the request does not.
func manualEvent(e envelope) (Resolution, error) {
	var r request
	if err := strict(e.Detail, &r, requestShape); err != nil {
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
	return found(t, KeySecret+r.Secret)
}

const requestShape = `the request is not {"secret": "<environment>/<name>", "trigger": {"type", "id", "source", "actor", "reason"}}`

// strict reads one JSON value of a shape that we define, where an unknown member is a mistake.
func strict(data []byte, into any, otherwise string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if len(data) > MaxEvent || !json.Valid(data) || d.Decode(into) != nil {
		return fault.New(fault.InputMalformed, "%s", otherwise)
	}
	return nil
}
