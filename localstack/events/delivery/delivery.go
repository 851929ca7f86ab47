// Package delivery takes events to targets, for EventBridge rules and for EventBridge Scheduler alike: asynchronously,
// at least once, retried with growing pauses on the stack's clock, and to a dead-letter queue in the end.
//
// Sources:
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Targets are the services that events can be taken to. The composition root sets them; a nil one is a target that
// does not exist. Each returns once the target has accepted the event. An error with an AWS error code (*stack.Error)
// decides whether trying again makes sense.
type Targets struct {
	// Invoke takes an event to a function as an asynchronous invocation: it returns when the event is accepted. What
	// the function makes of it, and trying it again, is Lambda's business.
	Invoke func(ctx context.Context, functionARN string, payload []byte) error
	// Start starts an execution; the name "" is a random one.
	Start func(ctx context.Context, machineARN, name string, input []byte) (executionARN string, err error)
	// Send puts a message into a queue, for targets and for dead letters.
	Send func(ctx context.Context, queueARN, body string, attributes map[string]string) error
	// Publish publishes to a topic.
	Publish func(ctx context.Context, topicARN, subject, message string) error
	// Log writes a line to a log group.
	Log func(group, stream string, at time.Time, line string)
	// Put puts a whole event on another bus.
	Put func(ctx context.Context, bus string, event []byte) error
	// Authorize says whether a role may do something to a target; its error is why not. If nil, roles may do everything.
	Authorize func(ctx context.Context, roleARN, action, resourceARN string) error
}

// actions are what a role needs at a target, by Kind. Log groups are written to without one.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-iam-roles.html
var actions = map[string]string{
	"lambda": "lambda:InvokeFunction", "states": "states:StartExecution", "sqs": "sqs:SendMessage", "sns": "sns:Publish", "events": "events:PutEvents",
}

// may says whether the role may reach the target. Without a role the target's own policy decides, which is not modelled.
func (t *Targets) may(ctx context.Context, roleARN, targetARN string) error {
	action := actions[Kind(targetARN)]
	if roleARN == "" || action == "" || t.Authorize == nil {
		return nil
	}
	return t.Authorize(ctx, roleARN, action, targetARN)
}

// Kind is the service that an ARN belongs to, as far as it can be a target: "lambda", "states", "sqs", "sns", "events",
// "logs", or "" for anything else.
func Kind(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ""
	}
	switch service, resource := parts[2], parts[5]; {
	case service == "lambda" && strings.HasPrefix(resource, "function:"),
		service == "states" && strings.HasPrefix(resource, "stateMachine:"),
		service == "events" && strings.HasPrefix(resource, "event-bus/"),
		service == "logs" && strings.HasPrefix(resource, "log-group:"),
		service == "sqs", service == "sns":
		return service
	}
	return ""
}

// Job is one event on its way to one target.
type Job struct {
	ID        string // of the event: names the log stream
	TargetARN string
	RoleARN   string                            // with which the target is reached; "" for the service itself
	Payload   func(attempt int) ([]byte, error) // what the target gets, for attempt 1, 2, ...
	// Send, if set, delivers instead of what TargetARN says.
	Send        func(ctx context.Context, payload []byte) error
	MaxAttempts int           // retries after the first attempt
	MaxAge      time.Duration // from now
	// DeadLetterARN is the queue for what could not be delivered; "" drops it, as AWS does.
	DeadLetterARN  string
	DeadLetterRole string // ARN of the role with which it is sent there; "" for the service itself
	// Dead makes the dead letter; attributes hold ERROR_CODE and what else is known, and may be added to.
	Dead func(attributes map[string]string) (body string)
}

// Deliverer delivers jobs.
type Deliverer struct {
	clock   *stack.Clock
	targets func() *Targets
	busy    atomic.Int64
}

// New makes a deliverer. Targets is asked at each attempt.
func New(clock *stack.Clock, targets func() *Targets) *Deliverer {
	return &Deliverer{clock: clock, targets: targets}
}

// Busy is how many attempts are under way at this moment; those that wait for the clock do not count.
func (d *Deliverer) Busy() int { return int(d.busy.Load()) }

// Deliver takes the job on and returns at once.
func (d *Deliverer) Deliver(job Job) {
	d.busy.Add(1)
	go d.attempt(job, 1, d.clock.Now())
}

