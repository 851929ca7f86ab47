package stepfunctions

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// task is what a Task state calls, and for how long.
type task struct {
	function string // the ARN of a Lambda function that is itself the Resource, or ""
	service  string // "lambda", "states", "events" or "aws-sdk:sfn"
	action   string // "invoke"
	pattern  string // "", "waitForTaskToken", "sync" or "sync:2"

	timeout, heartbeat         time.Duration // 0 for none
	timeoutFrom, heartbeatFrom *path
}

// integration is one service integration and the parameters that the local stack knows of it:
// https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
type integration struct {
	patterns   []string
	parameters []string
	required   []string
	call       func(t *thread, ctx context.Context, s *state, parameters map[string]any) (any, error)
}

func integrations() map[string]integration {
	return map[string]integration{
		"lambda:invoke": {
			patterns: []string{"", "waitForTaskToken"}, required: []string{"FunctionName"},
			parameters: []string{"FunctionName", "Payload", "Qualifier", "InvocationType"}, call: (*thread).invokeFunction,
		},
		"states:startExecution": {
			patterns: []string{"", "sync", "sync:2", "waitForTaskToken"}, required: []string{"StateMachineArn"},
			parameters: []string{"StateMachineArn", "Name", "Input"}, call: (*thread).startChild,
		},
		"events:putEvents": {
			patterns: []string{"", "waitForTaskToken"}, required: []string{"Entries"},
			parameters: []string{"Entries"}, call: (*thread).putEvents,
		},
		"aws-sdk:sfn:describeMapRun": {
			patterns: []string{""}, required: []string{"MapRunArn"},
			parameters: []string{"MapRunArn"}, call: (*thread).describeMapRunTask,
		},
	}
}

var (
	functionARN    = regexp.MustCompile(`^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]+(:[$a-zA-Z0-9_-]+)?$`)
	integrationARN = regexp.MustCompile(`^arn:aws:states:::(aws-sdk:[a-z0-9]+|[a-z0-9-]+):([a-zA-Z]+)(?:\.(.+))?$`)
)

// task reads a Task state's Resource and times, and checks its Parameters against what the integration knows.
func (p *parser) task(f *fields, parameters template) task {
	k := task{
		timeout: f.seconds("TimeoutSeconds"), heartbeat: f.seconds("HeartbeatSeconds"),
		timeoutFrom: f.path("TimeoutSecondsPath"), heartbeatFrom: f.path("HeartbeatSecondsPath"),
	}
	if (k.timeout > 0 && k.timeoutFrom != nil) || (k.heartbeat > 0 && k.heartbeatFrom != nil) {
		p.problem(f.at, "a time and its Path exclude each other")
	}
	if k.timeout > 0 && k.heartbeat >= k.timeout {
		p.problem(f.at, "HeartbeatSeconds must be less than TimeoutSeconds")
	}
	resource := f.text("Resource")
	if functionARN.MatchString(resource) {
		k.function = resource
		return k
	}
	m := integrationARN.FindStringSubmatch(resource)
	if m == nil {
		p.problem(f.at, "the resource %q is neither a function's ARN nor a service integration", resource)
		return k
	}
	k.service, k.action, k.pattern = m[1], m[2], m[3]
	known, ok := integrations()[k.service+":"+k.action]
	if !ok || !slices.Contains(known.patterns, k.pattern) {
		p.problem(f.at, "the local stack has no service integration %q", resource)
		return k
	}
	if (k.heartbeat > 0 || k.heartbeatFrom != nil) && k.pattern != "waitForTaskToken" {
		p.problem(f.at, "HeartbeatSeconds has no effect without .waitForTaskToken: nothing else sends heartbeats")
	}
	given, ok := parameters.(objectTemplate)
	if !ok {
		p.problem(f.at, "the integration %s needs an object as Parameters", resource)
		return k
	}
	for _, name := range known.required {
		if given[name] == nil {
			p.problem(f.at+"/Parameters", "the field %q is missing", name)
		}
	}
	for name, value := range given {
		if !slices.Contains(known.parameters, name) {
			p.problem(f.at+"/Parameters", "the field %q is not supported by %s", name, resource)
		}
		if name == "InvocationType" && value != (literal{"RequestResponse"}) {
			p.problem(f.at+"/Parameters", "InvocationType must be RequestResponse: the local stack has no other for a Task")
		}
	}
	return k
}

// errOverdue is why a task's context ends when its TimeoutSeconds have passed.
var errOverdue = errors.New("the task's TimeoutSeconds have passed")

