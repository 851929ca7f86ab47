package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

const rulesARN = "arn:aws:events:us-east-1:000000000000:rule/"

// letters is an account with a queue of dead letters, and a mayfly-respond that only takes what it is given.
func letters(t *testing.T, queue string) *bench {
	b := account(t)
	_, err := sqs.NewFromConfig(b.Config).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &queue})
	b.must(err)
	b.respond()
	return b
}

func (b *bench) respond() {
	b.Helper()
	_, err := sfn.NewFromConfig(b.Config).CreateStateMachine(b.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("mayfly-respond"), RoleArn: aws.String("arn:aws:iam::000000000000:role/respond"),
		Definition: aws.String(`{"StartAt":"Taken","States":{"Taken":{"Type":"Succeed"}}}`),
	})
	b.must(err)
}

// undelivered leaves a dead letter, as EventBridge does, and returns its id.
func (b *bench) undelivered(queue, body string, attributes map[string]string) string {
	b.Helper()
	said := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		said[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	client := sqs.NewFromConfig(b.Config)
	at, err := client.GetQueueUrl(b.Context(), &sqs.GetQueueUrlInput{QueueName: &queue})
	b.must(err)
	out, err := client.SendMessage(b.Context(), &sqs.SendMessageInput{QueueUrl: at.QueueUrl, MessageBody: &body, MessageAttributes: said})
	b.must(err)
	return *out.MessageId
}

// started are the inputs of the executions of mayfly-respond.
func (b *bench) started() []string {
	b.Helper()
	client := sfn.NewFromConfig(b.Config)
	all, err := client.ListExecutions(b.Context(), &sfn.ListExecutionsInput{StateMachineArn: aws.String(respond)})
	b.must(err)
	var inputs []string
	for _, x := range all.Executions {
		out, err := client.DescribeExecution(b.Context(), &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
		b.must(err)
		inputs = append(inputs, *out.Input)
	}
	return inputs
}

const undeliveredEvents = "mayfly-undelivered-events"

func codeDeployed(id string) string {
	return `{"id":"` + id + `","source":"aws.codedeploy","detail-type":"CodeDeploy Deployment State-change Notification","detail":{"state":"SUCCESS"}}`
}

func failure() map[string]string {
	return map[string]string{
		"RULE_ARN": rulesARN + "mayfly-code-deploy", "TARGET_ARN": respond, "ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "no states:StartExecution",
		"RETRY_ATTEMPTS": "0",
	}
}

func TestRedrive(t *testing.T) {
	b := letters(t, undeliveredEvents)
	b.contains(first(b.mayfly(0, "redrive")), "mayfly-undelivered-events is empty")
	for i := range 12 { // more than SQS gives at once
		b.undelivered(undeliveredEvents, codeDeployed(string(rune('a'+i))), failure())
	}
	b.undelivered(undeliveredEvents, codeDeployed("a"), failure()) // the same event, by another rule

	for range 2 { // a dry run leaves everything, visible at once
		found := answer[[]letter](b, 0, "redrive", "--dry-run")
		if len(found) != 13 || found[0].Outcome != letterFound || found[0].ErrorCode != "NO_PERMISSIONS" || found[0].Source != "aws.codedeploy" ||
			found[0].Rule != rulesARN+"mayfly-code-deploy" || found[0].Target != respond || found[0].EventID == "" || found[0].Attempts != "0" {
			t.Fatalf("%d found, the first %+v", len(found), found[0])
		}
	}
	if n := len(b.started()); n != 0 {
		t.Fatalf("a dry run started %d executions", n)
	}

	count := map[string]int{}
	for _, l := range answer[[]letter](b, 0, "redrive") {
		count[l.Outcome]++
		b.contains(l.Execution, ":execution:mayfly-respond:redrive-")
	}
	// Which of the two that are the same comes first is the queue's affair: one starts, the other joins.
	if count[letterStarted] < 12 || count[letterStarted]+count[letterRepeated] != 13 {
		t.Errorf("outcomes %v", count)
	}
	inputs := b.started()
	if len(inputs) != 12 || !strings.Contains(strings.Join(inputs, "\n"), codeDeployed("l")) {
		t.Errorf("%d executions: %v", len(inputs), inputs)
	}
	b.contains(first(b.mayfly(0, "redrive")), "is empty")
}

// Broken off between start and deletion, the next redrive joins what was started.
func TestRedriveBrokenOff(t *testing.T) {
	b := letters(t, undeliveredEvents)
	b.undelivered(undeliveredEvents, codeDeployed("a"), failure())
	name := redriveName(codeDeployed("a"))
	_, err := sfn.NewFromConfig(b.Config).StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(respond), Name: &name, Input: aws.String(codeDeployed("a"))})
	b.must(err)
	text := first(b.mayfly(0, "redrive"))
	b.contains(text, "aws.codedeploy a  ", "NO_PERMISSIONS (no states:StartExecution), by rule/mayfly-code-deploy")
	if n := len(b.started()); n != 1 {
		t.Errorf("%d executions, want 1", n)
	}
	b.contains(first(b.mayfly(0, "redrive")), "is empty")
}

