package playground_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

const payment = "prod/payment-api-key"

// S5: a critical finding arrives while a routine run is about to make any of its writes. The containment does not wait for
// it, and comes to its end. The routine run notices at its next write that matters, changes nothing more, and ends clean;
// both triggers are on record.
func TestContainmentOvertakes(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	for i, w := range writes {
		// At its very first write the routine run has no lease yet, and at the database nobody can make it wait.
		if i == 0 || w.function == "" {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			stolen, _, err := p.Value(t.Context(), orders, "")
			must(t)(nil, err)
			containment, finding := "", fmt.Sprint("finding-", i)
			clear := during(t, p, w, func() {
				var err error
				if containment, err = p.Start(context.Background(), playground.RotateMachine, incident(finding)); err != nil {
					t.Error(err)
				} else if _, err = p.Wait(context.Background(), containment); err != nil {
					t.Error(err)
				}
			})
			routine := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders, "trigger": map[string]any{"type": "manual", "id": fmt.Sprint("routine-", i)}})
			clear()
			if containment == "" {
				t.Fatal("the routine run never made this write")
			}
			if got := end(t, p, containment); got != "Rotated" {
				t.Errorf("the containment ended in %s, want Rotated", got)
			}
			// Behind its last look at the target the routine run has nothing more to do there, and ends as it would have.
			got := end(t, p, routine)
			if late := w.function == "mayfly-revoke-secret" || w.function == "mayfly-close-run"; got != "FailedClean" && !(late && got == "Rotated") {
				t.Errorf("the routine run ended in %s, want FailedClean", got)
			}
			history := runs(t, p, orders)[:2]
			for _, r := range history {
				if r.Status != "closed" {
					t.Errorf("the history has a run that is not closed: %+v", r)
				}
			}
			var ids []string
			for _, r := range history {
				ids = append(ids, r.TriggerIDs...)
			}
			slices.Sort(ids)
			if want := []string{"incident:" + finding, fmt.Sprint("manual:routine-", i)}; !slices.Equal(ids, want) {
				t.Errorf("triggers on record: %v, want %v", ids, want)
			}
			contained := history[slices.IndexFunc(history, func(r playground.RunItem) bool { return r.Mode == "contain" })]
			if _, current := value(t, p, orders); current != contained.VersionTo {
				t.Errorf("AWSCURRENT is on %s, the containment brought %s", current, contained.VersionTo)
			}
			if err := playground.Login(t.Context(), p.Target(orders), stolen); !playground.Refused(err) {
				t.Errorf("the stolen credential: %v, want it refused", err)
			}
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
		})
	}
	f.rotate(t, "afterwards")
	clean(t, p)
}

// S5, while the routine run waits in its overlap because somebody has not let go of the old credential.
func TestContainmentDuringOverlap(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first rotation %t", first), func(t *testing.T) {
			t.Parallel()
			containDuringOverlap(t, first)
		})
	}
}

