package infra

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

const (
	listPrefix   = "dispatch/" // lists of fleets and of batches: written by ResolveTrigger and ListSecrets, read by their machines
	resultPrefix = "results/"  // what became of each start: written by Step Functions
	// Which webhooks were taken in: written by ReceiveWebhook.
	deliveryPrefix = "deliveries/"
	fleetMap       = "StartFleet"
	batchMap       = "InspectBatches"
)

// Dispatch is where mayfly-respond keeps the lists of fleets, which are too long for its state, and where the webhook
// receiver remembers what it took in. They name secrets and hold no value.
type Dispatch struct {
	constructs.Construct
	Bucket awss3.Bucket
	key    awskms.IKey
}

// NewDispatch makes the bucket. After a week a list is gone: what it named has been started long since, or is to be found
// again by sending the event again. A delivery is known for 90 days: as long as Step Functions knows the name of the execution
// that it started.
func NewDispatch(scope constructs.Construct, id string, key awskms.IKey) Dispatch {
	d := Dispatch{Construct: constructs.NewConstruct(scope, &id), key: key}
	stack := awscdk.Stack_Of(d.Construct)
	d.Bucket = awss3.NewBucket(d.Construct, jsii.String("Bucket"), &awss3.BucketProps{
		BucketName:        jsii.String("mayfly-dispatch-" + *stack.Account() + "-" + *stack.Region()),
		Encryption:        awss3.BucketEncryption_KMS,
		EncryptionKey:     key,
		BucketKeyEnabled:  jsii.Bool(true),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		LifecycleRules:    &[]*awss3.LifecycleRule{forget(listPrefix, 7), forget(resultPrefix, 7), forget(deliveryPrefix, 90)},
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY, // of no use without the stack; one that is not empty stays
	})
	return d
}

// forget deletes what lies below a prefix after so many days.
func forget(prefix string, days float64) *awss3.LifecycleRule {
	return &awss3.LifecycleRule{
		Id: jsii.String(strings.TrimSuffix(prefix, "/")), Prefix: &prefix,
		Expiration:                          awscdk.Duration_Days(&days),
		AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(1)),
	}
}

// GrantRemember lets a function write which webhooks it took in and look whether it knows one; who may append to the audit
// may use the key that both buckets are encrypted with. It may not list the bucket, which no condition would confine to a
// prefix where S3 asks whether to tell that an object is missing.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (d Dispatch) GrantRemember(f *Function) {
	f.Set(env.DispatchBucket, d.Bucket.BucketName())
	f.Allow("RememberDelivery", []string{"s3:GetObject", "s3:PutObject"}, d.Bucket.ArnForObjects(jsii.String(deliveryPrefix+"*")))
}

// GrantKeep lets a function write the list of a fleet, and read the one that it wrote before. The key is the audit's too.
func (d Dispatch) GrantKeep(f *Function) {
	f.Set(env.DispatchBucket, d.Bucket.BucketName())
	f.Allow("KeepFleet", []string{"s3:GetObject", "s3:PutObject"}, d.Bucket.ArnForObjects(jsii.String(listPrefix+"*")))
}

// GrantFleet lets the role of mayfly-respond run its Distributed Map.
func (d Dispatch) GrantFleet(machine awsstepfunctions.StateMachine) {
	d.grantMap(machine, respondMachine, fleetMap, "Fleet")
}

// GrantBatches lets the role of mayfly-inspect run its Distributed Map.
func (d Dispatch) GrantBatches(machine awsstepfunctions.StateMachine) {
	d.grantMap(machine, inspectMachine, batchMap, "Batches")
}

// grantMap is what the role of a machine needs for a Distributed Map: read lists, write results (in parts, if they are large),
// start its own children, watch and stop them, and ask how the Map Run went.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
func (d Dispatch) grantMap(machine awsstepfunctions.StateMachine, name, label, what string) {
	stack := awscdk.Stack_Of(d.Construct)
	permit := func(sid string, actions []string, resources ...*string) {
		machine.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: &sid, Actions: jsii.Strings(actions...), Resources: &resources,
		}))
	}
	permit("Read"+what, []string{"s3:GetObject"}, d.Bucket.ArnForObjects(jsii.String(listPrefix+"*")))
	permit("WriteResults", []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"},
		d.Bucket.ArnForObjects(jsii.String(resultPrefix+"*")))
	permit("Encrypt"+what, []string{"kms:Decrypt", "kms:GenerateDataKey"}, d.key.KeyArn())
	// By name: the machine itself needs its role first.
	permit("Run"+what, []string{"states:StartExecution"}, arn(stack, "states", "stateMachine:"+name))
	permit("Watch"+what, []string{"states:DescribeExecution", "states:StopExecution"},
		arn(stack, "states", "execution:"+name+"/"+label+":*"))
	permit("Count"+what, []string{"states:DescribeMapRun"}, arn(stack, "states", "mapRun:"+name+"/"+label+":*"))
}
