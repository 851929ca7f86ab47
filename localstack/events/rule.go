package events

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/pattern"
	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
	"github.com/mayfly-secrets/mayfly/localstack/scheduler/expression"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// Quotas. Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const (
	maxRules   = 300  // per bus
	maxTargets = 5    // per rule
	maxPattern = 2048 // characters
)

// allManagement is the state of rules that want CloudTrail's events of reads, too.
const allManagement = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"

type rule struct {
	Name               string
	EventPattern       string
	ScheduleExpression string
	State              string
	Description        string
	RoleArn            string

	bus      string
	pattern  *pattern.Pattern
	schedule expression.Expression
	timer    *stack.Timer
	targets  map[string]target // by id
}

func (r *rule) enabled() bool { return r.State != "DISABLED" }

func (r *rule) arn() string {
	if r.bus == defaultBus {
		return fmt.Sprintf("arn:aws:events:%s:%s:rule/%s", stack.Region, stack.Account, r.Name)
	}
	return fmt.Sprintf("arn:aws:events:%s:%s:rule/%s/%s", stack.Region, stack.Account, r.bus, r.Name)
}

var ruleName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

type putRuleInput struct {
	Name               string
	EventBusName       string
	EventPattern       string
	ScheduleExpression string
	State              string
	Description        string
	RoleArn            string
	Tags               json.RawMessage // nothing here reads a rule's tags
}

type putRuleOutput struct{ RuleArn string }

func (s *Service) putRule(_ context.Context, _ *stack.Call, in *putRuleInput) (*putRuleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.setRule(in)
	if err != nil {
		return nil, err
	}
	return &putRuleOutput{RuleArn: r.arn()}, nil
}

