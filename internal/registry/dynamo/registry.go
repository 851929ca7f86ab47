// Package dynamo keeps the registry in two DynamoDB tables.
package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// DynamoDB is what a Registry needs of the service. Writes are durable once they return.
type DynamoDB interface {
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Registry is the two tables. Runs may be empty for a function that has no business with the history.
type Registry struct {
	DB        DynamoDB
	Contracts string
	Runs      string
}

// The contracts table: key (secret, item).
const (
	contractItem = "contract" // the item with the contract and the lease
	keyItem      = "key#"     // + lookup key: one item per key by which events find the secret
	duePool      = "in_force"
	dueIndex     = "due"
	lookupIndex  = "lookup"
)

// Acquire takes the lease when it is free, expired, this run's own already, or held by claim.Over; the fence grows. The
// secret becomes due when the lease ends, so that a run that dies is noticed by the next evaluation without any watchdog.
// Errors: *Held, ErrNotInForce, RegistryUnavailable.
func (r *Registry) Acquire(ctx context.Context, claim registry.Claim) (registry.Entry, error) {
	until := strconv.FormatInt(claim.Until.Unix(), 10)
	out, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Contracts, Key: key(claim.Secret, contractItem),
		UpdateExpression: aws.String("SET lease = :lease, due_at = :until ADD fence :one"),
		// DynamoDB's own TTL deletes too late to be of use for a lease: expiry is part of the condition.
		// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
		ConditionExpression: aws.String("attribute_exists(contract) AND due_pool = :inforce AND " +
			"(attribute_not_exists(lease) OR lease.run = :run OR lease.run = :over OR lease.#until < :now)"),
		ExpressionAttributeNames: map[string]string{"#until": "until"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":lease": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
				"run": text(claim.Run), "execution": text(claim.Execution), "mode": text(claim.Mode), "until": &types.AttributeValueMemberN{Value: until},
			}},
			":until": &types.AttributeValueMemberN{Value: until}, ":one": number(1), ":now": number(claim.Now.Unix()),
			":run": text(claim.Run), ":over": text(claim.Over), ":inforce": text(duePool),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		if failed.Item == nil || failed.Item["due_pool"] == nil {
			return registry.Entry{}, registry.ErrNotInForce
		}
		entry, err := parse(failed.Item)
		if err != nil {
			return registry.Entry{}, err
		}
		return registry.Entry{}, &registry.Held{Entry: entry}
	}
	if err != nil {
		return registry.Entry{}, unavailable(err, "take the lease of %s", claim.Secret)
	}
	return parse(out.Attributes)
}

// Renew extends the lease of a run that still has it. Errors: LeaseLost when another run took it.
func (r *Registry) Renew(ctx context.Context, secret, run string, fence int64, until time.Time) error {
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Contracts, Key: key(secret, contractItem),
		UpdateExpression:         aws.String("SET lease.#until = :until, due_at = :until"),
		ConditionExpression:      aws.String("lease.run = :run AND fence = :fence"),
		ExpressionAttributeNames: map[string]string{"#until": "until"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":run": text(run), ":fence": number(fence), ":until": number(until.Unix()),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return fault.New(fault.LeaseLost, "run %s no longer owns %s: a newer run took over, this one changes nothing more", run, secret)
	}
	return unavailable(err, "renew the lease of %s", secret)
}

// Owns tells whether the run still has the lease, or closed with it: the answer to a Close that was lost must not look like
// a lease that was.
func (r *Registry) Owns(ctx context.Context, secret, run string) (bool, error) {
	out, err := r.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.Contracts, Key: key(secret, contractItem), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return false, unavailable(err, "ask who owns %s", secret)
	}
	if lease, held := out.Item["lease"].(*types.AttributeValueMemberM); held {
		return str(lease.Value["run"]) == run, nil
	}
	return str(out.Item["closed_run"]) == run, nil
}

