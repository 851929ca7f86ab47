package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Encryption is the one key under which everything that Mayfly keeps is stored.
type Encryption struct {
	constructs.Construct
	Key awskms.Key
}

// NewEncryption makes the key. It rotates yearly and stays when the stack goes: without it the locked audit records
// could not be read any more.
func NewEncryption(scope constructs.Construct, id string) Encryption {
	e := Encryption{Construct: constructs.NewConstruct(scope, &id)}
	e.Key = awskms.NewKey(e.Construct, jsii.String("Key"), &awskms.KeyProps{
		Alias:             jsii.String("mayfly"),
		Description:       jsii.String("Mayfly: registry, audit records, logs, dead letters, alarms"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
	})
	e.allowLogs()
	e.allowTables()
	e.allowDeliveries()
	return e
}

// allowLogs lets CloudWatch Logs use the key for Mayfly's log groups only.
// Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func (e Encryption) allowLogs() {
	stack := awscdk.Stack_Of(e.Construct)
	e.Key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("EncryptLogs"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("logs."+*stack.Region()+".amazonaws.com"), nil)},
		Actions:    jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"),
		Resources:  jsii.Strings("*"),
		Conditions: &map[string]any{"ArnLike": map[string]any{
			"kms:EncryptionContext:aws:logs:arn": []*string{
				arn(stack, "logs", "log-group:"+auditLogGroup),
				arn(stack, "logs", "log-group:"+machineLogGroup),
			},
		}},
	}), nil)
}

// allowTables lets those who may use the tables use the key through DynamoDB, and in no other way: the statement that
// DynamoDB's own key has.
// Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
func (e Encryption) allowTables() {
	stack := awscdk.Stack_Of(e.Construct)
	e.Key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("EncryptTables"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"),
		Resources:  jsii.Strings("*"),
		Conditions: &map[string]any{"StringEquals": map[string]any{
			"kms:CallerAccount": stack.Account(),
			"kms:ViaService":    "dynamodb." + *stack.Region() + ".amazonaws.com",
		}},
	}), nil)
}

// allowDeliveries lets alarms of this account publish to the encrypted topic, and EventBridge write to the encrypted
// dead-letter queue. EventBridge's call to KMS does not carry aws:SourceAccount or aws:SourceArn: with such a condition
// every dead letter would be lost without a sign. The queue's own policy names the rules instead.
// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
func (e Encryption) allowDeliveries() {
	use := func(sid, service string, conditions *map[string]any) {
		e.Key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        &sid,
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(&service, nil)},
			Actions:    jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
			Resources:  jsii.Strings("*"),
			Conditions: conditions,
		}), nil)
	}
	stack := awscdk.Stack_Of(e.Construct)
	use("PublishAlarms", "cloudwatch.amazonaws.com", &map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
		"ArnLike":      map[string]any{"aws:SourceArn": arn(stack, "cloudwatch", "alarm:mayfly-*")},
	})
	use("KeepUndelivered", "events.amazonaws.com", nil)
}

// arn is the ARN of something of this account and Region, known by name before it exists.
func arn(stack awscdk.Stack, service, resource string) *string {
	return jsii.String("arn:" + *stack.Partition() + ":" + service + ":" + *stack.Region() + ":" + *stack.Account() + ":" + resource)
}
