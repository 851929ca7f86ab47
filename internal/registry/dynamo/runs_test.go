package dynamo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

func opened(run string) registry.Run {
	return registry.Run{
		Secret: secret, Run: run, Execution: "arn:" + run, Mode: "routine", Started: audit.Stamp(now), VersionFrom: "from", VersionTo: "to",
		Trigger: trigger.Trigger{Type: trigger.Incident, ID: "finding", Source: "aws.guardduty", Actor: "somebody", Reason: "a finding"},
	}
}

func closing(run string) registry.Closing {
	return registry.Closing{Secret: secret, Run: run, Outcome: "rotated", Ended: now.Add(time.Minute), VersionTo: "to",
		DueAt: now.Add(24 * time.Hour), Head: audit.Head{Seq: 12, Hash: "twelve", Date: "2026-11-22"}}
}

func (b book) history() []registry.Run {
	b.Helper()
	runs, err := b.History(b.Context(), secret, 0)
	if err != nil {
		b.Fatal(err)
	}
	return runs
}

func (b book) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func TestOpenJoinClose(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	b.mustAcquire(claim("one"))
	want := opened("one")
	want.Status, want.TriggerIDs = "running", []string{"incident:finding"}
	for range 2 {
		b.must(b.Open(t.Context(), opened("one")))
		if diff := cmp.Diff([]registry.Run{want}, b.history()); diff != "" {
			t.Fatalf("opened (-want +got):\n%s", diff)
		}
	}
	for range 3 {
		b.must(b.Join(t.Context(), secret, "one", trigger.Trigger{Type: trigger.Deployment, ID: "d-1"}))
		b.must(b.Join(t.Context(), secret, "one", trigger.Trigger{Type: trigger.Incident, ID: "finding"}))
	}
	want.TriggerIDs = []string{"deployment:d-1", "incident:finding"}
	if diff := cmp.Diff([]registry.Run{want}, b.history()); diff != "" {
		t.Fatalf("joined (-want +got):\n%s", diff)
	}
	want.Status, want.Outcome, want.Ended = "closed", "rotated", audit.Stamp(now.Add(time.Minute))
	for attempt := range int64(2) { // the second after an answer that was lost, with a record of its own
		c := closing("one")
		c.Head.Seq += attempt
		b.must(b.Close(t.Context(), c))
		if diff := cmp.Diff([]registry.Run{want}, b.history()); diff != "" {
			t.Fatalf("closed (-want +got):\n%s", diff)
		}
		if entry := b.find(); entry.Lease != (registry.Lease{}) || entry.Head != c.Head {
			t.Errorf("the entry after closing: %+v, want no lease and head %+v", entry, c.Head)
		}
		if due := b.dueAt(); !due.Equal(c.DueAt) {
			t.Errorf("due at %s, want %s", due, c.DueAt)
		}
	}
	// Opened again by a step whose first answer was lost, however late: a closed run stays closed.
	b.must(b.Open(t.Context(), opened("one")))
	if got := b.history()[0]; got.Status != "closed" || got.Outcome != "rotated" {
		t.Errorf("a closed run was opened again: %+v", got)
	}
}

// An answer that never came: the SDK repeats by itself, with the same token; a step repeats with another one.
func TestLostAnswers(t *testing.T) {
	for name, attempts := range map[string]int{"repeated by the SDK": 3, "repeated by the step": 1} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.DB = dynamodb.NewFromConfig(b.server.Config, func(o *dynamodb.Options) {
				o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, time.Millisecond })
			})
			lost := func(operation string, call func() error) {
				t.Helper()
				b.must(b.server.Endpoint.AddFault(stack.Fault{Service: "dynamodb", Operation: operation, Mode: "drop", When: "after"}))
				err := call()
				if (err != nil) != (attempts == 1) {
					t.Fatalf("%s, its answer lost: %v", operation, err)
				}
				if err != nil {
					b.must(call())
				}
			}
			lost("TransactWriteItems", func() error {
				return b.Apply(t.Context(), contract.Contract{Name: "orders-db", Environment: "prod"}, nil, nil, "d", "c", []string{"environment:prod"}, now, now)
			})
			before := b.find().Fence
			lost("UpdateItem", func() error { _, err := b.Acquire(t.Context(), claim("one")); return err })
			entry := b.find()
			if entry.Lease.Run != "one" || entry.Fence <= before {
				t.Errorf("after a claim whose answer was lost: %+v", entry)
			}
			lost("UpdateItem", func() error { return b.Open(t.Context(), opened("one")) })
			lost("UpdateItem", func() error {
				return b.Join(t.Context(), secret, "one", trigger.Trigger{Type: trigger.Manual, ID: "m"})
			})
			lost("UpdateItem", func() error { return b.Renew(t.Context(), secret, "one", entry.Fence, now.Add(time.Hour)) })
			lost("TransactWriteItems", func() error { return b.Close(t.Context(), closing("one")) })
			runs := b.history()
			if len(runs) != 1 || runs[0].Status != "closed" || !slices.Equal(runs[0].TriggerIDs, []string{"incident:finding", "manual:m"}) {
				t.Errorf("the history is %+v, want one closed run with two triggers", runs)
			}
			if entry := b.find(); entry.Lease != (registry.Lease{}) || entry.Head.Seq != 12 {
				t.Errorf("the entry is %+v, want no lease and the head", entry)
			}
		})
	}
}

// A run that another one overtook closes its own history, and nothing else.
func TestOvertakenRunCloses(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	b.mustAcquire(claim("one"))
	b.must(b.Open(t.Context(), opened("one")))
	over := claim("two")
	over.Over = "one"
	second := b.mustAcquire(over)
	b.must(b.Open(t.Context(), opened("two")))

	late := closing("one")
	late.Outcome, late.ReasonCode, late.Head.Seq = "failed_clean", "LeaseLost", 99
	b.must(b.Close(t.Context(), late))
	if entry := b.find(); entry.Lease != second.Lease || entry.Head.Seq == 99 {
		t.Errorf("the overtaken run changed the entry: %+v", entry)
	}
	if due := b.dueAt(); !due.Equal(second.Lease.Until) {
		t.Errorf("the overtaken run changed the due date to %s", due)
	}
	b.must(b.Close(t.Context(), closing("two")))
	b.must(b.Close(t.Context(), late)) // and once more when nobody has the lease
	if entry := b.find(); entry.Head.Seq != 12 {
		t.Errorf("the overtaken run changed the head behind the run that overtook it: %+v", entry.Head)
	}
	got := map[string]string{}
	for _, r := range b.history() {
		got[r.Run] = r.Status + " " + r.Outcome + " " + r.ReasonCode
	}
	if diff := cmp.Diff(map[string]string{"one": "closed failed_clean LeaseLost", "two": "closed rotated "}, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// The last run costs the same to read whether it is one of 3 or of 300.
func TestHistoryCostsWhatItReturns(t *testing.T) {
	read := func(n int) float64 {
		b := newBook(t)
		for i := range n {
			b.must(b.Open(t.Context(), opened(registry.RunKey(now.Add(time.Duration(i)*time.Minute), "x"))))
		}
		meter := &meter{Client: b.db}
		b.DB = meter
		_, err := b.History(t.Context(), secret, 1)
		b.must(err)
		return meter.units
	}
	if few, many := read(3), read(300); few != many || few == 0 {
		t.Errorf("one run of 3 costs %v units, one of 300 costs %v", few, many)
	}
}