func containDuringOverlap(t *testing.T, first bool) {
	p := start(t, playground.Options{Policy: map[string]string{"quiet_period": "1s", "max_overlap": "10m"}})
	hasten(p)
	if !first { // otherwise the old credential is the owner's, from before Mayfly
		(&failing{Playground: p}).rotate(t, "onboard")
	}
	old, _, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	session, err := playground.Connect(t.Context(), p.Target(orders), old)
	must(t)(nil, err)
	defer session.Close(context.Background()) //nolint:errcheck // the server closes what we do not
	routine, err := p.Rotate(t.Context(), orders, "routine", "test")
	must(t)(nil, err)
	waitFor(t, "the routine run to wait in its overlap", func() bool { return inState(t, p, routine, "ConfirmAdoption") })
	fresh, _, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	containment := execute(t, p, playground.RotateMachine, incident("finding"))
	if got := end(t, p, containment); got != "Rotated" {
		t.Errorf("the containment ended in %s, want Rotated", got)
	}
	for name, v := range map[string]credential.Value{"old": old, "fresh": fresh} {
		if err := playground.Login(t.Context(), p.Target(orders), v); !playground.Refused(err) {
			t.Errorf("the %s credential: %v, want it refused", name, err)
		}
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session of the old credential outlived the containment")
	}
	before, _ := value(t, p, orders)
	p.Stack.Clock.Advance(10 * time.Minute)
	must(t)(p.Wait(t.Context(), routine))
	if got := end(t, p, routine); got != "FailedClean" {
		t.Errorf("the routine run ended in %s, want FailedClean", got)
	}
	if after, _ := value(t, p, orders); after != before {
		t.Error("the routine run changed the value in use behind the containment's back")
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	clean(t, p)
}

// A containment that cannot reach the target fails dirty and is not forgotten: the next evaluation goes on with it.
func TestContainmentIsNotForgotten(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Cut: true, Policy: brisk})
	hasten(p)
	(&failing{Playground: p}).rotate(t, "onboard")
	stolen, _, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	p.Proxy.Refuse(true)
	if got := end(t, p, execute(t, p, playground.RotateMachine, incident("finding"))); got != "FailedDirty" {
		t.Errorf("the containment ended in %s, want FailedDirty", got)
	}
	p.Proxy.Refuse(false)
	p.Stack.Clock.Advance(15 * time.Minute)
	settled(t, p)
	if run := runs(t, p, orders)[0]; run.Mode != "contain" || run.Outcome != "rotated" || run.Trigger != "schedule" {
		t.Errorf("the next evaluation made %+v, want a containment", run)
	}
	if err := playground.Login(t.Context(), p.Target(orders), stolen); !playground.Refused(err) {
		t.Errorf("the stolen credential: %v, want it refused", err)
	}
	if got := tags(t, p, orders)[policy.Prefix+policy.TagCompromised]; got != "" {
		t.Errorf("the mark %q is still there", got)
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	clean(t, p)
}

