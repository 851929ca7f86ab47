// Package sqs is the local stack's Amazon SQS: standard queues with visibility timeouts, delays, long polling,
// retention and dead-letter queues, on the stack's clock.
//
// Operations: CreateQueue, DeleteQueue, ListQueues, GetQueueUrl, GetQueueAttributes, SetQueueAttributes, PurgeQueue,
// SendMessage, SendMessageBatch, ReceiveMessage, DeleteMessage, DeleteMessageBatch, ChangeMessageVisibility.
// CloudFormation: AWS::SQS::Queue, AWS::SQS::QueuePolicy.
//
// Sources:
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
//
// Left out: FIFO queues (refused), message move tasks, tags' operations, encryption (its settings are kept and have no
// effect: everything here is in memory).
package sqs

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service holds the account's queues.
type Service struct {
	stack.JSON
	clock   *stack.Clock
	baseURL string

	mu     sync.Mutex
	queues map[string]*queue // by name
}

// queue is one standard queue. The service's mutex guards it.
type queue struct {
	name     string
	settings settings
	created  time.Time
	modified time.Time
	purged   time.Time
	messages []*message    // oldest first
	changed  chan struct{} // closed and replaced whenever a message may have become visible
}

// New makes a service without queues. BaseURL is how clients reach the local stack; queue URLs begin with it.
func New(clock *stack.Clock, baseURL string) *Service {
	if baseURL == "" {
		baseURL = "http://127.0.0.1:4566"
	}
	s := &Service{clock: clock, baseURL: strings.TrimSuffix(baseURL, "/"), queues: map[string]*queue{}}
	s.JSON = stack.JSON{Signing: "sqs", Target: "AmazonSQS", Version: "1.0", Ops: map[string]stack.Op{
		"CreateQueue":             stack.Handle(s.createQueue),
		"DeleteQueue":             stack.Handle(s.deleteQueue),
		"ListQueues":              stack.Handle(s.listQueues),
		"GetQueueUrl":             stack.Handle(s.getQueueURL),
		"GetQueueAttributes":      stack.Handle(s.getQueueAttributes),
		"SetQueueAttributes":      stack.Handle(s.setQueueAttributes),
		"PurgeQueue":              stack.Handle(s.purgeQueue),
		"SendMessage":             stack.Handle(s.sendMessage),
		"SendMessageBatch":        stack.Handle(s.sendMessageBatch),
		"ReceiveMessage":          stack.Handle(s.receiveMessage),
		"DeleteMessage":           stack.Handle(s.deleteMessage),
		"DeleteMessageBatch":      stack.Handle(s.deleteMessageBatch),
		"ChangeMessageVisibility": stack.Handle(s.changeMessageVisibility),
	}}
	return s
}

// Serve answers like every AWS JSON service, and names in an error the code of the older Query protocol too, as SQS
// does for clients that were written against it.
// Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
func (s *Service) Serve(ctx context.Context, call *stack.Call) stack.Reply {
	return withQueryCode(s.JSON.Serve(ctx, call))
}

// Fail writes an error as Serve does.
func (s *Service) Fail(err error) stack.Reply { return withQueryCode(s.JSON.Fail(err)) }

func withQueryCode(reply stack.Reply) stack.Reply {
	if reply.Status < http.StatusBadRequest {
		return reply
	}
	code, side := reply.Header.Get("X-Amzn-ErrorType"), "Sender"
	switch code {
	case "QueueDoesNotExist":
		code = "AWS.SimpleQueueService.NonExistentQueue"
	case "QueueNameExists":
		code = "QueueAlreadyExists"
	case "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId",
		"MessageNotInflight", "PurgeQueueInProgress", "TooManyEntriesInBatchRequest", "UnsupportedOperation":
		code = "AWS.SimpleQueueService." + code
	}
	if reply.Status >= http.StatusInternalServerError {
		side = "Receiver"
	}
	reply.Header.Set("X-Amzn-Query-Error", code+";"+side)
	return reply
}

func fail(code, format string, a ...any) error {
	return &stack.Error{Code: code, Message: fmt.Sprintf(format, a...)}
}

func missing() error { return fail("QueueDoesNotExist", "The specified queue does not exist.") }

// ARN is the ARN of the queue of that name.
func ARN(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", stack.Region, stack.Account, name)
}

