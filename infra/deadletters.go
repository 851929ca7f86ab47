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

// NewDeadLetters makes the queues, encrypted and reachable through TLS only. 14 days is the longest that SQS keeps.
func NewDeadLetters(scope constructs.Construct, id string, key awskms.IKey) DeadLetters {
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
