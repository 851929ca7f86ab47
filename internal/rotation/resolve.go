package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// ResolveTrigger turns any event into a trigger and the secrets that it affects: the first state of mayfly-respond.
type ResolveTrigger struct {
	Log      Log
	Registry interface {
		FindAll(ctx context.Context, secrets []string) ([]contract.Contract, error)
		Lookup(ctx context.Context, keys []string) ([]string, error)
		Due(ctx context.Context, now time.Time) ([]string, error)
	}
	Lists *Lists
}

// Event is what mayfly-respond hands to ResolveTrigger.
type Event struct {
	Event   json.RawMessage `json:"event"`
	Context Context         `json:"context"`
}

// Response is what follows from an event: one execution of mayfly-rotate per secret.
type Response struct {
	Trigger  trigger.Trigger `json:"trigger"`
	Mode     trigger.Mode    `json:"mode"`
	Count    int             `json:"count"`
	Secrets  []Started       `json:"secrets"`            // at most Inline; none when they are a fleet
	Dispatch *Dispatch       `json:"dispatch,omitempty"` // of a fleet
	Trace    bool            `json:"trace"`              // a containment: TraceLineage looks who else holds the values
}

// Started is one execution to start. The name follows from secret and trigger, so that a repeated event joins the execution
// that it already started.
type Started struct {
	Secret    string    `json:"secret"`
	Name      string    `json:"name"`
	Because   string    `json:"because"`
	NotBefore time.Time `json:"not_before,omitzero"` // of a fleet's
	// Compromised says why the value itself is known to be in wrong hands, which counts whatever rotate_on says; "" if it is not.
	Compromised string `json:"compromised"`
}

// Events of this step.
const (
	EventEvaluated = "evaluated" // the schedule asked what is due; its absence is alarmed
	EventResolved  = "resolved"
	EventIgnored   = "ignored"
)

// Handle reads the event, gathers the contracts that its keys lead to, and decides. Only what is due or affected is read.
// The list of a fleet is written before the record that counts it: nobody reads it until Handle has returned.
func (s *ResolveTrigger) Handle(ctx context.Context, e Event) (Response, error) {
	resolution, err := trigger.Resolve(e.Event)
	if err != nil {
		if noted := s.note(ctx, e.Context, EventRefused, trigger.Trigger{}, audit.FailedClean, string(fault.CodeOf(err)), err.Error()); noted != nil {
			return Response{}, noted
		}
		return Response{}, err
	}
	starts, spared, err := s.affected(ctx, resolution, e.Context.Now())
	if err != nil {
		return Response{}, err
	}
	Order(starts)
	later := 0
	if resolution.Trigger.Type == trigger.Schedule && len(starts) > PerEvaluation {
		later = len(starts) - PerEvaluation
		starts = starts[:PerEvaluation]
	}
	response := Response{Trigger: resolution.Trigger, Mode: resolution.Mode}
	list, err := respond(ctx, s.Lists, &response, e.Context.Execution.Name, "secrets.json", Pace(starts, resolution.Trigger, e.Context.Now()))
	if err != nil {
		return Response{}, err
	}
	response.Trace = response.Mode == trigger.Contain && response.Count > 0
	event, code := EventResolved, "Affected"
	switch {
	case resolution.Trigger.Type == trigger.Schedule:
		event = EventEvaluated
	case len(list) == 0:
		event, code = EventIgnored, "NothingAffected"
	}
	return response, s.note(ctx, e.Context, event, resolution.Trigger, "", code, summary(resolution, list, spared, later))
}

// respond puts what is to be started into a response: a few as they are, a fleet as a list in the bucket, which is what
// counts if an earlier attempt wrote it.
func respond(ctx context.Context, lists *Lists, response *Response, execution, file string, list []Started) ([]Started, error) {
	response.Secrets = []Started{}
	if len(list) > Inline {
		kept, at, err := Keep(ctx, lists, execution, file, list)
		if err != nil {
			return nil, err
		}
		list, response.Dispatch = kept, &at
	} else {
		for _, start := range list {
			start.NotBefore = time.Time{} // so few begin at once
			response.Secrets = append(response.Secrets, start)
		}
	}
	response.Count = len(list)
	return list, nil
}

// chunk is how many contracts are in memory at once.
const chunk = 2000