func (s *Service) url(name string) string {
	return fmt.Sprintf("%s/%s/%s", s.baseURL, stack.Account, name)
}

// byURL finds a queue by its URL; only the path counts, so that a URL stays good whatever host a client calls.
// The caller holds the mutex.
func (s *Service) byURL(url string) (*queue, error) {
	parts := strings.Split(url, "/")
	if len(parts) < 2 || parts[len(parts)-2] != stack.Account {
		return nil, fail("InvalidAddress", "The address %s is not valid for this endpoint.", url)
	}
	q, ok := s.queues[parts[len(parts)-1]]
	if !ok {
		return nil, missing()
	}
	return q, nil
}

func (s *Service) byARN(arn string) (*queue, bool) {
	name, ok := strings.CutPrefix(arn, ARN(""))
	if !ok {
		return nil, false
	}
	q, ok := s.queues[name]
	return q, ok
}

// Policy is the queue's resource policy, "" if it has none or does not exist.
func (s *Service) Policy(queueARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.byARN(queueARN); ok {
		return q.settings.text["Policy"]
	}
	return ""
}

// Key is the KMS key under which the queue keeps its messages, "" if there is none.
func (s *Service) Key(queueARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.byARN(queueARN); ok {
		return q.settings.text["KmsMasterKeyId"]
	}
	return ""
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURL struct{ QueueUrl string }

func (s *Service) createQueue(_ context.Context, _ *stack.Call, in *createQueueInput) (*queueURL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.queues[in.QueueName]; ok {
		// The same attributes give the queue that is there; others are an error.
		wanted := q.settings.clone()
		if err := wanted.set(in.Attributes, s); err != nil {
			return nil, err
		}
		if !wanted.equal(q.settings) {
			return nil, fail("QueueNameExists", "A queue already exists with the same name and a different value for at least one attribute")
		}
		return &queueURL{s.url(q.name)}, nil
	}
	if _, err := s.create(in.QueueName, in.Attributes); err != nil {
		return nil, err
	}
	return &queueURL{s.url(in.QueueName)}, nil
}

func (s *Service) create(name string, attributes map[string]string) (*queue, error) {
	if strings.HasSuffix(name, ".fifo") || attributes["FifoQueue"] == "true" {
		return nil, fail("UnsupportedOperation", "The local stack has no FIFO queues.")
	}
	if !queueName.MatchString(name) {
		return nil, fail("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	now := s.clock.Now()
	q := &queue{name: name, settings: defaults(), created: now, modified: now, changed: make(chan struct{})}
	if err := q.settings.set(attributes, s); err != nil {
		return nil, err
	}
	s.queues[name] = q
	return q, nil
}

type queueInput struct{ QueueUrl string }

func (s *Service) deleteQueue(_ context.Context, _ *stack.Call, in *queueInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	delete(s.queues, q.name)
	q.signal()
	return &struct{}{}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      int
	NextToken       string
}

type listQueuesOutput struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listQueues(_ context.Context, _ *stack.Call, in *listQueuesInput) (*listQueuesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.queues {
		if strings.HasPrefix(name, in.QueueNamePrefix) && name > in.NextToken {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	out := &listQueuesOutput{}
	if in.MaxResults > 0 && len(names) > in.MaxResults {
		names = names[:in.MaxResults]
		out.NextToken = names[len(names)-1]
	}
	for _, name := range names {
		out.QueueUrls = append(out.QueueUrls, s.url(name))
	}
	return out, nil
}

type getQueueURLInput struct {
	QueueName              string
	QueueOwnerAWSAccountId string
}

func (s *Service) getQueueURL(_ context.Context, _ *stack.Call, in *getQueueURLInput) (*queueURL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := in.QueueOwnerAWSAccountId
	if _, ok := s.queues[in.QueueName]; !ok || owner != "" && owner != stack.Account {
		return nil, missing()
	}
	return &queueURL{s.url(in.QueueName)}, nil
}

// purgePause is how long after a purge another one is refused.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
const purgePause = 60 * time.Second

func (s *Service) purgeQueue(_ context.Context, _ *stack.Call, in *queueInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if now.Sub(q.purged) < purgePause {
		return nil, fail("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	q.messages, q.purged = nil, now
	return &struct{}{}, nil
}
