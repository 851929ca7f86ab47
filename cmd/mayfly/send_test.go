package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

const respond = "arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-respond"

// rule sends every event to mayfly-respond, which here only takes it, and gives what arrives.
func (b *bench) rule() <-chan string {
	b.Helper()
	arrived := make(chan string, 1)
	b.events.Targets.Start = func(_ context.Context, machine, _ string, input []byte) (string, error) {
		arrived <- machine + " " + string(input)
		return machine, nil
	}
	client := eventbridge.NewFromConfig(b.Config)
	_, err := client.PutRule(b.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventPattern: aws.String(`{"account":["000000000000"]}`)})
	b.must(err)
	_, err = client.PutTargets(b.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), Targets: []types.Target{
		{Id: aws.String("respond"), Arn: aws.String(respond), RoleArn: aws.String("arn:aws:iam::000000000000:role/rules")},
	}})
	b.must(err)
	return arrived
}

func (b *bench) file(text string) string {
	name := filepath.Join(b.TempDir(), "event.json")
	b.must(os.WriteFile(name, []byte(text), 0o644))
	return name
}

func TestSendPutsAnEventOnTheBus(t *testing.T) {
	b := account(t)
	arrived := b.rule()
	stdout, _ := b.mayfly(0, "send", b.file(`{"source":"mayfly.manual","detail-type":"Request","resources":["arn:aws:s3:::x"],"time":"2026-03-02T12:00:00Z","detail":{"secret":"prod/token"}}`))
	id := strings.TrimSpace(stdout)
	select {
	case event := <-arrived:
		b.contains(event, respond, `"id":"`+id+`"`, `"detail":{"secret":"prod/token"}`, `"time":"2026-03-02T12:00:00Z"`, `"resources":["arn:aws:s3:::x"]`)
	case <-time.After(10 * time.Second):
		t.Fatal("the event did not arrive")
	}
}

// AWS refuses people events in its own name; the local stack lets the account's root play AWS.
func TestSendInTheNameOfAWS(t *testing.T) {
	b := account(t)
	arrived := b.rule()
	_, complaint := b.mayfly(3, "send", "../../events/codedeploy-success.json")
	b.contains(complaint, "EventBridge takes events from aws.codedeploy only from AWS itself; --direct starts mayfly-respond")
	b.events.RootPlaysAWS = true
	if got := answer[sent](b, 0, "send", "../../events/codedeploy-success.json"); got.ID == "" || got.Execution != "" {
		t.Errorf("%+v", got)
	}
	b.contains(<-arrived, `"source":"aws.codedeploy"`, `"deploymentId":"d-OSQ1R7E2C"`)
}

func TestSendDirectly(t *testing.T) {
	b := account(t)
	client := sfn.NewFromConfig(b.Config)
	_, err := client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("mayfly-respond"), RoleArn: aws.String("arn:aws:iam::000000000000:role/respond"),
		Definition: aws.String(`{"StartAt":"Taken","States":{"Taken":{"Type":"Succeed"}}}`),
	})
	b.must(err)
	got := answer[sent](b, 0, "send", "--direct", "../../events/manual.json")
	out, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &got.Execution})
	b.must(err)
	b.contains(*out.Input, `"change-4711"`)
}

func TestSendNeedsAnEvent(t *testing.T) {
	b := account(t)
	for text, complaint := range map[string]string{
		`{"detail":{}}`:                          "lacks source, detail-type or detail",
		`[]`:                                     "holds no event",
		`{"secret":"prod/token","trigger":null}`: "--direct hands it to mayfly-respond",
	} {
		_, got := b.mayfly(2, "send", b.file(text))
		b.contains(got, complaint)
	}
	_, got := b.mayfly(3, "send", "nowhere.json")
	b.contains(got, "cannot read the event")
}