// Release gives a lease back that led to no run: the secret is due again at dueAt, and its chain ends at head. A lease that
// is no longer the run's is left alone.
func (r *Registry) Release(ctx context.Context, secret, run string, dueAt time.Time, head audit.Head) error {
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Contracts, Key: key(secret, contractItem),
		UpdateExpression:    aws.String("SET due_at = :due, head = :head REMOVE lease"),
		ConditionExpression: aws.String("lease.run = :run"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":run": text(run), ":due": number(dueAt.Unix()), ":head": headItem(head),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return unavailable(err, "release the lease of %s", secret)
}

// Find reads a contract in force. Errors: ErrNotInForce, RegistryUnavailable.
func (r *Registry) Find(ctx context.Context, secret string) (registry.Entry, error) {
	out, err := r.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.Contracts, Key: key(secret, contractItem), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return registry.Entry{}, unavailable(err, "read the contract of %s", secret)
	}
	if out.Item == nil || out.Item["due_pool"] == nil {
		return registry.Entry{}, registry.ErrNotInForce
	}
	return parse(out.Item)
}

func parse(item map[string]types.AttributeValue) (registry.Entry, error) {
	e := registry.Entry{Digest: str(item["digest"]), Commit: str(item["commit"]), Fence: num(item["fence"])}
	if err := json.Unmarshal([]byte(str(item["contract"])), &e.Contract); err != nil {
		return e, fault.Wrap(err, fault.ContractInvalid, "the registry's copy of the contract of %s does not parse: apply the contracts again", str(item["secret"]))
	}
	e.Readers, e.Elsewhere = list(item["readers"]), list(item["elsewhere"])
	if m, ok := item["head"].(*types.AttributeValueMemberM); ok {
		e.Head = audit.Head{Seq: num(m.Value["seq"]), Hash: str(m.Value["hash"]), Date: str(m.Value["date"])}
	}
	if m, ok := item["lease"].(*types.AttributeValueMemberM); ok {
		e.Lease = registry.Lease{
			Run: str(m.Value["run"]), Execution: str(m.Value["execution"]), Mode: str(m.Value["mode"]),
			Until: time.Unix(num(m.Value["until"]), 0).UTC(),
		}
	}
	if m, ok := item["rotated"].(*types.AttributeValueMemberM); ok {
		e.Rotated = registry.Rotated{
			Version: str(m.Value["version"]), Before: str(m.Value["before"]), At: time.Unix(num(m.Value["at"]), 0).UTC(), Expires: time.Unix(num(m.Value["expires"]), 0).UTC(),
		}
	}
	e.Found = foundIn(item)
	return e, nil
}

func rotatedItem(r registry.Rotated) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
		"version": text(r.Version), "before": text(r.Before), "at": number(r.At.Unix()), "expires": number(r.Expires.Unix()),
	}}
}

func headItem(h audit.Head) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"seq": number(h.Seq), "hash": text(h.Hash), "date": text(h.Date)}}
}

func key(secret, item string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"secret": text(secret), "item": text(item)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// list reads one; nil where there is none.
func list(v types.AttributeValue) []string {
	l, ok := v.(*types.AttributeValueMemberL)
	if !ok {
		return nil
	}
	all := []string{}
	for _, one := range l.Value {
		all = append(all, str(one))
	}
	return all
}

// texts is a list, which may be empty where a set may not.
func texts(all []string) types.AttributeValue {
	l := &types.AttributeValueMemberL{Value: []types.AttributeValue{}}
	for _, s := range all {
		l.Value = append(l.Value, text(s))
	}
	return l
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func str(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func num(v types.AttributeValue) int64 {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		i, _ := strconv.ParseInt(n.Value, 10, 64) // only this package writes these numbers
		return i
	}
	return 0
}

// unavailable gives a DynamoDB error its code. Whether a failed write took effect is not known, and need not be: every
// write here may be repeated.
func unavailable(err error, format string, args ...any) error {
	return fault.Wrap(err, fault.RegistryUnavailable, format, args...)
}
