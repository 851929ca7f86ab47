// Package scheduler is the local stack's Amazon EventBridge Scheduler: rate, cron and one-time schedules on the stack's
// clock, with retries and dead-letter queues.
//
// Operations: CreateSchedule, UpdateSchedule, GetSchedule, ListSchedules, DeleteSchedule, CreateScheduleGroup.
// CloudFormation: AWS::Scheduler::Schedule, AWS::Scheduler::ScheduleGroup. Targets: state machines, Lambda functions,
// SQS queues, SNS topics, event buses.
//
// A schedule's timer is due once however far the clock jumps: after a jump over several due times it fires once, and the
// next time is computed from then, as after an outage. A rate without StartDate fires at once, then regularly.
//
// Sources:
//   - https://docs.aws.amazon.com/scheduler/latest/APIReference/
//   - https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
//   - https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
//
// Left out: universal targets (arn:aws:scheduler:::aws-sdk:...), the other groups' operations, tags' operations. A
// flexible time window is known and used at its very beginning, which is within what it allows.
package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service holds the account's schedules.
type Service struct {
	stack.REST
	// Targets is where schedules can send to. Set it before the first one is due.
	Targets delivery.Targets

	clock     *stack.Clock
	deliverer *delivery.Deliverer

	mu        sync.Mutex
	groups    map[string]bool
	schedules map[string]*schedule // by group/name
}

const defaultGroup = "default"

// New makes a service without schedules.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, groups: map[string]bool{defaultGroup: true}, schedules: map[string]*schedule{}}
	s.deliverer = delivery.New(clock, func() *delivery.Targets { return &s.Targets })
	s.REST = stack.REST{Signing: "scheduler", Routes: []stack.Route{
		{Method: http.MethodPost, Path: "/schedules/{Name}", Operation: "CreateSchedule", Op: stack.Handle(s.createSchedule)},
		{Method: http.MethodPut, Path: "/schedules/{Name}", Operation: "UpdateSchedule", Op: stack.Handle(s.updateSchedule)},
		{Method: http.MethodGet, Path: "/schedules/{Name}", Operation: "GetSchedule", Op: stack.Handle(s.getSchedule)},
		{Method: http.MethodDelete, Path: "/schedules/{Name}", Operation: "DeleteSchedule", Op: stack.Handle(s.deleteSchedule)},
		{Method: http.MethodGet, Path: "/schedules", Operation: "ListSchedules", Op: stack.Handle(s.listSchedules)},
		{Method: http.MethodPost, Path: "/schedule-groups/{Name}", Operation: "CreateScheduleGroup", Op: stack.Handle(s.createGroup)},
	}}
	return s
}

// Busy is how many deliveries are being attempted at this moment; those that wait for the clock do not count.
func (s *Service) Busy() int { return s.deliverer.Busy() }

func invalid(format string, a ...any) error {
	return &stack.Error{Code: "ValidationException", Message: fmt.Sprintf(format, a...)}
}

func missing(what, name string) error {
	return &stack.Error{Code: "ResourceNotFoundException", Status: http.StatusNotFound, Message: fmt.Sprintf("%s %s does not exist.", what, name)}
}

func groupARN(group string) string {
	return fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule-group/%s", stack.Region, stack.Account, group)
}

// input is what creates or updates a schedule.
type input struct {
	ActionAfterCompletion      string
	ClientToken                string
	Description                string
	EndDate                    *stack.Time
	FlexibleTimeWindow         *window
	GroupName                  string
	KmsKeyArn                  string // everything here is in memory
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	StartDate                  *stack.Time
	State                      string
	Target                     *target
}

type scheduleARN struct{ ScheduleArn string }

func (s *Service) createSchedule(_ context.Context, call *stack.Call, in *input) (*scheduleARN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.read(call.Labels["Name"], in)
	if err != nil {
		return nil, err
	}
	if _, ok := s.schedules[next.key()]; ok {
		return nil, &stack.Error{Code: "ConflictException", Status: http.StatusConflict, Message: fmt.Sprintf("Schedule %s already exists.", next.name)}
	}
	s.put(next)
	return &scheduleARN{next.arn()}, nil
}

// updateSchedule replaces all of the schedule: what the request leaves out gets its default.
// Source: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
func (s *Service) updateSchedule(_ context.Context, call *stack.Call, in *input) (*scheduleARN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.read(call.Labels["Name"], in)
	if err != nil {
		return nil, err
	}
	if _, ok := s.schedules[next.key()]; !ok {
		return nil, missing("Schedule", next.name)
	}
	s.put(next)
	return &scheduleARN{next.arn()}, nil
}

// put stores a schedule in the place of an older one, and starts its timer. The caller holds the mutex.
func (s *Service) put(next *schedule) {
	now := s.clock.Now()
	next.created, next.modified = now, now
	if old, ok := s.schedules[next.key()]; ok {
		s.stop(old)
		next.created = old.created
	}
	s.schedules[next.key()] = next
	s.start(next)
}

var namePattern = regexp.MustCompile(`^[0-9a-zA-Z\-_.]{1,64}$`)