// setRule creates a rule or changes one; its targets stay. The caller holds the mutex.
func (s *Service) setRule(in *putRuleInput) (*rule, error) {
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	r := &rule{
		Name: in.Name, EventPattern: in.EventPattern, ScheduleExpression: in.ScheduleExpression, State: in.State,
		Description: in.Description, RoleArn: in.RoleArn, bus: b.name, targets: map[string]target{},
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	old, was := b.rules[in.Name]
	if !was && len(b.rules) >= maxRules {
		return nil, fail("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	if was {
		r.targets = old.targets
		s.stopTimer(old)
	}
	b.rules[in.Name] = r
	s.startTimer(r)
	return r, nil
}

func (r *rule) check() error {
	if !ruleName.MatchString(r.Name) {
		return fail("ValidationException", "Rule name %q must match [.-_A-Za-z0-9]+ and have at most 64 characters", r.Name)
	}
	switch r.State {
	case "":
		r.State = "ENABLED"
	case "ENABLED", "DISABLED":
	case allManagement:
	default:
		return fail("ValidationException", "Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]", r.State)
	}
	if r.EventPattern == "" && r.ScheduleExpression == "" {
		return fail("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if r.EventPattern != "" {
		if len(r.EventPattern) > maxPattern {
			return fail("LimitExceededException", "The event pattern has %d characters; the quota is %d.", len(r.EventPattern), maxPattern)
		}
		p, err := pattern.Parse(r.EventPattern)
		if err != nil {
			return fail("InvalidEventPatternException", "%v", err)
		}
		r.pattern = p
	}
	if r.ScheduleExpression == "" {
		return nil
	}
	if r.bus != defaultBus {
		return fail("ValidationException", "ScheduleExpression is supported only on the default event bus.")
	}
	e, err := expression.Parse(r.ScheduleExpression, time.UTC)
	if err != nil || e.Once() {
		return fail("ValidationException", "Parameter ScheduleExpression is not valid.")
	}
	r.schedule = e
	return nil
}

// startTimer schedules the rule's next event. After a jump of the clock over several due times there is one event, and
// the next is counted from then.
func (s *Service) startTimer(r *rule) {
	if r.schedule == nil || !r.enabled() {
		return
	}
	now := s.clock.Now()
	next, ok := r.schedule.Next(now)
	if !ok {
		return
	}
	var timer *stack.Timer
	timer = s.clock.AfterFunc(next.Sub(now), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.timer != timer {
			return // the rule was changed or deleted meanwhile
		}
		s.emitScheduled(r, next)
		s.startTimer(r)
	})
	r.timer = timer
}

func (s *Service) stopTimer(r *rule) {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// emitScheduled sends a rule's own targets the event of a schedule.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
func (s *Service) emitScheduled(r *rule, at time.Time) {
	event, err := transform.Encode(envelope{
		Version: "0", ID: name.UUID(), DetailType: "Scheduled Event", Source: "aws.events", Account: stack.Account,
		Time: timestamp(at), Region: stack.Region, Resources: []string{r.arn()}, Detail: json.RawMessage("{}"),
	})
	if err == nil { // a struct of strings always marshals
		s.deliver(r, event, name.UUID(), s.clock.Now())
	}
}

// find is the rule of that name. The caller holds the mutex.
func (s *Service) find(bus, ruleName string) (*bus, *rule, error) {
	b, err := s.bus(bus)
	if err != nil {
		return nil, nil, err
	}
	r, ok := b.rules[ruleName]
	if !ok {
		return nil, nil, errMissing(ruleName, b.name)
	}
	return b, r, nil
}

type ruleInput struct{ Name, EventBusName string }

type ruleOutput struct {
	Name               string
	Arn                string
	EventBusName       string
	State              string
	EventPattern       string `json:",omitempty"`
	ScheduleExpression string `json:",omitempty"`
	Description        string `json:",omitempty"`
	RoleArn            string `json:",omitempty"`
	CreatedBy          string `json:",omitempty"`
}

func (r *rule) output() ruleOutput {
	return ruleOutput{Name: r.Name, Arn: r.arn(), EventBusName: r.bus, State: r.State, EventPattern: r.EventPattern,
		ScheduleExpression: r.ScheduleExpression, Description: r.Description, RoleArn: r.RoleArn}
}

func (s *Service) describeRule(_ context.Context, _ *stack.Call, in *ruleInput) (*ruleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	out := r.output()
	out.CreatedBy = stack.Account
	return &out, nil
}

type deleteRuleInput struct {
	Name, EventBusName string
	Force              bool // for rules that AWS services manage: there are none here
}

func (s *Service) deleteRule(_ context.Context, _ *stack.Call, in *deleteRuleInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	r, ok := b.rules[in.Name]
	if !ok {
		return &struct{}{}, nil // deleting what is not there is no error
	}
	if len(r.targets) > 0 {
		return nil, fail("ValidationException", "Rule can't be deleted since it has targets.")
	}
	s.stopTimer(r)
	delete(b.rules, in.Name)
	return &struct{}{}, nil
}

func (s *Service) enableRule(_ context.Context, _ *stack.Call, in *ruleInput) (*struct{}, error) {
	return s.setState(in, "ENABLED")
}

func (s *Service) disableRule(_ context.Context, _ *stack.Call, in *ruleInput) (*struct{}, error) {
	return s.setState(in, "DISABLED")
}

func (s *Service) setState(in *ruleInput, state string) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	s.stopTimer(r)
	r.State = state
	s.startTimer(r)
	return &struct{}{}, nil
}

type listRulesInput struct {
	EventBusName string
	NamePrefix   string
	NextToken    string
	Limit        int
}

type listRulesOutput struct {
	Rules     []ruleOutput
	NextToken string `json:",omitempty"`
}

func (s *Service) listRules(_ context.Context, _ *stack.Call, in *listRulesInput) (*listRulesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	names, next := page(b.rules, in.NamePrefix, in.NextToken, in.Limit)
	out := &listRulesOutput{Rules: []ruleOutput{}, NextToken: next}
	for _, name := range names {
		out.Rules = append(out.Rules, b.rules[name].output())
	}
	return out, nil
}

type testEventPatternInput struct{ EventPattern, Event string }

type testEventPatternOutput struct{ Result bool }

// testEventPattern wants the members of an event's envelope, but for detail and version.
// Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html
func (s *Service) testEventPattern(_ context.Context, _ *stack.Call, in *testEventPatternInput) (*testEventPatternOutput, error) {
	p, err := pattern.Parse(in.EventPattern)
	if err != nil {
		return nil, fail("InvalidEventPatternException", "%v", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(in.Event), &members); err != nil {
		return nil, fail("ValidationException", "Parameter Event is not valid. Reason: it is not a JSON object")
	}
	for _, k := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		if _, ok := members[k]; !ok {
			return nil, fail("ValidationException", "Parameter Event is not valid. Reason: %s is a required argument.", k)
		}
	}
	ok, err := p.Match([]byte(in.Event))
	if err != nil {
		return nil, fail("ValidationException", "%v", err)
	}
	return &testEventPatternOutput{Result: ok}, nil
}
