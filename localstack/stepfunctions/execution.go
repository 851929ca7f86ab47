package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// execution is one run of a machine.
type execution struct {
	service *Service
	machine *stateMachine
	parsed  *machine // as it was when the execution began
	arn     string
	name    string
	label   string // of a distributed Map's child: what its machine's ARN ends with
	mapRun  string // of a distributed Map's child
	input   string
	data    any // the input
	started time.Time
	seq     int // order of start

	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has ended and everybody was told

	mu          sync.Mutex
	events      []event // nil when packed
	packed      []byte  // the events of an execution that has ended
	status      string
	stopped     time.Time
	output      string
	fault       *fault   // why it failed, was stopped or timed out; nil if no reason was given
	ended       []func() // called when it has ended, while it still counts as live
	stopReason  *fault   // what StopExecution was given
	transitions int
	active      int                   // threads that have something to do
	waits       map[*thread]time.Time // threads that wait for the clock, and until when
}

// thread is one line of an execution: the whole of it, a branch of a Parallel state or an iteration of a Map.
type thread struct {
	x    *execution
	ctx  context.Context
	last int64          // id of the line's last event
	item map[string]any // Map.Item of the context object
}

// launch runs a new execution. s.mu is held and s.ctx has not ended.
func (s *Service) launch(x *execution) {
	x.ctx, x.cancel = context.WithCancelCause(s.ctx)
	x.started, x.status, x.active = s.clock.Now(), "RUNNING", 1
	x.waits, x.done = map[*thread]time.Time{}, make(chan struct{})
	x.seq = len(s.order) + 1
	s.executions[x.arn] = x
	s.order = append(s.order, x)
	s.live[x] = struct{}{}
	s.wg.Add(1)
	x.append(0, "ExecutionStarted", details{"input": x.input, "inputDetails": notTruncated, "roleArn": x.machine.role})
	go func() {
		defer s.wg.Done()
		x.run()
	}()
}

func (x *execution) run() {
	s := x.service
	s.metric(x.machine, "ExecutionsStarted", 1)
	x.emit()
	if x.parsed.timeout > 0 {
		timer := s.clock.AfterFunc(x.parsed.timeout, func() { x.cancel(errOutOfTime) })
		defer timer.Stop()
	}
	t := &thread{x: x, ctx: x.ctx}
	output, err := t.run(x.parsed, x.data)
	if x.finish(t.last, output, err) {
		x.emit()
	}
	x.cancel(nil)
	x.mu.Lock()
	ended := x.ended
	x.mu.Unlock()
	for _, f := range ended {
		f()
	}
	s.mu.Lock()
	delete(s.live, x)
	s.mu.Unlock()
	x.pack()
	close(x.done)
}

// finish writes the end of an execution. When the local stack closes, an execution has no end: finish reports false.
func (x *execution) finish(last int64, output any, err error) bool {
	cause := context.Cause(x.ctx)
	if errors.Is(cause, errClosed) {
		return false
	}
	x.mu.Lock()
	x.stopped = x.service.clock.Now()
	took := float64(x.stopped.Sub(x.started).Milliseconds())
	metric := x.end(last, output, err, cause)
	x.mu.Unlock()
	x.service.metric(x.machine, metric, 1)
	x.service.metric(x.machine, "ExecutionTime", took)
	return true
}

// end sets the status and writes the last event; it returns the metric that counts such ends. x.mu is held.
func (x *execution) end(last int64, output any, err, cause error) string {
	var failed *fault
	switch {
	case err == nil:
		x.status, x.output = "SUCCEEDED", encode(output)
		x.append(last, "ExecutionSucceeded", details{"output": x.output, "outputDetails": notTruncated})
		return "ExecutionsSucceeded"
	case errors.As(err, &failed):
		x.status, x.fault = "FAILED", failed
	case errors.Is(cause, errOutOfTime):
		x.status, x.fault = "TIMED_OUT", faultf(errTimeout, "")
		x.append(last, "ExecutionTimedOut", details{})
		return "ExecutionsTimedOut"
	case errors.Is(cause, errStopped):
		x.status, x.fault = "ABORTED", x.stopReason
		d := details{}
		if x.stopReason != nil {
			d = x.stopReason.details()
		}
		x.append(last, "ExecutionAborted", d)
		return "ExecutionsAborted"
	default: // errOutOfHistory
		x.status, x.fault = "FAILED", faultf(errRuntime, "The execution reached the maximum number of history events (%d).", maxEvents)
	}
	x.append(last, "ExecutionFailed", x.fault.details())
	return "ExecutionsFailed"
}

