package sqs

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// settings are a queue's attributes that can be set.
type settings struct {
	number  map[string]int
	text    map[string]string
	redrive *redrivePolicy
}

type redrivePolicy struct {
	deadLetterARN string
	maxReceives   int
}

// bounds of the numeric attributes, and their defaults.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
func bounds(name string) (low, high, standard int, ok bool) {
	switch name {
	case "DelaySeconds":
		return 0, 900, 0, true
	case "MaximumMessageSize":
		return 1024, 1 << 20, 1 << 20, true
	case "MessageRetentionPeriod":
		return 60, 1209600, 345600, true
	case "ReceiveMessageWaitTimeSeconds":
		return 0, 20, 0, true
	case "VisibilityTimeout":
		return 0, 43200, 30, true
	}
	return 0, 0, 0, false
}

func defaults() settings {
	s := settings{number: map[string]int{}, text: map[string]string{"SqsManagedSseEnabled": "true"}}
	for _, name := range []string{"DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"} {
		_, _, s.number[name], _ = bounds(name)
	}
	return s
}

func (s settings) clone() settings {
	return settings{number: maps.Clone(s.number), text: maps.Clone(s.text), redrive: s.redrive}
}

func (s settings) equal(o settings) bool {
	return maps.Equal(s.number, o.number) && maps.Equal(s.text, o.text)
}

func (s settings) seconds(name string) time.Duration {
	return time.Duration(s.number[name]) * time.Second
}

// set changes attributes, or none of them when one is wrong.
func (s *settings) set(attributes map[string]string, in *Service) error {
	next := s.clone()
	for name, value := range attributes {
		if low, high, _, ok := bounds(name); ok {
			n, err := strconv.Atoi(value)
			if err != nil || n < low || n > high {
				return fail("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
			}
			next.number[name] = n
			continue
		}
		switch name {
		case "RedrivePolicy":
			policy, err := parseRedrive(value, in)
			if err != nil {
				return err
			}
			next.redrive = policy
		case "Policy", "RedriveAllowPolicy":
			if value != "" && !json.Valid([]byte(value)) {
				return fail("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
			}
		case "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled":
		default:
			return fail("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		if value == "" {
			delete(next.text, name)
		} else {
			next.text[name] = value
		}
	}
	*s = next
	return nil
}

// parseRedrive reads {"deadLetterTargetArn": ..., "maxReceiveCount": 1 to 1000}; the count may be a string.
func parseRedrive(text string, in *Service) (*redrivePolicy, error) {
	if text == "" {
		return nil, nil
	}
	var p struct {
		DeadLetterTargetARN string `json:"deadLetterTargetArn"`
		MaxReceiveCount     any    `json:"maxReceiveCount"`
	}
	invalid := func(reason string) error {
		return fail("InvalidAttributeValue", "Value %s for parameter RedrivePolicy is invalid. Reason: %s", text, reason)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&p); err != nil {
		return nil, invalid("Redrive policy is not a valid JSON map.")
	}
	var count string
	switch v := p.MaxReceiveCount.(type) {
	case json.Number:
		count = v.String()
	case string:
		count = v
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1000 {
		return nil, invalid("Invalid value for maxReceiveCount: " + count + ", valid values are from 1 to 1000 both inclusive.")
	}
	if _, ok := in.byARN(p.DeadLetterTargetARN); !ok {
		return nil, invalid("Dead letter target does not exist.")
	}
	return &redrivePolicy{deadLetterARN: p.DeadLetterTargetARN, maxReceives: n}, nil
}

type getQueueAttributesInput struct {
	QueueUrl       string
	AttributeNames []string
}

type getQueueAttributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Service) getQueueAttributes(_ context.Context, _ *stack.Call, in *getQueueAttributesInput) (*getQueueAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := q.attributes(s.clock.Now())
	out := &getQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames {
		if name == "All" {
			out.Attributes = all
			break
		}
		if v, ok := all[name]; ok {
			out.Attributes[name] = v
		} else if !optional(name) {
			return nil, fail("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return out, nil
}

// optional attributes exist and are absent from queues that do not have them.
func optional(name string) bool {
	switch name {
	case "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled",
		"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit":
		return true
	}
	return false
}

func (q *queue) attributes(now time.Time) map[string]string {
	q.expire(now)
	visible, hidden, delayed := 0, 0, 0
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			visible++
		case m.receives > 0:
			hidden++
		default:
			delayed++
		}
	}
	all := maps.Clone(q.settings.text)
	for name, n := range q.settings.number {
		all[name] = strconv.Itoa(n)
	}
	all["QueueArn"] = ARN(q.name)
	all["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.modified.Unix(), 10)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(hidden)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(delayed)
	return all
}

type setQueueAttributesInput struct {
	QueueUrl   string
	Attributes map[string]string
}

func (s *Service) setQueueAttributes(_ context.Context, _ *stack.Call, in *setQueueAttributesInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.settings.set(in.Attributes, s); err != nil {
		return nil, err
	}
	q.modified = s.clock.Now()
	return &struct{}{}, nil
}
