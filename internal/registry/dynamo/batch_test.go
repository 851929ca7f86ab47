package dynamo_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// busy is a DynamoDB that leaves all but some keys of each call unprocessed.
type busy struct {
	*dynamodb.Client
	takes int
	calls atomic.Int32
}

func (b *busy) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	b.calls.Add(1)
	if b.takes == 0 {
		return &dynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}, nil
	}
	some := *in
	asked := in.RequestItems["contracts"]
	left := asked
	taken := min(b.takes, len(asked.Keys))
	left.Keys, asked.Keys = asked.Keys[taken:], asked.Keys[:taken]
	some.RequestItems = map[string]types.KeysAndAttributes{"contracts": asked}
	out, err := b.Client.BatchGetItem(ctx, &some, opts...)
	if err == nil && len(left.Keys) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"contracts": left}
	}
	return out, err
}

func TestFindAll(t *testing.T) {
	b := newBook(t)
	var secrets, want []string
	for i := range 250 {
		c := contract.Contract{Name: fmt.Sprintf("s-%03d", i), Environment: "prod"}
		secrets = append(secrets, c.ID())
		if i%50 == 7 {
			continue // never applied
		}
		if err := b.Apply(t.Context(), c, nil, nil, "digest", "commit", nil, now, now); err != nil {
			t.Fatal(err)
		}
		if i%50 == 8 {
			if err := b.Withdraw(t.Context(), c.ID()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want = append(want, c.ID())
	}
	find := func(db dynamo.DynamoDB) []string {
		t.Helper()
		found, err := (&dynamo.Registry{DB: db, Contracts: "contracts"}).FindAll(t.Context(), secrets)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, c := range found {
			ids = append(ids, c.ID())
		}
		slices.Sort(ids)
		return ids
	}
	b.server.Endpoint.ResetCalls()
	if diff := cmp.Diff(want, find(b.db)); diff != "" {
		t.Errorf("found (- want, + got):\n%s", diff)
	}
	if calls := b.server.Endpoint.Calls(); len(calls) != 3 {
		t.Errorf("%d calls for 250 secrets, want 3", len(calls))
	}
	slow := &busy{Client: b.db, takes: 40}
	if diff := cmp.Diff(want, find(slow)); diff != "" || slow.calls.Load() != 3+3+2 {
		t.Errorf("with keys left unprocessed, in %d calls (- want, + got):\n%s", slow.calls.Load(), diff)
	}
}

func TestFindAllGivesUp(t *testing.T) {
	b := newBook(t)
	stuck := &busy{Client: b.db}
	_, err := (&dynamo.Registry{DB: stuck, Contracts: "contracts"}).FindAll(t.Context(), []string{secret})
	if fault.CodeOf(err) != fault.RegistryUnavailable || stuck.calls.Load() != 10 {
		t.Errorf("keys that are never processed: %v after %d calls", err, stuck.calls.Load())
	}
	if err := b.server.Endpoint.AddFault(stack.Fault{Operation: "BatchGetItem", Skip: 1}); err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for i := range 1000 {
		secrets = append(secrets, fmt.Sprintf("prod/s-%d", i))
	}
	if _, err := b.FindAll(t.Context(), secrets); fault.CodeOf(err) != fault.RegistryUnavailable {
		t.Errorf("one call of ten failed: %v", err)
	}
}
