// Package sns is the local stack's Amazon SNS: standard topics that deliver to SQS queues and Lambda functions, with
// retries and a subscription's dead-letter queue. Subscriptions of people (email, sms, http) stay unconfirmed, as they
// do in AWS until someone clicks, and get nothing.
//
// Operations: CreateTopic, DeleteTopic, GetTopicAttributes, SetTopicAttributes, ListTopics, Subscribe, Unsubscribe,
// ListSubscriptionsByTopic, Publish. CloudFormation: AWS::SNS::Topic, AWS::SNS::TopicPolicy, AWS::SNS::Subscription.
//
// Sources:
//   - https://docs.aws.amazon.com/sns/latest/api/
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
//
// Left out: FIFO topics and filter policies (both refused), message signatures, MessageStructure json, phone numbers,
// tags' operations.
package sns

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// Service holds the account's topics.
type Service struct {
	stack.Query
	// Send takes a message to a queue, Invoke an event to a function, asynchronously. Set them before the first Publish.
	Send   func(ctx context.Context, queueARN, body string, attributes map[string]string) error
	Invoke func(ctx context.Context, functionARN string, payload []byte) error

	clock     *stack.Clock
	deliverer *delivery.Deliverer

	mu     sync.Mutex
	topics map[string]*topic // by ARN
}

type topic struct {
	arn           string
	attributes    map[string]string // DisplayName, Policy, KmsMasterKeyId, ...
	subscriptions map[string]*subscription
}

// New makes a service without topics.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, topics: map[string]*topic{}}
	s.deliverer = delivery.New(clock, func() *delivery.Targets { return &delivery.Targets{Send: s.Send, Invoke: s.Invoke} })
	s.Query = stack.Query{Signing: "sns", Namespace: "http://sns.amazonaws.com/doc/2010-03-31/", Ops: map[string]stack.Op{
		"CreateTopic":              stack.HandleQuery(s.createTopic),
		"DeleteTopic":              stack.HandleQuery(s.deleteTopic),
		"GetTopicAttributes":       stack.HandleQuery(s.getTopicAttributes),
		"SetTopicAttributes":       stack.HandleQuery(s.setTopicAttributes),
		"ListTopics":               stack.HandleQuery(s.listTopics),
		"Subscribe":                stack.HandleQuery(s.subscribe),
		"Unsubscribe":              stack.HandleQuery(s.unsubscribe),
		"ListSubscriptionsByTopic": stack.HandleQuery(s.listSubscriptionsByTopic),
		"Publish":                  stack.HandleQuery(s.publish),
	}}
	return s
}

// Busy is how many deliveries are being attempted at this moment; those that wait for the clock do not count.
func (s *Service) Busy() int { return s.deliverer.Busy() }

func invalid(format string, a ...any) error {
	return &stack.Error{Code: "InvalidParameter", Message: "Invalid parameter: " + fmt.Sprintf(format, a...)}
}

// ARN is the ARN of the topic of that name.
func ARN(topic string) string {
	return fmt.Sprintf("arn:aws:sns:%s:%s:%s", stack.Region, stack.Account, topic)
}

// find is the topic of an ARN. The caller holds the mutex.
func (s *Service) find(arn string) (*topic, error) {
	t, ok := s.topics[arn]
	if !ok {
		return nil, &stack.Error{Code: "NotFound", Status: 404, Message: "Topic does not exist"}
	}
	return t, nil
}

// Policy is a topic's resource policy, "" if it has none or does not exist.
func (s *Service) Policy(topicARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.topics[topicARN]; ok {
		return t.attributes["Policy"]
	}
	return ""
}

