package events

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type target struct {
	Id               string
	Arn              string
	RoleArn          string                 `json:",omitempty"`
	Input            string                 `json:",omitempty"`
	InputPath        string                 `json:",omitempty"`
	InputTransformer *transform.Transformer `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig      `json:",omitempty"`
	RetryPolicy      *retryPolicy           `json:",omitempty"`
	SqsParameters    *sqsParameters         `json:",omitempty"`
}

type deadLetterConfig struct {
	Arn string `json:",omitempty"`
}

type retryPolicy struct {
	MaximumRetryAttempts     *int `json:",omitempty"` // 0 to 185
	MaximumEventAgeInSeconds *int `json:",omitempty"` // 60 to 86400
}

// sqsParameters are for FIFO queues, and for fairness between tenants of standard ones, which has no effect here.
type sqsParameters struct{ MessageGroupId string }

var targetID = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// check refuses what PutTargets refuses.
func (t *target) check() error {
	if !targetID.MatchString(t.Id) {
		return fmt.Errorf("target id %q must match [.-_A-Za-z0-9]+ and have at most 64 characters", t.Id)
	}
	if delivery.Kind(t.Arn) == "" {
		return fmt.Errorf("target %s: the local stack cannot take events to %s", t.Id, t.Arn)
	}
	given := 0
	for _, is := range []bool{t.Input != "", t.InputPath != "", t.InputTransformer != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		return fmt.Errorf("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", t.Id)
	}
	if t.Input != "" && !json.Valid([]byte(t.Input)) {
		return fmt.Errorf("JSON syntax error in input for target %s", t.Id)
	}
	if t.InputPath != "" {
		if _, err := transform.ParsePath(t.InputPath); err != nil {
			return fmt.Errorf("target %s: InputPath: %w", t.Id, err)
		}
	}
	if t.InputTransformer != nil {
		if err := t.InputTransformer.Check(); err != nil {
			return fmt.Errorf("Invalid InputTemplate for target %s : [%w].", t.Id, err)
		}
	}
	if p := t.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 185) {
			return fmt.Errorf("target %s: MaximumRetryAttempts must be from 0 to 185, not %d", t.Id, *n)
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 86400) {
			return fmt.Errorf("target %s: MaximumEventAgeInSeconds must be from 60 to 86400, not %d", t.Id, *n)
		}
	}
	if d := t.DeadLetterConfig; d != nil && d.Arn != "" && delivery.Kind(d.Arn) != "sqs" {
		return fmt.Errorf("target %s: the dead-letter queue %s is no SQS queue", t.Id, d.Arn)
	}
	return nil
}

type putTargetsInput struct {
	Rule, EventBusName string
	Targets            []target
}

type failedTarget struct{ TargetId, ErrorCode, ErrorMessage string }

type targetsOutput struct {
	FailedEntryCount int
	FailedEntries    []failedTarget
}

func (s *Service) putTargets(_ context.Context, _ *stack.Call, in *putTargetsInput) (*targetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(r.targets)
	if err := addTargets(next, in.Targets); err != nil {
		return nil, err
	}
	r.targets = next
	return &targetsOutput{FailedEntries: []failedTarget{}}, nil
}

func addTargets(to map[string]target, targets []target) error {
	if len(targets) == 0 {
		return fail("ValidationException", "Value at 'targets' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	for _, t := range targets {
		if err := t.check(); err != nil {
			return fail("ValidationException", "%v", err)
		}
		to[t.Id] = t
	}
	if len(to) > maxTargets {
		return fail("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	return nil
}

type removeTargetsInput struct {
	Rule, EventBusName string
	Ids                []string
	Force              bool // for rules that AWS services manage: there are none here
}

func (s *Service) removeTargets(_ context.Context, _ *stack.Call, in *removeTargetsInput) (*targetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &targetsOutput{FailedEntries: []failedTarget{}}
	next := maps.Clone(r.targets)
	for _, id := range in.Ids {
		if _, ok := next[id]; !ok {
			out.FailedEntryCount++
			out.FailedEntries = append(out.FailedEntries, failedTarget{id, "ResourceNotFoundException",
				fmt.Sprintf("Rule '%s' does not have a target with the Id '%s'.", in.Rule, id)})
			continue
		}
		delete(next, id)
	}
	r.targets = next
	return out, nil
}

type listTargetsInput struct {
	Rule, EventBusName string
	NextToken          string
	Limit              int
}

type listTargetsOutput struct {
	Targets   []target
	NextToken string `json:",omitempty"`
}

func (s *Service) listTargetsByRule(_ context.Context, _ *stack.Call, in *listTargetsInput) (*listTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	ids, next := page(r.targets, "", in.NextToken, in.Limit)
	out := &listTargetsOutput{Targets: []target{}, NextToken: next}
	for _, id := range ids {
		out.Targets = append(out.Targets, r.targets[id])
	}
	return out, nil
}
