package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Rotation is what one routine dual rotation costs.
type Rotation struct {
	Operations     map[string]int `json:"operations"` // calls per "service.Operation"
	SecretsManager int            `json:"secrets_manager_calls"`
	Calls          int            `json:"aws_calls"`            // without those of KeepingAccess
	KeepingAccess  int            `json:"keeping_access_calls"` // who may read the value, and who else holds it
	Depth          int            `json:"sequential_depth"`     // calls of which each began after the one before had ended
	Functions      int            `json:"functions"`            // that were invoked
	Transitions    int            `json:"state_transitions"`
}

// keepsAccess are the calls that a rotation makes to keep access to the value as its contract says, beside rotating it.
var keepsAccess = map[string]bool{"secretsmanager.GetResourcePolicy": true, "secretsmanager.PutResourcePolicy": true, "kms.GenerateMac": true}

// measureRotation counts a scheduled rotation a day later: the first record of a day seals the day before, so this is the
// most that a routine rotation calls.
func measureRotation(ctx context.Context, p *playground.Playground) (Rotation, error) {
	p.Stack.Endpoint.ResetCalls()
	p.Stack.Clock.Advance(24 * time.Hour)
	if err := p.Settle(ctx); err != nil {
		return Rotation{}, err
	}
	runs, err := p.Runs(ctx, secret)
	if err != nil {
		return Rotation{}, err
	}
	if len(runs) == 0 || runs[0].Trigger != "schedule" || runs[0].Outcome != "rotated" {
		return Rotation{}, fmt.Errorf("a day later the runs of %s are %+v, want a scheduled rotation", secret, runs)
	}
	calls, err := ledger(ctx, p)
	if err != nil {
		return Rotation{}, err
	}
	calls = slices.DeleteFunc(calls, func(c stack.LedgerEntry) bool { return c.Execution != runs[0].Execution })
	r := Rotation{Operations: map[string]int{}, Calls: len(calls), Depth: depth(calls), Functions: len(callers(calls)),
		Transitions: p.Stack.Machines.Transitions(runs[0].Execution)}
	for _, c := range calls {
		r.Operations[c.Service+"."+c.Operation]++
		if keepsAccess[c.Service+"."+c.Operation] {
			r.KeepingAccess++
			r.Calls--
			continue
		}
		if c.Service == "secretsmanager" {
			r.SecretsManager++
		}
	}
	if r.Calls == 0 {
		return r, errors.New("the ledger shows no call of the run")
	}
	return r, nil
}

// ledger reads every call that the stack has seen since it was last emptied.
func ledger(ctx context.Context, p *playground.Playground) ([]stack.LedgerEntry, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Stack.URL+"/_local/calls", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	var answer struct {
		Calls []stack.LedgerEntry `json:"calls"`
	}
	return answer.Calls, json.NewDecoder(resp.Body).Decode(&answer)
}

// callers are the functions that made the calls.
func callers(calls []stack.LedgerEntry) map[string]bool {
	functions := map[string]bool{}
	for _, c := range calls {
		functions[c.Function] = true
	}
	return functions
}

// depth is the longest chain of calls of which each began after the one before had ended. Among intervals, that is as many
// as can be chosen without overlap, always taking the one that ends first.
func depth(calls []stack.LedgerEntry) int {
	end := func(c stack.LedgerEntry) time.Time {
		return c.At.Add(time.Duration(c.DurationMS * float64(time.Millisecond)))
	}
	sorted := slices.Clone(calls)
	sort.Slice(sorted, func(i, j int) bool { return end(sorted[i]).Before(end(sorted[j])) })
	n, last := 0, time.Time{}
	for _, c := range sorted {
		if !c.At.Before(last) {
			n, last = n+1, end(c)
		}
	}
	return n
}
