package playground_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// inspecting lists every write of an inspection that finds a resource policy widened.
var inspecting = []write{
	{"mayfly-list-secrets", "s3", "PutObject", 0},
	{"mayfly-list-secrets", "s3", "PutObject", 1},
	{"mayfly-inspect-secrets", "s3", "PutObject", 0},
	{"mayfly-inspect-secrets", "dynamodb", "UpdateItem", 0},
	{"mayfly-inspect-secrets", "secretsmanager", "PutResourcePolicy", 0},
	{"mayfly-inspect-secrets", "events", "PutEvents", 0},
	{"mayfly-inspect-secrets", "dynamodb", "UpdateItem", 1},
}

// TestInspectionWritesFail goes through every write of an inspection, failed and failed but persisted, each followed by the
// state machine's own retry, and separately by the end of the execution and the next inspection (I1 to I4). The drift is put
// back, on record, and rotated for once, whatever failed.
func TestInspectionWritesFail(t *testing.T) {
	for worker := range 2 {
		t.Run(fmt.Sprint("part", worker), func(t *testing.T) {
			t.Parallel()
			p := start(t, playground.Options{Policy: brisk})
			hasten(p)
			(&failing{Playground: p}).rotate(t, "onboard")
			silence(t, p)
			inspect(t, p, false) // fingerprints of what was there before
			n := 0
			for _, w := range inspecting {
				for _, when := range []string{"before", "after"} {
					for _, next := range []bool{false, true} {
						if n++; n%2 == worker {
							t.Run(fmt.Sprintf("%s, %s, next inspection %t", w, when, next), func(t *testing.T) { interrupted(t, p, w, when, next) })
						}
					}
				}
			}
			clean(t, p)
		})
	}
}

func interrupted(t *testing.T, p *playground.Playground, w write, when string, next bool) {
	p.Stack.Clock.Advance(15 * time.Minute)
	settled(t, p)
	before, said := len(runs(t, p, orders)), len(found(t, p, orders))
	widen(t, p, orders, playground.Analytics)
	struck := make(chan struct{}, 1)
	p.Stack.Endpoint.Kill = func(who stack.Identity) {
		p.Stack.Functions.Kill(who)
		struck <- struct{}{}
	}
	defer planned(t, p, stack.Fault{Function: w.function, Service: w.service, Operation: w.operation, Skip: w.nth, Mode: "kill", When: when})()
	execution, err := p.Start(t.Context(), playground.InspectMachine, map[string]any{})
	must(t)(nil, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-struck:
	case <-ctx.Done():
		t.Fatal("this write was never made")
	}
	if next {
		must(t)(sfn.NewFromConfig(p.AWS).StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &execution}))
		settled(t, p)
		inspect(t, p, false)
	} else {
		must(t)(p.Wait(ctx, execution))
		if got := end(t, p, execution); got != "Inspected" {
			t.Errorf("the inspection ended in %s", got)
		}
		settled(t, p)
	}
	if canRead(t, p, playground.Analytics, orders) {
		t.Error("the stranger reads still")
	}
	now := found(t, p, orders)[said:]
	if len(now) == 0 || len(now) > 2 || len(now) == 2 && !next {
		t.Errorf("on record: %+v", now)
	}
	for _, r := range now {
		if r.ReasonCode != string(inspection.PolicyDrift) {
			t.Errorf("on record: %+v", r)
		}
	}
	if made := runs(t, p, orders); len(made) != before+1 || made[0].Outcome != audit.Rotated || made[0].Trigger != "access_change" {
		t.Errorf("%d runs followed, the last %+v\n%s", len(made)-before, made[0], told(t, p))
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	// Nothing is left to be found, nor to be asked for.
	p.Stack.Clock.Advance(time.Hour)
	inspect(t, p, false)
	if made, all := runs(t, p, orders), found(t, p, orders); len(made) != before+1 || len(all) != said+len(now) {
		t.Errorf("later %d runs followed, and %d records", len(made)-before, len(all)-said)
	}
}
