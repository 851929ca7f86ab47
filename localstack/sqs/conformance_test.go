package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	local "github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

type bench struct {
	*testing.T
	ctx     context.Context
	c       *sqs.Client
	clock   *stack.Clock
	service *local.Service
}

func start(t *testing.T) *bench {
	clock := stack.NewClock()
	service := local.New(clock, "")
	return &bench{T: t, ctx: t.Context(), c: sqs.NewFromConfig(stacktest.Serve(t, service)), clock: clock, service: service}
}

// queue creates a queue that is deleted with the test, and returns its URL.
func (b *bench) queue(attributes map[string]string) string {
	b.Helper()
	name := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	out, err := b.c.CreateQueue(b.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = b.c.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
	})
	return *out.QueueUrl
}

func (b *bench) send(url, body string) *sqs.SendMessageOutput {
	b.Helper()
	out, err := b.c.SendMessage(b.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func (b *bench) receive(url string, wait int32) []types.Message {
	b.Helper()
	out, err := b.c.ReceiveMessage(b.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return out.Messages
}

func (b *bench) wantCode(err error, code string) {
	b.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		b.Errorf("got %v, want the code %s", err, code)
	}
}

func TestSendReceiveDelete(t *testing.T) {
	b := start(t)
	url := b.queue(nil)
	out, err := b.c.SendMessage(b.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("hello"), MessageAttributes: map[string]types.MessageAttributeValue{
		"RULE_ARN": {DataType: aws.String("String"), StringValue: aws.String("arn:aws:events:us-east-1:000000000000:rule/x")},
		"Count":    {DataType: aws.String("Number.int"), StringValue: aws.String("3")},
		"Raw":      {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := b.receive(url, 0)
	if len(got) != 1 || *got[0].Body != "hello" || *got[0].MessageId != *out.MessageId {
		t.Fatalf("received %v", got)
	}
	if *got[0].MD5OfMessageAttributes != *out.MD5OfMessageAttributes || string(got[0].MessageAttributes["Raw"].BinaryValue) != "\x00\x01\x02" {
		t.Errorf("attributes %v", got[0].MessageAttributes)
	}
	if got[0].Attributes["ApproximateReceiveCount"] != "1" || got[0].Attributes["SentTimestamp"] == "" {
		t.Errorf("system attributes %v", got[0].Attributes)
	}
	if again := b.receive(url, 0); len(again) != 0 {
		t.Errorf("a message in flight was received again: %v", again)
	}
	for range 2 { // deleting twice is no error
		if _, err := b.c.DeleteMessage(b.ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: got[0].ReceiptHandle}); err != nil {
			t.Error(err)
		}
	}
	_, err = b.c.DeleteMessage(b.ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: aws.String("nonsense")})
	b.wantCode(err, "ReceiptHandleIsInvalid")
}

// The digests are those of the npm package aws-md5-of-message-attributes, computed independently of this code.
func TestAttributeDigests(t *testing.T) {
	b := start(t)
	url := b.queue(nil)
	text := types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("attribValue 1")}
	number := types.MessageAttributeValue{DataType: aws.String("Number.float"), StringValue: aws.String("4563442423554324324264524243.32543234")}
	binary := types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte("Hello binary world!")}
	for _, c := range []struct {
		attributes map[string]types.MessageAttributeValue
		want       string
	}{
		{map[string]types.MessageAttributeValue{"attribName1": text}, "19e27d4e946b072f3f58da80d94fd778"},
		{map[string]types.MessageAttributeValue{"customNumberTypeAttrib": number}, "9fe1b90bbd9965bdf77bac517c7d2495"},
		{map[string]types.MessageAttributeValue{"binaryAttribute": binary}, "31a92b15d92f8db860eda32aceb656c3"},
		{map[string]types.MessageAttributeValue{"attribName1": text, "customNumberTypeAttrib": number, "binaryAttribute": binary}, "c932db14a896c663f83c260297d594ff"},
	} {
		out, err := b.c.SendMessage(b.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: c.attributes})
		if err != nil {
			t.Fatal(err)
		}
		if *out.MD5OfMessageAttributes != c.want {
			t.Errorf("digest %s, want %s", *out.MD5OfMessageAttributes, c.want)
		}
	}
}

