package playground

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Send puts the event of a file, a whole EventBridge envelope, on the default bus.
func (p *Playground) Send(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var e struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("%s is no event: %w", file, err)
	}
	out, err := eventbridge.NewFromConfig(p.AWS).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
		{Source: &e.Source, DetailType: &e.DetailType, Resources: e.Resources, Detail: aws.String(string(e.Detail))}}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("%s was refused: %s", file, aws.ToString(out.Entries[0].ErrorMessage))
	}
	return err
}

// Running lists the executions under way of all machines.
func (p *Playground) Running(ctx context.Context) ([]string, error) {
	var running []string
	for _, machine := range []string{RespondMachine, RotateMachine, InspectMachine} {
		out, err := sfn.NewFromConfig(p.AWS).ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine, StatusFilter: sfntypes.ExecutionStatusRunning})
		if err != nil {
			return nil, err
		}
		for _, x := range out.Executions {
			running = append(running, aws.ToString(x.ExecutionArn))
		}
	}
	return running, nil
}

// Settle waits until no execution has been under way, and no event on its way, for a moment.
func (p *Playground) Settle(ctx context.Context) error {
	const pause, enough = 20 * time.Millisecond, 10
	for quiet := 0; quiet < enough; quiet++ {
		running, err := p.Running(ctx)
		if err != nil {
			return err
		}
		if len(running) > 0 || p.Stack.Events.Busy()+p.Stack.Schedules.Busy() > 0 {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d executions are still under way: %w", len(running), ctx.Err())
		case <-time.After(pause):
		}
	}
	return nil
}

// DueAt is when the registry offers a secret for evaluation.
func (p *Playground) DueAt(ctx context.Context, secret string) (time.Time, error) {
	out, err := dynamodb.NewFromConfig(p.AWS).GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(ContractsTable),
		Key: map[string]types.AttributeValue{"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "contract"}}})
	if err != nil {
		return time.Time{}, err
	}
	due, ok := out.Item["due_at"].(*types.AttributeValueMemberN)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is not under contract", secret)
	}
	seconds, err := strconv.ParseInt(due.Value, 10, 64)
	return time.Unix(seconds, 0), err
}

// RunItem is one run as the history has it.
type RunItem struct {
	Execution, Mode, Status, Outcome, ReasonCode string
	Trigger, VersionFrom, VersionTo              string
	TriggerIDs                                   []string
}

// Runs is the history of a secret, newest first.
func (p *Playground) Runs(ctx context.Context, secret string) ([]RunItem, error) {
	out, err := dynamodb.NewFromConfig(p.AWS).Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String(RunsTable), KeyConditionExpression: aws.String("secret = :s"), ScanIndexForward: aws.Bool(false),
		ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberS{Value: secret}},
	})
	if err != nil {
		return nil, err
	}
	items := make([]RunItem, 0, len(out.Items))
	for _, i := range out.Items {
		text := func(name string) string {
			v, _ := i[name].(*types.AttributeValueMemberS)
			if v == nil {
				return ""
			}
			return v.Value
		}
		item := RunItem{Execution: text("execution"), Mode: text("mode"), Status: text("status"), Outcome: text("outcome"), ReasonCode: text("reason_code"),
			VersionFrom: text("version_from"), VersionTo: text("version_to")}
		if t, ok := i["trigger"].(*types.AttributeValueMemberM); ok {
			if kind, ok := t.Value["type"].(*types.AttributeValueMemberS); ok {
				item.Trigger = kind.Value
			}
		}
		if ids, ok := i["trigger_ids"].(*types.AttributeValueMemberSS); ok {
			item.TriggerIDs = ids.Value
		}
		items = append(items, item)
	}
	return items, nil
}