// task makes one attempt at a Task state: Parameters, the call, and the events about it.
func (t *thread) task(s *state, sc *scope) (any, error) {
	k := s.task
	var tk *token
	if k.pattern == "waitForTaskToken" {
		tk = t.x.service.newToken()
		defer t.x.service.retire(tk)
		sc.context["Task"] = map[string]any{"Token": tk.text}
		defer delete(sc.context, "Task")
	}
	input, err := s.parameterise(sc)
	if err != nil {
		return nil, err
	}
	timeout, err := limit(k.timeout, k.timeoutFrom, sc, "TimeoutSecondsPath")
	if err != nil {
		return nil, err
	}
	heartbeat, err := limit(k.heartbeat, k.heartbeatFrom, sc, "HeartbeatSecondsPath")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	if timeout > 0 {
		timer := t.x.service.clock.AfterFunc(timeout, func() { cancel(errOverdue) })
		defer timer.Stop()
	}
	w := t.witness(k)
	w.scheduled(input, timeout, heartbeat)
	output, err := t.call(ctx, s, input)
	if err == nil && tk != nil {
		w.submitted(output)
		output, err = t.awaitToken(ctx, tk, heartbeat)
	}
	if err == nil && len(encode(output)) > maxData {
		err = tooMuch(s)
	}
	if err != nil && context.Cause(t.ctx) == nil && errors.Is(context.Cause(ctx), errOverdue) {
		err = faultf(errTimeout, "")
	}
	var f *fault
	switch {
	case err == nil:
		w.succeeded(output)
	case errors.As(err, &f):
		w.failed(f)
	default:
		return nil, context.Cause(t.ctx)
	}
	return output, err
}

// limit is a time in seconds, fixed or from a path; 0 for none.
func limit(fixed time.Duration, from *path, sc *scope, field string) (time.Duration, error) {
	if from == nil {
		return fixed, nil
	}
	v, err := from.must(sc, field)
	if err != nil {
		return 0, err
	}
	n, ok := v.(int64)
	if !ok || n < 1 || n > 99999999 {
		return 0, faultf(errRuntime, "The path '%s' of the field '%s' does not name a whole number from 1 to 99999999.", from.text, field)
	}
	return time.Duration(n) * time.Second, nil
}

func (t *thread) call(ctx context.Context, s *state, input any) (any, error) {
	if s.task.function != "" {
		result, err := t.invoke(ctx, s.task.function, []byte(encode(input)))
		if err != nil {
			return nil, err
		}
		return payload(result.Payload)
	}
	parameters, _ := input.(map[string]any) // parse has seen that it is an object
	return integrations()[s.task.service+":"+s.task.action].call(t, ctx, s, parameters)
}

// witness writes the events about one attempt at a task. A Lambda function's ARN as Resource has types of its own:
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
type witness struct {
	t      *thread
	k      task
	plain  bool
	common details
}

func (t *thread) witness(k task) witness {
	action := k.action
	if k.pattern != "" {
		action += "." + k.pattern
	}
	return witness{t, k, k.function != "", details{"resourceType": k.service, "resource": action}}
}

// with adds members to those that every task event has.
func (w witness) with(more details) details {
	d := details{}
	for _, from := range []details{w.common, more} {
		for k, v := range from {
			if v != "" {
				d[k] = v
			}
		}
	}
	return d
}

func (w witness) scheduled(input any, timeout, heartbeat time.Duration) {
	d := details{}
	if timeout > 0 {
		d["timeoutInSeconds"] = int64(timeout / time.Second)
	}
	if w.plain {
		d["resource"], d["input"], d["inputDetails"] = w.k.function, encode(input), notTruncated
		w.t.record("LambdaFunctionScheduled", d)
		w.t.record("LambdaFunctionStarted", nil)
		return
	}
	if heartbeat > 0 {
		d["heartbeatInSeconds"] = int64(heartbeat / time.Second)
	}
	d["region"], d["parameters"] = stack.Region, encode(input)
	w.t.record("TaskScheduled", w.with(d))
	w.t.record("TaskStarted", w.with(nil))
}

func (w witness) submitted(output any) {
	w.t.record("TaskSubmitted", w.with(details{"output": encode(output), "outputDetails": notTruncated}))
}

func (w witness) succeeded(output any) {
	d := details{"output": encode(output), "outputDetails": notTruncated}
	if w.plain {
		w.t.record("LambdaFunctionSucceeded", d)
		return
	}
	w.t.record("TaskSucceeded", w.with(d))
}

func (w witness) failed(f *fault) {
	kind := "Failed"
	if f.name == errTimeout || f.name == errHeartbeat {
		kind = "TimedOut"
	}
	if w.plain {
		w.t.record("LambdaFunction"+kind, f.details())
		return
	}
	w.t.record("Task"+kind, w.with(f.details()))
}

// payload reads what a function answered; nothing at all is null.
func payload(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, nil
	}
	v, err := decode(b)
	if err != nil {
		return nil, faultf(errRuntime, "The function's response is no JSON.")
	}
	return v, nil
}

// serviceError turns what a service refused into a fault, with its code as AWS writes it in error names: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
func serviceError(service string, err error) error {
	var e *stack.Error
	if errors.As(err, &e) {
		name := e.Code
		if !strings.HasSuffix(name, "Exception") {
			name += "Exception"
		}
		return &fault{service + "." + name, e.Message}
	}
	return err
}
