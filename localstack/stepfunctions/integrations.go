package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// invoke runs a function and turns its error into a fault with the function's own error name. A function that timed out
// is Sandbox.Timedout and one that crashed Runtime.ExitError, as Lambda's payload names them; one without a name is
// Lambda.Unknown, and what Lambda itself refuses is Lambda.<code>:
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-error-representation
// https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
func (t *thread) invoke(ctx context.Context, function string, payload []byte) (Invoked, error) {
	x := t.x
	if err := t.authorize(ctx, "lambda:InvokeFunction", function); err != nil {
		return Invoked{}, faultf("Lambda.AWSLambdaException", "%v (Service: Lambda, Status Code: 403)", err)
	}
	result, err := x.service.Invoke(ctx, function, payload, x.arn)
	switch {
	case ctx.Err() != nil:
		return Invoked{}, ctx.Err()
	case err != nil:
		if err = serviceError("Lambda", err); !isFault(err) {
			err = faultf("Lambda.Unknown", "The cause could not be determined because Lambda did not return an error type: %v", err)
		}
		return Invoked{}, err
	case result.FunctionError != "":
		name := result.ErrorType
		if name == "" {
			name = "Lambda.Unknown"
		}
		return Invoked{}, &fault{name, string(result.Payload)}
	}
	return result, nil
}

func isFault(err error) bool {
	var f *fault
	return errors.As(err, &f)
}

func (t *thread) authorize(ctx context.Context, action, resource string) error {
	if t.x.service.Authorize == nil {
		return nil
	}
	return t.x.service.Authorize(ctx, t.x.machine.role, action, resource)
}

// responseMetadata is what every optimised integration adds to its output.
func (t *thread) responseMetadata(out map[string]any) map[string]any {
	out["SdkHttpMetadata"] = map[string]any{"HttpStatusCode": int64(http.StatusOK)}
	out["SdkResponseMetadata"] = map[string]any{"RequestId": t.x.service.newID()}
	return out
}

// invokeFunction is lambda:invoke: https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func (t *thread) invokeFunction(ctx context.Context, s *state, parameters map[string]any) (any, error) {
	function, ok := parameters["FunctionName"].(string)
	if !ok {
		return nil, faultf(errRuntime, "The FunctionName of the state '%s' is %s, not a string.", s.name, kindOf(parameters["FunctionName"]))
	}
	version := "$LATEST"
	if q, ok := parameters["Qualifier"].(string); ok && q != "" {
		function, version = function+":"+q, q
	}
	request := []byte("{}")
	if v, ok := parameters["Payload"]; ok {
		request = []byte(encode(v))
	}
	result, err := t.invoke(ctx, function, request)
	if err != nil {
		return nil, err
	}
	answer, err := payload(result.Payload)
	if err != nil {
		return nil, err
	}
	return t.responseMetadata(map[string]any{"ExecutedVersion": version, "Payload": answer, "StatusCode": int64(http.StatusOK)}), nil
}

// startChild is states:startExecution: https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
func (t *thread) startChild(ctx context.Context, s *state, parameters map[string]any) (any, error) {
	arn, _ := parameters["StateMachineArn"].(string)
	name, _ := parameters["Name"].(string)
	input := "{}"
	switch v := parameters["Input"].(type) {
	case nil:
	case string:
		input = v
	default:
		input = encode(v)
	}
	if err := t.authorize(ctx, "states:StartExecution", arn); err != nil {
		return nil, faultf(errPermissions, "%v", err)
	}
	sync := s.task.pattern == "sync" || s.task.pattern == "sync:2"
	var ended []func()
	if sync {
		ended = []func(){func() { t.x.count(1) }}
	}
	child, err := t.x.service.begin(arn, name, input, ended...)
	if err != nil {
		return nil, serviceError("StepFunctions", err)
	}
	out := map[string]any{"ExecutionArn": child.arn, "StartDate": child.started.UnixMilli()}
	if !sync {
		return t.responseMetadata(out), nil
	}
	t.record("TaskSubmitted", t.witness(s.task).with(details{"output": encode(out), "outputDetails": notTruncated}))
	inner := &thread{x: t.x, ctx: ctx}
	if err := inner.await(child); err != nil {
		return nil, err
	}
	return child.outcome(s.task.pattern == "sync:2")
}

// outcome is what .sync gives: the description of the execution, or a failed task with it as its cause.
func (x *execution) outcome(parsed bool) (any, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	d := map[string]any{
		"ExecutionArn": x.arn, "StateMachineArn": x.machine.arn, "Name": x.name, "Status": x.status,
		"StartDate": x.started.UnixMilli(), "StopDate": x.stopped.UnixMilli(),
		"Input": x.input, "InputDetails": map[string]any{"Included": true},
	}
	if x.fault != nil {
		d["Error"], d["Cause"] = x.fault.name, x.fault.cause
	}
	if x.status != "SUCCEEDED" {
		return nil, &fault{errTaskFailed, encode(d)}
	}
	d["OutputDetails"] = map[string]any{"Included": true}
	d["Output"] = x.output
	if parsed {
		d["Output"], _ = decode([]byte(x.output)) // it was encoded here
		d["Input"] = x.data
	}
	return d, nil
}

// putEvents is events:putEvents. Step Functions adds the ARNs of the execution and its machine to the resources:
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html
func (t *thread) putEvents(ctx context.Context, s *state, parameters map[string]any) (any, error) {
	type entry struct {
		Detail                           json.RawMessage
		DetailType, EventBusName, Source string
		Resources                        []string
		Time                             *time.Time
	}
	var entries []entry
	if err := strict(encode(parameters["Entries"]), &entries); err != nil || len(entries) == 0 || len(entries) > 10 {
		return nil, faultf(errRuntime, "The Entries of the state '%s' are not 1 to 10 entries of putEvents: %v", s.name, err)
	}
	results := []any{}
	for _, e := range entries {
		bus := e.EventBusName
		if bus == "" {
			bus = "default"
		}
		if err := t.authorize(ctx, "events:PutEvents", stackBus(bus)); err != nil {
			return nil, faultf(errPermissions, "%v", err)
		}
		var text string
		if json.Unmarshal(e.Detail, &text) == nil {
			e.Detail = json.RawMessage(text) // given as a string of JSON
		}
		at := t.x.service.clock.Now()
		if e.Time != nil {
			at = *e.Time
		}
		id := t.x.service.newID()
		envelope, err := json.Marshal(map[string]any{
			"version": "0", "id": id, "detail-type": e.DetailType, "source": e.Source, "account": stack.Account,
			"time": at.UTC().Format(time.RFC3339), "region": stack.Region,
			"resources": append(append([]string{}, e.Resources...), t.x.machine.arn, t.x.arn), "detail": e.Detail,
		})
		if err == nil {
			err = t.x.service.Put(ctx, bus, envelope)
		}
		if err != nil {
			return nil, faultf("EventBridge.FailedEntry", "%v", err)
		}
		results = append(results, map[string]any{"EventId": id})
	}
	return t.responseMetadata(map[string]any{"Entries": results, "FailedEntryCount": int64(0)}), nil
}

// stackBus is the ARN of a bus that may be named by either.
func stackBus(bus string) string {
	if len(bus) > 4 && bus[:4] == "arn:" {
		return bus
	}
	return "arn:aws:events:" + stack.Region + ":" + stack.Account + ":event-bus/" + bus
}
