package stepfunctions

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// maxData is the most that goes into or out of a state, in bytes of JSON:
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const maxData = 256 << 10

// Invoked is what a Lambda function answered. FunctionError is "" unless the function failed.
type Invoked struct {
	Payload       []byte
	FunctionError string
	ErrorType     string
	ErrorMessage  string
}

// Service is Step Functions. Its exported fields are set before the first machine is created.
type Service struct {
	stack.JSON

	// Invoke runs a Lambda function for an execution. It returns a *stack.Error for what Lambda itself refuses, and
	// ctx.Err() when ctx ends first. If nil, machines that invoke functions are refused.
	Invoke func(ctx context.Context, functionARN string, payload []byte, execution string) (Invoked, error)
	// Put sends an EventBridge envelope to a bus for events:putEvents. If nil, machines that put events are refused.
	Put func(ctx context.Context, bus string, event []byte) error
	// Objects is S3, for datasets of distributed Maps. If nil, machines with an ItemReader or a ResultWriter are refused.
	Objects Objects
	// Emit sends "Step Functions Execution Status Change" to the default bus. If nil, there are no such events.
	Emit func(ctx context.Context, event []byte)
	// Metric takes the metrics of namespace AWS/States. If nil, there are none.
	Metric func(namespace, name string, dimensions map[string]string, value float64)
	// Authorize says whether a machine's role may do something; an error is why not. If nil, it may do everything.
	Authorize func(ctx context.Context, roleARN, action, resource string) error
	// NewID makes unique names and task tokens. If nil, they are random UUIDs.
	NewID func() string
	// Random gives numbers in [0, 1) for jitter and States.MathRandom. If nil, it is math/rand's.
	Random func() float64

	clock *stack.Clock
	ctx   context.Context // ends with Close
	stop  context.CancelCauseFunc
	wg    sync.WaitGroup

	packers    sync.Pool // of *flate.Writer
	mu         sync.Mutex
	machines   map[string]*stateMachine // by ARN
	executions map[string]*execution    // by ARN
	order      []*execution             // by start, oldest first
	live       map[*execution]struct{}  // running
	tokens     map[string]*token
	mapRuns    map[string]*mapRun // by ARN
}

// stateMachine is a machine that was created.
type stateMachine struct {
	arn, name, role string
	express         bool
	text            string // the definition as given
	parsed          *machine
	created         time.Time
	logging         any
	tracing         any
	encryption      any
}

// New makes Step Functions without machines. Close ends what runs.
func New(clock *stack.Clock) *Service {
	s := &Service{
		clock: clock, machines: map[string]*stateMachine{}, executions: map[string]*execution{},
		live: map[*execution]struct{}{}, tokens: map[string]*token{}, mapRuns: map[string]*mapRun{},
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.JSON = stack.JSON{Signing: "states", Target: "AWSStepFunctions", Version: "1.0", Ops: s.operations()}
	return s
}

// Close ends every execution where it is and waits until all have ended.
func (s *Service) Close() {
	// Whoever starts an execution looks at ctx under the lock: after this none is added that Wait would miss.
	s.mu.Lock()
	s.stop(errClosed)
	s.mu.Unlock()
	s.wg.Wait()
}

// Running is the number of executions that have something to do now, that is, those that do not wait for the clock. One
// that waits for a task token has: somebody is expected to send it.
func (s *Service) Running() int {
	n, _ := s.census()
	return n
}

// Idle says that executions are under way and that each of them waits for the clock.
func (s *Service) Idle() bool {
	running, waiting := s.census()
	return running == 0 && waiting > 0
}

func (s *Service) census() (running, waiting int) {
	s.mu.Lock()
	live := make([]*execution, 0, len(s.live))
	for x := range s.live {
		live = append(live, x)
	}
	s.mu.Unlock()
	now := s.clock.Now()
	for _, x := range live {
		if active, waits := x.census(now); active {
			running++
		} else if waits {
			waiting++
		}
	}
	return running, waiting
}

// Transitions is the number of state transitions of an execution so far: one for each state entered and each retry, as
// they are billed. https://docs.aws.amazon.com/step-functions/latest/dg/concepts-standard-vs-express.html
func (s *Service) Transitions(executionARN string) int {
	x, err := s.find(executionARN)
	if err != nil {
		return 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.transitions
}

// find looks an execution up by its ARN.
func (s *Service) find(arn string) (*execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.executions[arn]; ok {
		return x, nil
	}
	return nil, &stack.Error{Code: "ExecutionDoesNotExist", Message: fmt.Sprintf("Execution Does Not Exist: '%s'", arn)}
}

func (s *Service) newID() string {
	if s.NewID != nil {
		return s.NewID()
	}
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read aborts the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Service) random() float64 {
	if s.Random != nil {
		return s.Random()
	}
	return mathrand.Float64()
}

func (s *Service) metric(machine *stateMachine, name string, value float64) {
	if s.Metric != nil {
		s.Metric("AWS/States", name, map[string]string{"StateMachineArn": machine.arn}, value)
	}
}

// resourceARN is the ARN of something of Step Functions: kind is "stateMachine", "execution", "express" or "mapRun".
func resourceARN(kind, rest string) string {
	return fmt.Sprintf("arn:aws:states:%s:%s:%s:%s", stack.Region, stack.Account, kind, rest)
}
