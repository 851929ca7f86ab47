package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/scheduler"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

type bench struct {
	*testing.T
	ctx       context.Context
	c         *api.Client
	clock     *stack.Clock
	scheduler *scheduler.Service
	started   chan string // inputs of executions
	sent      chan sent   // messages to queues
}

type sent struct {
	body       string
	attributes map[string]string
}

const (
	machine = "arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-respond"
	role    = "arn:aws:iam::000000000000:role/scheduler"
	queue   = "arn:aws:sqs:us-east-1:000000000000:dead"
)

func start(t *testing.T) *bench {
	clock := stack.NewClock()
	b := &bench{T: t, ctx: t.Context(), clock: clock, scheduler: scheduler.New(clock), started: make(chan string, 50), sent: make(chan sent, 50)}
	b.scheduler.Targets.Start = func(_ context.Context, _, _ string, input []byte) (string, error) {
		b.started <- string(input)
		return "", nil
	}
	b.scheduler.Targets.Send = func(_ context.Context, _, body string, attributes map[string]string) error {
		b.sent <- sent{body, attributes}
		return nil
	}
	b.c = api.NewFromConfig(stacktest.Serve(t, b.scheduler))
	return b
}

func (b *bench) create(expression string, change func(*api.CreateScheduleInput)) string {
	b.Helper()
	name := fmt.Sprint("s", time.Now().UnixNano())
	in := &api.CreateScheduleInput{Name: &name, ScheduleExpression: &expression, FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{Arn: aws.String(machine), RoleArn: aws.String(role), Input: aws.String(`{}`)}}
	if change != nil {
		change(in)
	}
	if _, err := b.c.CreateSchedule(b.ctx, in); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = b.c.DeleteSchedule(context.Background(), &api.DeleteScheduleInput{Name: &name}) })
	return name
}

func (b *bench) fired() string {
	b.Helper()
	select {
	case input := <-b.started:
		return input
	case <-time.After(5 * time.Second):
		b.Fatal("the schedule did not fire")
		return ""
	}
}

func (b *bench) quiet() {
	b.Helper()
	time.Sleep(20 * time.Millisecond)
	select {
	case input := <-b.started:
		b.Errorf("the schedule fired: %s", input)
	default:
	}
}

func (b *bench) wantCode(err error, code string) {
	b.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		b.Errorf("got %v, want the code %s", err, code)
	}
}

func TestRate(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	b.create("rate(15 minutes)", func(in *api.CreateScheduleInput) {
		in.Target.Input = aws.String(`{"at":"<aws.scheduler.scheduled-time>","id":"<aws.scheduler.execution-id>","arn":"<aws.scheduler.schedule-arn>","n":<aws.scheduler.attempt-number>}`)
	})
	var input struct {
		At  time.Time
		ID  string
		Arn string
		N   int
	}
	if err := json.Unmarshal([]byte(b.fired()), &input); err != nil {
		t.Fatal(err)
	}
	if input.ID == "" || !strings.Contains(input.Arn, ":schedule/default/s") || input.N != 1 || b.clock.Now().Sub(input.At) > time.Minute {
		t.Errorf("%+v", input)
	}
	b.quiet()
	b.clock.Advance(15*time.Minute + time.Second)
	b.fired()
	b.quiet()
	// A jump over many due times fires once; the next is a full pause later.
	b.clock.Advance(24 * time.Hour)
	b.fired()
	b.quiet()
	b.clock.Advance(14 * time.Minute)
	b.quiet()
	b.clock.Advance(2 * time.Minute)
	b.fired()
}

func TestOnce(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	at := b.clock.Now().Add(time.Hour)
	name := b.create("at("+at.Format("2006-01-02T15:04:05")+")", func(in *api.CreateScheduleInput) { in.ActionAfterCompletion = types.ActionAfterCompletionDelete })
	b.quiet()
	b.clock.Advance(2 * time.Hour)
	b.fired()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := b.c.GetSchedule(b.ctx, &api.GetScheduleInput{Name: &name})
		if err != nil {
			b.wantCode(err, "ResourceNotFoundException")
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the completed schedule is still there")
		}
	}
	b.clock.Advance(48 * time.Hour)
	b.quiet()
}

