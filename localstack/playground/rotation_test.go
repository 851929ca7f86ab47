package playground_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// keepsAccess are calls that keep access to a value as its contract says, counted beside those that rotate it.
var keepsAccess = map[string]bool{"GetResourcePolicy": true, "PutResourcePolicy": true, "GenerateMac": true}

// A routine dual rotation, counted: what it calls is what `make bench` prints, and more than this is too much.
func TestCallsOfARoutineRotation(t *testing.T) {
	p := start(t, playground.Options{})
	p.Stack.Endpoint.ResetCalls()
	// A day later the schedule finds it due. The first record of a day seals the day before: the worst case.
	p.Stack.Clock.Advance(24 * time.Hour)
	settled(t, p)
	run := runs(t, p, orders)[0]
	if run.Trigger != "schedule" || run.Outcome != "rotated" {
		t.Fatalf("a day later: %+v, want a scheduled rotation", run)
	}
	perOperation, nth, secrets, all, access := map[string]int{}, map[string]int{}, 0, 0, 0
	for _, c := range p.Stack.Endpoint.Calls() {
		if c.Execution != run.Execution {
			continue
		}
		perOperation[c.Service+"."+c.Operation]++
		switch {
		case keepsAccess[c.Operation]:
			access++
		case c.Service == "secretsmanager":
			secrets++
			all++
		default:
			all++
		}
		if strings.HasPrefix(c.Operation, "Get") || strings.HasPrefix(c.Operation, "Describe") || strings.HasPrefix(c.Operation, "List") || c.Operation == "GenerateMac" {
			continue
		}
		// Every write is in the fault table. The record behind the seal is the same write again.
		w := write{c.Function, c.Service, c.Operation, nth[c.Function+c.Service+c.Operation]}
		nth[c.Function+c.Service+c.Operation]++
		if w != (write{"mayfly-admit-rotation", "s3", "PutObject", 1}) && !slices.Contains(writes, w) {
			t.Errorf("%s is not in the fault table", w)
		}
	}
	if secrets > 10 || all > 26 || access > 3 {
		t.Errorf("%d Secrets Manager calls, at most 10; %d calls in all, at most 26; %d to keep access, at most 3: %v", secrets, all, access, perOperation)
	}
	t.Logf("%d Secrets Manager calls, %d in all, %d to keep access: %v", secrets, all, access, perOperation)
}

func TestTwentyRotationsUnderLoad(t *testing.T) {
	p := start(t, playground.Options{})
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	service := &playground.Service{Secrets: consumer(t, p, orders), Secret: orders, Target: p.Target(orders), Every: 5 * time.Millisecond, Cache: 300 * time.Millisecond}
	service.Start(t.Context())
	for i := range 20 {
		f.rotate(t, fmt.Sprint("r", i))
		if err := p.CheckLaws(t.Context(), orders); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
	}
	c := service.Stop()
	if c.Failures > 0 || c.Versions < 20 || c.Logins == 0 {
		t.Errorf("the service saw %d logins with %d versions and %d failures, the first: %s", c.Logins, c.Versions, c.Failures, c.First)
	}
	t.Logf("20 rotations: %d logins, %d failures, %d versions read", c.Logins, c.Failures, c.Versions)
	if _, err := p.CheckAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values were found in %v, %v", leaks, err)
	}
}

// Two, and twenty, triggers at once are one rotation that answers them all.
func TestTriggersAtOnce(t *testing.T) {
	p := start(t, playground.Options{})
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	for _, n := range []int{2, 20} {
		before := runs(t, p, orders)
		var wg sync.WaitGroup
		executions := make([]string, n)
		for i := range n {
			wg.Go(func() {
				var err error
				if executions[i], err = p.Rotate(context.Background(), orders, fmt.Sprintf("storm-%d-%d", n, i), "at once"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, x := range executions {
			if out, err := p.Wait(t.Context(), x); err != nil || out.Status != "SUCCEEDED" {
				t.Fatalf("%s ended %v, %v", x, out.Status, err)
			}
		}
		after := runs(t, p, orders)
		if len(after) != len(before)+1 {
			t.Fatalf("%d triggers at once made %d runs, want 1", n, len(after)-len(before))
		}
		ids := after[0].TriggerIDs
		if len(ids) != n {
			t.Errorf("the run answers %d triggers, want %d: %v", len(ids), n, ids)
		}
		if err := p.CheckLaws(t.Context(), orders); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.CheckAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// A critical finding goes the way of every event: bus, rule, mayfly-respond, mayfly-rotate. The credential in use is refused
// before a new one exists, its open sessions end, and the service is back as soon as it reads its secret again.
func TestCriticalFindingContains(t *testing.T) {
	p := start(t, playground.Options{})
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	stolen, _, err := p.Value(t.Context(), orders, "")
	if err != nil {
		t.Fatal(err)
	}
	session, err := playground.Connect(t.Context(), p.Target(orders), stolen)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	send(t, p, "guardduty-critical.json")
	for {
		err := playground.Login(t.Context(), p.Target(orders), stolen)
		if playground.Refused(err) {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the stolen credential still logs in (%v)", err)
		}
	}
	t.Logf("from PutEvents to refused: %s", time.Since(began).Round(time.Millisecond))
	settled(t, p)
	if err := session.Ping(t.Context()); err == nil {
		t.Error("the open session of the stolen credential survived")
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	if run := runs(t, p, orders)[0]; run.Mode != "contain" {
		t.Errorf("the run's mode is %v, want contain", run.Mode)
	}
	// The same finding again, five times: the run that it caused answers it.
	before := len(runs(t, p, orders))
	for range 5 {
		send(t, p, "guardduty-critical.json")
	}
	settled(t, p)
	if after := len(runs(t, p, orders)); after != before {
		t.Errorf("a repeated finding made %d more runs", after-before)
	}
}

// send puts a sample event on the bus.
func send(t *testing.T, p *playground.Playground, file string) {
	t.Helper()
	if err := p.Send(t.Context(), filepath.Join("..", "..", "events", file)); err != nil {
		t.Fatal(err)
	}
}

// settled waits until nothing is under way.
func settled(t *testing.T, p *playground.Playground) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

// runs is the history of a secret, the newest first.
func runs(t *testing.T, p *playground.Playground, secret string) []playground.RunItem {
	t.Helper()
	items, err := p.Runs(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// A run that was aborted does not look as if it went on for ever: the one that takes the secret over says so.
func TestAbortedRunIsAbandoned(t *testing.T) {
	p := start(t, playground.Options{})
	execution, err := p.Rotate(t.Context(), orders, "aborted", "test")
	if err != nil {
		t.Fatal(err)
	}
	for len(runs(t, p, orders)) < 2 || runs(t, p, orders)[0].Execution != execution {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := sfn.NewFromConfig(p.AWS).StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &execution}); err != nil {
		t.Fatal(err)
	}
	(&failing{Playground: p}).rotate(t, "next")
	for _, r := range runs(t, p, orders) {
		if want := map[bool]string{true: "abandoned", false: "closed"}[r.Execution == execution]; r.Status != want {
			t.Errorf("run %s is %s, want %s", r.Execution, r.Status, want)
		}
	}
}
