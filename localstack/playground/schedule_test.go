package playground_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const payment = "prod/payment-api-key"

// What policy says about failures and about old credentials is what happens.
func TestPolicyDecides(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	// fails makes a run that is refused by its own test, after the target honours the new value.
	fails := func(t *testing.T, strategy, want string) (old credential.Value) {
		t.Helper()
		tag(t, p, orders, "failure_strategy", strategy)
		old, _, err := p.Value(t.Context(), orders, "")
		must(t)(nil, err)
		must(t)(nil, p.Server.Exec(t.Context(), "orders", "ALTER TABLE orders RENAME TO elsewhere"))
		execution := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})
		must(t)(nil, p.Server.Exec(t.Context(), "orders", "ALTER TABLE elsewhere RENAME TO orders"))
		if got := end(t, p, execution); got != want {
			t.Errorf("%s: the run ended in %s, want %s", strategy, got, want)
		}
		return old
	}
	lawful := func(t *testing.T) {
		t.Helper()
		if err := p.CheckLaws(t.Context(), orders); err != nil {
			t.Error(err)
		}
	}
	for _, strategy := range []string{"retry", "rollback"} {
		t.Run("failure_strategy "+strategy, func(t *testing.T) {
			fails(t, strategy, "FailedClean")
			lawful(t) // as if the run had never been: the standby login barred, no label left
			f.rotate(t, "after "+strategy)
			lawful(t)
		})
	}
	t.Run("failure_strategy hold", func(t *testing.T) {
		old := fails(t, "hold", "FailedClean")
		defer tag(t, p, orders, "failure_strategy", "retry")
		if err := playground.Login(t.Context(), p.Target(orders), old); err != nil {
			t.Errorf("law 1: %v", err)
		}
		// Everything stays as it is for somebody to look at: the schedule leaves it alone, a person does not.
		if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders, "trigger": map[string]any{"type": "schedule", "id": "held"}})); got != "Skipped" {
			t.Errorf("a scheduled run ended in %s, want Skipped", got)
		}
		if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
			return r.TriggerID == "held" && r.ReasonCode == string(policy.HeldAfterFailed)
		}) {
			t.Error("why it was skipped is not on record")
		}
		held := runs(t, p, orders)[0].VersionTo
		f.rotate(t, "by hand")
		if run := runs(t, p, orders)[0]; run.VersionTo != held {
			t.Errorf("the run by hand brought %s, want the held version %s", run.VersionTo, held)
		}
		lawful(t)
	})
	t.Run("failure_strategy fail_closed", func(t *testing.T) {
		old := fails(t, "fail_closed", "FailedDirty")
		defer tag(t, p, orders, "failure_strategy", "retry")
		if err := playground.Login(t.Context(), p.Target(orders), old); !playground.Refused(err) {
			t.Errorf("the value in use: %v, want it refused", err)
		}
		if run := runs(t, p, orders)[0]; run.Outcome != audit.FailedDirty || run.ReasonCode != string(fault.CurrentDead) {
			t.Errorf("the history says %+v", run)
		}
		if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
			return r.Outcome == audit.FailedDirty && strings.Contains(r.Reason, "fail_closed")
		}) {
			t.Error("why the value was revoked is not on record")
		}
		p.Stack.Clock.Advance(15 * time.Minute) // closed until a run succeeds, and the next evaluation tries
		settled(t, p)
		if run := runs(t, p, orders)[0]; run.Outcome != audit.Rotated || run.Trigger != "schedule" {
			t.Errorf("the next evaluation made %+v", run)
		}
		lawful(t)
	})
	t.Run("revoke_old false", func(t *testing.T) {
		tag(t, p, orders, "revoke_old", "false")
		defer tag(t, p, orders, "revoke_old", "true")
		old, _, err := p.Value(t.Context(), orders, "")
		must(t)(nil, err)
		f.rotate(t, "keep")
		if err := playground.Login(t.Context(), p.Target(orders), old); err != nil {
			t.Errorf("the old credential: %v, want it honoured", err)
		}
		f.rotate(t, "keep again") // the old login takes its turn: the version before the last is refused
		if err := playground.Login(t.Context(), p.Target(orders), old); !playground.Refused(err) {
			t.Errorf("the credential before the last: %v, want it refused", err)
		}
	})
	for _, ends := range []bool{false, true} {
		t.Run(fmt.Sprintf("max_overlap over, end_sessions %t", ends), func(t *testing.T) {
			tag(t, p, orders, "max_overlap", "2s")
			tag(t, p, orders, "end_sessions", fmt.Sprint(ends))
			old, _, err := p.Value(t.Context(), orders, "")
			must(t)(nil, err)
			session, err := playground.Connect(t.Context(), p.Target(orders), old)
			must(t)(nil, err)
			defer session.Close(context.Background()) //nolint:errcheck // the server closes what we do not
			f.rotate(t, "in use")
			lawful(t) // the old credential is refused among them
			if alive := session.Ping(t.Context()) == nil; alive == ends {
				t.Errorf("the session is open: %t", alive)
			}
		})
	}
	t.Run("a trigger beside a run that is skipped", func(t *testing.T) {
		// Whoever finds the lease held joins the run that has it, but not one that may yet come to nothing.
		p.Stack.Machines.Random = func() float64 { return 0.5 }
		var trigger string
		clear := during(t, p, write{"mayfly-admit-rotation", "s3", "PutObject", 0}, func() {
			var err error
			if trigger, err = p.Rotate(context.Background(), orders, "beside", "test"); err != nil {
				t.Error(err)
			}
			for range 500 { // until it has looked at the lease, and at the run that holds it
				if n := len(slices.DeleteFunc(p.Stack.Endpoint.Calls(), func(c stack.LedgerEntry) bool { return c.Execution != trigger || c.Service == "states" })); n >= 2 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		skipped := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders, "trigger": map[string]any{"type": "schedule", "id": "not-due"}})
		clear()
		must(t)(p.Wait(t.Context(), trigger))
		if got, other := end(t, p, skipped), end(t, p, trigger); got != "Skipped" || other != "Rotated" {
			t.Errorf("the scheduled run ended in %s, want Skipped; the one beside it in %s, want Rotated", got, other)
		}
		lawful(t)
	})
	clean(t, p)
}

