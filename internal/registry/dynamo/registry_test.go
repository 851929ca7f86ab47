package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	local "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const secret = "prod/orders-db"

// book is a registry whose DynamoDB a test can steer. Its client does not repeat what failed, so that a test sees what one
// call does.
type book struct {
	*testing.T
	*dynamo.Registry
	db     *dynamodb.Client
	server *stacktest.Server
}

func newBook(t *testing.T) book {
	t.Helper()
	stacktest.Local(t)
	clock := stack.NewClock()
	service := local.New(clock)
	for _, properties := range []string{contractsTable, runsTable} {
		_, err := service.Resources()["AWS::DynamoDB::Table"](t.Context(), stack.Resource{LogicalID: "Table", Type: "AWS::DynamoDB::Table", Properties: json.RawMessage(properties)})
		if err != nil {
			t.Fatal(err)
		}
	}
	server := stacktest.Start(t, clock, service)
	db := dynamodb.NewFromConfig(server.Config, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	t.Cleanup(func() {
		for _, call := range server.Endpoint.Calls() {
			if call.Operation == "Scan" {
				t.Error("a whole table was scanned")
			}
		}
	})
	return book{t, &dynamo.Registry{DB: db, Contracts: "contracts", Runs: "runs"}, db, server}
}

// apply puts the contract of a secret in force.
func (b book) apply(id string, dueAt time.Time, keys ...string) {
	b.Helper()
	c := contract.Contract{Name: id[len("prod/"):], Environment: "prod", Owner: "orders-team", RotateOn: []string{"incident"}}
	if err := b.Apply(b.Context(), c, []string{"role-a"}, nil, "digest of "+id, "commit", keys, dueAt, now); err != nil {
		b.Fatal(err)
	}
}

func claim(run string) registry.Claim {
	return registry.Claim{Secret: secret, Now: now, Lease: registry.Lease{Run: run, Execution: "arn:" + run, Mode: "routine", Until: now.Add(15 * time.Minute)}}
}

func (b book) mustAcquire(c registry.Claim) registry.Entry {
	b.Helper()
	entry, err := b.Acquire(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	return entry
}

func (b book) find() registry.Entry {
	b.Helper()
	entry, err := b.Find(b.Context(), secret)
	if err != nil {
		b.Fatal(err)
	}
	return entry
}

func (b book) dueAt() time.Time {
	b.Helper()
	standing, err := b.Standing(b.Context(), secret)
	if err != nil {
		b.Fatal(err)
	}
	return standing.DueAt
}

func TestAcquire(t *testing.T) {
	for name, c := range map[string]struct {
		held  *registry.Claim // the lease that is there before
		claim func(*registry.Claim)
		gets  bool
	}{
		"free":                               {gets: true},
		"held by another run":                {held: new(claim("first"))},
		"held, at its very end":              {held: new(claim("first")), claim: func(c *registry.Claim) { c.Now = now.Add(15 * time.Minute) }},
		"expired":                            {held: new(claim("first")), claim: func(c *registry.Claim) { c.Now = now.Add(15*time.Minute + time.Second) }, gets: true},
		"its own":                            {held: new(claim("second")), gets: true},
		"held by the run it is to take over": {held: new(claim("first")), claim: func(c *registry.Claim) { c.Over = "first" }, gets: true},
		"held by yet another run":            {held: new(claim("first")), claim: func(c *registry.Claim) { c.Over = "zeroth" }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.apply(secret, now)
			if c.held != nil {
				b.mustAcquire(*c.held)
			}
			before := b.find()
			wanted := claim("second")
			wanted.Until = now.Add(time.Hour)
			if c.claim != nil {
				c.claim(&wanted)
			}
			entry, err := b.Acquire(t.Context(), wanted)
			if !c.gets {
				var held *registry.Held
				if !errors.As(err, &held) {
					t.Fatalf("error %v, want *registry.Held", err)
				}
				if held.Entry.Lease != before.Lease || held.Entry.Contract.ID() != secret {
					t.Errorf("told of %+v, want the holder's lease and the contract", held.Entry)
				}
				if after := b.find(); after.Lease != before.Lease || after.Fence != before.Fence {
					t.Errorf("a refused claim changed lease or fence: %+v, want %+v", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if entry.Lease != wanted.Lease || entry.Fence != before.Fence+1 {
				t.Errorf("got lease %+v with fence %d, want %+v with %d", entry.Lease, entry.Fence, wanted.Lease, before.Fence+1)
			}
			if entry.Contract.Owner != "orders-team" || entry.Digest != "digest of "+secret || entry.Commit != "commit" {
				t.Errorf("the entry does not carry the contract: %+v", entry)
			}
			if due := b.dueAt(); !due.Equal(wanted.Until) {
				t.Errorf("due at %s, want the end of the lease %s: a run that dies must be noticed", due, wanted.Until)
			}
		})
	}
}

func TestAcquireNeedsAContractInForce(t *testing.T) {
	b := newBook(t)
	if _, err := b.Acquire(t.Context(), claim("first")); !errors.Is(err, registry.ErrNotInForce) {
		t.Errorf("a secret without contract: %v, want ErrNotInForce", err)
	}
	b.apply(secret, now)
	if err := b.Withdraw(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Acquire(t.Context(), claim("first")); !errors.Is(err, registry.ErrNotInForce) {
		t.Errorf("a withdrawn contract: %v, want ErrNotInForce", err)
	}
}

// Law 3: however many ask at once, one gets it, and all others learn who.
func TestFiftyClaimsOneWinner(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	before := b.find().Fence
	const n = 50
	var winners []string
	holders := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			run := fmt.Sprintf("run-%02d", i)
			_, err := b.Acquire(context.Background(), claim(run))
			mu.Lock()
			defer mu.Unlock()
			var held *registry.Held
			switch {
			case err == nil:
				winners = append(winners, run)
			case errors.As(err, &held):
				holders[held.Entry.Lease.Run]++
			default:
				t.Errorf("%s: %v", run, err)
			}
		})
	}
	wg.Wait()
	if len(winners) != 1 || holders[winners[0]] != n-1 {
		t.Fatalf("winners %v; the others were told of %v, want one winner that %d others are told of", winners, holders, n-1)
	}
	if after := b.find(); after.Lease.Run != winners[0] || after.Fence != before+1 {
		t.Errorf("lease of %s with fence %d, want %s with %d", after.Lease.Run, after.Fence, winners[0], before+1)
	}
}

func TestFenceGrows(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	last := b.find().Fence
	if last != now.UnixMilli() {
		t.Errorf("the first fence is %d, want the time it was put in force, %d: a rebuilt registry must not fall behind what targets have seen", last, now.UnixMilli())
	}
	for i := range 5 {
		run := fmt.Sprint("run-", i)
		entry := b.mustAcquire(claim(run))
		if entry.Fence <= last {
			t.Fatalf("claim %d: fence %d after %d", i, entry.Fence, last)
		}
		last = entry.Fence
		if err := b.Release(t.Context(), secret, run, now, audit.Head{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenew(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	first := b.mustAcquire(claim("first"))
	until := now.Add(3 * time.Hour)
	if err := b.Renew(t.Context(), secret, "first", first.Fence, until); err != nil {
		t.Fatal(err)
	}
	if entry := b.find(); !entry.Lease.Until.Equal(until) || entry.Fence != first.Fence || entry.Lease.Execution != "arn:first" {
		t.Errorf("after a renewal %+v with fence %d, want until %s, all else as before", entry.Lease, entry.Fence, until)
	}
	if due := b.dueAt(); !due.Equal(until) {
		t.Errorf("due at %s, want %s", due, until)
	}

	over := claim("second")
	over.Over = "first"
	second := b.mustAcquire(over)
	for name, err := range map[string]error{
		"a run that lost its lease":    b.Renew(t.Context(), secret, "first", first.Fence, until),
		"the right run, an old fence":  b.Renew(t.Context(), secret, "second", first.Fence, until),
		"the wrong run, the new fence": b.Renew(t.Context(), secret, "first", second.Fence, until),
	} {
		if fault.CodeOf(err) != fault.LeaseLost {
			t.Errorf("%s renews: %v, want LeaseLost", name, err)
		}
	}
	if entry := b.find(); entry.Lease != second.Lease {
		t.Errorf("a refused renewal changed the lease: %+v, want %+v", entry.Lease, second.Lease)
	}
}

func TestRelease(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	fence := b.mustAcquire(claim("first")).Fence
	due, head := now.Add(24*time.Hour), audit.Head{Seq: 7, Hash: "h", Date: "2026-11-22"}
	if err := b.Release(t.Context(), secret, "second", due, head); err != nil {
		t.Fatal(err)
	}
	if entry := b.find(); entry.Lease.Run != "first" || entry.Head != (audit.Head{}) {
		t.Errorf("another run's release changed the entry: %+v", entry)
	}
	for range 2 { // the second time after an answer that was lost
		if err := b.Release(t.Context(), secret, "first", due, head); err != nil {
			t.Fatal(err)
		}
		if entry := b.find(); entry.Lease != (registry.Lease{}) || entry.Head != head || entry.Fence != fence {
			t.Errorf("after the release: %+v, want no lease, head %+v, fence %d", entry, head, fence)
		}
		if got := b.dueAt(); !got.Equal(due) {
			t.Errorf("due at %s, want %s", got, due)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for operation, call := range map[string]func(book) error{
		"GetItem":    func(b book) error { _, err := b.Find(b.Context(), secret); return err },
		"Query":      func(b book) error { _, err := b.Due(b.Context(), now); return err },
		"UpdateItem": func(b book) error { _, err := b.Acquire(b.Context(), claim("first")); return err },
		"TransactWriteItems": func(b book) error {
			return b.Close(b.Context(), registry.Closing{Secret: secret, Run: "first", Ended: now, DueAt: now})
		},
	} {
		t.Run(operation, func(t *testing.T) {
			b := newBook(t)
			b.apply(secret, now)
			for _, f := range []stack.Fault{
				{Service: "dynamodb", Operation: operation, Code: "ProvisionedThroughputExceededException"},
				{Service: "dynamodb", Operation: operation, Mode: "drop"},
			} {
				if err := b.server.Endpoint.AddFault(f); err != nil {
					t.Fatal(err)
				}
				if err := call(b); fault.CodeOf(err) != fault.RegistryUnavailable {
					t.Errorf("%+v: %v, want RegistryUnavailable", f, err)
				}
			}
		})
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
