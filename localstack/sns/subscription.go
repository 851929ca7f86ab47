package sns

import (
	"context"
	"encoding/json"
	"sort"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

type subscription struct {
	arn, topic, protocol, endpoint string
	raw                            bool   // the message alone, without the envelope
	deadLetterARN                  string // from RedrivePolicy
}

// confirmed says whether the subscription gets messages: queues and functions of the same account do at once.
func (s *subscription) confirmed() bool { return s.protocol == "sqs" || s.protocol == "lambda" }

type subscribeInput struct {
	TopicArn, Protocol, Endpoint string
	Attributes                   map[string]string
	ReturnSubscriptionArn        bool
}

type subscriptionOutput struct{ SubscriptionArn string }

func (s *Service) subscribe(_ context.Context, _ *stack.Call, in *subscribeInput) (*subscriptionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.addSubscription(in)
	if err != nil {
		return nil, err
	}
	if !sub.confirmed() && !in.ReturnSubscriptionArn {
		return &subscriptionOutput{"pending confirmation"}, nil
	}
	return &subscriptionOutput{sub.arn}, nil
}

// addSubscription subscribes an endpoint once: again, it gets the new attributes. The caller holds the mutex.
func (s *Service) addSubscription(in *subscribeInput) (*subscription, error) {
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	sub := &subscription{topic: t.arn, protocol: in.Protocol, endpoint: in.Endpoint}
	switch in.Protocol {
	case "sqs", "lambda":
		if delivery.Kind(in.Endpoint) != in.Protocol {
			return nil, invalid("%s endpoint ARN", in.Protocol)
		}
	case "email", "email-json", "sms", "http", "https":
	default:
		return nil, invalid("Amazon SNS does not support this protocol string: %s", in.Protocol)
	}
	for k, v := range in.Attributes {
		if err := sub.set(k, v); err != nil {
			return nil, err
		}
	}
	for _, old := range t.subscriptions {
		if old.protocol == sub.protocol && old.endpoint == sub.endpoint {
			sub.arn = old.arn
		}
	}
	if sub.arn == "" {
		sub.arn = t.arn + ":" + name.UUID()
	}
	t.subscriptions[sub.arn] = sub
	return sub, nil
}

func (s *subscription) set(attribute, value string) error {
	switch attribute {
	case "RawMessageDelivery":
		s.raw = value == "true"
	case "RedrivePolicy":
		var p struct {
			DeadLetterTargetARN string `json:"deadLetterTargetArn"`
		}
		if json.Unmarshal([]byte(value), &p) != nil || delivery.Kind(p.DeadLetterTargetARN) != "sqs" {
			return invalid("RedrivePolicy: must be of the form {\"deadLetterTargetArn\":\"<sqs-queue-arn>\"}")
		}
		s.deadLetterARN = p.DeadLetterTargetARN
	case "FilterPolicy", "FilterPolicyScope":
		return invalid("%s: the local stack has no filter policies", attribute)
	default:
		return invalid("AttributeName %s", attribute)
	}
	return nil
}

type unsubscribeInput struct{ SubscriptionArn string }

func (s *Service) unsubscribe(_ context.Context, _ *stack.Call, in *unsubscribeInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := strings.LastIndex(in.SubscriptionArn, ":"); i > 0 {
		if t, ok := s.topics[in.SubscriptionArn[:i]]; ok {
			delete(t.subscriptions, in.SubscriptionArn)
		}
	}
	return &struct{}{}, nil
}

type listSubscriptionsInput struct{ TopicArn, NextToken string }

type listedSubscription struct{ SubscriptionArn, Owner, Protocol, Endpoint, TopicArn string }

type listSubscriptionsOutput struct{ Subscriptions []listedSubscription }

func (s *Service) listSubscriptionsByTopic(_ context.Context, _ *stack.Call, in *listSubscriptionsInput) (*listSubscriptionsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	out := &listSubscriptionsOutput{}
	for _, sub := range t.subscriptions {
		arn := sub.arn
		if !sub.confirmed() {
			arn = "PendingConfirmation"
		}
		out.Subscriptions = append(out.Subscriptions, listedSubscription{arn, stack.Account, sub.protocol, sub.endpoint, t.arn})
	}
	sort.Slice(out.Subscriptions, func(i, j int) bool { return out.Subscriptions[i].Endpoint < out.Subscriptions[j].Endpoint })
	return out, nil
}

// notification is one published message.
type notification struct {
	id, topic string
	at        time.Time
	input     *publishInput
}

// envelope is what a queue gets, and below Records[0].Sns what a function gets. AWS's signature members are left out:
// nothing here could verify them.
type envelope struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicArn          string
	Subject           string `json:",omitempty"`
	Message           string
	Timestamp         string
	MessageAttributes map[string]typedValue `json:",omitempty"`
}

type typedValue struct {
	Type  string
	Value any
}

func (n notification) envelope() envelope {
	e := envelope{Type: "Notification", MessageID: n.id, TopicArn: n.topic, Subject: n.input.Subject, Message: n.input.Message,
		Timestamp: n.at.Format("2006-01-02T15:04:05.000Z")}
	for k, a := range n.input.MessageAttributes {
		if e.MessageAttributes == nil {
			e.MessageAttributes = map[string]typedValue{}
		}
		e.MessageAttributes[k] = typedValue{Type: a.DataType, Value: a.StringValue}
		if len(a.BinaryValue) > 0 {
			e.MessageAttributes[k] = typedValue{Type: a.DataType, Value: a.BinaryValue}
		}
	}
	return e
}

// lambdaEvent is what a function gets.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
type lambdaEvent struct {
	Records []lambdaRecord
}

type lambdaRecord struct {
	EventSource          string
	EventVersion         string
	EventSubscriptionArn string
	Sns                  envelope
}

// deliver takes a notification to one subscription, up to AWS's limits for endpoints that AWS manages.
// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
func (s *Service) deliver(sub *subscription, n notification) {
	job := delivery.Job{
		ID: n.id, TargetARN: sub.endpoint, MaxAttempts: 100015, MaxAge: 23 * 24 * time.Hour, DeadLetterARN: sub.deadLetterARN,
		Payload: func(int) ([]byte, error) { return payload(sub, n) },
		Dead: func(map[string]string) string {
			b, _ := payload(sub, n) // it was made before: what failed was the delivery
			return string(b)
		},
	}
	if sub.protocol == "sqs" && sub.raw {
		// A raw message keeps its attributes as the queue's message attributes.
		attributes := map[string]string{}
		for k, a := range n.input.MessageAttributes {
			attributes[k] = a.StringValue
		}
		job.Send = func(ctx context.Context, body []byte) error {
			return s.Send(ctx, sub.endpoint, string(body), attributes)
		}
	}
	s.deliverer.Deliver(job)
}

func payload(sub *subscription, n notification) ([]byte, error) {
	switch {
	case sub.protocol == "lambda":
		return json.Marshal(lambdaEvent{[]lambdaRecord{{EventSource: "aws:sns", EventVersion: "1.0", EventSubscriptionArn: sub.arn, Sns: n.envelope()}}})
	case sub.raw:
		return []byte(n.input.Message), nil
	}
	return json.Marshal(n.envelope())
}
