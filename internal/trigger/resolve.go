package trigger

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// MaxEvent is the largest event that is read: what EventBridge and Step Functions carry at most, 256 KiB.
const MaxEvent = 256 << 10

// Keys that are no lookup keys of contracts.
const (
	KeyDue    = "due"     // everything that the registry's index of due dates gives
	KeySecret = "secret:" // followed by a secret id: that secret alone
)

// Resolution is what an event means. With Ignored set, nothing is affected, Keys is empty and Mode is None.
type Resolution struct {
	Trigger Trigger  `json:"trigger"`
	Mode    Mode     `json:"mode"`
	Keys    []string `json:"keys"`    // by which the registry finds what is affected, sorted: see contract.Keys, KeyDue, KeySecret
	Ignored string   `json:"ignored"` // why nothing is affected, one sentence
}

// envelope is what EventBridge puts around every event:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
type envelope struct {
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       string          `json:"time"`
	Detail     json.RawMessage `json:"detail"`
}

// source reads the events of one kind. An empty detailType takes every event of the source.
type source struct {
	name, detailType string
	read             func(envelope) (Resolution, error)
}

func sources() []source {
	return []source{
		{"mayfly.schedule", "", evaluation},
		{"mayfly.manual", "", manualEvent},
		{"aws.codedeploy", "CodeDeploy Deployment State-change Notification", codeDeploy},
		{"aws.guardduty", "GuardDuty Finding", guardDuty},
	}
}

// Resolve says what any event means, from the event alone. Text that is no JSON object, and an event of a known kind that
// lacks what its documentation promises, is InputMalformed; an event of an unknown kind affects nothing, and says so.
// No error and no reason repeats members of an unknown event: some carry live tokens.
func Resolve(event []byte) (Resolution, error) {
	if len(event) > MaxEvent {
		return Resolution{}, fault.New(fault.InputMalformed, "the event has %d bytes; more than %d are not read", len(event), MaxEvent)
	}
	if !json.Valid(event) {
		return Resolution{}, fault.New(fault.InputMalformed, "the event is no JSON; send one JSON object")
	}
	trimmed := bytes.TrimSpace(event)
	if trimmed[0] != '{' {
		return ignore(Trigger{}, "the event is no JSON object, so it names no source"), nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the event is no JSON object")
	}
	if _, enveloped := members["source"]; !enveloped {
		return bare(event, members)
	}
	var e envelope
	if err := json.Unmarshal(event, &e); err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the event's envelope is not EventBridge's: id, source, detail-type and time are texts")
	}
	for _, s := range sources() {
		if s.name == e.Source && (s.detailType == "" || s.detailType == e.DetailType) {
			return s.read(e)
		}
	}
	return unread(e), nil
}

// found makes a resolution of a trigger and the keys that it names.
func found(t Trigger, keys ...string) Resolution {
	slices.Sort(keys)
	return Resolution{Trigger: t, Mode: t.Mode(), Keys: slices.Compact(keys)}
}

func ignore(t Trigger, why string) Resolution {
	return Resolution{Trigger: t, Mode: None, Keys: []string{}, Ignored: why}
}

// evaluation is Mayfly's own schedule. Its time is the scheduled one, not the one of delivery, so that an evaluation that
// is delivered twice is one trigger: EventBridge Scheduler delivers at least once
// (https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html).
func evaluation(e envelope) (Resolution, error) {
	at, err := time.Parse(time.RFC3339, e.Time)
	if err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the evaluation's time %q is no RFC 3339 time; give the scheduled time", clip(e.Time, 40))
	}
	return found(Trigger{
		Type: Schedule, ID: at.UTC().Format(time.RFC3339), Source: e.Source, Reason: "evaluation of what is due",
	}, KeyDue), nil
}

// detail reads an event's detail; members that Mayfly does not use are passed over, because AWS adds some all the time.
func detail(e envelope, into any) error {
	if err := json.Unmarshal(e.Detail, into); err != nil {
		return fault.New(fault.InputMalformed, "the detail of event %q from %s is not as documented", clip(e.ID, 64), e.Source)
	}
	return nil
}

// clip makes text from outside fit for one line of a record: no control characters, and at most so many bytes.
func clip(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