// What cannot be started stays, and says why; what comes after it is started all the same.
func TestRedriveKeeps(t *testing.T) {
	b := letters(t, undeliveredEvents)
	pager := failure()
	pager["TARGET_ARN"] = "arn:aws:sns:us-east-1:000000000000:mayfly-alarms"
	b.undelivered(undeliveredEvents, `{"source":"aws.states"}`, pager)
	b.undelivered(undeliveredEvents, `no JSON`, failure())
	b.undelivered(undeliveredEvents, codeDeployed("a"), failure())
	kept := map[string]string{}
	for _, l := range answer[[]letter](b, 1, "redrive") {
		kept[l.Outcome] += l.Kept + ". "
	}
	b.contains(kept[letterKept], "it was meant for another target", "Step Functions does not take its 7 bytes as input")
	if kept[letterStarted] != ". " {
		t.Errorf("letters %v", kept)
	}
	if left := answer[[]letter](b, 0, "redrive", "--dry-run"); len(left) != 2 {
		t.Errorf("%d letters are left, want 2", len(left))
	}
}

// A tick is in the queue as text, or inside the request that Scheduler would have made.
func TestRedriveTicks(t *testing.T) {
	const queue = "mayfly-undelivered-ticks"
	b := letters(t, queue)
	tick := func(at string) string { return `{"id":"1","source":"mayfly.schedule","time":"` + at + `","detail":{}}` }
	schedule := map[string]string{"SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/default/mayfly-evaluate", "ERROR_CODE": "THROTTLING"}
	b.undelivered(queue, tick("2026-03-02T12:00:00Z"), schedule)
	b.undelivered(queue, `{"StateMachineArn":"`+respond+`","Input":"`+strings.ReplaceAll(tick("2026-03-02T12:15:00Z"), `"`, `\"`)+`"}`, schedule)
	for _, l := range answer[[]letter](b, 0, "redrive", "--queue", "undelivered-ticks") {
		if l.Source != "mayfly.schedule" || l.Rule != schedule["SCHEDULE_ARN"] || l.Outcome != letterStarted {
			t.Errorf("%+v", l)
		}
	}
	all := strings.Join(b.started(), "\n")
	b.contains(all, tick("2026-03-02T12:00:00Z"), tick("2026-03-02T12:15:00Z"))
}

func TestRedriveWithoutQueueOrMachine(t *testing.T) {
	b := account(t)
	_, complaint := b.mayfly(3, "redrive")
	b.contains(complaint, "Mayfly is not deployed in this account and Region")
	_, complaint = b.mayfly(2, "redrive", "--queue", "undelivered")
	b.contains(complaint, "undelivered-events")
	_, err := sqs.NewFromConfig(b.Config).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(undeliveredEvents)})
	b.must(err)
	id := b.undelivered(undeliveredEvents, codeDeployed("a"), failure())
	_, complaint = b.mayfly(3, "redrive")
	b.contains(complaint, id, "was not started", "StateMachineDoesNotExist")
	if left := answer[[]letter](b, 0, "redrive", "--dry-run"); len(left) != 1 {
		t.Errorf("%d letters are left, want 1", len(left))
	}
}

func first(text, _ string) string { return text }

// Of an event that is larger than Step Functions takes, what is read of it is handed over, as the rule would have done.
func TestRedriveLarge(t *testing.T) {
	b := letters(t, undeliveredEvents)
	small, err := os.ReadFile(filepath.Join("..", "..", "events", "guardduty-task.json"))
	b.must(err)
	large := strings.Replace(string(small), `"detail": {`, `"detail": {"signals": "`+strings.Repeat("x", 300<<10)+`",`, 1)
	b.undelivered(undeliveredEvents, large, failure())
	if outcomes := answer[[]letter](b, 0, "redrive"); len(outcomes) != 1 || outcomes[0].Outcome != letterStarted {
		t.Fatalf("letters %+v", outcomes)
	}
	inputs := b.started()
	if len(inputs) != 1 || len(inputs[0]) > len(small) {
		t.Fatalf("%d inputs", len(inputs))
	}
	want, err := trigger.Resolve(small)
	b.must(err)
	if got, err := trigger.Resolve([]byte(inputs[0])); err != nil || got.Trigger != want.Trigger || !slices.Equal(got.Keys, want.Keys) {
		t.Errorf("it arrived as %+v, want %+v, %v", got, want, err)
	}
}
