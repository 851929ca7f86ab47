package scheduler

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a schedule's time zone must be known on every machine

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/scheduler/expression"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

type window struct {
	Mode                   string
	MaximumWindowInMinutes *int `json:",omitempty"`
}

type target struct {
	Arn                   string
	RoleArn               string
	Input                 string                 `json:",omitempty"`
	DeadLetterConfig      *deadLetterConfig      `json:",omitempty"`
	RetryPolicy           *retryPolicy           `json:",omitempty"`
	EventBridgeParameters *eventBridgeParameters `json:",omitempty"`
	SqsParameters         *sqsParameters         `json:",omitempty"`
}

type deadLetterConfig struct {
	Arn string `json:",omitempty"`
}

type retryPolicy struct {
	MaximumEventAgeInSeconds *int `json:",omitempty"` // 60 to 86400
	MaximumRetryAttempts     *int `json:",omitempty"` // 0 to 185
}

type eventBridgeParameters struct{ DetailType, Source string }

// sqsParameters are for FIFO queues, and for fairness between tenants of standard ones, which has no effect here.
type sqsParameters struct {
	MessageGroupId string `json:",omitempty"`
}

// dueTimes says when a schedule fires.
type dueTimes struct {
	expression expression.Expression
	rate       bool
	start, end time.Time // zero if there is none
}

// first is the first due time of a schedule that is made at now. A rate begins at its StartDate or at once.
func (d dueTimes) first(now time.Time) (time.Time, bool) {
	if d.rate {
		if d.start.After(now) {
			now = d.start
		}
		return now, !d.over(now)
	}
	return d.next(now)
}

// next is the due time after now.
func (d dueTimes) next(now time.Time) (time.Time, bool) {
	if d.start.After(now) && !d.expression.Once() { // a one-time schedule ignores StartDate and EndDate
		now = d.start.Add(-time.Second)
	}
	at, ok := d.expression.Next(now)
	return at, ok && !d.over(at)
}

func (d dueTimes) over(t time.Time) bool {
	return !d.end.IsZero() && t.After(d.end) && !d.expression.Once()
}

// check refuses what CreateSchedule refuses, and fills in defaults.
func (f *schedule) check() error {
	in := &f.input
	switch in.State {
	case "":
		in.State = "ENABLED"
	case "ENABLED", "DISABLED":
	default:
		return invalid("Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]", in.State)
	}
	switch in.ActionAfterCompletion {
	case "":
		in.ActionAfterCompletion = "NONE"
	case "NONE", "DELETE":
	default:
		return invalid("Value '%s' at 'actionAfterCompletion' failed to satisfy constraint: Member must satisfy enum value set: [NONE, DELETE]", in.ActionAfterCompletion)
	}
	if w := in.FlexibleTimeWindow; w == nil || w.Mode != "OFF" && w.Mode != "FLEXIBLE" || (w.Mode == "FLEXIBLE") != (w.MaximumWindowInMinutes != nil) {
		return invalid("FlexibleTimeWindow must have the Mode OFF, or FLEXIBLE with MaximumWindowInMinutes")
	}
	if in.ScheduleExpressionTimezone == "" {
		in.ScheduleExpressionTimezone = "UTC"
	}
	zone, err := time.LoadLocation(in.ScheduleExpressionTimezone)
	if err != nil {
		return invalid("Invalid ScheduleExpressionTimezone %s.", in.ScheduleExpressionTimezone)
	}
	e, err := expression.Parse(in.ScheduleExpression, zone)
	if err != nil {
		return invalid("Invalid Schedule Expression %s. %v", in.ScheduleExpression, err)
	}
	f.due = dueTimes{expression: e, rate: strings.HasPrefix(in.ScheduleExpression, "rate(")}
	if in.StartDate != nil {
		f.due.start = in.StartDate.Time
	}
	if in.EndDate != nil {
		f.due.end = in.EndDate.Time
	}
	if !f.due.start.IsZero() && !f.due.end.IsZero() && !f.due.start.Before(f.due.end) {
		return invalid("The EndDate must come after the StartDate.")
	}
	return in.Target.check()
}