func TestVisibilityTimeout(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url := b.queue(map[string]string{"VisibilityTimeout": "60"})
	b.send(url, "x")
	first := b.receive(url, 0)[0]
	b.clock.Advance(61 * time.Second)
	second := b.receive(url, 0)
	if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("after the timeout: %v", second)
	}
	// The first receiver's handle deletes nothing any more, without an error.
	if _, err := b.c.DeleteMessage(b.ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: first.ReceiptHandle}); err != nil {
		t.Error(err)
	}
	if _, err := b.c.ChangeMessageVisibility(b.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: second[0].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	third := b.receive(url, 0)
	if len(third) != 1 {
		t.Fatal("a message whose timeout was set to 0 is not visible")
	}
	_, err := b.c.ChangeMessageVisibility(b.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: second[0].ReceiptHandle, VisibilityTimeout: 9})
	b.wantCode(err, "AWS.SimpleQueueService.MessageNotInflight")
}

func TestLongPolling(t *testing.T) {
	b := start(t)
	url := b.queue(nil)
	got := make(chan []types.Message)
	go func() { got <- b.receive(url, 20) }()
	time.Sleep(100 * time.Millisecond)
	b.send(url, "late")
	select {
	case m := <-got:
		if len(m) != 1 || *m[0].Body != "late" {
			t.Errorf("received %v", m)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the waiting receiver was not woken")
	}
}

func TestLongPollingEndsOnTheStacksClock(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url := b.queue(map[string]string{"ReceiveMessageWaitTimeSeconds": "20"})
	got := make(chan int)
	go func() {
		out, err := b.c.ReceiveMessage(b.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
		if err != nil {
			t.Error(err)
			got <- -1
			return
		}
		got <- len(out.Messages)
	}()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, waiting := b.clock.Next(); waiting {
			break
		}
	}
	b.clock.Advance(21 * time.Second)
	if n := <-got; n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestDelayAndRetention(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url := b.queue(map[string]string{"DelaySeconds": "30", "MessageRetentionPeriod": "120"})
	b.send(url, "slow")
	if m := b.receive(url, 0); len(m) != 0 {
		t.Errorf("a delayed message was received: %v", m)
	}
	b.clock.Advance(31 * time.Second)
	out, err := b.c.GetQueueAttributes(b.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.Attributes["ApproximateNumberOfMessages"] != "1" || out.Attributes["DelaySeconds"] != "30" || out.Attributes["VisibilityTimeout"] != "30" {
		t.Errorf("attributes %v", out.Attributes)
	}
	b.clock.Advance(90 * time.Second)
	if m := b.receive(url, 0); len(m) != 0 {
		t.Errorf("a message outlived its retention: %v", m)
	}
}

func TestDeadLetterQueue(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	dead := b.queue(nil)
	arn, err := b.c.GetQueueAttributes(b.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &dead, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil {
		t.Fatal(err)
	}
	url := b.queue(map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, arn.Attributes["QueueArn"])})
	b.send(url, "poison")
	for i := range 2 {
		if m := b.receive(url, 0); len(m) != 1 {
			t.Fatalf("receive %d: %v", i+1, m)
		}
		b.clock.Advance(31 * time.Second)
	}
	if m := b.receive(url, 0); len(m) != 0 {
		t.Errorf("received a third time: %v", m)
	}
	m := b.receive(dead, 0)
	if len(m) != 1 || *m[0].Body != "poison" || !strings.HasPrefix(m[0].Attributes["DeadLetterQueueSourceArn"], "arn:aws:sqs:") {
		t.Errorf("dead-letter queue: %v", m)
	}
	_, err = b.c.SetQueueAttributes(b.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:nope","maxReceiveCount":1}`}})
	b.wantCode(err, "InvalidAttributeValue")
}

func TestBatches(t *testing.T) {
	b := start(t)
	url := b.queue(nil)
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	out, err := b.c.SendMessageBatch(b.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{entry("a", "1"), entry("b", "\x01"), entry("c", "3")}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "b" || *out.Failed[0].Code != "InvalidMessageContents" {
		t.Errorf("%+v", out)
	}
	var gone []types.DeleteMessageBatchRequestEntry
	for i, m := range b.receive(url, 1) {
		gone = append(gone, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	deleted, err := b.c.DeleteMessageBatch(b.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: gone})
	if err != nil || len(deleted.Successful) != len(gone) {
		t.Errorf("%+v, %v", deleted, err)
	}
	_, err = b.c.SendMessageBatch(b.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{entry("a", "1"), entry("a", "2")}})
	b.wantCode(err, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
	_, err = b.c.SendMessageBatch(b.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{}})
	b.wantCode(err, "AWS.SimpleQueueService.EmptyBatchRequest")
}

func TestQueues(t *testing.T) {
	b := start(t)
	url := b.queue(map[string]string{"VisibilityTimeout": "45"})
	name := url[strings.LastIndex(url, "/")+1:]
	found, err := b.c.GetQueueUrl(b.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil || *found.QueueUrl != url {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := b.c.CreateQueue(b.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "45"}}); err != nil {
		t.Errorf("creating it again alike: %v", err)
	}
	_, err = b.c.CreateQueue(b.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "46"}})
	b.wantCode(err, "QueueAlreadyExists")
	list, err := b.c.ListQueues(b.ctx, &sqs.ListQueuesInput{QueueNamePrefix: &name})
	if err != nil || len(list.QueueUrls) != 1 || list.QueueUrls[0] != url {
		t.Errorf("%v, %v", list, err)
	}
	_, err = b.c.SetQueueAttributes(b.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "43201"}})
	b.wantCode(err, "InvalidAttributeValue")
	_, err = b.c.SetQueueAttributes(b.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Colour": "red"}})
	b.wantCode(err, "InvalidAttributeName")
	b.send(url, "x")
	if _, err := b.c.PurgeQueue(b.ctx, &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
		t.Error(err)
	}
	_, err = b.c.PurgeQueue(b.ctx, &sqs.PurgeQueueInput{QueueUrl: &url})
	b.wantCode(err, "AWS.SimpleQueueService.PurgeQueueInProgress")
	nope := url + "-nope"
	_, err = b.c.SendMessage(b.ctx, &sqs.SendMessageInput{QueueUrl: &nope, MessageBody: aws.String("x")})
	var typed *types.QueueDoesNotExist
	if !errors.As(err, &typed) {
		t.Errorf("got %v, want QueueDoesNotExist", err)
	}
	b.wantCode(err, "AWS.SimpleQueueService.NonExistentQueue")
}

func TestQueueResource(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	types := b.service.Resources()
	build := func(typ, id, properties string) (stack.Made, error) {
		return types[typ](b.ctx, stack.Resource{LogicalID: id, Type: typ, Properties: []byte(properties)})
	}
	made, err := build("AWS::SQS::Queue", "DeadLetters", `{"QueueName":"dead","MessageRetentionPeriod":"1209600","SqsManagedSseEnabled":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if made.Ref != "http://127.0.0.1:4566/000000000000/dead" || made.Att["Arn"] != "arn:aws:sqs:us-east-1:000000000000:dead" || made.Att["QueueName"] != "dead" {
		t.Errorf("%+v", made)
	}
	if _, err := build("AWS::SQS::QueuePolicy", "Policy", `{"Queues":["`+made.Ref+`"],"PolicyDocument":{"Version":"2012-10-17"}}`); err != nil {
		t.Fatal(err)
	}
	// Made again: attributes change, the policy and the messages stay.
	if err := b.service.Send(b.ctx, made.Att["Arn"], "kept", map[string]string{"A": "b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := build("AWS::SQS::Queue", "DeadLetters", `{"QueueName":"dead","VisibilityTimeout":7}`); err != nil {
		t.Fatal(err)
	}
	if got := b.service.Policy(made.Att["Arn"]); got != `{"Version":"2012-10-17"}` {
		t.Errorf("policy %s", got)
	}
	m := b.receive(made.Ref, 0)
	if len(m) != 1 || *m[0].MessageAttributes["A"].StringValue != "b" {
		t.Errorf("messages %v", m)
	}
	if _, err := build("AWS::SQS::Queue", "Main", `{"RedrivePolicy":{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}}`); err != nil {
		t.Error(err)
	}
	if _, err := build("AWS::SQS::Queue", "Bad", `{"Colour":"red"}`); err == nil || !strings.Contains(err.Error(), "Bad (AWS::SQS::Queue)") {
		t.Errorf("unknown property: %v", err)
	}
	if _, err := build("AWS::SQS::Queue", "Fifo", `{"FifoQueue":"true"}`); err == nil {
		t.Error("a FIFO queue was made")
	}
}
