package stepfunctions

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type createInput struct {
	Name, Definition, RoleArn, Type            string
	LoggingConfiguration, TracingConfiguration any
	EncryptionConfiguration                    any
	Tags                                       any // known: the local stack keeps no tags of machines
}

type createOutput struct {
	StateMachineArn string     `json:"stateMachineArn"`
	CreationDate    stack.Time `json:"creationDate"`
}

func (s *Service) createStateMachine(_ context.Context, _ *stack.Call, in *createInput) (*createOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.machines[resourceARN("stateMachine", in.Name)]; ok {
		if old.text != in.Definition || old.express != (in.Type == "EXPRESS") {
			return nil, &stack.Error{Code: "StateMachineAlreadyExists", Message: fmt.Sprintf("State Machine Already Exists: '%s'", old.arn)}
		}
		return &createOutput{old.arn, stack.Time{Time: old.created}}, nil
	}
	m, err := s.install(in)
	if err != nil {
		return nil, err
	}
	return &createOutput{m.arn, stack.Time{Time: m.created}}, nil
}

// install makes a machine, or replaces the one of that name; running executions keep the definition they began with.
// s.mu is held.
func (s *Service) install(in *createInput) (*stateMachine, error) {
	if !validName(in.Name) {
		return nil, invalidName(in.Name)
	}
	if !strings.HasPrefix(in.RoleArn, "arn:aws:iam::") {
		return nil, &stack.Error{Code: "InvalidArn", Message: fmt.Sprintf("Invalid Role Arn: '%s'", in.RoleArn)}
	}
	if in.Type != "" && in.Type != "STANDARD" && in.Type != "EXPRESS" {
		return nil, &stack.Error{Code: "ValidationException", Message: fmt.Sprintf("1 validation error detected: Value '%s' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [STANDARD, EXPRESS]", in.Type)}
	}
	parsed, err := s.parse(in.Definition)
	if err != nil {
		return nil, err
	}
	if err := s.mayLog(in); err != nil {
		return nil, err
	}
	m := &stateMachine{
		arn: resourceARN("stateMachine", in.Name), name: in.Name, role: in.RoleArn, express: in.Type == "EXPRESS",
		text: in.Definition, parsed: parsed, created: s.clock.Now(),
		logging: in.LoggingConfiguration, tracing: in.TracingConfiguration, encryption: in.EncryptionConfiguration,
	}
	s.machines[m.arn] = m
	return m, nil
}

// mayLog refuses a machine that is to log and whose role may not manage log deliveries.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
func (s *Service) mayLog(in *createInput) error {
	log, _ := in.LoggingConfiguration.(map[string]any)
	if destinations, _ := log["destinations"].([]any); len(destinations) == 0 || s.Authorize == nil {
		return nil
	}
	for _, action := range []string{"CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
		"PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"} {
		if err := s.Authorize(s.ctx, in.RoleArn, "logs:"+action, "*"); err != nil {
			return &stack.Error{Code: "AccessDeniedException",
				Message: fmt.Sprintf("The state machine IAM Role is not authorized to access the Log Destination: %v", err)}
		}
	}
	return nil
}

type updateInput struct{ StateMachineArn, Definition, RoleArn string }

type updateOutput struct {
	UpdateDate stack.Time `json:"updateDate"`
}

func (s *Service) updateStateMachine(_ context.Context, _ *stack.Call, in *updateInput) (*updateOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.machine(in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	m := *old
	if in.RoleArn != "" {
		m.role = in.RoleArn
	}
	if in.Definition != "" {
		if m.parsed, err = s.parse(in.Definition); err != nil {
			return nil, err
		}
		m.text = in.Definition
	}
	s.machines[m.arn] = &m
	return &updateOutput{stack.Time{Time: s.clock.Now()}}, nil
}

type machineInput struct{ StateMachineArn, IncludedData string }

// deleteStateMachine forgets a machine. Its executions run on: they hold what they need of it.
func (s *Service) deleteStateMachine(_ context.Context, _ *stack.Call, in *machineInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.machines, in.StateMachineArn)
	return &struct{}{}, nil
}

type machineDescription struct {
	StateMachineArn         string     `json:"stateMachineArn"`
	Name                    string     `json:"name"`
	Type                    string     `json:"type"`
	CreationDate            stack.Time `json:"creationDate"`
	Status                  string     `json:"status,omitempty"`
	Definition              string     `json:"definition,omitempty"`
	RoleArn                 string     `json:"roleArn,omitempty"`
	LoggingConfiguration    any        `json:"loggingConfiguration,omitempty"`
	TracingConfiguration    any        `json:"tracingConfiguration,omitempty"`
	EncryptionConfiguration any        `json:"encryptionConfiguration,omitempty"`
}

func (m *stateMachine) describe() machineDescription {
	d := machineDescription{StateMachineArn: m.arn, Name: m.name, Type: "STANDARD", CreationDate: stack.Time{Time: m.created}}
	if m.express {
		d.Type = "EXPRESS"
	}
	return d
}

func (s *Service) describeStateMachine(_ context.Context, _ *stack.Call, in *machineInput) (*machineDescription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	d := m.describe()
	d.Status, d.Definition, d.RoleArn = "ACTIVE", m.text, m.role
	d.LoggingConfiguration, d.TracingConfiguration, d.EncryptionConfiguration = m.logging, m.tracing, m.encryption
	return &d, nil
}

type listMachinesInput struct {
	MaxResults int
	NextToken  string
}

type listMachinesOutput struct {
	StateMachines []machineDescription `json:"stateMachines"`
	NextToken     string               `json:"nextToken,omitempty"`
}

// listStateMachines lists machines by name. A token is the place of the page's first machine, counted from 1.
func (s *Service) listStateMachines(_ context.Context, _ *stack.Call, in *listMachinesInput) (*listMachinesOutput, error) {
	from, size, err := page(in.NextToken, in.MaxResults, 1)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []machineDescription{}
	for _, m := range s.machines {
		all = append(all, m.describe())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	out := &listMachinesOutput{StateMachines: all[min(from-1, len(all)):min(from-1+size, len(all))]}
	if from-1+size < len(all) {
		out.NextToken = fmt.Sprint(from + size)
	}
	return out, nil
}
