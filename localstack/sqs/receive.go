package sqs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type receiveInput struct {
	QueueUrl                    string
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	ReceiveRequestAttemptId     string
}

type received struct {
	MessageId              string
	ReceiptHandle          string
	Body                   string
	MD5OfBody              string
	MD5OfMessageAttributes string               `json:",omitempty"`
	Attributes             map[string]string    `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty"`
}

type receiveOutput struct {
	Messages []received `json:",omitempty"`
}

// receiveMessage takes up to MaxNumberOfMessages; with a wait time it stays until one arrives or the time has passed
// on the stack's clock.
func (s *Service) receiveMessage(ctx context.Context, _ *stack.Call, in *receiveInput) (*receiveOutput, error) {
	count := 1
	if in.MaxNumberOfMessages != nil {
		count = *in.MaxNumberOfMessages
	}
	if count < 1 || count > 10 {
		return nil, fail("InvalidParameterValue", "Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", count)
	}
	if v := in.VisibilityTimeout; v != nil && (*v < 0 || *v > 43200) {
		return nil, fail("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200.", *v)
	}
	if v := in.WaitTimeSeconds; v != nil && (*v < 0 || *v > 20) {
		return nil, fail("InvalidParameterValue", "Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", *v)
	}
	var until time.Time
	for {
		s.mu.Lock()
		q, err := s.byURL(in.QueueUrl)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		now := s.clock.Now()
		if until.IsZero() {
			wait := q.settings.seconds("ReceiveMessageWaitTimeSeconds")
			if in.WaitTimeSeconds != nil {
				wait = time.Duration(*in.WaitTimeSeconds) * time.Second
			}
			until = now.Add(wait)
		}
		out := s.take(q, in, count, now)
		changed, next := q.changed, q.nextVisible(now, until)
		s.mu.Unlock()
		if len(out.Messages) > 0 || !now.Before(until) {
			return out, nil
		}
		if err := s.await(ctx, changed, next.Sub(now)); err != nil {
			return nil, err
		}
	}
}

func (s *Service) await(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	due := make(chan struct{})
	timer := s.clock.AfterFunc(d, func() { close(due) })
	defer timer.Stop()
	select {
	case <-changed:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// nextVisible is when the next hidden message shows, at the latest until.
func (q *queue) nextVisible(now, until time.Time) time.Time {
	next := until
	for _, m := range q.messages {
		if m.visible.After(now) && m.visible.Before(next) {
			next = m.visible
		}
	}
	return next
}

// take receives what is visible now. A message that was received as often as the redrive policy allows goes to the
// dead-letter queue instead; it keeps the time it was first sent, as standard queues do.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
func (s *Service) take(q *queue, in *receiveInput, count int, now time.Time) *receiveOutput {
	q.expire(now)
	hide := q.settings.seconds("VisibilityTimeout")
	if in.VisibilityTimeout != nil {
		hide = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	out := &receiveOutput{}
	for _, m := range slices.Clone(q.messages) {
		if len(out.Messages) == count {
			break
		}
		if m.visible.After(now) {
			continue
		}
		if s.bury(q, m) {
			continue
		}
		m.receives++
		if m.first.IsZero() {
			m.first = now
		}
		m.visible, m.handle = now.Add(hide), newHandle(m.id)
		out.Messages = append(out.Messages, m.view(in))
	}
	return out
}

// bury moves a message to the dead-letter queue if it was received often enough.
func (s *Service) bury(q *queue, m *message) bool {
	p := q.settings.redrive
	if p == nil || m.receives < p.maxReceives {
		return false
	}
	dead, ok := s.byARN(p.deadLetterARN)
	if !ok {
		return false // the dead-letter queue is gone: the message stays where it is
	}
	q.messages = slices.DeleteFunc(q.messages, func(o *message) bool { return o == m })
	m.receives, m.first, m.handle, m.source = 0, time.Time{}, "", ARN(q.name)
	dead.messages = append(dead.messages, m)
	dead.signal()
	return true
}

func (m *message) view(in *receiveInput) received {
	r := received{MessageId: m.id, ReceiptHandle: m.handle, Body: m.body, MD5OfBody: bodyDigest(m.body)}
	system := map[string]string{
		"SenderId":                         m.sender,
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	for k, v := range map[string]string{"AWSTraceHeader": m.trace, "MessageGroupId": m.group, "DeadLetterQueueSourceArn": m.source} {
		if v != "" {
			system[k] = v
		}
	}
	asked := append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...)
	maps.DeleteFunc(system, func(k, _ string) bool { return !slices.Contains(asked, k) && !slices.Contains(asked, "All") })
	r.Attributes = system
	r.MessageAttributes = maps.Clone(m.attributes)
	maps.DeleteFunc(r.MessageAttributes, func(k string, _ attribute) bool { return !wanted(in.MessageAttributeNames, k) })
	r.MD5OfMessageAttributes = attributesDigest(r.MessageAttributes)
	return r
}

// wanted reports whether a list of names, "All", ".*" or "prefix.*" asks for a message attribute.
func wanted(names []string, key string) bool {
	for _, n := range names {
		prefix, isPrefix := strings.CutSuffix(n, ".*")
		if n == key || n == "All" || isPrefix && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

type receiptInput struct {
	QueueUrl          string
	ReceiptHandle     string
	VisibilityTimeout *int
}

type deleteMessageInput struct {
	QueueUrl      string
	ReceiptHandle string
}

func (s *Service) deleteMessage(_ context.Context, _ *stack.Call, in *deleteMessageInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, q.remove(in.ReceiptHandle)
}

// remove deletes the message of a handle. Deleting twice, or with the handle of an earlier receive, is no error; the
// latter does not delete, because someone else holds the message by now.
func (q *queue) remove(handle string) error {
	m, err := q.byHandle(handle)
	if err != nil || m == nil || m.handle != handle {
		return err
	}
	q.messages = slices.DeleteFunc(q.messages, func(o *message) bool { return o == m })
	return nil
}

func (s *Service) changeMessageVisibility(_ context.Context, _ *stack.Call, in *receiptInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if in.VisibilityTimeout == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter VisibilityTimeout.")
	}
	if *in.VisibilityTimeout < 0 || *in.VisibilityTimeout > 43200 {
		return nil, fail("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.", *in.VisibilityTimeout)
	}
	m, err := q.byHandle(in.ReceiptHandle)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if m == nil || m.handle != in.ReceiptHandle || !m.visible.After(now) {
		return nil, fail("MessageNotInflight", "The specified message isn't in flight.")
	}
	m.visible = now.Add(time.Duration(*in.VisibilityTimeout) * time.Second)
	q.signal()
	return &struct{}{}, nil
}
