package sqs

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

type message struct {
	id         string
	body       string
	attributes map[string]attribute
	trace      string // AWSTraceHeader
	group      string // MessageGroupId, which on a standard queue only steers fairness between tenants
	sender     string
	source     string // ARN of the queue that it died in
	sent       time.Time
	visible    time.Time
	first      time.Time // first receive
	receives   int
	handle     string // of the latest receive
}

// attribute is a message attribute's value.
type attribute struct {
	DataType         string
	StringValue      *string  `json:",omitempty"`
	BinaryValue      []byte   `json:",omitempty"`
	StringListValues []string `json:",omitempty"` // reserved by AWS, never used
	BinaryListValues [][]byte `json:",omitempty"`
}

type sendInput struct {
	QueueUrl                string
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]attribute
	MessageSystemAttributes map[string]attribute
	MessageGroupId          string
	MessageDeduplicationId  string
}

type sendOutput struct {
	MessageId              string
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
}

// Send puts a message into a queue on behalf of another service. Attributes become message attributes of type String.
func (s *Service) Send(_ context.Context, queueARN, body string, attributes map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.byARN(queueARN)
	if !ok {
		return missing()
	}
	in := &sendInput{MessageBody: body}
	for k, v := range attributes {
		if in.MessageAttributes == nil {
			in.MessageAttributes = map[string]attribute{}
		}
		in.MessageAttributes[k] = attribute{DataType: "String", StringValue: &v}
	}
	_, err := s.put(q, in, "AIDAIT2UOQQY3AUEKVGXU")
	return err
}

func (s *Service) sendMessage(_ context.Context, call *stack.Call, in *sendInput) (*sendOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return s.put(q, in, call.Caller.ARN)
}

// put checks and stores a message. The caller holds the mutex.
func (s *Service) put(q *queue, in *sendInput, sender string) (*sendOutput, error) {
	if err := checkMessage(q, in); err != nil {
		return nil, err
	}
	delay := q.settings.seconds("DelaySeconds")
	if in.DelaySeconds != nil {
		if *in.DelaySeconds < 0 || *in.DelaySeconds > 900 {
			return nil, fail("InvalidParameterValue", "Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", *in.DelaySeconds)
		}
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	now := s.clock.Now()
	m := &message{
		id: name.UUID(), body: in.MessageBody, attributes: maps.Clone(in.MessageAttributes), group: in.MessageGroupId,
		sender: sender, sent: now, visible: now.Add(delay),
	}
	if trace, ok := in.MessageSystemAttributes["AWSTraceHeader"]; ok && trace.StringValue != nil {
		m.trace = *trace.StringValue
	}
	q.messages = append(q.messages, m)
	q.signal()
	return &sendOutput{MessageId: m.id, MD5OfMessageBody: bodyDigest(m.body), MD5OfMessageAttributes: attributesDigest(m.attributes)}, nil
}

// checkMessage knows the limits of a message.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
func checkMessage(q *queue, in *sendInput) error {
	if in.MessageBody == "" {
		return fail("MissingParameter", "The request must contain the parameter MessageBody.")
	}
	if in.MessageDeduplicationId != "" {
		return fail("InvalidParameterValue", "The request includes a parameter that is not valid for this queue type: MessageDeduplicationId")
	}
	size := len(in.MessageBody)
	if len(in.MessageAttributes) > 10 {
		return fail("InvalidParameterValue", "Number of message attributes [%d] exceeds the allowed maximum [10].", len(in.MessageAttributes))
	}
	for key, a := range in.MessageAttributes {
		kind, _, _ := strings.Cut(a.DataType, ".")
		value := len(a.BinaryValue)
		if kind == "String" || kind == "Number" {
			if a.StringValue == nil {
				return fail("InvalidParameterValue", "The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", key, kind)
			}
			value = len(*a.StringValue)
		} else if kind != "Binary" {
			return fail("InvalidParameterValue", "The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", key)
		}
		if value == 0 {
			return fail("InvalidParameterValue", "The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", key, kind)
		}
		size += len(key) + len(a.DataType) + value
	}
	if limit := q.settings.number["MaximumMessageSize"]; size > limit {
		return fail("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	}
	for i, r := range in.MessageBody {
		_, width := utf8.DecodeRuneInString(in.MessageBody[i:])
		if r == utf8.RuneError && width == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return fail("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
		}
	}
	return nil
}

func bodyDigest(body string) string {
	sum := md5.Sum([]byte(body)) // the API's checksum, not a protection
	return hex.EncodeToString(sum[:])
}

// attributesDigest is the MD5 over the attributes, by name: each part with its length before it.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation
func attributesDigest(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	part := func(p []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[key]
		part([]byte(key))
		part([]byte(a.DataType))
		if strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 2)
			part(a.BinaryValue)
		} else {
			b = append(b, 1)
			part([]byte(*a.StringValue))
		}
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// signal wakes everyone who waits for a message of the queue.
func (q *queue) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// expire drops messages that are older than the retention period.
func (q *queue) expire(now time.Time) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool {
		return now.Sub(m.sent) >= q.settings.seconds("MessageRetentionPeriod")
	})
}

// newHandle is a receipt handle: the message's id and a random part that is new with each receive.
func newHandle(id string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + "/" + name.UUID()))
}

// byHandle finds what a receipt handle means. A handle of the right form whose message is gone gives nil.
func (q *queue) byHandle(handle string) (*message, error) {
	b, err := base64.StdEncoding.DecodeString(handle)
	id, _, ok := strings.Cut(string(b), "/")
	if err != nil || !ok || len(id) != 36 {
		return nil, fail("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	for _, m := range q.messages {
		if m.id == id {
			return m, nil
		}
	}
	return nil, nil
}
