package infra

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Triggers are the ways by which something that happened reaches Mayfly. All of them start mayfly-respond with the
// event as it came, which is what a person does by hand, too.
type Triggers struct {
	constructs.Construct
	machines    Machines
	deadLetters DeadLetters
}

// NewTriggers makes the rules on the default bus and the schedule.
func NewTriggers(scope constructs.Construct, id string, machines Machines, deadLetters DeadLetters, alarms awssns.Topic) Triggers {
	t := Triggers{Construct: constructs.NewConstruct(scope, &id), machines: machines, deadLetters: deadLetters}
	respond := t.respond()
	// Low findings (below 4.0) say that nothing was reached; what is done about the others is each secret's policy.
	t.rule("Incident", "mayfly-incident", "A GuardDuty finding of medium severity or above", respond, &awsevents.EventPattern{
		Source:     jsii.Strings("aws.guardduty"),
		DetailType: jsii.Strings("GuardDuty Finding"),
		Detail:     &map[string]any{"severity": []any{map[string]any{"numeric": []any{">=", 4}}}},
	})
	t.rule("Deployment", "mayfly-deployment", "CodeDeploy has deployed something", respond, &awsevents.EventPattern{
		Source:     jsii.Strings("aws.codedeploy"),
		DetailType: jsii.Strings("CodeDeploy Deployment State-change Notification"),
		Detail:     &map[string]any{"state": []string{"SUCCESS"}},
	})
	// A run that fails has closed itself and says so in an audit record. One that was cut off could not.
	t.rule("Unfinished", "mayfly-unfinished", "A rotation was aborted or timed out and could not close itself", t.page(alarms), &awsevents.EventPattern{
		Source:     jsii.Strings("aws.states"),
		DetailType: jsii.Strings("Step Functions Execution Status Change"),
		Detail: &map[string]any{
			"status":          []string{"TIMED_OUT", "ABORTED"},
			"stateMachineArn": []*string{machines.Rotate.StateMachineArn()},
		},
	})
	t.schedule()
	return t
}

func (t Triggers) rule(id, name, says string, target awsevents.IRuleTarget, pattern *awsevents.EventPattern) {
	awsevents.NewRule(t.Construct, &id, &awsevents.RuleProps{
		RuleName: &name, Description: &says, EventPattern: pattern, Targets: &[]awsevents.IRuleTarget{target},
	})
}

// respond starts mayfly-respond, trying for as long as EventBridge does at all: 24 hours, 185 times.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
func (t Triggers) respond() awsevents.IRuleTarget {
	return awseventstargets.NewSfnStateMachine(t.machines.Respond, &awseventstargets.SfnStateMachineProps{
		DeadLetterQueue: t.deadLetters.Events,
		MaxEventAge:     awscdk.Duration_Hours(jsii.Number(24)),
		RetryAttempts:   jsii.Number(185),
		Role:            t.starter("RuleRole", "mayfly-rules", "events.amazonaws.com", nil),
	})
}

func (t Triggers) page(topic awssns.Topic) awsevents.IRuleTarget {
	return awseventstargets.NewSnsTopic(topic, &awseventstargets.SnsTopicProps{
		DeadLetterQueue: t.deadLetters.Events,
		MaxEventAge:     awscdk.Duration_Hours(jsii.Number(24)),
		RetryAttempts:   jsii.Number(185),
	})
}

// starter is a role that a service of this account takes to start mayfly-respond, and nothing else.
func (t Triggers) starter(id, name, service string, conditions map[string]any) awsiam.Role {
	if conditions == nil {
		conditions = map[string]any{}
	}
	conditions["StringEquals"] = map[string]any{"aws:SourceAccount": awscdk.Stack_Of(t.Construct).Account()}
	role := awsiam.NewRole(t.Construct, &id, &awsiam.RoleProps{
		RoleName:    &name,
		Description: jsii.String("Mayfly: " + service + " starts " + respondMachine),
		AssumedBy: awsiam.NewServicePrincipal(&service, &awsiam.ServicePrincipalOpts{
			Conditions: &conditions,
		}),
	})
	allow(role, "StartRespond", "states:StartExecution", []*string{t.machines.Respond.StateMachineArn()})
	return role
}

// schedule evaluates every 15 minutes, so that the shortest ttl in use (hours) is kept: what is due costs a read, what
// is not costs nothing. A tick that could not be delivered in 15 minutes is worthless, since the next one is there.
//
// The input is shaped as EventBridge would shape it.
// Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
func (t Triggers) schedule() {
	stack := awscdk.Stack_Of(t.Construct)
	input, err := json.Marshal(map[string]any{
		"version":     "0",
		"id":          "<aws.scheduler.execution-id>",
		"source":      "mayfly.schedule",
		"detail-type": "Evaluation",
		"time":        "<aws.scheduler.scheduled-time>",
		"account":     *stack.Account(),
		"region":      *stack.Region(),
		"resources":   []string{"<aws.scheduler.schedule-arn>"},
		"detail":      map[string]any{},
	})
	if err != nil {
		panic(err) // constant but for two strings
	}
	role := t.starter("ScheduleRole", "mayfly-schedule", "scheduler.amazonaws.com", map[string]any{
		"ArnEquals": map[string]any{"aws:SourceArn": arn(stack, "scheduler", "schedule-group/default")},
	})
	t.deadLetters.GrantTicks(role)
	awsscheduler.NewCfnSchedule(t.Construct, jsii.String("Schedule"), &awsscheduler.CfnScheduleProps{
		Name:               jsii.String("mayfly-evaluate"),
		Description:        jsii.String("Finds what is due"),
		ScheduleExpression: jsii.String("rate(15 minutes)"),
		FlexibleTimeWindow: awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		State:              jsii.String("ENABLED"),
		Target: awsscheduler.CfnSchedule_TargetProperty{
			Arn:              t.machines.Respond.StateMachineArn(),
			RoleArn:          role.RoleArn(),
			Input:            jsii.String(string(input)),
			DeadLetterConfig: awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: t.deadLetters.Ticks.QueueArn()},
			RetryPolicy: awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(900),
				MaximumRetryAttempts:     jsii.Number(10),
			},
		},
	}).Node().AddDependency(role)
}
