package sns

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources makes topics, their policies and subscriptions.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::SNS::Topic":        s.makeTopic,
		"AWS::SNS::TopicPolicy":  s.makePolicy,
		"AWS::SNS::Subscription": s.makeSubscription,
	}
}

// topicProperties are those of AWS::SNS::Topic.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sns-topic.html
type topicProperties struct {
	TopicName        string
	DisplayName      string
	KmsMasterKeyId   string // everything here is in memory
	FifoTopic        property.Bool
	SignatureVersion string // messages carry no signatures here
	TracingConfig    string // nothing here traces
	Subscription     []struct{ Protocol, Endpoint string }
	Tags             json.RawMessage // nothing here reads a topic's tags
}

func (s *Service) makeTopic(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p topicProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.TopicName == "" {
		p.TopicName = name.Physical(r.LogicalID, 256)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.addTopic(p.TopicName, map[string]string{"DisplayName": p.DisplayName, "KmsMasterKeyId": p.KmsMasterKeyId, "FifoTopic": strconv.FormatBool(bool(p.FifoTopic))})
	if err != nil {
		return stack.Made{}, err
	}
	for _, sub := range p.Subscription {
		if _, err := s.addSubscription(&subscribeInput{TopicArn: t.arn, Protocol: sub.Protocol, Endpoint: sub.Endpoint}); err != nil {
			return stack.Made{}, err
		}
	}
	return stack.Made{Ref: t.arn, Att: map[string]string{"TopicArn": t.arn, "TopicName": p.TopicName}}, nil
}

type policyProperties struct {
	Topics         []string
	PolicyDocument property.Document
}

func (s *Service) makePolicy(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p policyProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, arn := range p.Topics {
		t, err := s.find(arn)
		if err != nil {
			return stack.Made{}, err
		}
		if err := t.set("Policy", string(p.PolicyDocument)); err != nil {
			return stack.Made{}, err
		}
	}
	return stack.Made{Ref: r.LogicalID, Att: map[string]string{"Id": r.LogicalID}}, nil
}

// subscriptionProperties are those of AWS::SNS::Subscription.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sns-subscription.html
type subscriptionProperties struct {
	TopicArn, Protocol, Endpoint string
	Region                       string // of the topic: there is one here
	RawMessageDelivery           property.Bool
	RedrivePolicy                property.Document
	FilterPolicy                 property.Document
	FilterPolicyScope            string
}

func (s *Service) makeSubscription(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p subscriptionProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	attributes := map[string]string{"RawMessageDelivery": strconv.FormatBool(bool(p.RawMessageDelivery))}
	for k, v := range map[string]string{"RedrivePolicy": string(p.RedrivePolicy), "FilterPolicy": string(p.FilterPolicy), "FilterPolicyScope": p.FilterPolicyScope} {
		if v != "" {
			attributes[k] = v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.addSubscription(&subscribeInput{TopicArn: p.TopicArn, Protocol: p.Protocol, Endpoint: p.Endpoint, Attributes: attributes})
	if err != nil {
		return stack.Made{}, err
	}
	return stack.Made{Ref: sub.arn, Att: map[string]string{"Arn": sub.arn}}, nil
}