func TestStatesAndDates(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	name := b.create("rate(1 hour)", func(in *api.CreateScheduleInput) {
		in.State = types.ScheduleStateDisabled
		in.EndDate = aws.Time(b.clock.Now().Add(90 * time.Minute))
	})
	b.clock.Advance(time.Minute)
	b.quiet()
	got, err := b.c.GetSchedule(b.ctx, &api.GetScheduleInput{Name: &name})
	if err != nil || got.State != types.ScheduleStateDisabled || *got.ScheduleExpressionTimezone != "UTC" || *got.Target.Arn != machine {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := b.c.UpdateSchedule(b.ctx, &api.UpdateScheduleInput{Name: &name, ScheduleExpression: got.ScheduleExpression, FlexibleTimeWindow: got.FlexibleTimeWindow,
		Target: got.Target, EndDate: got.EndDate}); err != nil {
		t.Fatal(err)
	}
	b.fired()
	b.clock.Advance(61 * time.Minute)
	b.fired()
	b.clock.Advance(10 * time.Hour)
	b.quiet()
}

func TestStartDate(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	b.create("rate(1 hour)", func(in *api.CreateScheduleInput) { in.StartDate = aws.Time(b.clock.Now().Add(30 * time.Minute)) })
	b.quiet()
	b.clock.Advance(31 * time.Minute)
	b.fired()
}

func TestRefusalsAndLists(t *testing.T) {
	b := start(t)
	name := b.create("cron(0 9 * * ? *)", func(in *api.CreateScheduleInput) { in.ScheduleExpressionTimezone = aws.String("Europe/Lisbon") })
	in := func() *api.CreateScheduleInput {
		return &api.CreateScheduleInput{Name: aws.String("other"), ScheduleExpression: aws.String("rate(1 day)"), FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
			Target: &types.Target{Arn: aws.String(machine), RoleArn: aws.String(role)}}
	}
	for code, change := range map[string][]func(*api.CreateScheduleInput){
		"ConflictException":         {func(i *api.CreateScheduleInput) { i.Name = &name }},
		"ResourceNotFoundException": {func(i *api.CreateScheduleInput) { i.GroupName = aws.String("nope") }},
		"ValidationException": {
			func(i *api.CreateScheduleInput) { i.ScheduleExpression = aws.String("rate(1 days)") },
			func(i *api.CreateScheduleInput) { i.ScheduleExpressionTimezone = aws.String("Mars/Olympus") },
			func(i *api.CreateScheduleInput) {
				i.Target.Arn = aws.String("arn:aws:scheduler:::aws-sdk:sqs:sendMessage")
			},
			func(i *api.CreateScheduleInput) {
				i.Target.Arn = aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default")
			},
			func(i *api.CreateScheduleInput) {
				i.Target.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(186)}
			},
			func(i *api.CreateScheduleInput) { i.FlexibleTimeWindow.Mode = types.FlexibleTimeWindowModeFlexible },
		},
	} {
		for n, f := range change {
			i := in()
			f(i)
			if _, err := b.c.CreateSchedule(b.ctx, i); err == nil {
				t.Errorf("%s %d: accepted", code, n)
			} else {
				b.wantCode(err, code)
			}
		}
	}
	list, err := b.c.ListSchedules(b.ctx, &api.ListSchedulesInput{NamePrefix: &name})
	if err != nil || len(list.Schedules) != 1 || *list.Schedules[0].Target.Arn != machine {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := b.c.DeleteSchedule(b.ctx, &api.DeleteScheduleInput{Name: &name}); err != nil {
		t.Error(err)
	}
	_, err = b.c.GetSchedule(b.ctx, &api.GetScheduleInput{Name: &name})
	b.wantCode(err, "ResourceNotFoundException")
}

func TestDeadLetters(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	b.scheduler.Targets.Start = func(context.Context, string, string, []byte) (string, error) {
		return "", &stack.Error{Code: "StateMachineDoesNotExist", Message: "State Machine Does Not Exist"}
	}
	b.create("rate(1 day)", func(in *api.CreateScheduleInput) {
		in.Target.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(queue)}
	})
	dead := <-b.sent
	if dead.body != "{}" || dead.attributes["ERROR_CODE"] != "NO_RESOURCE" || dead.attributes["TARGET_ARN"] != machine || !strings.Contains(dead.attributes["SCHEDULE_ARN"], ":schedule/default/s") {
		t.Errorf("%+v", dead)
	}
}

func TestOtherTargets(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	b.create("rate(1 day)", func(in *api.CreateScheduleInput) {
		in.Target.Arn, in.Target.Input = aws.String("arn:aws:sqs:us-east-1:000000000000:q"), nil
	})
	if m := <-b.sent; !strings.Contains(m.body, `"source":"aws.scheduler"`) {
		t.Errorf("%+v", m)
	}
	put := make(chan string, 1)
	b.scheduler.Targets.Put = func(_ context.Context, bus string, event []byte) error { put <- bus + " " + string(event); return nil }
	b.create("rate(1 day)", func(in *api.CreateScheduleInput) {
		in.Target.Arn, in.Target.Input = aws.String("arn:aws:events:us-east-1:000000000000:event-bus/feed"), aws.String(`{"x":1}`)
		in.Target.EventBridgeParameters = &types.EventBridgeParameters{Source: aws.String("mayfly"), DetailType: aws.String("Tick")}
	})
	if got := <-put; got != `feed {"detail":{"x":1},"detail-type":"Tick","source":"mayfly"}` {
		t.Error(got)
	}
}

func TestScheduleResource(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	build := func(typ, id, properties string) (stack.Made, error) {
		return b.scheduler.Resources()[typ](b.ctx, stack.Resource{LogicalID: id, Type: typ, Properties: []byte(properties)})
	}
	if made, err := build("AWS::Scheduler::ScheduleGroup", "Group", `{"Name":"mayfly"}`); err != nil || made.Ref != "mayfly" {
		t.Fatal(made, err)
	}
	text := `{"Name":"mayfly-evaluate","GroupName":"mayfly","ScheduleExpression":"rate(15 minutes)","FlexibleTimeWindow":{"Mode":"FLEXIBLE","MaximumWindowInMinutes":"5"},
	  "StartDate":"2030-01-01T00:00:00Z","Target":{"Arn":"` + machine + `","RoleArn":"` + role + `","Input":"{}","RetryPolicy":{"MaximumRetryAttempts":10}}}`
	for range 2 { // made again is made in place
		made, err := build("AWS::Scheduler::Schedule", "Evaluate", text)
		if err != nil || made.Ref != "mayfly-evaluate" || made.Att["Arn"] != "arn:aws:scheduler:us-east-1:000000000000:schedule/mayfly/mayfly-evaluate" {
			t.Fatal(made, err)
		}
	}
	b.quiet()
	b.clock.Advance(time.Until(time.Date(2030, 1, 1, 0, 1, 0, 0, time.UTC)))
	b.fired()
	b.quiet()
	if _, err := build("AWS::Scheduler::Schedule", "Bad", `{"Colour":"red"}`); err == nil {
		t.Error("an unknown property was accepted")
	}
}
