package infra_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// alarm renders when an alarm goes off, in one line.
func (t template) alarm(p map[string]any) string {
	var metric string
	period := p["Period"]
	if p["MetricName"] != nil {
		metric = fmt.Sprintf("%s %s/%s", p["Statistic"], p["Namespace"], p["MetricName"])
		if dimensions, ok := p["Dimensions"].([]any); ok {
			metric += " of " + t.text(dimensions[0].(map[string]any)["Value"])
		}
	} else {
		for _, m := range p["Metrics"].([]any) {
			query := m.(map[string]any)
			if query["Expression"] != nil {
				metric = query["Expression"].(string) + metric
				continue
			}
			stat := query["MetricStat"].(map[string]any)
			period = stat["Period"]
			inner := stat["Metric"].(map[string]any)
			metric += fmt.Sprintf("; %s = %s %s/%s of %s", query["Id"], stat["Stat"], inner["Namespace"], inner["MetricName"],
				anyARN.ReplaceAllString(t.text(inner["Dimensions"].([]any)[0].(map[string]any)["Value"]), "$1:"))
		}
	}
	return fmt.Sprintf("%s %s %v, %v x %v s, missing is %s", metric, p["ComparisonOperator"], p["Threshold"],
		p["EvaluationPeriods"], period, p["TreatMissingData"])
}

func TestAlarms(t *testing.T) {
	made := synthesized()
	const atLeast, below = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
	want := map[string]string{
		"mayfly-failed-dirty":       "Sum Mayfly/FailedDirty " + atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-evaluation-missing": "Sum Mayfly/Evaluated " + below + " 1, 2 x 1800 s, missing is breaching",
		"mayfly-undelivered-events": "Maximum AWS/SQS/ApproximateNumberOfMessagesVisible of mayfly-undelivered-events.QueueName " +
			atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-undelivered-ticks": "Maximum AWS/SQS/ApproximateNumberOfMessagesVisible of mayfly-undelivered-ticks.QueueName " +
			atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-rotate-unfinished": "timedOut + aborted; aborted = Sum AWS/States/ExecutionsAborted of states:stateMachine:mayfly-rotate; " +
			"timedOut = Sum AWS/States/ExecutionsTimedOut of states:stateMachine:mayfly-rotate " + atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-respond-failing": "failed + timedOut + aborted; aborted = Sum AWS/States/ExecutionsAborted of states:stateMachine:mayfly-respond; " +
			"failed = Sum AWS/States/ExecutionsFailed of states:stateMachine:mayfly-respond; " +
			"timedOut = Sum AWS/States/ExecutionsTimedOut of states:stateMachine:mayfly-respond " + atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-drift":        "Sum Mayfly/Drift " + atLeast + " 1, 1 x 900 s, missing is notBreaching",
		"mayfly-overdue":      "Sum Mayfly/Overdue " + atLeast + " 1, 1 x 900 s, missing is notBreaching",
		"mayfly-probe-failed": "Sum Mayfly/ProbeFailed " + atLeast + " 1, 1 x 900 s, missing is notBreaching",
		"mayfly-inspection-missing": "Sum AWS/States/ExecutionsSucceeded of arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-inspect " +
			below + " 1, 2 x 1800 s, missing is breaching",
		"mayfly-inspect-failing": "failed + timedOut + aborted; aborted = Sum AWS/States/ExecutionsAborted of states:stateMachine:mayfly-inspect; " +
			"failed = Sum AWS/States/ExecutionsFailed of states:stateMachine:mayfly-inspect; " +
			"timedOut = Sum AWS/States/ExecutionsTimedOut of states:stateMachine:mayfly-inspect " + atLeast + " 1, 1 x 300 s, missing is notBreaching",
		"mayfly-webhook-refusing": "Sum AWS/Lambda/Url4xxCount of mayfly-receive-webhook " + atLeast + " 100, 1 x 900 s, missing is notBreaching",
	}
	for name := range permissions {
		want["mayfly-"+name+"-failing"] = "errors + throttles; errors = Sum AWS/Lambda/Errors of mayfly-" + name +
			"; throttles = Sum AWS/Lambda/Throttles of mayfly-" + name + " " + atLeast + " 5, 1 x 900 s, missing is notBreaching"
	}
	got := map[string]string{}
	for name, a := range made.all("AWS::CloudWatch::Alarm", "AlarmName") {
		got[name] = made.alarm(a.Properties)
		if actions := made.text(a.Properties["AlarmActions"]); actions != `["arn:aws:sns:us-east-1:000000000000:mayfly-alarms"]` {
			t.Errorf("%s tells %s", name, actions)
		}
		if a.Properties["AlarmDescription"] == nil {
			t.Errorf("%s does not say what to do", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alarms (- want, + template):\n%s", diff)
	}
}

func TestAlarmTopic(t *testing.T) {
	made := synthesized()
	want := []string{
		`Deny to "*" sns:Publish on sns:mayfly-alarms if {"Bool":{"aws:SecureTransport":"false"}}`,
		`to {"Service":"cloudwatch.amazonaws.com"} sns:Publish on sns:mayfly-alarms` +
			` if {"ArnLike":{"aws:SourceArn":"cloudwatch:alarm:mayfly-*"},"StringEquals":{"aws:SourceAccount":"000000000000"}}`,
	}
	got := made.statements(made.the(t, "AWS::SNS::TopicPolicy", "", "").Properties["PolicyDocument"])
	for i := range got {
		got[i] = strings.Replace(got[i], "to * ", `to "*" `, 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("topic policy (- want, + template):\n%s", diff)
	}
	if n := len(made.all("AWS::SNS::Subscription", "Endpoint")); n != 0 {
		t.Errorf("%d subscriptions without an address in the context", n)
	}
	if s := other().the(t, "AWS::SNS::Subscription", "Endpoint", "oncall@example.com"); s.Properties["Protocol"] != "email" {
		t.Errorf("subscription %v", s.Properties)
	}
}
