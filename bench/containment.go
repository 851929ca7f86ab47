package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/postgres"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Containment is the way from a critical finding to a credential that is refused.
type Containment struct {
	Runs       int      `json:"runs"`
	RefusedP50 float64  `json:"event_to_refused_ms_p50"` // from before PutEvents to the first login that is refused
	RefusedP95 float64  `json:"event_to_refused_ms_p95"`
	Chain      []string `json:"calls_until_barred"` // AWS calls between the event and the COMMIT that bars, in order
	Depth      int      `json:"sequential_depth"`
	Functions  int      `json:"functions_until_barred"`
}

// measureContainment sends findings, one after the other, and asks the server again and again whether the stolen credential
// still logs in.
func measureContainment(ctx context.Context, p *playground.Playground, root string, runs int) (Containment, error) {
	c := Containment{Runs: runs}
	var took []float64
	for i := range runs {
		stolen, _, err := p.Value(ctx, secret, "")
		if err != nil {
			return c, err
		}
		target := p.Target(secret)
		if err := playground.Login(ctx, target, stolen); err != nil {
			return c, fmt.Errorf("before the finding: %w", err)
		}
		began := time.Now()
		if err := sendFinding(ctx, p, root, i); err != nil {
			return c, err
		}
		for !playground.Refused(playground.Login(ctx, target, stolen)) {
			if time.Since(began) > time.Minute {
				return c, errors.New("a minute after the finding the stolen credential still logs in")
			}
		}
		took = append(took, milliseconds(time.Since(began)))
		if err := p.Settle(ctx); err != nil {
			return c, err
		}
	}
	c.RefusedP50, c.RefusedP95 = quantile(took, 0.5), quantile(took, 0.95)
	return c, nil
}

// countContainment fills in what is called between the event and the COMMIT that bars. It needs a playground with a proxy:
// that cuts the connection right after the COMMIT, and what the ledger holds at that moment is the answer.
func countContainment(ctx context.Context, p *playground.Playground, root string, c *Containment) error {
	if err := p.Settle(ctx); err != nil {
		return err
	}
	cut := p.Proxy.Plan(&postgres.Cut{After: true})
	p.Stack.Endpoint.ResetCalls()
	if err := sendFinding(ctx, p, root, 0); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); !cut.Fired(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("a minute after the finding nothing was barred")
		}
	}
	calls, err := ledger(ctx, p)
	if err != nil {
		return err
	}
	calls = slices.DeleteFunc(calls, func(c stack.LedgerEntry) bool { return c.Function == "" })
	for _, call := range calls {
		c.Chain = append(c.Chain, call.Function+" "+call.Service+"."+call.Operation)
	}
	c.Depth, c.Functions = depth(calls), len(callers(calls))
	return p.Settle(ctx)
}

// sendFinding puts the critical sample finding on the bus, under an id of its own: a repeated finding is answered already.
func sendFinding(ctx context.Context, p *playground.Playground, root string, serial int) error {
	text, err := os.ReadFile(filepath.Join(root, "events", "guardduty-critical.json"))
	if err != nil {
		return err
	}
	var event map[string]any
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	detail, ok := event["detail"].(map[string]any)
	if !ok {
		return errors.New("the sample finding has no detail")
	}
	detail["id"] = fmt.Sprintf("%032x", serial+1)
	if text, err = json.Marshal(event); err != nil {
		return err
	}
	file, err := os.CreateTemp("", "finding-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	if _, err := file.Write(text); err != nil {
		return err
	}
	return errors.Join(file.Close(), p.Send(ctx, file.Name()))
}
