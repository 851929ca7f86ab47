package sns_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/sns"
	"github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

type bench struct {
	*testing.T
	ctx context.Context
	c   *snsapi.Client
	q   *sqsapi.Client
	sns *sns.Service
}

func start(t *testing.T) *bench {
	clock := stack.NewClock()
	queues, topics := sqs.New(clock, ""), sns.New(clock)
	topics.Send = queues.Send
	cfg := stacktest.Serve(t, queues, topics)
	return &bench{T: t, ctx: t.Context(), c: snsapi.NewFromConfig(cfg), q: sqsapi.NewFromConfig(cfg), sns: topics}
}

func (b *bench) topic() string {
	b.Helper()
	out, err := b.c.CreateTopic(b.ctx, &snsapi.CreateTopicInput{Name: aws.String(fmt.Sprint("t", time.Now().UnixNano()))})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = b.c.DeleteTopic(context.Background(), &snsapi.DeleteTopicInput{TopicArn: out.TopicArn})
	})
	return *out.TopicArn
}

func (b *bench) queue() (url, arn string) {
	b.Helper()
	name := fmt.Sprint("q", time.Now().UnixNano())
	out, err := b.q.CreateQueue(b.ctx, &sqsapi.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = b.q.DeleteQueue(context.Background(), &sqsapi.DeleteQueueInput{QueueUrl: out.QueueUrl})
	})
	return *out.QueueUrl, sqs.ARN(name)
}

func (b *bench) receive(url string) sqstypes.Message {
	b.Helper()
	out, err := b.q.ReceiveMessage(b.ctx, &sqsapi.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		b.Fatalf("%v, %v", out, err)
	}
	return out.Messages[0]
}

func (b *bench) wantCode(err error, code string) {
	b.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		b.Errorf("got %v, want the code %s", err, code)
	}
}

