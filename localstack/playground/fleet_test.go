package playground_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
)

// TestFleetStartsWhileFunctionsDie is the whole way of a fleet: an event that affects every secret of it resolves and starts
// each of them once, within the limits, while the function that resolves it is killed wherever it can be.
func TestFleetStartsWhileFunctionsDie(t *testing.T) {
	n := size(t)
	f := newFleet(t, n, time.Now().Add(365*24*time.Hour))
	f.startOnly()
	f.Endpoint.ResetCalls()
	planned := f.kills()
	event := f.incident("one", "8")
	began := time.Now()
	x := f.respond(event, 1)[0]
	f.Logf("%d secrets: resolved and started in %.1f s, the last attempt at resolving took %.1f s", n, time.Since(began).Seconds(), f.resolved(*x.ExecutionArn).Seconds())
	if got := f.killed(); got != planned {
		t.Errorf("the function was killed %d times, want %d", got, planned)
	}
	f.check(event, *x.StartDate)
	f.listed(x, n)
}

// The same event, five times at once, is one rotation for each secret.
func TestFleetOfFiveDeliveriesIsOne(t *testing.T) {
	n := min(size(t), 2000)
	f := newFleet(t, n, time.Now().Add(365*24*time.Hour))
	f.startOnly()
	f.kills()
	event := f.incident("five", "8")
	began := time.Now()
	all := f.respond(event, 5)
	f.Logf("%d secrets, five times: %.1f s", n, time.Since(began).Seconds())
	first := slices.MinFunc(all, func(a, b *sfn.DescribeExecutionOutput) int { return a.StartDate.Compare(*b.StartDate) })
	f.check(event, *first.StartDate)
	for _, x := range all {
		f.listed(x, n)
	}
}

// What is due goes the same way. Here mayfly-rotate is the real one: each run is admitted, finds no secret and says so,
// while the admitting function is killed, too.
func TestDueFleetIsAdmitted(t *testing.T) {
	const n = 120
	f := newFleet(t, n, time.Now().Add(-time.Minute))
	if err := f.Endpoint.AddFault(stack.Fault{Function: "mayfly-admit-rotation", Mode: "kill", When: "after", Skip: 7, Count: 20}); err != nil {
		t.Fatal(err)
	}
	at := f.Clock.Now().Truncate(time.Second)
	event := fmt.Sprintf(`{"source":"mayfly.schedule","detail-type":"Evaluation","time":%q,"detail":{}}`, at.Format(time.RFC3339))
	x := f.respond(event, 1)[0]
	f.check(event, *x.StartDate)
	f.listed(x, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, run := range f.started() {
		out, err := f.machines.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: run.ExecutionArn})
		for err == nil && out.Status == sfntypes.ExecutionStatusRunning {
			time.Sleep(10 * time.Millisecond)
			out, err = f.machines.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: run.ExecutionArn})
		}
		if err != nil || aws.ToString(out.Error) != "FailedClean" {
			t.Fatalf("%s ended %s %s %s, %v", *run.Name, out.Status, aws.ToString(out.Error), aws.ToString(out.Cause), err)
		}
	}
	if got := f.killed(); got != 20 {
		t.Errorf("the admitting function was killed %d times, want 20", got)
	}
}

// misnamed is an S3 in which one start of a fleet has a name that Step Functions refuses.
type misnamed struct{ stepfunctions.Objects }

func (m misnamed) Object(bucket, key, version string) ([]byte, error) {
	body, err := m.Objects.Object(bucket, key, version)
	var list []rotation.Started
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		return nil, err
	}
	list[len(list)/2].Name += "?"
	return json.Marshal(list)
}

// A start that fails for good keeps no other from starting and does not go unnoticed; the event sent again makes good for it.
func TestFleetWithAStartThatFails(t *testing.T) {
	const n = 60
	f := newFleet(t, n, time.Now().Add(365*24*time.Hour))
	f.startOnly()
	objects := f.Machines.Objects
	f.Machines.Objects = misnamed{objects}
	event := f.incident("misnamed", "8")
	x := f.respond(event, 1)[0]
	if x.Status != sfntypes.ExecutionStatusFailed || aws.ToString(x.Error) != "SomeNotStarted" || len(f.started()) != n-1 {
		t.Fatalf("mayfly-respond ended %s %s, with %d started", x.Status, aws.ToString(x.Error), len(f.started()))
	}
	f.Machines.Objects = objects
	f.listed(f.respond(event, 1)[0], n)
	if got := len(f.started()); got != n {
		t.Errorf("%d started after the event was sent again, want %d", got, n)
	}
}

// Where nothing can be started the Map gives up, and mayfly-respond fails, which is alarmed.
func TestFleetThatCannotStart(t *testing.T) {
	f := newFleet(t, 60, time.Now().Add(365*24*time.Hour))
	if _, err := f.machines.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: aws.String(playground.RotateMachine)}); err != nil {
		t.Fatal(err)
	}
	x := f.respond(f.incident("hopeless", "8"), 1)[0]
	if x.Status != sfntypes.ExecutionStatusFailed || aws.ToString(x.Error) != "States.ExceedToleratedFailureThreshold" {
		t.Errorf("mayfly-respond ended %s %s", x.Status, aws.ToString(x.Error))
	}
}
