package infra_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const respond = "arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-respond"

func TestRules(t *testing.T) {
	made := synthesized()
	rules := made.all("AWS::Events::Rule", "Name")
	for name, want := range map[string]struct{ pattern, target, may string }{
		"mayfly-incident": {
			`{"detail":{"severity":[{"numeric":[">=",4]}]},"detail-type":["GuardDuty Finding"],"source":["aws.guardduty"]}`,
			respond, "states:StartExecution on states:stateMachine:mayfly-respond",
		},
		"mayfly-deployment": {
			`{"detail":{"state":["SUCCESS"]},"detail-type":["CodeDeploy Deployment State-change Notification"],"source":["aws.codedeploy"]}`,
			respond, "states:StartExecution on states:stateMachine:mayfly-respond",
		},
		"mayfly-unfinished": {
			`{"detail":{"stateMachineArn":["arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-rotate"],"status":["TIMED_OUT","ABORTED"]},` +
				`"detail-type":["Step Functions Execution Status Change"],"source":["aws.states"]}`,
			"arn:aws:sns:us-east-1:000000000000:mayfly-alarms", "sns:Publish on sns:mayfly-alarms",
		},
	} {
		rule, ok := rules[name]
		if !ok {
			t.Errorf("no rule %s", name)
			continue
		}
		if got := made.text(rule.Properties["EventPattern"]); got != want.pattern {
			t.Errorf("%s matches %s\nwant %s", name, got, want.pattern)
		}
		if rule.Properties["EventBusName"] != nil {
			t.Errorf("%s is not on the default bus, where AWS services put their events", name)
		}
		targets := rule.Properties["Targets"].([]any)
		target := targets[0].(map[string]any)
		if len(targets) != 1 || made.text(target["Arn"]) != want.target {
			t.Errorf("%s goes to %s, want %s", name, made.text(targets), want.target)
		}
		may := made.roleStatements(t, target["RoleArn"])
		if may[len(may)-1] != want.may {
			t.Errorf("%s may %v, want %s", name, may, want.may)
		}
	}
	if len(rules) != 4 {
		t.Errorf("%d rules, want 3 and the webhook's", len(rules))
	}
}

func TestEveryTargetHasADeadLetterQueueAndARetryPolicy(t *testing.T) {
	made := synthesized()
	var targets []map[string]any
	for _, r := range made {
		switch r.Type {
		case "AWS::Events::Rule":
			for _, target := range r.Properties["Targets"].([]any) {
				targets = append(targets, target.(map[string]any))
			}
		case "AWS::Scheduler::Schedule":
			targets = append(targets, r.Properties["Target"].(map[string]any))
		}
	}
	if len(targets) != 5 {
		t.Errorf("%d targets, want 5", len(targets))
	}
	queues := made.all("AWS::SQS::Queue", "QueueName")
	for _, target := range targets {
		letters, _ := target["DeadLetterConfig"].(map[string]any)
		found := false
		for _, q := range queues {
			found = found || letters != nil && made.text(letters["Arn"]) == made.arn(q)
		}
		if !found {
			t.Errorf("target %s loses what it cannot deliver", made.text(target))
		}
		if target["RetryPolicy"] == nil {
			t.Errorf("target %s has no retry policy of its own", made.text(target))
		}
	}
}

func TestScheduleTicksEvery15Minutes(t *testing.T) {
	made := synthesized()
	schedule := made.the(t, "AWS::Scheduler::Schedule", "Name", "mayfly-evaluate")
	if schedule.Properties["ScheduleExpression"] != "rate(15 minutes)" || schedule.Properties["State"] != "ENABLED" {
		t.Errorf("schedule = %s", made.text(schedule.Properties))
	}
	target := schedule.Properties["Target"].(map[string]any)
	if made.text(target["Arn"]) != respond {
		t.Errorf("it starts %s", made.text(target["Arn"]))
	}
	var input map[string]any
	if err := json.Unmarshal([]byte(made.text(target["Input"])), &input); err != nil {
		t.Fatalf("input %s: %v", made.text(target["Input"]), err)
	}
	want := map[string]any{
		"version": "0", "id": "<aws.scheduler.execution-id>", "source": "mayfly.schedule", "detail-type": "Evaluation",
		"time": "<aws.scheduler.scheduled-time>", "account": "000000000000", "region": "us-east-1",
		"resources": []any{"<aws.scheduler.schedule-arn>"}, "detail": map[string]any{},
	}
	if diff := cmp.Diff(want, input); diff != "" {
		t.Errorf("input (- want, + template):\n%s", diff)
	}
	may := []string{
		"kms:Decrypt kms:GenerateDataKey on kms:key/mayfly",
		"sqs:SendMessage on sqs:mayfly-undelivered-ticks",
		"states:StartExecution on states:stateMachine:mayfly-respond",
	}
	if diff := cmp.Diff(may, made.roleStatements(t, target["RoleArn"])); diff != "" {
		t.Errorf("its role (- want, + template):\n%s", diff)
	}
}

func TestServicesTakeTheirRolesForThisAccountOnly(t *testing.T) {
	made := synthesized()
	for id, r := range made {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		trust := made.text(r.Properties["AssumeRolePolicyDocument"])
		var document struct {
			Statement []struct {
				Principal struct{ Service string }
				Condition map[string]map[string]string
			}
		}
		if err := json.Unmarshal([]byte(trust), &document); err != nil {
			t.Fatalf("%s: %v in %s", id, err, trust)
		}
		s := document.Statement[0]
		switch s.Principal.Service {
		case "lambda.amazonaws.com", "states.amazonaws.com": // pass the roles only of functions and machines that exist here
		case "events.amazonaws.com", "scheduler.amazonaws.com":
			if s.Condition["StringEquals"]["aws:SourceAccount"] != "000000000000" {
				t.Errorf("%s can be taken on behalf of other accounts: %s", id, trust)
			}
		default:
			t.Errorf("%s is for %q, who is that?", id, s.Principal.Service)
		}
	}
}
