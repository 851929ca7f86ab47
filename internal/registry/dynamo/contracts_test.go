package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// meter adds up what queries cost. One read unit is 4 KB, consistently read.
type meter struct {
	*dynamodb.Client
	units   float64
	scanned int32
}

func (m *meter) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.Client.Query(ctx, in, opts...)
	if err == nil {
		m.units += aws.ToFloat64(out.ConsumedCapacity.CapacityUnits)
		m.scanned += out.ScannedCount
	}
	return out, err
}

func TestApplyChangesContractAndKeys(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now, "service:prod/orders", "codedeploy:orders", "environment:prod")
	entry := b.mustAcquire(claim("one"))
	head := audit.Head{Seq: 3, Hash: "three", Date: "2026-11-22"}
	b.must(b.Release(t.Context(), secret, "one", now.Add(time.Hour), head))
	held := b.mustAcquire(claim("two"))

	changed := contract.Contract{Name: "orders-db", Environment: "prod", Owner: "platform-team", RotateOn: []string{"commit"}}
	for range 2 {
		b.must(b.Apply(t.Context(), changed, []string{"role-a", "role-b"}, []string{"role-c"}, "new digest", "new commit", []string{"environment:prod", "ecs:prod/orders"}, now.Add(99*time.Hour), now.Add(time.Hour)))
		after := b.find()
		if after.Contract.Owner != "platform-team" || after.Digest != "new digest" || after.Commit != "new commit" {
			t.Errorf("the contract did not change: %+v", after)
		}
		if diff := cmp.Diff([][]string{{"role-a", "role-b"}, {"role-c"}}, [][]string{after.Readers, after.Elsewhere}); diff != "" {
			t.Errorf("readers (-want +got):\n%s", diff)
		}
		if after.Lease != held.Lease || after.Fence != entry.Fence+1 || after.Head != head {
			t.Errorf("lease, fence or head changed with the contract: %+v, want %+v", after, held)
		}
		if due := b.dueAt(); !due.Equal(held.Lease.Until) {
			t.Errorf("the due date changed with the contract: %s", due)
		}
		keys, err := b.Keys(t.Context(), secret)
		b.must(err)
		if diff := cmp.Diff([]string{"ecs:prod/orders", "environment:prod"}, keys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}
	for key, want := range map[string][]string{"codedeploy:orders": nil, "ecs:prod/orders": {secret}, "environment:prod": {secret}} {
		got, err := b.Lookup(t.Context(), []string{key})
		b.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lookup %s (-want +got):\n%s", key, diff)
		}
	}
}

