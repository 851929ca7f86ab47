package playground

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/authority"
)

// Ask is one way to ask for a value.
type Ask struct {
	Role           string // ARN of the role that asks; "" is the account's root
	Secret         string
	Version, Stage string // that are asked for; both "" for what a service reads
}

// Reads tells whether a request is answered with a value, or denied. The value goes nowhere.
func (p *Playground) Reads(ctx context.Context, a Ask) (bool, error) {
	as := p.AWS
	if a.Role != "" {
		var err error
		if as, err = p.As(ctx, a.Role); err != nil {
			return false, err
		}
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &a.Secret}
	if a.Version != "" {
		in.VersionId = &a.Version
	}
	if a.Stage != "" {
		in.VersionStage = &a.Stage
	}
	_, err := secretsmanager.NewFromConfig(as).GetSecretValue(ctx, in)
	if authority.Denied(err) {
		return false, nil
	}
	return err == nil, err
}

// Halt stops everything of Mayfly: every schedule is disabled, and what is under way has ended when Halt returns. What is
// denied from then on, AWS denies by what it has been told.
func (p *Playground) Halt(ctx context.Context) error {
	return p.switchSchedules(ctx, schedulertypes.ScheduleStateDisabled)
}

// Resume enables the schedules again.
func (p *Playground) Resume(ctx context.Context) error {
	return p.switchSchedules(ctx, schedulertypes.ScheduleStateEnabled)
}

func (p *Playground) switchSchedules(ctx context.Context, to schedulertypes.ScheduleState) error {
	client := scheduler.NewFromConfig(p.AWS)
	all, err := client.ListSchedules(ctx, &scheduler.ListSchedulesInput{})
	if err != nil {
		return err
	}
	if len(all.Schedules) == 0 {
		return errors.New("there is no schedule to switch")
	}
	for _, s := range all.Schedules {
		is, err := client.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: s.Name, GroupName: s.GroupName})
		if err != nil {
			return err
		}
		// What an update does not name is set back to its default, so everything is named again.
		// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
		if _, err := client.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
			Name: s.Name, GroupName: s.GroupName, Description: is.Description, State: to, FlexibleTimeWindow: is.FlexibleTimeWindow,
			ScheduleExpression: is.ScheduleExpression, ScheduleExpressionTimezone: is.ScheduleExpressionTimezone, Target: is.Target,
			StartDate: is.StartDate, EndDate: is.EndDate, KmsKeyArn: is.KmsKeyArn, ActionAfterCompletion: is.ActionAfterCompletion,
		}); err != nil {
			return err
		}
	}
	return p.Settle(ctx)
}

// Worked are the functions of Mayfly that called anything since the ledger was last emptied.
func (p *Playground) Worked() []string {
	var functions []string
	for _, c := range p.Stack.Endpoint.Calls() {
		if c.Function != "" {
			functions = append(functions, c.Function)
		}
	}
	return functions
}
