package scheduler

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources makes schedules and their groups.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{"AWS::Scheduler::Schedule": s.makeSchedule, "AWS::Scheduler::ScheduleGroup": s.makeGroup}
}

// scheduleProperties are those of AWS::Scheduler::Schedule.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html
type scheduleProperties struct {
	Name                       string
	GroupName                  string
	Description                string
	State                      string
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	StartDate, EndDate         *time.Time // ISO 8601
	KmsKeyArn                  string
	FlexibleTimeWindow         *struct {
		Mode                   string
		MaximumWindowInMinutes *property.Int
	}
	Target *targetProperties
}

type targetProperties struct {
	Arn, RoleArn, Input   string
	DeadLetterConfig      *deadLetterConfig
	RetryPolicy           *struct{ MaximumEventAgeInSeconds, MaximumRetryAttempts *property.Int }
	EventBridgeParameters *eventBridgeParameters
	SqsParameters         *sqsParameters
}

func (p scheduleProperties) input() *input {
	in := &input{GroupName: p.GroupName, Description: p.Description, State: p.State, ScheduleExpression: p.ScheduleExpression,
		ScheduleExpressionTimezone: p.ScheduleExpressionTimezone, KmsKeyArn: p.KmsKeyArn}
	if p.StartDate != nil {
		in.StartDate = &stack.Time{Time: *p.StartDate}
	}
	if p.EndDate != nil {
		in.EndDate = &stack.Time{Time: *p.EndDate}
	}
	if w := p.FlexibleTimeWindow; w != nil {
		in.FlexibleTimeWindow = &window{Mode: w.Mode, MaximumWindowInMinutes: (*int)(w.MaximumWindowInMinutes)}
	}
	if t := p.Target; t != nil {
		in.Target = &target{Arn: t.Arn, RoleArn: t.RoleArn, Input: t.Input, DeadLetterConfig: t.DeadLetterConfig,
			EventBridgeParameters: t.EventBridgeParameters, SqsParameters: t.SqsParameters}
		if r := t.RetryPolicy; r != nil {
			in.Target.RetryPolicy = &retryPolicy{MaximumEventAgeInSeconds: (*int)(r.MaximumEventAgeInSeconds), MaximumRetryAttempts: (*int)(r.MaximumRetryAttempts)}
		}
	}
	return in
}

func (s *Service) makeSchedule(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p scheduleProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.Name == "" {
		p.Name = name.Physical(r.LogicalID, 64)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.read(p.Name, p.input())
	if err != nil {
		return stack.Made{}, err
	}
	s.put(next)
	return stack.Made{Ref: next.name, Att: map[string]string{"Arn": next.arn()}}, nil
}

type groupProperties struct {
	Name string
	Tags json.RawMessage // nothing here reads a group's tags
}

func (s *Service) makeGroup(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p groupProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.Name == "" {
		p.Name = name.Physical(r.LogicalID, 64)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[p.Name] = true
	return stack.Made{Ref: p.Name, Att: map[string]string{"Arn": groupARN(p.Name), "State": "ACTIVE"}}, nil
}
