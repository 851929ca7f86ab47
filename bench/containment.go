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

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/postgres"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Containment is the way from a critical finding to a credential that is refused.
type Containment struct {
	Runs       int     `json:"runs"`
	RefusedP50 float64 `json:"event_to_refused_ms_p50"` // from before PutEvents to the first login that is refused
	RefusedP95 float64 `json:"event_to_refused_ms_p95"`
	Ways       []Way   `json:"ways"` // in the order of warm, cold and newDay
}

// Way is what is called between an event and the COMMIT that bars.
type Way struct {
	When      string   `json:"when"`
	Chain     []string `json:"calls_until_barred"` // in the order of their beginning
	Depth     int      `json:"sequential_depth"`
	Functions int      `json:"functions_until_barred"`
}

// When a way is counted. The first record that a secret gets on a day seals the day before.
const (
	warm   = "in processes that are running"
	cold   = "in processes that have just started"
	newDay = "the same, at a day's first run"
)

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

// slow is how long each call takes while calls are counted: two that are made side by side then overlap, however busy this
// machine is.
const slow = 25 * time.Millisecond

// countContainment fills in what is called between the event and the COMMIT that bars. It needs a playground with a proxy.
func countContainment(ctx context.Context, p *playground.Playground, root string, c *Containment) error {
	serial := 1000                                            // beyond what measureContainment sends
	if err := sendFinding(ctx, p, root, serial); err != nil { // every function has run once
		return err
	}
	for _, when := range []string{warm, cold, newDay} {
		if err := p.Settle(ctx); err != nil {
			return err
		}
		if when == newDay {
			serial++
			if err := midnight(ctx, p, root, serial); err != nil {
				return err
			}
		}
		if when != warm {
			if err := chill(ctx, p); err != nil {
				return err
			}
		}
		serial++
		way, err := countWay(ctx, p, root, serial)
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		way.When = when
		c.Ways = append(c.Ways, way)
	}
	return p.Settle(ctx)
}

// midnight lets a finding be contained in the last minute of a day, so that nothing is due when the next one begins.
func midnight(ctx context.Context, p *playground.Playground, root string, serial int) error {
	now := p.Stack.Clock.Now().UTC()
	next := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	p.Stack.Clock.Advance(max(0, next.Add(-time.Minute).Sub(now)))
	if err := errors.Join(p.Settle(ctx), sendFinding(ctx, p, root, serial), p.Settle(ctx)); err != nil {
		return err
	}
	p.Stack.Clock.Advance(max(0, next.Add(time.Second).Sub(p.Stack.Clock.Now())))
	return p.Settle(ctx)
}

// countWay cuts the connection to the database right after the COMMIT: what the ledger holds at that moment is the answer.
func countWay(ctx context.Context, p *playground.Playground, root string, serial int) (Way, error) {
	p.Stack.Endpoint.SetLatency("", "", slow)
	defer p.Stack.Endpoint.SetLatency("", "", 0)
	cut := p.Proxy.Plan(&postgres.Cut{After: true})
	p.Stack.Endpoint.ResetCalls()
	if err := sendFinding(ctx, p, root, serial); err != nil {
		return Way{}, err
	}
	for deadline := time.Now().Add(time.Minute); !cut.Fired(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return Way{}, errors.New("a minute after the finding nothing was barred")
		}
	}
	calls, err := ledger(ctx, p)
	if err != nil {
		return Way{}, err
	}
	// TraceLineage begins behind the starts, and nobody on this way waits for it.
	calls = slices.DeleteFunc(calls, func(c stack.LedgerEntry) bool { return c.Function == "" || c.Function == "mayfly-trace-lineage" })
	slices.SortStableFunc(calls, func(a, b stack.LedgerEntry) int { return a.At.Compare(b.At) })
	w := Way{Depth: depth(calls), Functions: len(callers(calls))}
	for _, call := range calls {
		w.Chain = append(w.Chain, call.Function+" "+call.Service+"."+call.Operation)
	}
	return w, nil
}

// chill ends the processes of every function, as a new configuration does.
func chill(ctx context.Context, p *playground.Playground) error {
	functions := lambda.NewFromConfig(p.AWS)
	all, err := functions.ListFunctions(ctx, &lambda.ListFunctionsInput{})
	if err != nil {
		return err
	}
	for _, f := range all.Functions {
		if _, err := functions.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: f.FunctionName,
			Environment: &types.Environment{Variables: f.Environment.Variables}}); err != nil {
			return err
		}
	}
	return nil
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
