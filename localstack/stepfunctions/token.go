package stepfunctions

import (
	"context"
	"fmt"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// token is what somebody outside answers a task with:
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
type token struct {
	text    string
	answer  chan tokenAnswer // holds the one answer
	beat    chan struct{}    // a heartbeat came
	retired bool             // the task does not wait any more; guarded by Service.mu
}

type tokenAnswer struct {
	output any
	fault  *fault
}

func (s *Service) newToken() *token {
	tk := &token{text: s.newID() + s.newID(), answer: make(chan tokenAnswer, 1), beat: make(chan struct{}, 1)}
	s.mu.Lock()
	s.tokens[tk.text] = tk
	s.mu.Unlock()
	return tk
}

// retire keeps the token known, so that a late answer is TaskTimedOut and not InvalidToken.
func (s *Service) retire(tk *token) {
	s.mu.Lock()
	tk.retired = true
	s.mu.Unlock()
}

// awaitToken waits for the answer, no longer than a heartbeat's time without one.
func (t *thread) awaitToken(ctx context.Context, tk *token, heartbeat time.Duration) (any, error) {
	missed := make(chan struct{})
	arm := func() *stack.Timer { return t.x.service.clock.AfterFunc(heartbeat, func() { close(missed) }) }
	var timer *stack.Timer
	if heartbeat > 0 {
		timer = arm()
		defer func() { timer.Stop() }()
	}
	for {
		select {
		case a := <-tk.answer:
			if a.fault != nil {
				return nil, a.fault
			}
			return a.output, nil
		case <-tk.beat:
			if timer != nil && timer.Stop() {
				timer = arm()
			}
		case <-missed:
			return nil, faultf(errHeartbeat, "")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// waiting finds the token of a task that still waits; s.mu is held.
func (s *Service) waiting(text string) (*token, error) {
	tk, ok := s.tokens[text]
	switch {
	case !ok:
		return nil, &stack.Error{Code: "InvalidToken", Message: "Invalid Token: 'Invalid token'"}
	case tk.retired:
		return nil, &stack.Error{Code: "TaskTimedOut", Message: "Task Timed Out: 'Provided task does not exist anymore'"}
	}
	return tk, nil
}

// settle gives a waiting task its answer. The first one counts.
func (s *Service) settle(text string, a tokenAnswer) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tk, err := s.waiting(text)
	if err != nil {
		return nil, err
	}
	tk.retired = true
	tk.answer <- a
	return &struct{}{}, nil
}

type sendTaskSuccessInput struct{ TaskToken, Output string }

func (s *Service) sendTaskSuccess(_ context.Context, _ *stack.Call, in *sendTaskSuccessInput) (*struct{}, error) {
	output, err := decode([]byte(in.Output))
	if err != nil || len(in.Output) > maxData {
		return nil, &stack.Error{Code: "InvalidOutput", Message: fmt.Sprintf("Invalid Output: 'the output must be JSON of at most %d bytes'", maxData)}
	}
	return s.settle(in.TaskToken, tokenAnswer{output: output})
}

type sendTaskFailureInput struct{ TaskToken, Error, Cause string }

func (s *Service) sendTaskFailure(_ context.Context, _ *stack.Call, in *sendTaskFailureInput) (*struct{}, error) {
	return s.settle(in.TaskToken, tokenAnswer{fault: &fault{in.Error, in.Cause}})
}

type sendTaskHeartbeatInput struct{ TaskToken string }

func (s *Service) sendTaskHeartbeat(_ context.Context, _ *stack.Call, in *sendTaskHeartbeatInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tk, err := s.waiting(in.TaskToken)
	if err != nil {
		return nil, err
	}
	select {
	case tk.beat <- struct{}{}:
	default: // one is noted already
	}
	return &struct{}{}, nil
}
