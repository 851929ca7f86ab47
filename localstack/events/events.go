// Package events is the local stack's Amazon EventBridge: event buses, rules with patterns or schedules, and targets
// with input transformation, retries and dead-letter queues.
//
// Operations: PutEvents, PutRule, DeleteRule, DescribeRule, EnableRule, DisableRule, ListRules, PutTargets,
// RemoveTargets, ListTargetsByRule, CreateEventBus, DeleteEventBus, DescribeEventBus, ListEventBuses, TestEventPattern.
// CloudFormation: AWS::Events::Rule, AWS::Events::EventBus, AWS::Events::EventBusPolicy. Targets: Lambda functions,
// state machines, SQS queues, SNS topics, event buses, log groups.
//
// Delivery is asynchronous and happens at least once: a receiver must not rely on getting an event once only.
//
// Sources:
//   - https://docs.aws.amazon.com/eventbridge/latest/APIReference/
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
//
// Left out: archives and replay, partner sources, API destinations, global endpoints, tags' operations, encryption. A
// bus's policy is kept for whoever decides on access; this package decides nothing.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service holds the account's buses and rules.
type Service struct {
	stack.JSON
	// Targets is where events can go. Set it before the first event; its Put is the service's own.
	Targets delivery.Targets
	// RootPlaysAWS lets the account's root put events with sources of AWS's own services, which AWS refuses to everybody:
	// on one machine somebody has to play GuardDuty and CodeDeploy. Roles are refused all the same.
	RootPlaysAWS bool

	clock     *stack.Clock
	deliverer *delivery.Deliverer

	mu    sync.Mutex
	buses map[string]*bus
}

type bus struct {
	name        string
	description string
	created     time.Time
	modified    time.Time
	policy      map[string]json.RawMessage // statements, by id
	rules       map[string]*rule
}

// New makes a service with the default bus.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, buses: map[string]*bus{}}
	s.deliverer = delivery.New(clock, func() *delivery.Targets {
		t := s.Targets
		t.Put = s.Put
		return &t
	})
	s.addBus(defaultBus, "")
	s.JSON = stack.JSON{Signing: "events", Target: "AWSEvents", Version: "1.1", Ops: map[string]stack.Op{
		"PutEvents":         stack.Handle(s.putEvents),
		"PutRule":           stack.Handle(s.putRule),
		"DeleteRule":        stack.Handle(s.deleteRule),
		"DescribeRule":      stack.Handle(s.describeRule),
		"EnableRule":        stack.Handle(s.enableRule),
		"DisableRule":       stack.Handle(s.disableRule),
		"ListRules":         stack.Handle(s.listRules),
		"PutTargets":        stack.Handle(s.putTargets),
		"RemoveTargets":     stack.Handle(s.removeTargets),
		"ListTargetsByRule": stack.Handle(s.listTargetsByRule),
		"CreateEventBus":    stack.Handle(s.createEventBus),
		"DeleteEventBus":    stack.Handle(s.deleteEventBus),
		"DescribeEventBus":  stack.Handle(s.describeEventBus),
		"ListEventBuses":    stack.Handle(s.listEventBuses),
		"TestEventPattern":  stack.Handle(s.testEventPattern),
	}}
	return s
}

// Busy is how many deliveries are being attempted at this moment; those that wait for the clock do not count.
func (s *Service) Busy() int { return s.deliverer.Busy() }

const defaultBus = "default"

func fail(code, format string, a ...any) error {
	return &stack.Error{Code: code, Message: fmt.Sprintf(format, a...)}
}

func busARN(name string) string {
	return fmt.Sprintf("arn:aws:events:%s:%s:event-bus/%s", stack.Region, stack.Account, name)
}

// busName takes a name or an ARN; "" is the default bus.
func busName(nameOrARN string) string {
	if nameOrARN == "" {
		return defaultBus
	}
	return strings.TrimPrefix(nameOrARN, busARN(""))
}

// bus finds a bus by name or ARN. The caller holds the mutex.
func (s *Service) bus(nameOrARN string) (*bus, error) {
	name := busName(nameOrARN)
	b, ok := s.buses[name]
	if !ok {
		return nil, fail("ResourceNotFoundException", "Event bus %s does not exist.", name)
	}
	return b, nil
}

func (s *Service) addBus(name, description string) *bus {
	now := s.clock.Now()
	b := &bus{name: name, description: description, created: now, modified: now, policy: map[string]json.RawMessage{}, rules: map[string]*rule{}}
	s.buses[name] = b
	return b
}

// Policy is a bus's resource policy, "" if it has none or does not exist.
func (s *Service) Policy(bus string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(bus)
	if err != nil {
		return ""
	}
	return b.policyText()
}

