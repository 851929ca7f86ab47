// Package lambda is AWS Lambda for functions with a custom runtime: it runs the real `bootstrap` binaries through the
// Runtime API, one process per concurrent invocation, and keeps idle ones warm.
//
// Operations: Invoke (RequestResponse, Event, DryRun), GetFunction, GetFunctionConfiguration, ListFunctions and
// UpdateFunctionConfiguration; and function URLs (see url.go). Resources: see resource.go.
//
//   - https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
//   - https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
//   - https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
//   - https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
//
// Left out: layers, extensions, container images, event source mappings, response streaming, provisioned concurrency,
// and the freezing of a process between two invocations. Every version and alias of a function runs its newest code.
package lambda

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Logs is where the lines go that functions write. Put makes the group and the stream if they are missing.
type Logs interface {
	Put(group, stream string, at time.Time, line string)
}

// Service is Lambda. Its exported fields are set before the first request.
type Service struct {
	stack.REST

	// Endpoint is the URL of the local stack, given to functions as AWS_ENDPOINT_URL.
	Endpoint string
	// Send puts a message into an SQS queue, for dead letters and on-failure destinations. If nil, functions that name
	// such a queue are refused when they are made.
	Send func(ctx context.Context, queueARN, body string, attributes map[string]string) error
	// Metric takes the metrics of namespace AWS/Lambda. If nil, there are none.
	Metric func(namespace, name string, dimensions map[string]string, value float64)
	// Authorize says whether a function's role may do what Lambda does with it: write the log. If nil, it may.
	Authorize func(ctx context.Context, roleARN, action, resource string) error
	// MaxIdle is how many idle processes a function keeps at most. If 0, it is 16.
	MaxIdle int
	// NewID makes request ids. If nil, they are random UUIDs.
	NewID func() string

	clock      *stack.Clock
	identities *stack.Identities
	logs       Logs

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu        sync.Mutex
	functions map[string]*function
	sandboxes map[*sandbox]struct{}
	inflight  int // invocations under way, waiting retries not counted
}

// New makes Lambda without functions. Close ends its processes.
func New(clock *stack.Clock, identities *stack.Identities, logs Logs) *Service {
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{
		clock: clock, identities: identities, logs: logs, ctx: ctx, stop: stop,
		functions: map[string]*function{}, sandboxes: map[*sandbox]struct{}{},
	}
	s.REST = stack.REST{Signing: "lambda", Routes: s.routes()}
	return s
}

// Close kills every process and waits until they, and all asynchronous work, have ended.
func (s *Service) Close() {
	s.stop()
	s.mu.Lock()
	for b := range s.sandboxes {
		b.kill()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// begin adds a goroutine to those that Close waits for, or reports that the service is closed.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.wg.Add(1)
	return true
}

// Busy is the number of invocations under way now. Waiting asynchronous retries do not count.
func (s *Service) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inflight
}

// Process is one running function process.
type Process struct {
	PID      int
	Function string
	Args     []string
	Environ  []string
}

// Processes lists the running processes, so that a test can look for secrets in their environment and arguments.
func (s *Service) Processes() []Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Process
	for b := range s.sandboxes {
		list = append(list, Process{PID: b.cmd.Process.Pid, Function: b.set.Name, Args: b.cmd.Args, Environ: b.cmd.Env})
	}
	return list
}

// Kill kills the process that holds an identity's credentials and works for its execution, and reports whether there
// was one. All processes of a function share one identity, as they do in AWS; if an execution runs the same function
// more than once at a time, all of those are killed.
func (s *Service) Kill(id stack.Identity) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for b := range s.sandboxes {
		if inv := b.current.Load(); inv != nil && b.set.Name == id.Function && inv.execution == id.Execution {
			b.kill()
			found = true
		}
	}
	return found
}

func (s *Service) newID() string {
	if s.NewID != nil {
		return s.NewID()
	}
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Service) metric(function, name string, value float64) {
	if s.Metric != nil {
		s.Metric("AWS/Lambda", name, map[string]string{"FunctionName": function}, value)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read aborts the program instead
	return b
}

func randomHex(n int) string { return hex.EncodeToString(randomBytes(n)) }
