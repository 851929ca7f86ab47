package playground_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

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
				t.Errorf("the routine run ended in %s, want FailedClean%s", got, why(t, p, routine))
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