func TestPublishToAQueue(t *testing.T) {
	b := start(t)
	topic := b.topic()
	url, arn := b.queue()
	sub, err := b.c.Subscribe(b.ctx, &snsapi.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &arn})
	if err != nil || !strings.HasPrefix(*sub.SubscriptionArn, topic+":") {
		t.Fatal(sub, err)
	}
	out, err := b.c.Publish(b.ctx, &snsapi.PublishInput{TopicArn: &topic, Subject: aws.String("Alarm"), Message: aws.String(`<it> & "burns"`),
		MessageAttributes: map[string]types.MessageAttributeValue{"level": {DataType: aws.String("String"), StringValue: aws.String("high")}}})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type, MessageID, TopicArn, Subject, Message string
		MessageAttributes                           map[string]struct{ Type, Value string }
		Timestamp                                   time.Time
	}
	if err := json.Unmarshal([]byte(*b.receive(url).Body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "Notification" || got.MessageID != *out.MessageId || got.TopicArn != topic || got.Subject != "Alarm" ||
		got.Message != `<it> & "burns"` || got.MessageAttributes["level"].Value != "high" || got.Timestamp.IsZero() {
		t.Errorf("%+v", got)
	}
	list, err := b.c.ListSubscriptionsByTopic(b.ctx, &snsapi.ListSubscriptionsByTopicInput{TopicArn: &topic})
	if err != nil || len(list.Subscriptions) != 1 || *list.Subscriptions[0].Endpoint != arn {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := b.c.Unsubscribe(b.ctx, &snsapi.UnsubscribeInput{SubscriptionArn: sub.SubscriptionArn}); err != nil {
		t.Error(err)
	}
}

func TestRawDelivery(t *testing.T) {
	b := start(t)
	topic := b.topic()
	url, arn := b.queue()
	if _, err := b.c.Subscribe(b.ctx, &snsapi.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &arn, Attributes: map[string]string{"RawMessageDelivery": "true"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.c.Publish(b.ctx, &snsapi.PublishInput{TopicArn: &topic, Message: aws.String("plain"),
		MessageAttributes: map[string]types.MessageAttributeValue{"level": {DataType: aws.String("String"), StringValue: aws.String("high")}}}); err != nil {
		t.Fatal(err)
	}
	m := b.receive(url)
	if *m.Body != "plain" || *m.MessageAttributes["level"].StringValue != "high" {
		t.Errorf("%+v", m)
	}
}

func TestTopicsAndRefusals(t *testing.T) {
	b := start(t)
	topic := b.topic()
	if again, err := b.c.CreateTopic(b.ctx, &snsapi.CreateTopicInput{Name: aws.String(topic[strings.LastIndex(topic, ":")+1:])}); err != nil || *again.TopicArn != topic {
		t.Errorf("%v, %v", again, err)
	}
	list, err := b.c.ListTopics(b.ctx, &snsapi.ListTopicsInput{})
	if err != nil || len(list.Topics) == 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := b.c.SetTopicAttributes(b.ctx, &snsapi.SetTopicAttributesInput{TopicArn: &topic, AttributeName: aws.String("DisplayName"), AttributeValue: aws.String("Alarms")}); err != nil {
		t.Error(err)
	}
	if got, err := b.c.GetTopicAttributes(b.ctx, &snsapi.GetTopicAttributesInput{TopicArn: &topic}); err != nil || got.Attributes["DisplayName"] != "Alarms" {
		t.Errorf("%v, %v", got, err)
	}
	nope := topic + "-nope"
	_, err = b.c.Publish(b.ctx, &snsapi.PublishInput{TopicArn: &nope, Message: aws.String("x")})
	b.wantCode(err, "NotFound")
	_, err = b.c.Publish(b.ctx, &snsapi.PublishInput{TopicArn: &topic, Message: aws.String("")})
	b.wantCode(err, "InvalidParameter")
	_, err = b.c.Subscribe(b.ctx, &snsapi.SubscribeInput{TopicArn: &topic, Protocol: aws.String("pigeon"), Endpoint: aws.String("x")})
	b.wantCode(err, "InvalidParameter")
	pending, err := b.c.Subscribe(b.ctx, &snsapi.SubscribeInput{TopicArn: &topic, Protocol: aws.String("email"), Endpoint: aws.String("oncall@example.com")})
	if err != nil || *pending.SubscriptionArn != "pending confirmation" {
		t.Errorf("%v, %v", pending, err)
	}
}

func TestFunctionsAndDeadLetters(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue()
	types := b.sns.Resources()
	build := func(typ, id, properties string) stack.Made {
		t.Helper()
		made, err := types[typ](b.ctx, stack.Resource{LogicalID: id, Type: typ, Properties: []byte(properties)})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	topic := build("AWS::SNS::Topic", "Alarms", `{"TopicName":"mayfly-alarms","DisplayName":"Mayfly"}`)
	if topic.Ref != "arn:aws:sns:us-east-1:000000000000:mayfly-alarms" || topic.Att["TopicName"] != "mayfly-alarms" {
		t.Errorf("%+v", topic)
	}
	build("AWS::SNS::TopicPolicy", "AlarmsPolicy", `{"Topics":["`+topic.Ref+`"],"PolicyDocument":{"Statement":[]}}`)
	if got := b.sns.Policy(topic.Ref); got != `{"Statement":[]}` {
		t.Errorf("policy %s", got)
	}
	subscription := `{"TopicArn":"` + topic.Ref + `","Protocol":"lambda","Endpoint":"arn:aws:lambda:us-east-1:000000000000:function:f","RedrivePolicy":{"deadLetterTargetArn":"` + arn + `"}}`
	first := build("AWS::SNS::Subscription", "ToFunction", subscription)
	if again := build("AWS::SNS::Subscription", "ToFunction", subscription); again.Ref != first.Ref {
		t.Error("made again, the subscription is another one")
	}
	got := make(chan []byte, 1)
	b.sns.Invoke = func(_ context.Context, _ string, payload []byte) error { got <- payload; return nil }
	if err := b.sns.Publish(b.ctx, topic.Ref, "s", "m"); err != nil {
		t.Fatal(err)
	}
	var event struct {
		Records []struct {
			EventSource string
			Sns         struct{ Subject, Message string }
		}
	}
	if err := json.Unmarshal(<-got, &event); err != nil || len(event.Records) != 1 || event.Records[0].EventSource != "aws:sns" || event.Records[0].Sns.Message != "m" {
		t.Errorf("%+v, %v", event, err)
	}
	b.sns.Invoke = func(context.Context, string, []byte) error {
		return &stack.Error{Code: "ResourceNotFoundException", Message: "Function not found"}
	}
	if err := b.sns.Publish(b.ctx, topic.Ref, "s", "lost"); err != nil {
		t.Fatal(err)
	}
	if body := *b.receive(url).Body; !strings.Contains(body, `"Message":"lost"`) {
		t.Errorf("dead letter %s", body)
	}
}