// attempt makes one attempt and schedules the next one, or gives up. The caller has counted it as busy.
func (d *Deliverer) attempt(job Job, n int, began time.Time) {
	defer d.busy.Add(-1)
	ctx := context.Background()
	err := d.once(ctx, job, n)
	if err == nil {
		return
	}
	pause := Pause(n, rand.Float64)
	exhausted := ""
	switch {
	case !retryable(err):
		// Trying again cannot help before somebody repairs something: at once to the dead letters.
	case n > job.MaxAttempts:
		exhausted = "MaximumRetryAttempts"
	case d.clock.Now().Add(pause).Sub(began) > job.MaxAge:
		exhausted = "MaximumEventAgeInSeconds"
	default:
		d.clock.AfterFunc(pause, func() {
			d.busy.Add(1)
			d.attempt(job, n+1, began)
		})
		return
	}
	d.bury(ctx, job, n, exhausted, err)
}

func (d *Deliverer) once(ctx context.Context, job Job, n int) error {
	payload, err := job.Payload(n)
	if err != nil {
		return &stack.Error{Code: "InvalidJSON", Message: err.Error()}
	}
	if err := d.targets().may(ctx, job.RoleARN, job.TargetARN); err != nil {
		return err
	}
	if job.Send != nil {
		return job.Send(ctx, payload)
	}
	return d.targets().send(ctx, job.ID, job.TargetARN, payload, d.clock.Now())
}

func (t *Targets) send(ctx context.Context, id, arn string, payload []byte, now time.Time) error {
	switch kind := Kind(arn); {
	case kind == "lambda" && t.Invoke != nil:
		return t.Invoke(ctx, arn, payload)
	case kind == "states" && t.Start != nil:
		_, err := t.Start(ctx, arn, "", payload)
		return err
	case kind == "sqs" && t.Send != nil:
		return t.Send(ctx, arn, string(payload), nil)
	case kind == "sns" && t.Publish != nil:
		return t.Publish(ctx, arn, "", string(payload))
	case kind == "events" && t.Put != nil:
		return t.Put(ctx, arn[strings.Index(arn, "/")+1:], payload)
	case kind == "logs" && t.Log != nil:
		group := strings.TrimSuffix(arn[strings.Index(arn, ":log-group:")+len(":log-group:"):], ":*")
		t.Log(group, id, now, string(payload))
		return nil
	}
	return &stack.Error{Code: "ResourceNotFoundException", Message: fmt.Sprintf("the local stack has no target %s", arn)}
}

// bury sends the dead letter, if there is a queue for it.
func (d *Deliverer) bury(ctx context.Context, job Job, attempts int, exhausted string, cause error) {
	send := d.targets().Send
	if job.DeadLetterARN == "" || send == nil {
		return
	}
	attributes := map[string]string{
		"TARGET_ARN": job.TargetARN, "ERROR_CODE": code(cause), "ERROR_MESSAGE": message(cause), "RETRY_ATTEMPTS": strconv.Itoa(attempts - 1),
	}
	if exhausted != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
	}
	body := job.Dead(attributes)
	if d.targets().may(ctx, job.DeadLetterRole, job.DeadLetterARN) != nil {
		return // lost, in AWS too
	}
	_ = send(ctx, job.DeadLetterARN, body, attributes) // a dead-letter queue that is gone loses the event in AWS too
}

// Pause is how long to wait after attempt n: doubling from a second to eight minutes, and at random between half and all
// of that. AWS says only "exponential back off and jitter"; eight minutes makes 185 retries take about 24 hours, which
// are its two limits. Random gives numbers in [0, 1).
func Pause(n int, random func() float64) time.Duration {
	pause := 8 * time.Minute
	if n <= 9 {
		pause = min(pause, time.Second<<(n-1))
	}
	return pause/2 + time.Duration(random()*float64(pause/2))
}

// retryable says whether a later attempt could succeed by itself. Missing targets, missing permissions and refused
// input could not.
func retryable(err error) bool {
	switch code(err) {
	case "NO_RESOURCE", "NO_PERMISSIONS", "INVALID_PARAMETER", "INVALID_JSON":
		return false
	}
	return true
}

// code is the ERROR_CODE of a dead letter.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func code(err error) string {
	var e *stack.Error
	if !errors.As(err, &e) {
		return "INTERNAL_ERROR"
	}
	switch e.Code {
	case "ResourceNotFoundException", "StateMachineDoesNotExist", "QueueDoesNotExist", "NotFound", "NotFoundException":
		return "NO_RESOURCE"
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation":
		return "NO_PERMISSIONS"
	case "Throttling", "ThrottlingException", "TooManyRequestsException":
		return "THROTTLING"
	case "InvalidJSON":
		return "INVALID_JSON"
	case "ValidationException", "InvalidExecutionInput", "InvalidArn", "InvalidParameterValue", "InvalidParameter", "InvalidMessageContents":
		return "INVALID_PARAMETER"
	}
	return "ERROR_FROM_TARGET"
}

func message(err error) string {
	var e *stack.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