// read checks the input and makes a schedule of it. The caller holds the mutex.
func (s *Service) read(name string, in *input) (*schedule, error) {
	if !namePattern.MatchString(name) {
		return nil, invalid("Invalid schedule name %q.", name)
	}
	group := in.GroupName
	if group == "" {
		group = defaultGroup
	}
	if !s.groups[group] {
		return nil, missing("Schedule group", group)
	}
	next := &schedule{name: name, group: group, input: *in}
	return next, next.check()
}

type nothing struct{}

func (s *Service) find(call *stack.Call) (*schedule, error) {
	group := call.Request.URL.Query().Get("groupName")
	if group == "" {
		group = defaultGroup
	}
	found, ok := s.schedules[group+"/"+call.Labels["Name"]]
	if !ok {
		return nil, missing("Schedule", call.Labels["Name"])
	}
	return found, nil
}

type scheduleOutput struct {
	Arn                        string
	Name                       string
	GroupName                  string
	Description                string `json:",omitempty"`
	State                      string
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	ActionAfterCompletion      string
	StartDate                  *stack.Time `json:",omitempty"`
	EndDate                    *stack.Time `json:",omitempty"`
	FlexibleTimeWindow         *window
	Target                     *target
	KmsKeyArn                  string `json:",omitempty"`
	CreationDate               stack.Time
	LastModificationDate       stack.Time
}

func (s *Service) getSchedule(_ context.Context, call *stack.Call, _ *nothing) (*scheduleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(call)
	if err != nil {
		return nil, err
	}
	in := f.input
	return &scheduleOutput{
		Arn: f.arn(), Name: f.name, GroupName: f.group, Description: in.Description, State: in.State, KmsKeyArn: in.KmsKeyArn,
		ScheduleExpression: in.ScheduleExpression, ScheduleExpressionTimezone: in.ScheduleExpressionTimezone,
		ActionAfterCompletion: in.ActionAfterCompletion, StartDate: in.StartDate, EndDate: in.EndDate,
		FlexibleTimeWindow: in.FlexibleTimeWindow, Target: in.Target,
		CreationDate: stack.Time{Time: f.created}, LastModificationDate: stack.Time{Time: f.modified},
	}, nil
}

func (s *Service) deleteSchedule(_ context.Context, call *stack.Call, _ *nothing) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(call)
	if err != nil {
		return nil, err
	}
	s.stop(f)
	delete(s.schedules, f.key())
	return &nothing{}, nil
}

type listedSchedule struct {
	Arn, Name, GroupName, State string
	Target                      struct{ Arn string }
	CreationDate                stack.Time
	LastModificationDate        stack.Time
}

type listOutput struct {
	Schedules []listedSchedule
	NextToken string `json:",omitempty"`
}

func (s *Service) listSchedules(_ context.Context, call *stack.Call, _ *nothing) (*listOutput, error) {
	q := call.Request.URL.Query()
	limit := 100
	if text := q.Get("MaxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, invalid("MaxResults must be from 1 to 100, not %s", text)
		}
		limit = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key, f := range s.schedules {
		if (q.Get("ScheduleGroup") == "" || f.group == q.Get("ScheduleGroup")) && strings.HasPrefix(f.name, q.Get("NamePrefix")) &&
			(q.Get("State") == "" || f.input.State == q.Get("State")) && key > q.Get("NextToken") {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	out := &listOutput{Schedules: []listedSchedule{}}
	if len(keys) > limit {
		keys = keys[:limit]
		out.NextToken = keys[limit-1]
	}
	for _, key := range keys {
		f := s.schedules[key]
		one := listedSchedule{Arn: f.arn(), Name: f.name, GroupName: f.group, State: f.input.State,
			CreationDate: stack.Time{Time: f.created}, LastModificationDate: stack.Time{Time: f.modified}}
		one.Target.Arn = f.input.Target.Arn
		out.Schedules = append(out.Schedules, one)
	}
	return out, nil
}

type groupInput struct {
	ClientToken string
	Tags        json.RawMessage // nothing here reads a group's tags
}

type groupOutput struct{ ScheduleGroupArn string }

func (s *Service) createGroup(_ context.Context, call *stack.Call, _ *groupInput) (*groupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := call.Labels["Name"]
	if !namePattern.MatchString(name) {
		return nil, invalid("Invalid schedule group name %q.", name)
	}
	if s.groups[name] {
		return nil, &stack.Error{Code: "ConflictException", Status: http.StatusConflict, Message: fmt.Sprintf("Schedule group %s already exists.", name)}
	}
	s.groups[name] = true
	return &groupOutput{groupARN(name)}, nil
}

// schedule is one schedule. The service's mutex guards it.
type schedule struct {
	name, group       string
	input             input
	created, modified time.Time
	due               dueTimes
	timer             *stack.Timer
}

func (f *schedule) key() string { return f.group + "/" + f.name }

func (f *schedule) arn() string {
	return fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/%s/%s", stack.Region, stack.Account, f.group, f.name)
}