func (b *bus) policyText() string {
	if len(b.policy) == 0 {
		return ""
	}
	var ids []string
	for id := range b.policy {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	statements := []json.RawMessage{}
	for _, id := range ids {
		statements = append(statements, b.policy[id])
	}
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	return string(text)
}

var busNamePattern = regexp.MustCompile(`^[/.\-_A-Za-z0-9]{1,256}$`)

type createEventBusInput struct {
	Name             string
	Description      string
	EventSourceName  string          // of a partner; here, every partner has offered its source
	KmsKeyIdentifier string          // everything here is in memory
	Tags             json.RawMessage // nothing here reads a bus's tags
}

type createEventBusOutput struct {
	EventBusArn      string
	Description      string `json:",omitempty"`
	KmsKeyIdentifier string `json:",omitempty"`
}

func (s *Service) createEventBus(_ context.Context, _ *stack.Call, in *createEventBusInput) (*createEventBusOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A partner's bus is named like its source, and no other's name has a slash.
	// Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html
	partner := strings.HasPrefix(in.EventSourceName, "aws.partner/") && in.Name == in.EventSourceName
	if !partner && in.EventSourceName != "" {
		return nil, fail("ValidationException", "EventBusName %s is not that of partner event source %s.", in.Name, in.EventSourceName)
	}
	if !busNamePattern.MatchString(in.Name) || in.Name == defaultBus || strings.Contains(in.Name, "/") && !partner {
		return nil, fail("ValidationException", "EventBusName %s is not valid: use . - _ A-Z a-z 0-9, at most 256 characters, and not default", in.Name)
	}
	if _, ok := s.buses[in.Name]; ok {
		return nil, fail("ResourceAlreadyExistsException", "Event bus %s already exists.", in.Name)
	}
	s.addBus(in.Name, in.Description)
	return &createEventBusOutput{EventBusArn: busARN(in.Name), Description: in.Description, KmsKeyIdentifier: in.KmsKeyIdentifier}, nil
}

type nameInput struct{ Name string }

func (s *Service) deleteEventBus(_ context.Context, _ *stack.Call, in *nameInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if busName(in.Name) == defaultBus {
		return nil, fail("ValidationException", "Cannot delete event bus default.")
	}
	b, err := s.bus(in.Name)
	if err != nil {
		return &struct{}{}, nil // deleting what is not there is no error
	}
	if len(b.rules) > 0 {
		return nil, fail("ValidationException", "Cannot delete event bus %s: it has rules.", b.name)
	}
	delete(s.buses, b.name)
	return &struct{}{}, nil
}

type busOutput struct {
	Name             string
	Arn              string
	Description      string     `json:",omitempty"`
	Policy           string     `json:",omitempty"`
	CreationTime     stack.Time `json:",omitzero"`
	LastModifiedTime stack.Time `json:",omitzero"`
}

func (b *bus) output() busOutput {
	return busOutput{Name: b.name, Arn: busARN(b.name), Description: b.description, Policy: b.policyText(),
		CreationTime: stack.Time{Time: b.created}, LastModifiedTime: stack.Time{Time: b.modified}}
}

func (s *Service) describeEventBus(_ context.Context, _ *stack.Call, in *nameInput) (*busOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.Name)
	if err != nil {
		return nil, err
	}
	out := b.output()
	return &out, nil
}

type listEventBusesInput struct {
	NamePrefix string
	NextToken  string
	Limit      int
}

type listEventBusesOutput struct {
	EventBuses []busOutput
	NextToken  string `json:",omitempty"`
}

func (s *Service) listEventBuses(_ context.Context, _ *stack.Call, in *listEventBusesInput) (*listEventBusesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, next := page(s.buses, in.NamePrefix, in.NextToken, in.Limit)
	out := &listEventBusesOutput{EventBuses: []busOutput{}, NextToken: next}
	for _, name := range names {
		out.EventBuses = append(out.EventBuses, s.buses[name].output())
	}
	return out, nil
}

// page returns the names that begin with prefix and come after the token, at most limit of them (100 if 0), and the
// token for the rest.
func page[V any](all map[string]V, prefix, token string, limit int) (names []string, next string) {
	for name := range all {
		if strings.HasPrefix(name, prefix) && name > token {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	if limit <= 0 {
		limit = 100
	}
	if len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	return names, next
}

// errMissing is what a rule that is not there is.
func errMissing(rule, bus string) error {
	return fail("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", rule, bus)
}

// awsError finds the AWS error in err.
func awsError(err error) (*stack.Error, bool) {
	var e *stack.Error
	ok := errors.As(err, &e)
	return e, ok
}
