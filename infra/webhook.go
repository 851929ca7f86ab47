package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

const (
	busName       = "mayfly"
	webhookSource = "mayfly.webhook"
	// webhookProcesses bounds what anybody on the internet can make this account pay for.
	webhookProcesses = 10
)

// webhookKeys are the routes whose senders share a signing key with Mayfly, secret <environment>/webhook-<route>.
var webhookKeys = []string{"github", "pagerduty", "siem", "provider"}

// Webhook is the way in for what happens outside AWS: a URL that anybody can reach, the function behind it, the bus that
// the function puts small checked events on, and the rule that answers them.
type Webhook struct {
	constructs.Construct
	Function *Function
	Bus      awsevents.EventBus
	URL      awslambda.FunctionUrl
}

// NewWebhook makes the receiver. An error says that its function is not built.
func NewWebhook(scope constructs.Construct, id string, s Settings, dispatch Dispatch, audit Audit) (Webhook, error) {
	w := Webhook{Construct: constructs.NewConstruct(scope, &id)}
	var err error
	w.Function, err = NewFunction(w.Construct, s.Functions, audit.Log,
		FunctionProps{"ReceiveWebhook", "Checks what the outside world signs, and puts an event of it on the bus", medium, short})
	if err != nil {
		return w, err
	}
	w.Function.Function.Node().DefaultChild().(awslambda.CfnFunction).SetReservedConcurrentExecutions(jsii.Number(webhookProcesses))
	w.Bus = awsevents.NewEventBus(w.Construct, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(busName), Description: jsii.String("What webhooks said, once their signature was checked"),
	})
	audit.GrantAppend(w.Function)
	dispatch.GrantRemember(w.Function)
	w.forbid(s.Environment)
	w.GrantSpeak(webhookSource, w.Function)
	if s.GitHubKeys != "" {
		w.Function.Set(env.GitHubKeys, &s.GitHubKeys)
	}
	w.open()
	return w, nil
}

// open gives the function its URL. AuthType is NONE because no sender could sign with AWS's Signature Version 4: GitHub,
// PagerDuty and the like sign the body in their own ways, and that signature is the authentication. The function checks it
// before it reads anything, answers what does not hold from memory, and runs ten times at once at most.
func (w *Webhook) open() {
	w.URL = w.Function.Function.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_NONE})
	awscdk.NewCfnOutput(awscdk.Stack_Of(w.Construct), jsii.String("WebhookUrl"), &awscdk.CfnOutputProps{
		Value: w.URL.Url(), Description: jsii.String("Where webhooks go: add github, pagerduty, github-secret-scanning, siem or provider"),
	})
}

// forbid keeps the one function that strangers can call from everything that the attacker of one would want, whatever else
// lets it: values other than the keys of its routes, secrets as such, the registry, runs, other functions, other roles. It has
// no permission to read at all: its keys' resource policies allow it, since their contracts declare it, and end that in time.
func (w Webhook) forbid(environment string) {
	w.Function.Set(env.Environment, &environment)
	var keys []*string
	for _, route := range webhookKeys {
		// Secrets Manager ends every name in a hyphen and six characters of its own.
		keys = append(keys, arn(awscdk.Stack_Of(w.Construct), "secretsmanager", fmt.Sprintf("secret:%s/webhook-%s-??????", environment, route)))
	}
	w.Function.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("NeverReadOthers"), Effect: awsiam.Effect_DENY,
		Actions: jsii.Strings("secretsmanager:GetSecretValue"), NotResources: &keys,
	}))
	w.Function.Deny("NeverReachFurther", []string{"secretsmanager:BatchGetSecretValue", "secretsmanager:Cancel*", "secretsmanager:Create*",
		"secretsmanager:Delete*", "secretsmanager:Put*", "secretsmanager:Remove*", "secretsmanager:Replicate*", "secretsmanager:Restore*",
		"secretsmanager:Rotate*", "secretsmanager:Stop*", "secretsmanager:Tag*", "secretsmanager:Untag*", "secretsmanager:Update*",
		"dynamodb:*", "iam:*", "lambda:*", "states:*", "sts:AssumeRole*"}, jsii.String("*"))
}

// GrantSpeak lets functions speak on the bus, as this source only.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
func (w Webhook) GrantSpeak(source string, functions ...*Function) {
	for _, f := range functions {
		f.Set(env.Bus, w.Bus.EventBusName())
		f.AllowIf("PutEvents", []string{"events:PutEvents"},
			map[string]any{"StringEquals": map[string]any{"events:source": source}}, w.Bus.EventBusArn())
	}
}

// Answer has mayfly-respond answer what the receiver puts on the bus, tried and kept like every other event.
func (w Webhook) Answer(machines Machines, triggers Triggers) {
	role := triggers.role("WebhookRole", "events.amazonaws.com", nil)
	machines.GrantRespond(role)
	awsevents.NewCfnRule(w.Construct, jsii.String("Rule"), &awsevents.CfnRuleProps{
		Name:         jsii.String("mayfly-webhook"),
		Description:  jsii.String("A webhook said that something happened"),
		EventBusName: w.Bus.EventBusName(),
		EventPattern: map[string]any{"source": []string{webhookSource, "mayfly.manual"}}, // the second: by scripts that may put events here
		State:        jsii.String("ENABLED"),
		Targets: []any{awsevents.CfnRule_TargetProperty{
			Id:               jsii.String("Target"),
			Arn:              machines.Respond.StateMachineArn(),
			RoleArn:          role.RoleArn(),
			DeadLetterConfig: awsevents.CfnRule_DeadLetterConfigProperty{Arn: triggers.deadLetters.Events.QueueArn()},
			RetryPolicy: awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(86400),
				MaximumRetryAttempts:     jsii.Number(185),
			},
		}},
	}).Node().AddDependency(role) // with its policy: EventBridge would deliver before it may
}

// Watch alarms on requests that are refused in numbers: somebody tries keys, or a sender was not given the new one.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
func (w Webhook) Watch(alarms Alarms) {
	alarms.failing(w.Function)
	alarms.alarm("WebhookRefusing", "Requests to the webhook URL are refused in numbers: see the records with event refused, step ReceiveWebhook",
		condition{
			metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace: jsii.String("AWS/Lambda"), MetricName: jsii.String("Url4xxCount"), Statistic: jsii.String("Sum"), Period: minutes(15),
				DimensionsMap: &map[string]*string{"FunctionName": w.Function.Function.FunctionName()},
			}),
			periods: 1, atLeast: 100,
		})
}

// AllowIf adds one statement that holds under conditions.
func (f *Function) AllowIf(sid string, actions []string, conditions map[string]any, resources ...*string) {
	f.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: &sid, Actions: jsii.Strings(actions...), Resources: &resources, Conditions: &conditions,
	}))
}