// affected finds the secrets that the resolution's keys lead to, and reads their contracts chunk by chunk, of which only
// what matters is kept: a fleet's contracts do not fit in a small function.
func (s *ResolveTrigger) affected(ctx context.Context, r trigger.Resolution, now time.Time) (starts []Start, spared []trigger.Match, err error) {
	via, err := s.found(ctx, r.Keys, now)
	if err != nil {
		return nil, nil, err
	}
	secrets := slices.Sorted(maps.Keys(via))
	for part := range slices.Chunk(secrets, chunk) {
		contracts, err := s.contracts(ctx, r, part)
		if err != nil {
			return nil, nil, err
		}
		byID := make(map[string]contract.Contract, len(contracts))
		var candidates []trigger.Candidate
		for _, c := range contracts {
			byID[c.ID()] = c
			for _, key := range via[c.ID()] {
				candidates = append(candidates, trigger.Candidate{Contract: c, Via: key})
			}
		}
		yes, no := trigger.Affected(r, candidates)
		for _, m := range yes {
			c := byID[m.Secret]
			starts = append(starts, Start{Secret: m.Secret, Because: m.Because, Compromised: m.Exposed, Environment: c.Environment,
				Mode: r.Mode, Severity: r.Trigger.Severity, BlastRadius: c.BlastRadius})
		}
		spared = append(spared, no...)
	}
	return starts, spared, nil
}

// contracts reads the contracts of secrets. A containment of a few does not wait for that: AdmitRotation reads each contract
// anyway, and skips there, on record, what rotate_on spares.
func (s *ResolveTrigger) contracts(ctx context.Context, r trigger.Resolution, secrets []string) ([]contract.Contract, error) {
	if r.Mode != trigger.Contain || len(secrets) > Inline {
		return s.Registry.FindAll(ctx, secrets)
	}
	contracts := make([]contract.Contract, len(secrets))
	for i, secret := range secrets {
		environment, name, _ := strings.Cut(secret, "/")
		contracts[i] = contract.Contract{Environment: environment, Name: name, RotateOn: []string{string(r.Trigger.Type)}}
	}
	return contracts, nil
}

// found asks the registry where each key leads, side by side, and gives for each secret the keys that led to it.
func (s *ResolveTrigger) found(ctx context.Context, keys []string, now time.Time) (map[string][]string, error) {
	lists, err := registry.Each(ctx, keys, func(ctx context.Context, key string) ([]string, error) { return s.secrets(ctx, key, now) })
	via := map[string][]string{}
	for i, key := range keys {
		for _, secret := range lists[i] {
			via[secret] = append(via[secret], key)
		}
	}
	return via, err
}

func (s *ResolveTrigger) secrets(ctx context.Context, key string, now time.Time) ([]string, error) {
	if key == trigger.KeyDue {
		return s.Registry.Due(ctx, now)
	}
	if secret, one := strings.CutPrefix(key, trigger.KeySecret); one {
		return []string{secret}, nil
	}
	return s.Registry.Lookup(ctx, []string{key})
}

func summary(r trigger.Resolution, affected []Started, spared []trigger.Match, later int) string {
	if r.Ignored != "" {
		return r.Ignored
	}
	const named = 20
	var names [2][]string
	for _, m := range affected[:min(len(affected), named)] {
		names[0] = append(names[0], m.Secret)
	}
	for _, m := range spared[:min(len(spared), named)] {
		names[1] = append(names[1], m.Secret)
	}
	text := fmt.Sprintf("%d affected (%s), %d spared by rotate_on (%s)",
		len(affected), strings.Join(names[0], ", "), len(spared), strings.Join(names[1], ", "))
	if later > 0 {
		text += fmt.Sprintf("; %d more are due and left to the next evaluation", later)
	}
	return text
}

// note appends to the chain of the execution; evaluations, which come one after the other, have one chain together, so that a
// missing one is seen.
func (s *ResolveTrigger) note(ctx context.Context, c Context, event string, t trigger.Trigger, outcome, code, reason string) error {
	rec := responseRecord(c, event, t)
	_, head := audit.Response(c.Execution.ID, c.Execution.StartTime)
	if event == EventEvaluated {
		rec.Secret, head = audit.NoSecret, audit.Head{}
	}
	rec.Outcome, rec.ReasonCode, rec.Reason = outcome, code, reason
	_, err := s.Log.Append(ctx, head, rec)
	return err
}

// responseRecord starts a record in the chain of an execution of mayfly-respond.
func responseRecord(c Context, event string, t trigger.Trigger) audit.Record {
	chain, _ := audit.Response(c.Execution.ID, c.Execution.StartTime)
	return audit.Record{
		ID: recordID(c, event), Time: audit.Stamp(c.Now()), Environment: audit.NoEnvironment, Secret: chain,
		Event: event, Step: c.State.Name, TriggerType: string(t.Type), TriggerID: t.ID, TriggerSource: t.Source, Actor: t.Actor,
		ExecutionARN: c.Execution.ID, Attempt: c.State.RetryCount + 1,
	}
}
