package sqs

import (
	"context"
	"errors"
	"regexp"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// batchFailure reports one entry of a batch that failed while others succeeded.
type batchFailure struct {
	Id          string
	Code        string
	Message     string
	SenderFault bool
}

func failedEntry(id string, err error) batchFailure {
	var e *stack.Error
	if errors.As(err, &e) {
		return batchFailure{Id: id, Code: e.Code, Message: e.Message, SenderFault: true}
	}
	return batchFailure{Id: id, Code: "InternalError", Message: err.Error()}
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch knows the rules for a batch's entry ids.
// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
func checkBatch(ids []string) error {
	if len(ids) == 0 {
		return fail("EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request.")
	}
	if len(ids) > 10 {
		return fail("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(ids))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if !entryID.MatchString(id) {
			return fail("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return fail("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

type sendBatchInput struct {
	QueueUrl string
	Entries  []struct {
		Id                      string
		MessageBody             string
		DelaySeconds            *int
		MessageAttributes       map[string]attribute
		MessageSystemAttributes map[string]attribute
		MessageGroupId          string
		MessageDeduplicationId  string
	}
}

type sentEntry struct {
	Id string
	sendOutput
}

type sendBatchOutput struct {
	Successful []sentEntry    `json:",omitempty"`
	Failed     []batchFailure `json:",omitempty"`
}

func (s *Service) sendMessageBatch(_ context.Context, call *stack.Call, in *sendBatchInput) (*sendBatchOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	ids, size := []string{}, 0
	for _, e := range in.Entries {
		ids = append(ids, e.Id)
		size += len(e.MessageBody)
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	if size > 1<<20 {
		return nil, fail("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent %d bytes.", size)
	}
	out := &sendBatchOutput{}
	for _, e := range in.Entries {
		sent, err := s.put(q, &sendInput{
			MessageBody: e.MessageBody, DelaySeconds: e.DelaySeconds, MessageAttributes: e.MessageAttributes,
			MessageSystemAttributes: e.MessageSystemAttributes, MessageGroupId: e.MessageGroupId, MessageDeduplicationId: e.MessageDeduplicationId,
		}, call.Caller.ARN)
		if err != nil {
			out.Failed = append(out.Failed, failedEntry(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, sentEntry{Id: e.Id, sendOutput: *sent})
	}
	return out, nil
}

type deleteBatchInput struct {
	QueueUrl string
	Entries  []struct{ Id, ReceiptHandle string }
}

type deletedEntry struct{ Id string }

type deleteBatchOutput struct {
	Successful []deletedEntry `json:",omitempty"`
	Failed     []batchFailure `json:",omitempty"`
}

func (s *Service) deleteMessageBatch(_ context.Context, _ *stack.Call, in *deleteBatchInput) (*deleteBatchOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, e := range in.Entries {
		ids = append(ids, e.Id)
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	out := &deleteBatchOutput{}
	for _, e := range in.Entries {
		if err := q.remove(e.ReceiptHandle); err != nil {
			out.Failed = append(out.Failed, failedEntry(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, deletedEntry{Id: e.Id})
	}
	return out, nil
}
