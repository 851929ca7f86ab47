package infra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeadLetterQueues(t *testing.T) {
	made := synthesized()
	queues := made.all("AWS::SQS::Queue", "QueueName")
	if len(queues) != 2 {
		t.Errorf("%d queues, want 2", len(queues))
	}
	for name, q := range queues {
		if q.Properties["MessageRetentionPeriod"] != 1209600.0 {
			t.Errorf("%s keeps %v s, want 14 days", name, q.Properties["MessageRetentionPeriod"])
		}
	}
	want := map[string][]string{
		"mayfly-undelivered-events": {
			`Deny to {"AWS":"*"} sqs:* on sqs:mayfly-undelivered-events if {"Bool":{"aws:SecureTransport":"false"}}`,
			`to {"Service":"events.amazonaws.com"} sqs:SendMessage on sqs:mayfly-undelivered-events` +
				` if {"ArnLike":{"aws:SourceArn":["events:rule/mayfly-*","events:rule/mayfly/mayfly-*"]}}`,
		},
		"mayfly-undelivered-ticks": {
			`Deny to {"AWS":"*"} sqs:* on sqs:mayfly-undelivered-ticks if {"Bool":{"aws:SecureTransport":"false"}}`,
		},
	}
	got := map[string][]string{}
	for _, r := range made {
		if r.Type == "AWS::SQS::QueuePolicy" {
			got[made.text(r.Properties["Queues"].([]any)[0])] = made.statements(r.Properties["PolicyDocument"])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queue policies (- want, + template):\n%s", diff)
	}
}
