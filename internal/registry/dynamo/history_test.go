package dynamo_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	local "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const (
	contractsTable = `{"TableName": "contracts", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
		"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "item", "AttributeType": "S"},
			{"AttributeName": "due_pool", "AttributeType": "S"}, {"AttributeName": "due_at", "AttributeType": "N"}, {"AttributeName": "lookup", "AttributeType": "S"}],
		"GlobalSecondaryIndexes": [
			{"IndexName": "due", "Projection": {"ProjectionType": "KEYS_ONLY"},
				"KeySchema": [{"AttributeName": "due_pool", "KeyType": "HASH"}, {"AttributeName": "due_at", "KeyType": "RANGE"}]},
			{"IndexName": "lookup", "Projection": {"ProjectionType": "KEYS_ONLY"},
				"KeySchema": [{"AttributeName": "lookup", "KeyType": "HASH"}, {"AttributeName": "secret", "KeyType": "RANGE"}]}]}`
	runsTable = `{"TableName": "runs", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "run", "KeyType": "RANGE"}],
		"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "run", "AttributeType": "S"}, {"AttributeName": "execution", "AttributeType": "S"}],
		"GlobalSecondaryIndexes": [{"IndexName": "execution", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [{"AttributeName": "execution", "KeyType": "HASH"}]}]}`
)

// tables is a registry with its two tables, as the template has them.
func tables(t *testing.T) *dynamo.Registry {
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
	return &dynamo.Registry{DB: dynamodb.NewFromConfig(server.Config), Contracts: "contracts", Runs: "runs"}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func begun(secret string, minute int, id string) registry.Run {
	started := noon.Add(time.Duration(minute) * time.Minute)
	return registry.Run{
		Secret: secret, Run: registry.RunKey(started, id), Execution: "arn:" + id, Mode: "routine", Started: audit.Stamp(started),
		Trigger:    trigger.Trigger{Type: trigger.Manual, ID: id, Source: "cli", Actor: "dana", Reason: "drill"},
		TriggerIDs: []string{"manual:" + id}, Status: "running", VersionFrom: "from", VersionTo: "to",
	}
}

func TestHistoryIsNewestFirst(t *testing.T) {
	r, want := tables(t), []registry.Run(nil)
	for i, id := range []string{"one", "two", "three", "four"} {
		run := begun("prod/orders-db", i, id)
		if err := r.Open(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, run)
	}
	if err := r.Open(t.Context(), begun("prod/token", 9, "other")); err != nil {
		t.Fatal(err)
	}
	if err := r.Join(t.Context(), "prod/orders-db", want[0].Run, trigger.Trigger{Type: trigger.Incident, ID: "finding"}); err != nil {
		t.Fatal(err)
	}
	want[0].TriggerIDs = []string{"incident:finding", "manual:four"}
	ended := noon.Add(time.Hour)
	if err := r.Close(t.Context(), registry.Closing{Secret: "prod/orders-db", Run: want[1].Run, Outcome: "rotated", Ended: ended, VersionTo: "to"}); err != nil {
		t.Fatal(err)
	}
	want[1].Status, want[1].Outcome, want[1].Ended = "closed", "rotated", audit.Stamp(ended)
	for limit, n := range map[int]int{0: 4, 1: 1, 3: 3, 9: 4} {
		got, err := r.History(t.Context(), "prod/orders-db", limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[:n], got); diff != "" {
			t.Errorf("limit %d (- want, + got):\n%s", limit, diff)
		}
	}
}

func TestRunOfAnExecution(t *testing.T) {
	r, want := tables(t), begun("prod/orders-db", 0, "one")
	if err := r.Open(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, found, err := r.RunOf(t.Context(), "arn:one")
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- want, + got):\n%s", diff)
	}
	if _, found, err := r.RunOf(t.Context(), "arn:two"); found || err != nil {
		t.Errorf("an execution without a run: found %v, %v", found, err)
	}
}

func TestStanding(t *testing.T) {
	r := tables(t)
	c := contract.Contract{Name: "orders-db", Environment: "prod", Owner: "orders-team"}
	if _, err := r.Standing(t.Context(), c.ID()); !errors.Is(err, registry.ErrNotInForce) {
		t.Errorf("before it is applied: %v", err)
	}
	keys := []string{"service:prod/orders", "environment:prod"}
	if err := r.Apply(t.Context(), c, nil, nil, "digest", "commit", keys, noon, noon); err != nil {
		t.Fatal(err)
	}
	got, err := r.Standing(t.Context(), c.ID())
	if err != nil || !got.DueAt.Equal(noon) || got.Contract.Owner != "orders-team" || got.Digest != "digest" {
		t.Errorf("%+v, %v", got, err)
	}
	has, err := r.Keys(t.Context(), c.ID())
	if want := []string{"environment:prod", "service:prod/orders"}; err != nil || !slices.Equal(has, want) {
		t.Errorf("keys %v, %v, want %v", has, err, want)
	}
	if err := r.Withdraw(t.Context(), c.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Standing(t.Context(), c.ID()); !errors.Is(err, registry.ErrNotInForce) {
		t.Errorf("after it is withdrawn: %v", err)
	}
}
