package lambda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Payload limits: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxPayload      = 6 << 20 // request and response of a synchronous invocation
	maxAsyncPayload = 1 << 20
)

// Result is what an invocation ended with. FunctionError is "" or "Unhandled"; then ErrorType and ErrorMessage are those
// of the payload, {"errorType", "errorMessage", ...}.
type Result struct {
	Payload       []byte
	FunctionError string
	ErrorType     string
	ErrorMessage  string
}

// Invoke runs a function and waits for it. The execution is the ARN of the state machine execution on whose behalf it
// is called, or "". An error is the service's (a *stack.Error: no such function, throttled, payload too large), never
// the function's. If ctx ends first, the function runs on.
func (s *Service) Invoke(ctx context.Context, functionARN string, payload []byte, execution string) (Result, error) {
	r, _, err := s.invoke(ctx, request{ref: functionARN, id: s.newID(), payload: payload, execution: execution})
	return r, err
}

type request struct {
	ref, qualifier string
	id             string
	payload        []byte
	execution      string
	trace          string
}

func (s *Service) invoke(ctx context.Context, q request) (Result, string, error) {
	if len(q.payload) > maxPayload {
		return Result{}, "", tooLarge(maxPayload)
	}
	if len(q.payload) == 0 {
		q.payload = []byte("{}")
	}
	f, set, version, err := s.admit(q)
	if err != nil {
		return Result{}, "", err
	}
	if q.trace == "" {
		q.trace = newTrace(s.clock.Now())
	}
	inv := &invocation{id: q.id, arn: arn(set.Name), payload: q.payload, execution: q.execution, trace: q.trace, done: make(chan Result, 1)}
	// The ARN is as the caller wrote it: with an alias's name, not the version that it stands for.
	if _, qualifier, _ := splitName(q.ref); q.qualifier == "" {
		q.qualifier = qualifier
	}
	if q.qualifier != "" && q.qualifier != "$LATEST" {
		inv.arn += ":" + q.qualifier
	}
	type outcome struct {
		result Result
		err    error
	}
	over := make(chan outcome, 1)
	go func() {
		defer s.wg.Done()
		r, err := s.carryOut(f, set, version, inv)
		over <- outcome{r, err}
	}()
	select {
	case o := <-over:
		return o.result, version, o.err
	case <-ctx.Done():
		return Result{}, version, ctx.Err()
	}
}

// admit finds the function and takes one unit of its concurrency, which carryOut gives back.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
func (s *Service) admit(q request) (*function, *settings, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, version, err := s.find(q.ref, q.qualifier)
	if err != nil {
		return nil, nil, "", err
	}
	if s.ctx.Err() != nil {
		return nil, nil, "", &stack.Error{Code: "ServiceException", Status: http.StatusInternalServerError, Message: "the local stack is closing"}
	}
	if f.reserved >= 0 && f.running >= f.reserved {
		return nil, nil, "", throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
	}
	if s.inflight >= accountConcurrency {
		return nil, nil, "", throttled("ConcurrentInvocationLimitExceeded")
	}
	f.running++
	s.inflight++
	s.wg.Add(1)
	return f, f.set, version, nil
}

// carryOut runs an admitted invocation in a warm process or a new one.
func (s *Service) carryOut(f *function, set *settings, version string, inv *invocation) (Result, error) {
	defer func() {
		s.mu.Lock()
		f.running--
		s.inflight--
		s.mu.Unlock()
	}()
	s.metric(set.Name, "Invocations", 1)
	began := time.Now()
	b, err := s.process(f, set)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		// What the runtime says when the package has no runnable bootstrap.
		s.metric(set.Name, "Errors", 1)
		return failed("Runtime.InvalidEntrypoint", fmt.Sprintf("RequestId: %s Error: Couldn't find valid bootstrap(s): [%s]", inv.id, filepath.Join(set.Folder, "bootstrap"))), nil
	}
	if err != nil {
		return Result{}, &stack.Error{Code: "ServiceException", Status: http.StatusInternalServerError, Message: err.Error()}
	}
	b.logStart(inv, version)
	result, alive := b.run(inv)
	took := time.Since(began)
	b.logReport(inv, took, result)
	s.metric(set.Name, "Duration", float64(took.Microseconds())/1000)
	if result.FunctionError != "" {
		s.metric(set.Name, "Errors", 1)
	} else {
		s.metric(set.Name, "Errors", 0)
	}
	if alive {
		s.keep(f, b)
	}
	return result, nil
}

// process takes an idle process of the function, or starts one.
func (s *Service) process(f *function, set *settings) (*sandbox, error) {
	s.mu.Lock()
	for len(f.idle) > 0 {
		b := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if b.alive() {
			s.mu.Unlock()
			return b, nil
		}
	}
	s.mu.Unlock()
	return s.start(set)
}

// keep gives a process back to the pool, or ends it if there are enough or the function has changed.
func (s *Service) keep(f *function, b *sandbox) {
	most := s.MaxIdle
	if most == 0 {
		most = 16
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.set != b.set || len(f.idle) >= most || s.ctx.Err() != nil {
		b.kill()
		return
	}
	f.idle = append(f.idle, b)
}

// forget drops a process that has ended.
func (s *Service) forget(b *sandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sandboxes, b)
	if f := s.functions[b.set.Name]; f != nil {
		for i, other := range f.idle {
			if other == b {
				f.idle = append(f.idle[:i], f.idle[i+1:]...)
				return
			}
		}
	}
}

func (b *sandbox) alive() bool {
	select {
	case <-b.exited:
		return false
	default:
		return true
	}
}

func throttled(reason string) error {
	return &stack.Error{
		Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Message: "Rate Exceeded.",
		Fields: map[string]any{"Reason": reason},
	}
}

func tooLarge(limit int) error {
	return &stack.Error{
		Code: "RequestTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit),
	}
}
