package rotation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// TraceLineage finds the secrets that hold a value of those which mayfly-respond has just contained: an incident on one is an
// incident on all of its lineage, whatever their contracts' rotate_on say. It goes one step and no further, since who holds
// the one value learns nothing about the others' other values. It comes after the containments were started, and keeps none
// of them waiting.
//
// It reads no value, and starts nothing: its answer has the shape of ResolveTrigger's, and mayfly-respond goes on with it in
// the same way. The list of a fleet and the record are its only writes; both may be repeated, and nobody reads the list
// until Handle has returned.
type TraceLineage struct {
	Log      Log
	Registry interface {
		Fingerprints(ctx context.Context, secret string) ([]registry.Fingerprint, error)
		Holders(ctx context.Context, print string) ([]registry.Fingerprint, error)
	}
	Lists *Lists
}

// Contained is what mayfly-respond hands to TraceLineage: whose containment it started.
type Contained struct {
	Response Response `json:"response"`
	Context  Context  `json:"context"`
}

// EventTraced says who else holds a value of what an event contained.
const EventTraced = "traced"

// traceBack is how long before its answer an event may be about. By the time of the look, a containment may have closed and
// its old version have ended; a finding comes after the fact; and its event is sent again where the first answer failed.
const traceBack = 24 * time.Hour

// Handle looks up the values that the contained secrets have or had when the event was answered, and who else holds one.
func (s *TraceLineage) Handle(ctx context.Context, c Contained) (Response, error) {
	contained := map[string]bool{}
	list := c.Response.Secrets
	if at := c.Response.Dispatch; at != nil {
		if err := s.Lists.read(ctx, at.Key, &list); err != nil {
			return Response{}, fault.Wrap(err, fault.RegistryUnavailable, "read the list %s", at.Key)
		}
	}
	for _, start := range list {
		contained[start.Secret] = true
	}
	values, unknown, err := s.values(ctx, slices.Sorted(maps.Keys(contained)), c.Context.Execution.StartTime.Add(-traceBack))
	if err != nil {
		return Response{}, err
	}
	kin, err := s.kin(ctx, values, contained)
	if err != nil {
		return Response{}, err
	}
	starts := make([]Start, 0, len(kin))
	for secret, of := range kin {
		slices.Sort(of)
		environment, _, _ := strings.Cut(secret, "/")
		why := "its value is also that of " + some(slices.Compact(of), 2) + ", which an incident contains"
		starts = append(starts, Start{Secret: secret, Because: why, Compromised: why, Environment: environment, Mode: c.Response.Mode, Severity: c.Response.Trigger.Severity})
	}
	Order(starts)
	response := Response{Trigger: c.Response.Trigger, Mode: c.Response.Mode}
	if list, err = respond(ctx, s.Lists, &response, c.Context.Execution.Name, "lineage.json", Pace(starts, c.Response.Trigger, c.Context.Now())); err != nil {
		return Response{}, err
	}
	return response, s.note(ctx, c, list, unknown)
}

// values gathers the fingerprints of secrets, and whose they are; unknown are secrets without any.
func (s *TraceLineage) values(ctx context.Context, secrets []string, since time.Time) (values map[string][]string, unknown []string, err error) {
	found, err := registry.Each(ctx, secrets, s.Registry.Fingerprints)
	values = map[string][]string{}
	for i, prints := range found {
		for _, f := range prints {
			if f.Ended.IsZero() || !f.Ended.Before(since) {
				values[f.Print] = append(values[f.Print], f.Secret)
			}
		}
		if len(prints) == 0 {
			unknown = append(unknown, secrets[i])
		}
	}
	return values, unknown, err
}

// kin are the secrets that hold one of the values and are not contained already, and for each the contained that share it.
func (s *TraceLineage) kin(ctx context.Context, values map[string][]string, contained map[string]bool) (map[string][]string, error) {
	prints := slices.Sorted(maps.Keys(values))
	found, err := registry.Each(ctx, prints, s.Registry.Holders)
	kin := map[string][]string{}
	for i, holders := range found {
		for _, h := range holders {
			if !contained[h.Secret] {
				kin[h.Secret] = append(kin[h.Secret], values[prints[i]]...)
			}
		}
	}
	return kin, err
}

// note appends to the chain of the execution.
func (s *TraceLineage) note(ctx context.Context, c Contained, kin []Started, unknown []string) error {
	code, reason := "NothingShared", "no other secret holds a value of what was contained"
	if len(kin) > 0 {
		names := make([]string, len(kin))
		for i, k := range kin {
			names[i] = k.Secret + ": " + k.Because
		}
		code, reason = "ValueShared", fmt.Sprintf("%d contained as well: %s", len(kin), some(names, 20))
	}
	if len(unknown) > 0 {
		reason += fmt.Sprintf("; no fingerprint is known of %s", some(unknown, 20))
	}
	rec := responseRecord(c.Context, EventTraced, c.Response.Trigger)
	rec.ReasonCode, rec.Reason = code, reason
	_, beginning := audit.Response(c.Context.Execution.ID, c.Context.Execution.StartTime)
	_, err := s.Log.Append(ctx, beginning, rec)
	return err
}

// some names the first few.
func some(names []string, most int) string {
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
