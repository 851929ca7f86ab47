package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// ResolveTrigger turns any event into a trigger and the secrets that it affects: the first state of mayfly-respond.
type ResolveTrigger struct {
	Log      Log
	Registry interface {
		Find(ctx context.Context, secret string) (registry.Entry, error)
		Lookup(ctx context.Context, keys []string) ([]string, error)
		Due(ctx context.Context, now time.Time) ([]string, error)
	}
}

// Event is what mayfly-respond hands to ResolveTrigger.
type Event struct {
	Event   json.RawMessage `json:"event"`
	Context Context         `json:"context"`
}

// Response is what follows from an event: one execution of mayfly-rotate per secret.
type Response struct {
	Trigger trigger.Trigger `json:"trigger"`
	Mode    trigger.Mode    `json:"mode"`
	Count   int             `json:"count"`
	Secrets []Started       `json:"secrets"`
}

// Started is one execution to start. The name follows from secret and trigger, so that a repeated event joins the execution
// that it already started.
type Started struct {
	Secret  string          `json:"secret"`
	Name    string          `json:"name"`
	Because string          `json:"because"`
	Trigger trigger.Trigger `json:"trigger"`
}

// Events of this step.
const (
	EventEvaluated = "evaluated" // the schedule asked what is due; its absence is alarmed
	EventResolved  = "resolved"
	EventIgnored   = "ignored"
)

// Handle reads the event, gathers the contracts that its keys lead to, and decides. Only what is due or affected is read.
func (s *ResolveTrigger) Handle(ctx context.Context, e Event) (Response, error) {
	resolution, err := trigger.Resolve(e.Event)
	if err != nil {
		if noted := s.note(ctx, e.Context, EventRefused, trigger.Trigger{}, audit.FailedClean, string(fault.CodeOf(err)), err.Error()); noted != nil {
			return Response{}, noted
		}
		return Response{}, err
	}
	candidates, err := s.candidates(ctx, resolution, e.Context.Now())
	if err != nil {
		return Response{}, err
	}
	affected, spared := trigger.Affected(resolution, candidates)
	response := Response{Trigger: resolution.Trigger, Mode: resolution.Mode, Count: len(affected), Secrets: []Started{}}
	for _, m := range affected {
		t := resolution.Trigger
		response.Secrets = append(response.Secrets, Started{Secret: m.Secret, Name: trigger.ExecutionName(m.Secret, t), Because: m.Because, Trigger: t})
	}
	event, code := EventResolved, "Affected"
	switch {
	case resolution.Trigger.Type == trigger.Schedule:
		event = EventEvaluated
	case len(affected) == 0:
		event, code = EventIgnored, "NothingAffected"
	}
	return response, s.note(ctx, e.Context, event, resolution.Trigger, "", code, summary(resolution, affected, spared))
}

// candidates reads the contracts that the resolution's keys lead to.
func (s *ResolveTrigger) candidates(ctx context.Context, r trigger.Resolution, now time.Time) ([]trigger.Candidate, error) {
	var candidates []trigger.Candidate
	for _, k := range r.Keys {
		secrets, err := s.secrets(ctx, k, now)
		if err != nil {
			return nil, err
		}
		for _, secret := range secrets {
			entry, err := s.Registry.Find(ctx, secret)
			if errors.Is(err, registry.ErrNotInForce) {
				continue
			}
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, trigger.Candidate{Contract: entry.Contract, Via: k})
		}
	}
	return candidates, nil
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

func summary(r trigger.Resolution, affected, spared []trigger.Match) string {
	if r.Ignored != "" {
		return r.Ignored
	}
	list := func(matches []trigger.Match) string {
		names := make([]string, 0, len(matches))
		for _, m := range matches[:min(len(matches), 20)] {
			names = append(names, m.Secret)
		}
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d affected (%s), %d spared by rotate_on (%s)", len(affected), list(affected), len(spared), list(spared))
}

// note appends to the chain of records that concern no single secret.
func (s *ResolveTrigger) note(ctx context.Context, c Context, event string, t trigger.Trigger, outcome, code, reason string) error {
	rec := audit.Record{
		ID: recordID(c, event), Time: audit.Stamp(c.Now()), Environment: audit.NoEnvironment, Secret: audit.NoSecret,
		Event: event, Step: c.State.Name, Outcome: outcome, ReasonCode: code, Reason: reason,
		TriggerType: string(t.Type), TriggerID: t.ID, TriggerSource: t.Source, Actor: t.Actor,
		ExecutionARN: c.Execution.ID, Attempt: c.State.RetryCount + 1,
	}
	_, err := s.Log.Append(ctx, audit.Head{}, rec)
	return err
}