// Key is the KMS key under which a topic keeps its messages, "" if there is none.
func (s *Service) Key(topicARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.topics[topicARN]; ok {
		return t.attributes["KmsMasterKeyId"]
	}
	return ""
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

type createTopicInput struct {
	Name       string
	Attributes map[string]string
	Tags       []struct{ Key, Value string } // nothing here reads a topic's tags
}

type topicOutput struct{ TopicArn string }

func (s *Service) createTopic(_ context.Context, _ *stack.Call, in *createTopicInput) (*topicOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.addTopic(in.Name, in.Attributes)
	if err != nil {
		return nil, err
	}
	return &topicOutput{t.arn}, nil
}

// addTopic makes a topic or gives the attributes to the one that is there. The caller holds the mutex.
func (s *Service) addTopic(name string, attributes map[string]string) (*topic, error) {
	if strings.HasSuffix(name, ".fifo") || attributes["FifoTopic"] == "true" {
		return nil, invalid("the local stack has no FIFO topics")
	}
	if !topicName.MatchString(name) {
		return nil, invalid("Topic Name")
	}
	t, ok := s.topics[ARN(name)]
	if !ok {
		t = &topic{arn: ARN(name), attributes: map[string]string{}, subscriptions: map[string]*subscription{}}
	}
	for k, v := range attributes {
		if err := t.set(k, v); err != nil {
			return nil, err
		}
	}
	s.topics[t.arn] = t
	return t, nil
}

func (t *topic) set(attribute, value string) error {
	switch attribute {
	case "Policy":
		if !json.Valid([]byte(value)) {
			return invalid("Policy statement is not JSON")
		}
	case "DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig", "FifoTopic", "DeliveryPolicy":
	default:
		return invalid("AttributeName %s", attribute)
	}
	t.attributes[attribute] = value
	return nil
}

type topicInput struct{ TopicArn string }

func (s *Service) deleteTopic(_ context.Context, _ *stack.Call, in *topicInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, in.TopicArn)
	return &struct{}{}, nil
}

type attributesOutput struct{ Attributes map[string]string }

func (s *Service) getTopicAttributes(_ context.Context, _ *stack.Call, in *topicInput) (*attributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	confirmed := 0
	for _, sub := range t.subscriptions {
		if sub.confirmed() {
			confirmed++
		}
	}
	out := map[string]string{"TopicArn": t.arn, "Owner": stack.Account, "SubscriptionsConfirmed": fmt.Sprint(confirmed),
		"SubscriptionsPending": fmt.Sprint(len(t.subscriptions) - confirmed), "SubscriptionsDeleted": "0"}
	for k, v := range t.attributes {
		out[k] = v
	}
	return &attributesOutput{out}, nil
}

type setTopicAttributesInput struct{ TopicArn, AttributeName, AttributeValue string }

func (s *Service) setTopicAttributes(_ context.Context, _ *stack.Call, in *setTopicAttributesInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, t.set(in.AttributeName, in.AttributeValue)
}

type listTopicsInput struct{ NextToken string }

type listTopicsOutput struct{ Topics []topicOutput }

func (s *Service) listTopics(_ context.Context, _ *stack.Call, _ *listTopicsInput) (*listTopicsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listTopicsOutput{}
	for arn := range s.topics {
		out.Topics = append(out.Topics, topicOutput{arn})
	}
	sort.Slice(out.Topics, func(i, j int) bool { return out.Topics[i].TopicArn < out.Topics[j].TopicArn })
	return out, nil
}

type attribute struct {
	DataType    string
	StringValue string
	BinaryValue []byte
}

type publishInput struct {
	TopicArn, TargetArn, Subject, Message string
	MessageAttributes                     map[string]attribute `query:"Name,Value"`
	MessageGroupId                        string               // on a standard topic it only steers fairness of queues
}

type publishOutput struct{ MessageId string }

func (s *Service) publish(_ context.Context, _ *stack.Call, in *publishInput) (*publishOutput, error) {
	if in.TopicArn == "" {
		in.TopicArn = in.TargetArn
	}
	id, err := s.send(in)
	if err != nil {
		return nil, err
	}
	return &publishOutput{id}, nil
}

// Publish publishes a message on behalf of another service. Delivery is asynchronous.
func (s *Service) Publish(_ context.Context, topicARN, subject, message string) error {
	_, err := s.send(&publishInput{TopicArn: topicARN, Subject: subject, Message: message})
	return err
}

func (s *Service) send(in *publishInput) (id string, err error) {
	switch {
	case in.Message == "":
		return "", invalid("Empty message")
	case len(in.Message) > 256<<10:
		return "", invalid("Message too long")
	case len(in.Subject) > 100 || strings.ContainsAny(in.Subject, "\n\r"):
		return "", invalid("Subject")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(in.TopicArn)
	if err != nil {
		return "", err
	}
	n := notification{id: name.UUID(), topic: t.arn, at: s.clock.Now(), input: in}
	for _, sub := range t.subscriptions {
		if sub.confirmed() {
			s.deliver(sub, n)
		}
	}
	return n.id, nil
}
