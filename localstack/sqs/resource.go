package sqs

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources makes queues and their policies.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{"AWS::SQS::Queue": s.makeQueue, "AWS::SQS::QueuePolicy": s.makePolicy}
}

// queueProperties are those of AWS::SQS::Queue.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html
type queueProperties struct {
	QueueName                     string
	DelaySeconds                  *property.Int
	MaximumMessageSize            *property.Int
	MessageRetentionPeriod        *property.Int
	ReceiveMessageWaitTimeSeconds *property.Int
	VisibilityTimeout             *property.Int
	RedrivePolicy                 property.Document
	RedriveAllowPolicy            property.Document
	FifoQueue                     property.Bool
	KmsMasterKeyId                string
	KmsDataKeyReusePeriodSeconds  *property.Int
	SqsManagedSseEnabled          *property.Bool
	Tags                          json.RawMessage // nothing here reads a queue's tags
}

func (s *Service) makeQueue(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p queueProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.QueueName == "" {
		p.QueueName = name.Physical(r.LogicalID, 80)
	}
	attributes := map[string]string{"FifoQueue": strconv.FormatBool(bool(p.FifoQueue))}
	if !p.FifoQueue {
		delete(attributes, "FifoQueue")
	}
	for key, v := range map[string]*property.Int{
		"DelaySeconds": p.DelaySeconds, "MaximumMessageSize": p.MaximumMessageSize, "MessageRetentionPeriod": p.MessageRetentionPeriod,
		"ReceiveMessageWaitTimeSeconds": p.ReceiveMessageWaitTimeSeconds, "VisibilityTimeout": p.VisibilityTimeout,
		"KmsDataKeyReusePeriodSeconds": p.KmsDataKeyReusePeriodSeconds,
	} {
		if v != nil {
			attributes[key] = strconv.Itoa(int(*v))
		}
	}
	for key, v := range map[string]string{"RedrivePolicy": string(p.RedrivePolicy), "RedriveAllowPolicy": string(p.RedriveAllowPolicy), "KmsMasterKeyId": p.KmsMasterKeyId} {
		if v != "" {
			attributes[key] = v
		}
	}
	if p.SqsManagedSseEnabled != nil {
		attributes["SqsManagedSseEnabled"] = strconv.FormatBool(bool(*p.SqsManagedSseEnabled))
	}
	if err := s.putQueue(p.QueueName, attributes); err != nil {
		return stack.Made{}, err
	}
	url := s.url(p.QueueName)
	return stack.Made{Ref: url, Att: map[string]string{"Arn": ARN(p.QueueName), "QueueName": p.QueueName, "QueueUrl": url}}, nil
}

// putQueue makes a queue, or gives one that is there the attributes of the template, keeping its messages and policy.
func (s *Service) putQueue(queueName string, attributes map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[queueName]
	if !ok {
		_, err := s.create(queueName, attributes)
		return err
	}
	next := defaults()
	if policy, ok := q.settings.text["Policy"]; ok {
		next.text["Policy"] = policy
	}
	if err := next.set(attributes, s); err != nil {
		return err
	}
	q.settings, q.modified = next, s.clock.Now()
	return nil
}

type policyProperties struct {
	Queues         []string // URLs
	PolicyDocument property.Document
}

func (s *Service) makePolicy(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p policyProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range p.Queues {
		q, err := s.byURL(url)
		if err != nil {
			return stack.Made{}, err
		}
		if err := q.settings.set(map[string]string{"Policy": string(p.PolicyDocument)}, s); err != nil {
			return stack.Made{}, err
		}
	}
	return stack.Made{Ref: r.LogicalID, Att: map[string]string{"Id": r.LogicalID}}, nil
}
