package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// asyncConfig says what happens to an asynchronous event whose invocation fails:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
type asyncConfig struct {
	retries   int           // after the first attempt
	maxAge    time.Duration // events older than this are given up
	onFailure string        // ARN of a queue, or ""
}

var defaultAsync = asyncConfig{retries: 2, maxAge: 6 * time.Hour}

// event is one asynchronous invocation and what has become of it.
type event struct {
	request  request
	set      *settings
	config   asyncConfig
	accepted time.Time
	attempts int
}

// InvokeAsync accepts an event and returns; the function runs afterwards, again after one and two minutes of the
// stack's clock if it fails, and what failed for good goes to the on-failure destination or the dead-letter queue.
func (s *Service) InvokeAsync(ctx context.Context, functionARN string, payload []byte, execution string) error {
	return s.invokeAsync(request{ref: functionARN, id: s.newID(), payload: payload, execution: execution})
}

func (s *Service) invokeAsync(q request) error {
	if len(q.payload) > maxAsyncPayload {
		return tooLarge(maxAsyncPayload)
	}
	s.mu.Lock()
	f, _, err := s.find(q.ref, q.qualifier)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	e := &event{request: q, set: f.set, config: f.async, accepted: s.clock.Now()}
	s.mu.Unlock()
	if !s.begin() {
		return &stack.Error{Code: "ServiceException", Status: 500, Message: "the local stack is closing"}
	}
	go func() {
		defer s.wg.Done()
		s.deliver(e)
	}()
	return nil
}

// deliver invokes until it succeeds, the retries are used up or the event is too old.
func (s *Service) deliver(e *event) {
	throttles := 0
	for {
		result, _, err := s.invoke(s.ctx, e.request)
		var wait time.Duration
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			var refused *stack.Error
			if !errors.As(err, &refused) || refused.Code == "ResourceNotFoundException" {
				return // the function was deleted meanwhile
			}
			// Throttles and service errors do not use up retries: Lambda tries again for up to six hours, 1 second
			// to 5 minutes apart.
			wait = min(time.Second<<min(throttles, 9), 5*time.Minute)
			throttles++
		case result.FunctionError == "":
			return
		default:
			e.attempts++
			if e.attempts > e.config.retries {
				s.giveUp(e, "RetriesExhausted", result)
				return
			}
			wait = time.Duration(e.attempts) * time.Minute
		}
		if s.clock.Now().Add(wait).Sub(e.accepted) > e.config.maxAge {
			s.giveUp(e, "EventAgeExceeded", result)
			return
		}
		if s.clock.Sleep(s.ctx, wait) != nil {
			return
		}
	}
}

// giveUp sends a failed event to the function's destination and dead-letter queue.
func (s *Service) giveUp(e *event, condition string, result Result) {
	s.metric(e.set.Name, "AsyncEventsDropped", 1)
	if e.config.onFailure != "" {
		record := map[string]any{
			"version": "1.0", "timestamp": s.clock.Now().Format("2006-01-02T15:04:05.000Z"),
			"requestContext": map[string]any{
				"requestId": e.request.id, "functionArn": arn(e.set.Name) + ":$LATEST",
				"condition": condition, "approximateInvokeCount": e.attempts,
			},
			"requestPayload":  rawJSON(e.request.payload),
			"responseContext": map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": result.FunctionError},
			"responsePayload": rawJSON(result.Payload),
		}
		body, _ := json.Marshal(record)
		s.send(e, e.config.onFailure, string(body), nil)
	}
	if e.set.DeadLetter != "" {
		// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
		message := result.ErrorMessage
		if len(message) > 1024 {
			message = message[:1024]
		}
		s.send(e, e.set.DeadLetter, string(e.request.payload), map[string]string{
			"RequestID": e.request.id, "ErrorCode": "200", "ErrorMessage": message,
		})
	}
}

func (s *Service) send(e *event, queue, body string, attributes map[string]string) {
	if err := s.Send(s.ctx, queue, body, attributes); err != nil {
		s.metric(e.set.Name, "DestinationDeliveryFailures", 1)
		s.logs.Put(e.set.Logging.Group, "[$LATEST]async", s.clock.Now(), "event "+e.request.id+" could not be sent to "+queue+": "+err.Error())
	}
}

// rawJSON embeds a payload as it is, or as a string if it is not JSON.
func rawJSON(payload []byte) any {
	if len(payload) == 0 {
		return nil
	}
	if !json.Valid(payload) {
		return string(payload)
	}
	return json.RawMessage(payload)
}

// isQueue says whether an ARN names an SQS queue, the only destination that the local stack sends to.
func isQueue(arn string) bool { return strings.HasPrefix(arn, "arn:aws:sqs:") }
