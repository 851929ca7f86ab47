package dynamo

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

const executionIndex = "execution"

// Standing reads how a secret stands. Errors: ErrNotInForce, RegistryUnavailable.
func (r *Registry) Standing(ctx context.Context, secret string) (registry.Standing, error) {
	out, err := r.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.Contracts, Key: key(secret, contractItem), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return registry.Standing{}, unavailable(err, "read how %s stands", secret)
	}
	if out.Item == nil || out.Item["due_pool"] == nil {
		return registry.Standing{}, registry.ErrNotInForce
	}
	entry, err := parse(out.Item)
	return standing(entry, out.Item), err
}

func standing(e registry.Entry, item map[string]types.AttributeValue) registry.Standing {
	return registry.Standing{Entry: e, DueAt: time.Unix(num(item["due_at"]), 0).UTC()}
}

// Keys lists the lookup keys by which events find a secret, sorted.
func (r *Registry) Keys(ctx context.Context, secret string) ([]string, error) {
	keys, err := r.keysOf(ctx, secret)
	return slices.Sorted(maps.Keys(keys)), err
}

// History lists the runs of a secret, newest first, at most limit of them; 0 is all. It reads only those.
func (r *Registry) History(ctx context.Context, secret string, limit int) ([]registry.Run, error) {
	query := &dynamodb.QueryInput{
		TableName: &r.Runs, KeyConditionExpression: aws.String("secret = :secret"), ScanIndexForward: aws.Bool(false),
		ExpressionAttributeValues: map[string]types.AttributeValue{":secret": text(secret)},
	}
	if limit > 0 {
		query.Limit = aws.Int32(int32(min(limit, 1000)))
	}
	var runs []registry.Run
	pages := dynamodb.NewQueryPaginator(r.DB, query)
	for pages.HasMorePages() && (limit == 0 || len(runs) < limit) {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unavailable(err, "list the runs of %s", secret)
		}
		for _, item := range page.Items {
			runs = append(runs, parseRun(item))
		}
	}
	if limit > 0 && len(runs) > limit {
		runs = runs[:limit]
	}
	return runs, nil
}

// RunOf finds the run that an execution carried out; false where the execution opened none, because it was skipped, joined
// another run or was refused. The index is eventually consistent: a run opened within the last second may be missing.
func (r *Registry) RunOf(ctx context.Context, execution string) (registry.Run, bool, error) {
	out, err := r.DB.Query(ctx, &dynamodb.QueryInput{
		TableName: &r.Runs, IndexName: aws.String(executionIndex), Limit: aws.Int32(1),
		KeyConditionExpression:    aws.String("#execution = :execution"),
		ExpressionAttributeNames:  map[string]string{"#execution": "execution"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":execution": text(execution)},
	})
	if err != nil {
		return registry.Run{}, false, unavailable(err, "find the run of %s", execution)
	}
	if len(out.Items) == 0 {
		return registry.Run{}, false, nil
	}
	return parseRun(out.Items[0]), true, nil
}

func parseRun(item map[string]types.AttributeValue) registry.Run {
	run := registry.Run{
		Secret: str(item["secret"]), Run: str(item["run"]), Execution: str(item["execution"]), Mode: str(item["mode"]),
		Status: str(item["status"]), Outcome: str(item["outcome"]), ReasonCode: str(item["reason_code"]),
		Started: str(item["started"]), Ended: str(item["ended"]), VersionFrom: str(item["version_from"]), VersionTo: str(item["version_to"]),
	}
	if m, ok := item["trigger"].(*types.AttributeValueMemberM); ok {
		run.Trigger = trigger.Trigger{
			Type: trigger.Type(str(m.Value["type"])), ID: str(m.Value["id"]), Source: str(m.Value["source"]),
			Actor: str(m.Value["actor"]), Reason: str(m.Value["reason"]),
		}
	}
	if ids, ok := item["trigger_ids"].(*types.AttributeValueMemberSS); ok {
		run.TriggerIDs = slices.Sorted(slices.Values(ids.Value))
	}
	return run
}
