package events

import (
	"context"
	"encoding/json"

	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources makes rules, buses and their policies.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::Events::Rule":           s.makeRule,
		"AWS::Events::EventBus":       s.makeBus,
		"AWS::Events::EventBusPolicy": s.makePolicy,
	}
}

// ruleProperties are those of AWS::Events::Rule.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-rule.html
type ruleProperties struct {
	Name               string
	Description        string
	EventBusName       string
	EventPattern       property.Document
	ScheduleExpression string
	State              string
	RoleArn            string
	Targets            []targetProperties
	Tags               json.RawMessage // nothing here reads a rule's tags
}

type targetProperties struct {
	Id, Arn, RoleArn, Input, InputPath string
	InputTransformer                   *transform.Transformer
	DeadLetterConfig                   *deadLetterConfig
	RetryPolicy                        *struct{ MaximumRetryAttempts, MaximumEventAgeInSeconds *property.Int }
	SqsParameters                      *sqsParameters
}

func (p targetProperties) target() target {
	t := target{Id: p.Id, Arn: p.Arn, RoleArn: p.RoleArn, Input: p.Input, InputPath: p.InputPath,
		InputTransformer: p.InputTransformer, DeadLetterConfig: p.DeadLetterConfig, SqsParameters: p.SqsParameters}
	if p.RetryPolicy != nil {
		t.RetryPolicy = &retryPolicy{
			MaximumRetryAttempts:     (*int)(p.RetryPolicy.MaximumRetryAttempts),
			MaximumEventAgeInSeconds: (*int)(p.RetryPolicy.MaximumEventAgeInSeconds),
		}
	}
	return t
}

func (s *Service) makeRule(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p ruleProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.Name == "" {
		p.Name = name.Physical(r.LogicalID, 64)
	}
	targets := map[string]target{}
	if len(p.Targets) > 0 {
		var list []target
		for _, t := range p.Targets {
			list = append(list, t.target())
		}
		if err := addTargets(targets, list); err != nil {
			return stack.Made{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rule, err := s.setRule(&putRuleInput{
		Name: p.Name, EventBusName: p.EventBusName, EventPattern: string(p.EventPattern), ScheduleExpression: p.ScheduleExpression,
		State: p.State, Description: p.Description, RoleArn: p.RoleArn,
	})
	if err != nil {
		return stack.Made{}, err
	}
	rule.targets = targets
	made := stack.Made{Ref: rule.Name, Att: map[string]string{"Arn": rule.arn()}}
	if rule.bus != defaultBus {
		made.Ref = rule.bus + "|" + rule.Name
	}
	return made, nil
}

// busProperties are those of AWS::Events::EventBus.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbus.html
type busProperties struct {
	Name             string
	Description      string
	KmsKeyIdentifier string            // everything here is in memory
	DeadLetterConfig json.RawMessage   // for events that could not be decrypted
	LogConfig        json.RawMessage   // the bus's own log: the ledger shows every call
	Policy           property.Document // set as one statement or as a whole policy
	Tags             json.RawMessage   // nothing here reads a bus's tags
}

func (s *Service) makeBus(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p busProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buses[p.Name]
	if !ok {
		if !busNamePattern.MatchString(p.Name) {
			return stack.Made{}, fail("ValidationException", "Event bus name %q is not valid", p.Name)
		}
		b = s.addBus(p.Name, p.Description)
	}
	b.description, b.modified = p.Description, s.clock.Now()
	if len(p.Policy) > 0 {
		b.policy[r.LogicalID] = json.RawMessage(p.Policy)
	}
	return stack.Made{Ref: b.name, Att: map[string]string{"Arn": busARN(b.name), "Name": b.name, "Policy": b.policyText()}}, nil
}

// policyProperties are those of AWS::Events::EventBusPolicy. Action, Principal and Condition are the older way to write
// a statement.
type policyProperties struct {
	EventBusName string
	StatementId  string
	Statement    property.Document
	Action       string
	Principal    string
	Condition    json.RawMessage
}

func (s *Service) makePolicy(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p policyProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if len(p.Statement) == 0 {
		return stack.Made{}, fail("ValidationException", "%s: write the policy as a Statement; the local stack does not know Action, Principal and Condition", r.LogicalID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(p.EventBusName)
	if err != nil {
		return stack.Made{}, err
	}
	b.policy[p.StatementId] = json.RawMessage(p.Statement)
	return stack.Made{Ref: b.name + "|" + p.StatementId}, nil
}