// details are a fault as events show it.
func (f *fault) details() details {
	d := details{}
	if f.name != "" {
		d["error"] = f.name
	}
	if f.cause != "" {
		d["cause"] = f.cause
	}
	return d
}

// emit tells EventBridge about a new status. The children of a distributed Map have no such events.
// https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
func (x *execution) emit() {
	s := x.service
	if s.Emit == nil || x.mapRun != "" {
		return
	}
	x.mu.Lock()
	detail := map[string]any{
		"executionArn": x.arn, "stateMachineArn": x.machine.arn, "name": x.name, "status": x.status,
		"startDate": x.started.UnixMilli(), "stopDate": nil,
		"input": x.input, "inputDetails": map[string]bool{"included": true}, "output": nil, "outputDetails": nil,
	}
	if !x.stopped.IsZero() {
		detail["stopDate"] = x.stopped.UnixMilli()
	}
	if x.status == "SUCCEEDED" {
		detail["output"], detail["outputDetails"] = x.output, map[string]bool{"included": true}
	}
	if x.fault != nil {
		detail["error"], detail["cause"] = x.fault.name, x.fault.cause
	}
	x.mu.Unlock()
	body, _ := json.Marshal(map[string]any{
		"version": "0", "id": s.newID(), "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
		"account": stack.Account, "region": stack.Region, "time": s.clock.Now().Format(time.RFC3339),
		"resources": []string{x.arn}, "detail": detail,
	})
	s.Emit(s.ctx, body)
}

// census says whether a thread has something to do, and whether one waits for the clock. A thread whose time has come
// counts as active, even before it woke up.
func (x *execution) census(now time.Time) (active, waits bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, until := range x.waits {
		if !until.After(now) {
			return true, false
		}
	}
	return x.active > 0, len(x.waits) > 0
}

// sleep waits for the clock.
func (t *thread) sleep(until time.Time) error {
	x := t.x
	d := until.Sub(x.service.clock.Now())
	if d <= 0 {
		return context.Cause(t.ctx)
	}
	x.mu.Lock()
	x.active--
	x.waits[t] = until
	x.mu.Unlock()
	err := x.service.clock.Sleep(t.ctx, d)
	x.mu.Lock()
	x.active++
	delete(x.waits, t)
	x.mu.Unlock()
	if err != nil {
		return context.Cause(t.ctx)
	}
	return nil
}

// fork makes a thread for a branch or iteration.
func (t *thread) fork(ctx context.Context) *thread {
	return &thread{x: t.x, ctx: ctx, last: t.last, item: t.item}
}

// count adds to the number of threads that have something to do.
func (x *execution) count(n int) {
	x.mu.Lock()
	x.active += n
	x.mu.Unlock()
}

// share runs n lines of work beside each other while the thread itself waits for them. There is no moment at which none
// of them counts as active: the thread hands its own place to one of them and takes over the place of the last.
func (t *thread) share(n int, work func(i int)) {
	if n == 0 {
		return
	}
	var left atomic.Int64
	left.Store(int64(n))
	t.x.count(n - 1)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			work(i)
			if left.Add(-1) > 0 {
				t.x.count(-1)
			}
		})
	}
	wg.Wait()
}

// await waits for a child execution, which is live and has this thread's x.count(1) as its ended function. When the
// thread is ended from outside, so is the child.
func (t *thread) await(child *execution) error {
	t.x.count(-1)
	select {
	case <-child.done:
	case <-t.ctx.Done():
		child.abort(nil)
		<-child.done
	}
	return context.Cause(t.ctx)
}

// abort ends an execution as StopExecution does.
func (x *execution) abort(reason *fault) {
	x.mu.Lock()
	x.stopReason = reason
	x.mu.Unlock()
	x.cancel(errStopped)
}