// The schedule rotates exactly what is due: a failed run again at the next evaluation, and a secret together with the admin
// that rotates it.
func TestSchedule(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Cut: true})
	hasten(p)
	began := map[string]int{}
	// evaluated lets time pass and says how many runs each secret had meanwhile.
	evaluated := func(d time.Duration, want map[string]int) {
		t.Helper()
		p.Stack.Clock.Advance(d)
		settled(t, p)
		for _, secret := range []string{orders, admin, payment} {
			n := len(runs(t, p, secret))
			if got := n - began[secret]; got != want[secret] {
				t.Errorf("after %s: %d runs of %s, want %d: %+v", d, got, secret, want[secret], runs(t, p, secret)[:1])
			}
			began[secret] = n
		}
		for _, secret := range []string{orders, admin} {
			if err := p.CheckLaws(t.Context(), secret); err != nil {
				t.Errorf("after %s: %s: %v", d, secret, err)
			}
		}
	}
	settled(t, p)
	service := serve(t, p, orders)
	// Nothing says how old the credentials are that were there before Mayfly. A value of Mayfly's own is fresh.
	for _, secret := range []string{orders, admin, payment} {
		began[secret] = len(runs(t, p, secret))
	}
	first := map[string]int{orders: 1 - began[orders], admin: 1 - began[admin]}
	evaluated(15*time.Minute, first)
	evaluated(15*time.Minute, nil)
	evaluated(13*time.Hour, nil)
	evaluated(3*time.Hour, map[string]int{orders: 1, payment: 1}) // 24 hours minus 8, and up to a tenth of that earlier
	evaluated(15*time.Minute, nil)
	if c := service.Counts(); c.Failures > 0 {
		t.Errorf("law 8: %+v", c)
	}
	service.Stop()

	p.Proxy.Refuse(true)
	p.Stack.Clock.Advance(16 * time.Hour)
	settled(t, p)
	p.Proxy.Refuse(false)
	if run := runs(t, p, orders)[0]; run.Outcome != audit.FailedClean || run.ReasonCode != string(fault.TargetUnavailable) {
		t.Errorf("with the database down: %+v", run)
	}
	began[orders], began[payment] = len(runs(t, p, orders)), len(runs(t, p, payment))
	tick(t, p) // the next evaluation, not the one after it
	evaluated(time.Second, map[string]int{orders: 1})
	evaluated(7*24*time.Hour, map[string]int{orders: 1, admin: 1, payment: 1})
	clean(t, p)
}

// tick lets the clock come to the next evaluation, and no further.
func tick(t *testing.T, p *playground.Playground) {
	t.Helper()
	evaluations := func() int {
		return len(slices.DeleteFunc(records(t, p), func(r audit.Record) bool { return r.Event != rotation.EventEvaluated }))
	}
	before := evaluations()
	for range 100 {
		next, ok := p.Stack.Clock.Next()
		if !ok {
			break
		}
		p.Stack.Clock.Advance(next.Sub(p.Stack.Clock.Now()))
		settled(t, p)
		if evaluations() > before {
			return
		}
	}
	t.Fatal("no evaluation comes")
}