// What people and accidents do between and during runs: the next run copes, as internal/rotation/version.go says.
func TestRecovery(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Cut: true, Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	f.rotate(t, "second") // a version before the current one, of Mayfly's
	ownersLogin := func(t *testing.T) {
		text, version := value(t, p, orders)
		slot, _ := credential.SlotOf(version)
		byHand := strings.Replace(strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1), credential.User(p.Target(orders), slot), p.Target(orders).Owner, 1)
		must(t)(nil, setPassword(t, p, p.Target(orders).Owner, credential.Parse(byHand).Password()))
		put(t, p, orders, byHand)
		f.rotate(t, "after change")
	}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"an execution was stopped by hand before its commit point", func(t *testing.T) {
			stopped := stop(t, p, write{"mayfly-test-secret", "s3", "PutObject", 0})
			f.rotate(t, "after stop")
			if run := runs(t, p, orders)[0]; run.VersionTo != stopped.VersionTo {
				t.Errorf("the next run brought %s; the stopped one's %s was at the target already (S3)", run.VersionTo, stopped.VersionTo)
			}
		}},
		{"an execution was stopped by hand in its overlap", func(t *testing.T) {
			stopped := stop(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0})
			f.rotate(t, "after stop")
			if run := runs(t, p, orders)[0]; run.VersionTo != stopped.VersionTo || run.VersionFrom != stopped.VersionFrom {
				t.Errorf("the next run went from %s to %s, want the stopped one's %s to %s (S4)", run.VersionFrom, run.VersionTo, stopped.VersionFrom, stopped.VersionTo)
			}
		}},
		{"the database is down behind the commit point", func(t *testing.T) {
			clear := during(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0}, func() { p.Proxy.Refuse(true) })
			execution := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})
			if got := end(t, p, execution); got != "FailedDirty" {
				t.Errorf("the run ended in %s, want FailedDirty: nobody has seen the old credential refused", got)
			}
			clear()
			p.Proxy.Refuse(false)
			f.rotate(t, "after the database is back")
		}},
		{"AWSCURRENT was moved back to the version before", func(t *testing.T) {
			_, current := value(t, p, orders)
			previous := runs(t, p, orders)[0].VersionFrom
			must(t)(p.Secrets().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(orders),
				VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &previous, RemoveFromVersionId: &current}))
			f.rotate(t, "after move")
			if run := runs(t, p, orders)[0]; run.VersionFrom != previous || run.VersionTo == current {
				t.Errorf("the next run: %+v, want a fresh version after %s", run, previous)
			}
		}},
		{"AWSCURRENT was moved back during the overlap", func(t *testing.T) {
			// The version before is still honoured then: whoever moved the label back wants it, and it must stay honoured.
			_, before := value(t, p, orders)
			stop(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0})
			_, current := value(t, p, orders)
			must(t)(p.Secrets().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(orders),
				VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &before, RemoveFromVersionId: &current}))
			service := serve(t, p, orders)
			f.rotate(t, "after move")
			if c := service.Counts(); c.Logins == 0 {
				t.Error("nobody logged in meanwhile")
			}
		}},
		{"a login's password was changed by hand", func(t *testing.T) {
			text, version := value(t, p, orders)
			slot, _ := credential.SlotOf(version)
			login := credential.User(p.Target(orders), slot)
			byHand := strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1)
			must(t)(nil, setPassword(t, p, login, credential.Parse(byHand).Password()))
			put(t, p, orders, byHand)
			f.rotate(t, "after change")
		}},
		{"the standby login was put in use by hand", func(t *testing.T) {
			text, version := value(t, p, orders)
			slot, _ := credential.SlotOf(version)
			login, standby := credential.User(p.Target(orders), slot), credential.User(p.Target(orders), credential.NextSlot("dual", slot))
			byHand := strings.Replace(strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1), login, standby, 1)
			must(t)(nil, setPassword(t, p, standby, credential.Parse(byHand).Password()))
			put(t, p, orders, byHand)
			f.rotate(t, "after change")
		}},
		{"the owner's login was put back in use by hand", ownersLogin},
		{"the owner's login was put back in use by hand, with the other standby login", func(t *testing.T) {
			f.rotate(t, "between")
			ownersLogin(t)
		}},
		{"the registry was lost", func(t *testing.T) {
			lost := contractOf(t, p, orders)
			wipe(t, p, playground.ContractsTable)
			if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
				t.Errorf("without a registry the run ended in %s, want FailedClean", got)
			}
			apply(t, p)
			found := contractOf(t, p, orders)
			if number(found["fence"]) <= number(lost["fence"]) {
				t.Errorf("the fence went from %d to %d: the target would refuse every run", number(lost["fence"]), number(found["fence"]))
			}
			if found["digest"].(*types.AttributeValueMemberS).Value != lost["digest"].(*types.AttributeValueMemberS).Value {
				t.Error("the contract came back different")
			}
			f.rotate(t, "after loss")
			if _, err := p.CheckAudit(t.Context()); err != nil {
				t.Errorf("the chain: %v", err)
			}
		}},
		{"the registry was lost during a run", func(t *testing.T) {
			clear := during(t, p, write{"mayfly-finish-secret", "dynamodb", "UpdateItem", 0}, func() { wipe(t, p, playground.ContractsTable); apply(t, p) })
			if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
				t.Errorf("the run ended in %s, want FailedClean", got)
			}
			clear()
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
			f.rotate(t, "after loss")
		}},
		{"the history was lost", func(t *testing.T) {
			wipe(t, p, playground.RunsTable)
			f.rotate(t, "after loss")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t)
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
		})
	}
	clean(t, p)
}

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
	evaluated(15*time.Minute, map[string]int{orders: 1}) // the next evaluation, not the one after it
	evaluated(7*24*time.Hour, map[string]int{orders: 1, admin: 1, payment: 1})
	clean(t, p)
}

// waitFor polls until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// inState says that an execution has entered a state.
func inState(t *testing.T, p *playground.Playground, execution, state string) bool {
	t.Helper()
	out, err := sfn.NewFromConfig(p.AWS).GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &execution, ReverseOrder: true, MaxResults: 100})
	must(t)(nil, err)
	for _, e := range out.Events {
		if e.StateEnteredEventDetails != nil && aws.ToString(e.StateEnteredEventDetails.Name) == state {
			return true
		}
	}
	return false
}

