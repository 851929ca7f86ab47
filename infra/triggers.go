package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Triggers are the ways by which something that happened reaches Mayfly. All of them start mayfly-respond with the event,
// which is what a person does by hand, too; of one that may be too large they hand over what is read of it.
type Triggers struct {
	constructs.Construct
	deadLetters  DeadLetters
	rules, ticks awsiam.Role // what EventBridge and Scheduler start machines with
}

// NewTriggers makes the rules and the schedule.
func NewTriggers(scope constructs.Construct, id string, s Settings, machines Machines, functions *Functions, deadLetters DeadLetters, alarms Alarms) Triggers {
	t := Triggers{Construct: constructs.NewConstruct(scope, &id), deadLetters: deadLetters}
	respond := machines.Respond.StateMachineArn()
	t.rules = t.role("RuleRole", "events.amazonaws.com", nil)
	machines.GrantRespond(t.rules)
	for _, a := range answers(awscdk.Stack_Of(t.Construct), functions.Writers(), s.Environments, s.PagerDutyBus) {
		t.rule(a, respond, t.rules)
	}
	// A run that fails has closed itself and says so in an audit record. One that was cut off could not.
	pager := t.role("PagerRole", "events.amazonaws.com", nil)
	alarms.GrantPublish(pager)
	t.rule(answered{"Unfinished", "A rotation was aborted or timed out and could not close itself", "",
		pattern("aws.states", "Step Functions Execution Status Change", object{
			"status":          one{"TIMED_OUT", "ABORTED"},
			"stateMachineArn": one{machines.Rotate.StateMachineArn()},
		})}, alarms.Topic.TopicArn(), pager)
	t.ticks = t.role("ScheduleRole", "scheduler.amazonaws.com", map[string]any{
		"ArnEquals": map[string]any{"aws:SourceArn": arn(awscdk.Stack_Of(t.Construct), "scheduler", "schedule-group/default")},
	})
	t.evaluate(machines)
	return t
}

// rule sends what matches to the target, trying for as long as EventBridge does at all: 24 hours, 185 times.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
func (t Triggers) rule(a answered, target *string, role awsiam.Role) awsevents.CfnRule {
	var bus *string
	if a.bus != "" {
		bus = &a.bus
	}
	rule := awsevents.NewCfnRule(t.Construct, &a.id, &awsevents.CfnRuleProps{
		Name:         jsii.String("mayfly-" + kebab(a.id)),
		Description:  &a.says,
		EventBusName: bus,
		EventPattern: &a.pattern,
		State:        jsii.String("ENABLED"),
		Targets: []any{awsevents.CfnRule_TargetProperty{
			Id:               jsii.String("Target"),
			Arn:              target,
			RoleArn:          role.RoleArn(),
			InputTransformer: narrowed(a.pattern),
			DeadLetterConfig: awsevents.CfnRule_DeadLetterConfigProperty{Arn: t.deadLetters.Events.QueueArn()},
			RetryPolicy: awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(86400),
				MaximumRetryAttempts:     jsii.Number(185),
			},
		}},
	})
	rule.Node().AddDependency(role) // with its policy: EventBridge would deliver before it may
	return rule
}

// role is one that a service takes on behalf of this account only.
func (t Triggers) role(id, service string, conditions map[string]any) awsiam.Role {
	stack := awscdk.Stack_Of(t.Construct)
	all := map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()}}
	for operator, condition := range conditions {
		all[operator] = condition
	}
	return awsiam.NewRole(t.Construct, &id, &awsiam.RoleProps{
		Description: jsii.String("Mayfly: what " + service + " may do"),
		AssumedBy:   awsiam.NewServicePrincipal(&service, &awsiam.ServicePrincipalOpts{Conditions: &all}),
	})
}

// evaluate evaluates every 15 minutes, so that the shortest ttl in use (hours) is kept: what is due costs a read, what
// is not costs nothing. A tick that could not be delivered in 15 minutes is worthless, since the next one is there.
func (t Triggers) evaluate(machines Machines) {
	stack := awscdk.Stack_Of(t.Construct)
	machines.GrantRespond(t.ticks)
	t.deadLetters.GrantTicks(t.ticks)
	t.schedule("Schedule", "mayfly-evaluate", "Finds what is due", "rate(15 minutes)", machines.Respond.StateMachineArn(), tick(stack))
}

// schedule starts a machine. What could not be started is kept, for somebody to look at.
func (t Triggers) schedule(id, name, says, expression string, machine, input *string) {
	awsscheduler.NewCfnSchedule(t.Construct, &id, &awsscheduler.CfnScheduleProps{
		Name:               &name,
		Description:        &says,
		ScheduleExpression: &expression,
		FlexibleTimeWindow: awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		State:              jsii.String("ENABLED"),
		Target: awsscheduler.CfnSchedule_TargetProperty{
			Arn:              machine,
			RoleArn:          t.ticks.RoleArn(),
			Input:            input,
			DeadLetterConfig: awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: t.deadLetters.Ticks.QueueArn()},
			RetryPolicy: awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(900),
				MaximumRetryAttempts:     jsii.Number(10),
			},
		},
	}).Node().AddDependency(t.ticks)
}

// tick is the schedule's input, shaped as EventBridge shapes an event. Scheduler fills in what stands in angle brackets,
// which a JSON encoder would escape.
// Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
func tick(stack awscdk.Stack) *string {
	return jsii.String(`{"version":"0","id":"<aws.scheduler.execution-id>","source":"mayfly.schedule","detail-type":"Evaluation",` +
		`"time":"<aws.scheduler.scheduled-time>","account":"` + *stack.Account() + `","region":"` + *stack.Region() + `",` +
		`"resources":["<aws.scheduler.schedule-arn>"],"detail":{}}`)
}