func (t *target) check() error {
	switch {
	case t == nil || t.Arn == "" || t.RoleArn == "":
		return invalid("Target must have Arn and RoleArn")
	case delivery.Kind(t.Arn) == "" || delivery.Kind(t.Arn) == "logs":
		return invalid("Provided Arn is not in correct format, or the local stack cannot send to it: %s", t.Arn)
	case (delivery.Kind(t.Arn) == "events") != (t.EventBridgeParameters != nil):
		return invalid("EventBridgeParameters belong to a target that is an event bus, and such a target must have them")
	}
	if p := t.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 185) {
			return invalid("MaximumRetryAttempts must be from 0 to 185, not %d", *n)
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 86400) {
			return invalid("MaximumEventAgeInSeconds must be from 60 to 86400, not %d", *n)
		}
	}
	if d := t.DeadLetterConfig; d != nil && d.Arn != "" && delivery.Kind(d.Arn) != "sqs" {
		return invalid("the dead-letter queue %s is no SQS queue", d.Arn)
	}
	return nil
}

// start sets the timer for the first due time.
func (s *Service) start(f *schedule) {
	if f.input.State == "DISABLED" {
		return
	}
	at, ok := f.due.first(s.clock.Now())
	s.arm(f, at, ok)
}

// arm sets the timer, or completes the schedule when nothing is due any more. The caller holds the mutex.
func (s *Service) arm(f *schedule, at time.Time, ok bool) {
	f.timer = nil
	if !ok {
		if f.input.ActionAfterCompletion == "DELETE" && s.schedules[f.key()] == f {
			delete(s.schedules, f.key())
		}
		return
	}
	var timer *stack.Timer
	timer = s.clock.AfterFunc(at.Sub(s.clock.Now()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.timer != timer {
			return // updated or deleted meanwhile
		}
		s.fire(f, at)
		next, ok := f.due.next(s.clock.Now())
		s.arm(f, next, ok)
	})
	f.timer = timer
}

func (s *Service) stop(f *schedule) {
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// fire sends the schedule's input to its target.
func (s *Service) fire(f *schedule, at time.Time) {
	t, execution := f.input.Target, name.UUID()
	payload := func(attempt int) ([]byte, error) { return []byte(f.payload(at, execution, attempt)), nil }
	job := delivery.Job{
		ID: execution, TargetARN: t.Arn, RoleARN: t.RoleArn, DeadLetterRole: t.RoleArn, // https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
		Payload: payload, MaxAttempts: 185, MaxAge: 24 * time.Hour,
		Dead: func(attributes map[string]string) string {
			attributes["SCHEDULE_ARN"], attributes["EXECUTION_ID"] = f.arn(), execution
			attributes["SCHEDULED_TIME"] = timestamp(at)
			return f.payload(at, execution, 1)
		},
	}
	if p := t.RetryPolicy; p != nil {
		if p.MaximumRetryAttempts != nil {
			job.MaxAttempts = *p.MaximumRetryAttempts
		}
		if p.MaximumEventAgeInSeconds != nil {
			job.MaxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
	}
	if t.DeadLetterConfig != nil {
		job.DeadLetterARN = t.DeadLetterConfig.Arn
	}
	if p := t.EventBridgeParameters; p != nil {
		job.Send = func(ctx context.Context, detail []byte) error { return s.sendEvent(ctx, t.Arn, *p, detail) }
	}
	s.deliverer.Deliver(job)
}

// sendEvent puts an event with the input as its detail on a bus.
func (s *Service) sendEvent(ctx context.Context, busARN string, p eventBridgeParameters, detail []byte) error {
	if s.Targets.Put == nil {
		return missing("Event bus", busARN)
	}
	if !json.Valid(detail) {
		return invalid("Detail is malformed.")
	}
	event, err := json.Marshal(map[string]any{"source": p.Source, "detail-type": p.DetailType, "detail": json.RawMessage(detail)})
	if err != nil {
		return err
	}
	return s.Targets.Put(ctx, busARN[strings.Index(busARN, "/")+1:], event)
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// payload is the schedule's input with its context attributes filled in, as bare text wherever they stand. A schedule
// without input sends the notice of a scheduled event.
func (f *schedule) payload(at time.Time, execution string, attempt int) string {
	if f.input.Target.Input == "" {
		notice, _ := json.Marshal(map[string]any{ // strings always marshal
			"version": "0", "id": execution, "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": stack.Account,
			"time": timestamp(at), "region": stack.Region, "resources": []string{f.arn()}, "detail": "{}",
		})
		return string(notice)
	}
	return strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", f.arn(),
		"<aws.scheduler.scheduled-time>", timestamp(at),
		"<aws.scheduler.execution-id>", execution,
		"<aws.scheduler.attempt-number>", strconv.Itoa(attempt),
	).Replace(f.input.Target.Input)
}
