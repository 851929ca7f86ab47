package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// DeadLetters keep what could not be delivered, as it was, so that it can be sent again: events in one queue, ticks of
// the schedule in the other. Both are alarmed on at the first message.
type DeadLetters struct {
	constructs.Construct
	Events, Ticks awssqs.Queue
	key           awskms.IKey
}

// NewDeadLetters makes the queues, encrypted and reachable through TLS only. 14 days is the longest that SQS keeps. The rules
// are Mayfly's on the default bus, on its own bus and, unless that is "", on PagerDuty's.
func NewDeadLetters(scope constructs.Construct, id string, key awskms.IKey, pagerDutyBus string) DeadLetters {
	d := DeadLetters{Construct: constructs.NewConstruct(scope, &id), key: key}
	queue := func(id, name string) awssqs.Queue {
		return awssqs.NewQueue(d.Construct, &id, &awssqs.QueueProps{
			QueueName:           &name,
			Encryption:          awssqs.QueueEncryption_KMS,
			EncryptionMasterKey: key,
			EnforceSSL:          jsii.Bool(true),
			RetentionPeriod:     awscdk.Duration_Days(jsii.Number(14)),
			RemovalPolicy:       awscdk.RemovalPolicy_DESTROY,
		})
	}
	d.Events = queue("Events", "mayfly-undelivered-events")
	d.Ticks = queue("Ticks", "mayfly-undelivered-ticks")
	rules := []*string{
		arn(awscdk.Stack_Of(d.Construct), "events", "rule/mayfly-*"),
		arn(awscdk.Stack_Of(d.Construct), "events", "rule/"+busName+"/mayfly-*"),
	}
	if pagerDutyBus != "" {
		rules = append(rules, arn(awscdk.Stack_Of(d.Construct), "events", "rule/"+pagerDutyBus+"/mayfly-*"))
	}
	// EventBridge writes dead letters as itself, not with the rule's role.
	// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
	d.Events.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("KeepUndelivered"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{d.Events.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": rules}},
	}))
	return d
}

// GrantTicks lets the schedule's role leave a tick that it could not deliver.
func (d DeadLetters) GrantTicks(role awsiam.Role) {
	allow(role, "KeepUndelivered", "sqs:SendMessage", []*string{d.Ticks.QueueArn()})
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String("EncryptUndelivered"),
		Actions:   jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
		Resources: &[]*string{d.key.KeyArn()},
	}))
}
