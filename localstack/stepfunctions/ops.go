package stepfunctions

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

func (s *Service) operations() map[string]stack.Op {
	return map[string]stack.Op{
		"StartExecution":       stack.Handle(s.startExecution),
		"DescribeExecution":    stack.Handle(s.describeExecution),
		"ListExecutions":       stack.Handle(s.listExecutions),
		"GetExecutionHistory":  stack.Handle(s.getHistory),
		"StopExecution":        stack.Handle(s.stopExecution),
		"DescribeMapRun":       stack.Handle(s.describeMapRun),
		"CreateStateMachine":   stack.Handle(s.createStateMachine),
		"UpdateStateMachine":   stack.Handle(s.updateStateMachine),
		"DeleteStateMachine":   stack.Handle(s.deleteStateMachine),
		"DescribeStateMachine": stack.Handle(s.describeStateMachine),
		"ListStateMachines":    stack.Handle(s.listStateMachines),
		"SendTaskSuccess":      stack.Handle(s.sendTaskSuccess),
		"SendTaskFailure":      stack.Handle(s.sendTaskFailure),
		"SendTaskHeartbeat":    stack.Handle(s.sendTaskHeartbeat),
	}
}

// Start starts an execution of a machine and returns its ARN. Without a name it gets a random one; without input, {}.
// Starting a running execution again with the same name and input gives the same ARN, everything else with that name is
// ExecutionAlreadyExists.
func (s *Service) Start(_ context.Context, machineARN, name string, input []byte) (executionARN string, err error) {
	x, err := s.begin(machineARN, name, string(input))
	if err != nil {
		return "", err
	}
	return x.arn, nil
}

// reuse is how long the name of a closed execution cannot be used again:
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
const reuse = 90 * 24 * time.Hour

