package events_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const function = "arn:aws:lambda:us-east-1:000000000000:function:f"

func TestRetriesThenDeadLetter(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	var mu sync.Mutex
	attempts := 0
	b.events.Targets.Invoke = func(context.Context, string, []byte) error {
		mu.Lock()
		defer mu.Unlock()
		attempts++
		return &stack.Error{Code: "TooManyRequestsException", Message: "Rate Exceeded."}
	}
	url, arn := b.queue("dead")
	b.rule("retry", `{"source":["test.retry"]}`, types.Target{
		Id: aws.String("f"), Arn: aws.String(function), DeadLetterConfig: &types.DeadLetterConfig{Arn: &arn},
		RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(3), MaximumEventAgeInSeconds: aws.Int32(3600)},
	})
	id := b.put("test.retry", `{}`)
	for i := 1; i <= 4; i++ {
		b.until(func() bool { mu.Lock(); defer mu.Unlock(); return attempts == i && b.events.Busy() == 0 })
		b.clock.Advance(10 * time.Minute)
	}
	m := b.receive(url)
	if !strings.Contains(*m.Body, id) {
		t.Errorf("the dead letter is %s", *m.Body)
	}
	for k, want := range map[string]string{
		"RULE_ARN": "arn:aws:events:us-east-1:000000000000:rule/retry", "TARGET_ARN": function, "ERROR_CODE": "THROTTLING",
		"ERROR_MESSAGE": "Rate Exceeded.", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "3",
	} {
		if got := aws.ToString(m.MessageAttributes[k].StringValue); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
}

func TestRetriesEndWithTheEventsAge(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	attempted := make(chan struct{}, 10)
	b.events.Targets.Invoke = func(context.Context, string, []byte) error {
		attempted <- struct{}{}
		return errors.New("the function's host is gone")
	}
	url, arn := b.queue("dead")
	b.rule("age", `{"source":["test.age"]}`, types.Target{
		Id: aws.String("f"), Arn: aws.String(function), DeadLetterConfig: &types.DeadLetterConfig{Arn: &arn},
		RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(60)},
	})
	b.put("test.age", `{}`)
	<-attempted
	b.until(func() bool { return b.events.Busy() == 0 })
	b.clock.Advance(2 * time.Minute)
	m := b.receive(url)
	if got := aws.ToString(m.MessageAttributes["EXHAUSTED_RETRY_CONDITION"].StringValue); got != "MaximumEventAgeInSeconds" {
		t.Errorf("condition %q", got)
	}
}

func TestAMissingTargetIsADeadLetterAtOnce(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue("dead")
	b.rule("gone", `{"source":["test.gone"]}`,
		types.Target{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:us-east-1:000000000000:nope"), DeadLetterConfig: &types.DeadLetterConfig{Arn: &arn}})
	b.put("test.gone", `{}`)
	m := b.receive(url)
	if code, n := *m.MessageAttributes["ERROR_CODE"].StringValue, *m.MessageAttributes["RETRY_ATTEMPTS"].StringValue; code != "NO_RESOURCE" || n != "0" {
		t.Errorf("%s after %s retries", code, n)
	}
	if _, ok := m.MessageAttributes["EXHAUSTED_RETRY_CONDITION"]; ok {
		t.Error("nothing was exhausted")
	}
}

func TestATemplateThatGivesNoJSONIsADeadLetter(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue("dead")
	target := transform(map[string]string{"who": "$.detail.who"}, `{"text": "by <who>"}`)
	target.Id, target.Arn, target.DeadLetterConfig = aws.String("f"), aws.String(function), &types.DeadLetterConfig{Arn: &arn}
	b.rule("quotes", `{"source":["test.quotes"]}`, target)
	b.put("test.quotes", `{"who": "\"x\""}`)
	if code := *b.receive(url).MessageAttributes["ERROR_CODE"].StringValue; code != "INVALID_JSON" {
		t.Errorf("code %s", code)
	}
}

func TestTargetsOfEveryKind(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	got := make(chan string, 10)
	b.events.Targets.Invoke = func(_ context.Context, arn string, payload []byte) error {
		got <- "lambda " + arn + " " + string(payload)
		return nil
	}
	b.events.Targets.Start = func(_ context.Context, arn, name string, input []byte) (string, error) {
		got <- "states " + arn + " " + name + " " + string(input)
		return "", nil
	}
	b.events.Targets.Publish = func(_ context.Context, arn, _, message string) error {
		got <- "sns " + arn + " " + message
		return nil
	}
	b.events.Targets.Log = func(group, _ string, _ time.Time, line string) { got <- "logs " + group + " " + line }
	prefix := "arn:aws:"
	suffix := ":us-east-1:000000000000:"
	want := map[string]bool{}
	for i, c := range []struct{ arn, want string }{
		{function, "lambda " + function + " {}"},
		{prefix + "states" + suffix + "stateMachine:m", "states " + prefix + "states" + suffix + "stateMachine:m  {}"},
		{prefix + "sns" + suffix + "t", "sns " + prefix + "sns" + suffix + "t {}"},
		{prefix + "logs" + suffix + "log-group:/aws/events/all:*", "logs /aws/events/all {}"},
	} {
		b.rule(fmt.Sprint("kind", i), `{"source":["test.kinds"]}`, types.Target{Id: aws.String("t"), Arn: &c.arn, Input: aws.String("{}")})
		want[c.want] = true
	}
	b.put("test.kinds", `{}`)
	for range len(want) {
		select {
		case g := <-got:
			if !want[g] {
				t.Errorf("unexpected: %s", g)
			}
			delete(want, g)
		case <-time.After(5 * time.Second):
			t.Fatalf("still missing %v", want)
		}
	}
	_, err := b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: aws.String("kind0"), Targets: []types.Target{{Id: aws.String("x"), Arn: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")}}})
	b.wantCode(err, "ValidationException")
}

func TestScheduledRule(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue("in")
	if _, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("tick"), ScheduleExpression: aws.String("rate(15 minutes)")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: aws.String("tick"), Targets: []types.Target{{Id: aws.String("q"), Arn: &arn}}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.clock.Advance(15*time.Minute + time.Second)
		if body := *b.receive(url).Body; !strings.Contains(body, `"detail-type":"Scheduled Event"`) || !strings.Contains(body, `rule/tick"`) {
			t.Errorf("event %s", body)
		}
	}
	b.nothingIn(url)
	_, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("bad"), ScheduleExpression: aws.String("rate(1 minutes)")})
	b.wantCode(err, "ValidationException")
}

func TestInject(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue("in")
	b.rule("service", `{"source":["aws.guardduty"]}`, types.Target{Id: aws.String("q"), Arn: &arn})
	post := func(body string) int {
		w := httptest.NewRecorder()
		b.events.Inject().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/_local/events", strings.NewReader(body)))
		return w.Code
	}
	if code := post(`{"source":"aws.guardduty","detail-type":"GuardDuty Finding","id":"given","detail":{}}`); code != http.StatusAccepted {
		t.Errorf("status %d", code)
	}
	if body := *b.receive(url).Body; !strings.Contains(body, `"given"`) || !strings.Contains(body, `"account":"000000000000"`) {
		t.Errorf("event %s", body)
	}
	if code := post(`{"source":"aws.guardduty"}`); code != http.StatusBadRequest {
		t.Errorf("half an envelope: status %d", code)
	}
}

// until waits, in real time, for something that other goroutines do.
func (b *bench) until(done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("it did not happen within 10 s")
		}
	}
}
