package events_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-secrets/mayfly/localstack/events"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// What CloudTrail tells of reads comes to rules only that ask for it.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
func TestReadsComeToWhoAsks(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	buses := events.New(clock)
	got := make(chan string, 10)
	buses.Targets.Log = func(group, _ string, _ time.Time, line string) { got <- group + line }
	c := eventbridge.NewFromConfig(stacktest.Serve(t, buses))
	const group = "arn:aws:logs:us-east-1:000000000000:log-group:"
	for name, state := range map[string]types.RuleState{"changes": types.RuleStateEnabled, "all": types.RuleStateEnabledWithAllCloudtrailManagementEvents, "off": types.RuleStateDisabled} {
		if _, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, State: state, EventPattern: aws.String(`{"source":["aws.secretsmanager"]}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{
			{Id: aws.String("t"), Arn: aws.String(group + name), InputPath: aws.String("$.detail.eventName")}}}); err != nil {
			t.Fatal(err)
		}
	}
	for detailType, details := range map[string][]string{
		"AWS API Call via CloudTrail": {`{"eventName":"GetSecretValue","readOnly":true}`, `{"eventName":"PutSecretValue","readOnly":false}`, `{"eventName":"AssumeSomething","readOnly":true}`},
		"Secret Label Updated":        {`{"eventName":"GetAnything","readOnly":true}`},
	} {
		for _, detail := range details {
			if err := buses.Put(t.Context(), "", []byte(`{"source":"aws.secretsmanager","detail-type":"`+detailType+`","detail":`+detail+`}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string]bool{`all"GetSecretValue"`: true, `all"PutSecretValue"`: true, `all"AssumeSomething"`: true, `all"GetAnything"`: true,
		`changes"PutSecretValue"`: true, `changes"AssumeSomething"`: true, `changes"GetAnything"`: true}
	for len(want) > 0 {
		select {
		case line := <-got:
			if !want[line] {
				t.Errorf("%s came", line)
			}
			delete(want, line)
		case <-time.After(5 * time.Second):
			t.Fatalf("these did not come: %v", want)
		}
	}
	for buses.Busy() > 0 {
		time.Sleep(time.Millisecond)
	}
	if len(got) > 0 {
		t.Errorf("%s came, too", <-got)
	}
}