// begin starts an execution, or finds the running one of the same name and input; inputs are compared as text.
func (s *Service) begin(machineARN, name, input string, ended ...func()) (*execution, error) {
	if input == "" {
		input = "{}"
	}
	if len(input) > maxData {
		return nil, &stack.Error{Code: "ValidationException", Message: fmt.Sprintf("1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to %d", maxData)}
	}
	data, err := decode([]byte(input))
	if err != nil {
		return nil, &stack.Error{Code: "InvalidExecutionInput", Message: "Invalid State Machine Execution Input: 'the input is no JSON'"}
	}
	if name == "" {
		name = s.newID()
	} else if !validName(name) {
		return nil, invalidName(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(machineARN)
	if err != nil {
		return nil, err
	}
	arn := resourceARN("execution", m.name+":"+name)
	if m.express { // every start of an express machine is an execution of its own
		arn = resourceARN("express", m.name+":"+name+":"+s.newID())
	}
	if old, ok := s.executions[arn]; ok {
		old.mu.Lock()
		defer old.mu.Unlock()
		if old.status == "RUNNING" && old.input == input {
			old.ended = append(old.ended, ended...)
			return old, nil
		}
		if old.status == "RUNNING" || s.clock.Now().Sub(old.stopped) < reuse {
			return nil, alreadyExists(arn)
		}
	}
	if s.ctx.Err() != nil {
		return nil, &stack.Error{Code: "ServiceUnavailable", Status: 503, Message: "the local stack is closing"}
	}
	x := &execution{service: s, machine: m, parsed: m.parsed, arn: arn, name: name, input: input, data: data, ended: ended}
	s.launch(x)
	return x, nil
}

func alreadyExists(arn string) error {
	return &stack.Error{Code: "ExecutionAlreadyExists", Message: fmt.Sprintf("Execution Already Exists: '%s'", arn)}
}

// machine looks a machine up; s.mu is held.
func (s *Service) machine(arn string) (*stateMachine, error) {
	if m, ok := s.machines[arn]; ok {
		return m, nil
	}
	if !strings.HasPrefix(arn, resourceARN("stateMachine", "")) {
		return nil, &stack.Error{Code: "InvalidArn", Message: fmt.Sprintf("Invalid Arn: '%s'", arn)}
	}
	return nil, &stack.Error{Code: "StateMachineDoesNotExist", Message: fmt.Sprintf("State Machine Does Not Exist: '%s'", arn)}
}

// validName is the rule for names of executions and machines, on the page of StartExecution.
func validName(name string) bool {
	return len(name) >= 1 && len(name) <= 80 && !strings.ContainsAny(name, "<>{}[]?*\"#%\\^|~`$&,;:/") &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

func invalidName(name string) error {
	return &stack.Error{Code: "InvalidName", Message: fmt.Sprintf("Invalid Name: '%s'", name)}
}

type startInput struct{ StateMachineArn, Name, Input, TraceHeader string }

type startOutput struct {
	ExecutionArn string     `json:"executionArn"`
	StartDate    stack.Time `json:"startDate"`
}

func (s *Service) startExecution(_ context.Context, _ *stack.Call, in *startInput) (*startOutput, error) {
	x, err := s.begin(in.StateMachineArn, in.Name, in.Input)
	if err != nil {
		return nil, err
	}
	return &startOutput{x.arn, stack.Time{Time: x.started}}, nil
}

type describeInput struct{ ExecutionArn, IncludedData string }

type includedDetails struct {
	Included bool `json:"included"`
}

// description is what DescribeExecution and ListExecutions tell; the latter without data.
type description struct {
	ExecutionArn    string           `json:"executionArn"`
	StateMachineArn string           `json:"stateMachineArn"`
	Name            string           `json:"name"`
	Status          string           `json:"status"`
	StartDate       stack.Time       `json:"startDate"`
	StopDate        *stack.Time      `json:"stopDate,omitempty"`
	MapRunArn       string           `json:"mapRunArn,omitempty"`
	RedriveCount    int              `json:"redriveCount"`
	Input           *string          `json:"input,omitempty"`
	InputDetails    *includedDetails `json:"inputDetails,omitempty"`
	Output          *string          `json:"output,omitempty"`
	OutputDetails   *includedDetails `json:"outputDetails,omitempty"`
	Error           *string          `json:"error,omitempty"`
	Cause           *string          `json:"cause,omitempty"`
}

// describe is an execution without its data; x.mu is held.
func (x *execution) describe() description {
	d := description{
		ExecutionArn: x.arn, StateMachineArn: x.machine.arn, Name: x.name, Status: x.status,
		StartDate: stack.Time{Time: x.started}, MapRunArn: x.mapRun,
	}
	if !x.stopped.IsZero() {
		d.StopDate = &stack.Time{Time: x.stopped}
	}
	return d
}

func (s *Service) describeExecution(_ context.Context, _ *stack.Call, in *describeInput) (*description, error) {
	x, err := s.find(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	if x.machine.express {
		return nil, &stack.Error{Code: "InvalidArn", Message: fmt.Sprintf("Invalid Arn: 'Resource type not valid in this context: express': '%s'", in.ExecutionArn)}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d := x.describe()
	d.Input, d.InputDetails = &x.input, &includedDetails{true}
	if x.status == "SUCCEEDED" {
		d.Output, d.OutputDetails = &x.output, &includedDetails{true}
	}
	if f := x.fault; f != nil {
		d.Error, d.Cause = given(f.name), given(f.cause)
	}
	return &d, nil
}

// given is a text that is left out when it is empty.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type listExecutionsInput struct {
	StateMachineArn, StatusFilter, NextToken, MapRunArn, RedriveFilter string
	MaxResults                                                         int
}

type listExecutionsOutput struct {
	Executions []description `json:"executions"`
	NextToken  string        `json:"nextToken,omitempty"`
}

// listExecutions lists the newest first. A token is the number of the start with which the page begins, so that
// executions that start meanwhile do not shift the pages.
func (s *Service) listExecutions(_ context.Context, _ *stack.Call, in *listExecutionsInput) (*listExecutionsOutput, error) {
	s.mu.Lock()
	order := s.order[:len(s.order):len(s.order)]
	var err error
	if in.MapRunArn == "" {
		var m *stateMachine
		if m, err = s.machine(in.StateMachineArn); err == nil && m.express {
			err = &stack.Error{Code: "StateMachineTypeNotSupported", Message: "This operation is not supported by this type of state machine"}
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if in.RedriveFilter == "REDRIVEN" {
		return &listExecutionsOutput{Executions: []description{}}, nil // there is no redrive here
	}
	seq, size, err := page(in.NextToken, in.MaxResults, len(order))
	if err != nil {
		return nil, err
	}
	out := &listExecutionsOutput{Executions: []description{}}
	for ; seq >= 1; seq-- {
		x := order[min(seq, len(order))-1]
		if in.MapRunArn != x.mapRun || (in.MapRunArn == "" && x.machine.arn != in.StateMachineArn) {
			continue
		}
		x.mu.Lock()
		d := x.describe()
		x.mu.Unlock()
		if in.StatusFilter != "" && d.Status != in.StatusFilter {
			continue
		}
		if len(out.Executions) == size {
			out.NextToken = fmt.Sprint(seq)
			break
		}
		out.Executions = append(out.Executions, d)
	}
	return out, nil
}

type stopInput struct{ ExecutionArn, Error, Cause string }

type stopOutput struct {
	StopDate stack.Time `json:"stopDate"`
}

// stopExecution ends an execution and waits until it has ended. Stopping one that has ended already changes nothing.
func (s *Service) stopExecution(ctx context.Context, _ *stack.Call, in *stopInput) (*stopOutput, error) {
	x, err := s.find(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	var reason *fault
	if in.Error != "" || in.Cause != "" {
		reason = &fault{in.Error, in.Cause}
	}
	x.abort(reason)
	select {
	case <-x.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &stopOutput{stack.Time{Time: x.stopped}}, nil
}