// One transaction holds 100 items; a contract may have more keys than that, and lose them again.
func TestApplyManyKeys(t *testing.T) {
	b := newBook(t)
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("dbuser:u%03d", i))
	}
	b.apply(secret, now, many...)
	keys, err := b.Keys(t.Context(), secret)
	b.must(err)
	if diff := cmp.Diff(many, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	b.apply(secret, now, "environment:prod")
	keys, err = b.Keys(t.Context(), secret)
	b.must(err)
	if diff := cmp.Diff([]string{"environment:prod"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestWithdraw(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now, "environment:prod", "codedeploy:orders")
	b.apply("prod/payment-api-key", now, "environment:prod")
	fence := b.mustAcquire(claim("one")).Fence
	b.must(b.Close(t.Context(), closing("one")))
	for range 2 {
		b.must(b.Withdraw(t.Context(), secret))
		if _, err := b.Find(t.Context(), secret); !errors.Is(err, registry.ErrNotInForce) {
			t.Errorf("find: %v, want ErrNotInForce", err)
		}
		if _, err := b.Standing(t.Context(), secret); !errors.Is(err, registry.ErrNotInForce) {
			t.Errorf("standing: %v, want ErrNotInForce", err)
		}
		for name, list := range map[string]func() ([]string, error){
			"in force": func() ([]string, error) { return b.InForce(t.Context()) },
			"due":      func() ([]string, error) { return b.Due(t.Context(), now.Add(1000*time.Hour)) },
			"lookup": func() ([]string, error) {
				return b.Lookup(t.Context(), []string{"environment:prod", "codedeploy:orders"})
			},
		} {
			got, err := list()
			b.must(err)
			if diff := cmp.Diff([]string{"prod/payment-api-key"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
	b.apply(secret, now, "environment:prod")
	if again := b.find(); again.Fence < fence || again.Head.Seq != 12 {
		t.Errorf("back in force with fence %d and head %+v, want at least %d and the chain going on", again.Fence, again.Head, fence)
	}
}

func TestDue(t *testing.T) {
	b := newBook(t)
	for secret, in := range map[string]time.Duration{
		"prod/yesterday": -24 * time.Hour, "prod/an-hour-ago": -time.Hour, "prod/now": 0, "prod/in-a-second": time.Second, "prod/tomorrow": 24 * time.Hour,
	} {
		b.apply(secret, now.Add(in))
	}
	got, err := b.Due(t.Context(), now)
	b.must(err)
	if diff := cmp.Diff([]string{"prod/yesterday", "prod/an-hour-ago", "prod/now"}, got); diff != "" {
		t.Errorf("the longest overdue first (-want +got):\n%s", diff)
	}
	all, err := b.InForce(t.Context())
	b.must(err)
	if diff := cmp.Diff([]string{"prod/an-hour-ago", "prod/in-a-second", "prod/now", "prod/tomorrow", "prod/yesterday"}, sorted(all)); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
}

func TestLookup(t *testing.T) {
	b := newBook(t)
	b.apply("prod/a", now, "environment:prod", "service:prod/x")
	b.apply("prod/b", now, "environment:prod", "service:prod/y")
	b.apply("prod/c", now, "service:prod/y")
	for _, c := range []struct{ keys, want []string }{
		{nil, nil},
		{[]string{"service:prod/none"}, nil},
		{[]string{"service:prod/y"}, []string{"prod/b", "prod/c"}},
		{[]string{"service:prod/x", "environment:prod", "service:prod/y"}, []string{"prod/a", "prod/b", "prod/c"}},
	} {
		got, err := b.Lookup(t.Context(), c.keys)
		b.must(err)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lookup %v (-want +got):\n%s", c.keys, diff)
		}
	}
}

// What is due, and what a key finds, costs what it returns, whatever else is in the table.
func TestQueriesCostWhatTheyReturn(t *testing.T) {
	measure := func(others int) (due, lookup meter) {
		b := newBook(t)
		for i := range 3 {
			b.apply(fmt.Sprint("prod/due-", i), now.Add(-time.Hour), "codedeploy:orders")
		}
		for i := range others {
			b.apply(fmt.Sprint("prod/other-", i), now.Add(time.Hour), "codedeploy:billing")
		}
		for m, query := range map[*meter]func() ([]string, error){
			&due:    func() ([]string, error) { return b.Due(t.Context(), now) },
			&lookup: func() ([]string, error) { return b.Lookup(t.Context(), []string{"codedeploy:orders"}) },
		} {
			m.Client, b.DB = b.db, m
			found, err := query()
			b.must(err)
			if len(found) != 3 {
				t.Fatalf("found %v, want 3", found)
			}
			b.DB = b.db
		}
		return due, lookup
	}
	fewDue, fewLookup := measure(3)
	manyDue, manyLookup := measure(300)
	if fewDue.units == 0 || fewDue.units != manyDue.units || manyDue.scanned != 3 {
		t.Errorf("3 due: %v units among 6, %v units and %d items read among 303", fewDue.units, manyDue.units, manyDue.scanned)
	}
	if fewLookup.units == 0 || fewLookup.units != manyLookup.units || manyLookup.scanned != 3 {
		t.Errorf("3 found: %v units among 6, %v units and %d items read among 303", fewLookup.units, manyLookup.units, manyLookup.scanned)
	}
}
