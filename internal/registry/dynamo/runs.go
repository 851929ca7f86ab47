package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Open notes a run that begins. Repeating it changes nothing.
func (r *Registry) Open(ctx context.Context, run registry.Run) error {
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Runs, Key: runKey(run.Secret, run.Run),
		UpdateExpression: aws.String("SET #execution = :execution, #mode = :mode, #trigger = :trigger, started = :started, " +
			"#status = if_not_exists(#status, :running), version_from = :from, version_to = :to ADD trigger_ids :ids"),
		ExpressionAttributeNames: map[string]string{"#execution": "execution", "#mode": "mode", "#trigger": "trigger", "#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":execution": text(run.Execution), ":mode": text(run.Mode), ":started": text(run.Started), ":running": text("running"),
			":from": text(run.VersionFrom), ":to": text(run.VersionTo), ":ids": triggerIDs(run.Trigger),
			":trigger": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
				"type": text(string(run.Trigger.Type)), "id": text(run.Trigger.ID), "source": text(run.Trigger.Source),
				"actor": text(run.Trigger.Actor), "reason": text(run.Trigger.Reason),
			}},
		},
	})
	return unavailable(err, "open run %s of %s", run.Run, run.Secret)
}

// Join adds a trigger to a run that is under way: one rotation answers both. The set of ids makes a repeat harmless.
// Errors: RegistryUnavailable, also for a run that was not opened yet or is closed.
func (r *Registry) Join(ctx context.Context, secret, run string, t trigger.Trigger) error {
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Runs, Key: runKey(secret, run), UpdateExpression: aws.String("ADD trigger_ids :ids"),
		ConditionExpression: aws.String("#status = :running"), ExpressionAttributeNames: map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":ids": triggerIDs(t), ":running": text("running")},
	})
	return unavailable(err, "join run %s of %s", run, secret)
}

// Abandon notes that a run's execution ended without closing it, by an abort or a timeout: another run goes on from where it
// stopped. How far it got, its audit records say.
func (r *Registry) Abandon(ctx context.Context, secret, run string, now time.Time) error {
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Runs, Key: runKey(secret, run), UpdateExpression: aws.String("SET #status = :abandoned, ended = :ended"),
		ConditionExpression:      aws.String("#status = :running"),
		ExpressionAttributeNames: map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":abandoned": text("abandoned"), ":running": text("running"), ":ended": text(audit.Stamp(now)),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return unavailable(err, "note that run %s of %s was abandoned", run, secret)
}

// Close ends a run: history, next due date, chain head, lease, and which values its versions have, all or nothing. A run that
// lost its lease closes its own history only. Repeating it changes nothing.
func (r *Registry) Close(ctx context.Context, c registry.Closing) error {
	history := types.TransactWriteItem{Update: &types.Update{
		TableName: &r.Runs, Key: runKey(c.Secret, c.Run),
		UpdateExpression:         aws.String("SET #status = :closed, outcome = :outcome, reason_code = :code, ended = :ended, version_to = :to"),
		ExpressionAttributeNames: map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":closed": text("closed"), ":outcome": text(c.Outcome), ":code": text(c.ReasonCode), ":ended": text(audit.Stamp(c.Ended)), ":to": text(c.VersionTo),
		},
	}}
	lease := types.TransactWriteItem{Update: &types.Update{
		TableName: &r.Contracts, Key: key(c.Secret, contractItem),
		UpdateExpression: aws.String("SET due_at = :due, head = :head, closed_run = :run REMOVE lease"),
		// closed_run lets a repeated Close, whose first answer was lost, find its own work done.
		ConditionExpression: aws.String("lease.run = :run OR (attribute_not_exists(lease) AND closed_run = :run)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":due": number(c.DueAt.Unix()), ":head": headItem(c.Head), ":run": text(c.Run),
		},
	}}
	if c.Rotated.Version != "" {
		lease.Update.UpdateExpression = aws.String("SET due_at = :due, head = :head, closed_run = :run, rotated = :rotated REMOVE lease")
		lease.Update.ExpressionAttributeValues[":rotated"] = rotatedItem(c.Rotated)
	}
	write := []types.TransactWriteItem{lease, history}
	if c.Fingerprint != "" {
		write = append(write, types.TransactWriteItem{Update: r.fingerprint(c.Secret, c.VersionTo, c.Fingerprint)})
	}
	for _, version := range c.Revoked {
		write = append(write, types.TransactWriteItem{Update: r.end(c.Secret, version, c.Ended)})
	}
	_, err := r.DB.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: write})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) && len(cancelled.CancellationReasons) > 0 && aws.ToString(cancelled.CancellationReasons[0].Code) == "ConditionalCheckFailed" {
		_, err = r.DB.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{history}})
	}
	return unavailable(err, "close run %s of %s", c.Run, c.Secret)
}

func runKey(secret, run string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"secret": text(secret), "run": text(run)}
}

func triggerIDs(t trigger.Trigger) types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: []string{string(t.Type) + ":" + t.ID}}
}