// stop starts a run and stops its execution by hand when it is about to make a write, which it then does not make.
func stop(t *testing.T, p *playground.Playground, w write) playground.RunItem {
	t.Helper()
	stopped := make(chan error, 1)
	var execution string
	started := make(chan struct{})
	clear := during(t, p, w, func() {
		<-started
		_, err := sfn.NewFromConfig(p.AWS).StopExecution(context.Background(), &sfn.StopExecutionInput{ExecutionArn: &execution})
		stopped <- err
	})
	defer clear()
	execution, err := p.Rotate(t.Context(), orders, "stopped", "test")
	must(t)(nil, err)
	close(started)
	select {
	case err := <-stopped:
		must(t)(nil, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("the run never made %s", w)
	}
	return runs(t, p, orders)[0]
}

func tags(t *testing.T, p *playground.Playground, secret string) map[string]string {
	t.Helper()
	out, err := p.Secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secret})
	must(t)(nil, err)
	all := map[string]string{}
	for _, tag := range out.Tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all
}

// contractOf is the registry's item of a secret.
func contractOf(t *testing.T, p *playground.Playground, secret string) map[string]types.AttributeValue {
	t.Helper()
	out, err := dynamodb.NewFromConfig(p.AWS).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(playground.ContractsTable),
		Key: map[string]types.AttributeValue{"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "contract"}}})
	must(t)(nil, err)
	return out.Item
}

func number(v types.AttributeValue) (n int64) {
	if v, ok := v.(*types.AttributeValueMemberN); ok {
		_, _ = fmt.Sscan(v.Value, &n)
	}
	return n
}

// wipe deletes every item of a table.
func wipe(t *testing.T, p *playground.Playground, table string) {
	t.Helper()
	db := dynamodb.NewFromConfig(p.AWS)
	out, err := db.Scan(context.Background(), &dynamodb.ScanInput{TableName: &table})
	must(t)(nil, err)
	sortKey := map[string]string{playground.ContractsTable: "item", playground.RunsTable: "run"}[table]
	for _, item := range out.Items {
		_, err := db.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: &table,
			Key: map[string]types.AttributeValue{"secret": item["secret"], sortKey: item[sortKey]}})
		must(t)(nil, err)
	}
}

// apply calls apply-contracts as CloudFormation does on every deployment.
func apply(t *testing.T, p *playground.Playground) {
	t.Helper()
	answers := make(chan []byte, 1)
	cloudFormation := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answers <- body
	}))
	defer cloudFormation.Close()
	request, err := json.Marshal(map[string]any{"RequestType": "Update", "RequestId": fmt.Sprint("again-", time.Now().UnixNano()), "ResponseURL": cloudFormation.URL,
		"StackId": "stack", "LogicalResourceId": "Contracts", "PhysicalResourceId": "mayfly-contracts", "ResourceType": "Custom::Contracts"})
	must(t)(nil, err)
	result, err := p.Stack.Functions.Invoke(context.Background(), "mayfly-apply-contracts", request, "")
	must(t)(nil, err)
	select {
	case answer := <-answers:
		if !strings.Contains(string(answer), `"SUCCESS"`) {
			t.Fatalf("apply-contracts answered %s", answer)
		}
	default:
		t.Fatalf("apply-contracts answered nothing: %s %s", result.ErrorType, result.ErrorMessage)
	}
}

// setPassword does by hand at the database what nobody should.
func setPassword(t *testing.T, p *playground.Playground, login, password string) error {
	t.Helper()
	verifier, err := verifierOf(password)
	if err != nil {
		return err
	}
	return p.Server.Exec(t.Context(), "postgres", fmt.Sprintf("ALTER ROLE %q LOGIN PASSWORD '%s' VALID UNTIL 'infinity'", login, verifier))
}
