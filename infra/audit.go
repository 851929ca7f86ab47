package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

const (
	auditLogGroup = "/mayfly/audit"
	auditPrefix   = "audit/"
	metricSpace   = "Mayfly"
)

// Audit is where every decision is kept: the bucket, whose records nobody can alter, and the log group, from which the
// same records become metrics and alarms.
type Audit struct {
	constructs.Construct
	Bucket awss3.Bucket
	Log    awslogs.LogGroup
	key    awskms.IKey
	days   int
}

// NewAudit makes the bucket and the log group. A record cannot be deleted or shortened by anybody, the account's root
// included, for the given days.
func NewAudit(scope constructs.Construct, id string, key awskms.IKey, retentionDays int) Audit {
	a := Audit{Construct: constructs.NewConstruct(scope, &id), key: key, days: retentionDays}
	stack := awscdk.Stack_Of(a.Construct)
	a.Bucket = awss3.NewBucket(a.Construct, jsii.String("Bucket"), &awss3.BucketProps{
		BucketName:                 jsii.String("mayfly-audit-" + *stack.Account() + "-" + *stack.Region()),
		ObjectLockEnabled:          jsii.Bool(true),
		ObjectLockDefaultRetention: awss3.ObjectLockRetention_Compliance(awscdk.Duration_Days(jsii.Number(retentionDays))),
		Versioned:                  jsii.Bool(true), // Object Lock locks versions
		Encryption:                 awss3.BucketEncryption_KMS,
		EncryptionKey:              key,
		BucketKeyEnabled:           jsii.Bool(true), // records are many and small: one data key per caller and time, not per record
		BlockPublicAccess:          awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:            awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:                 jsii.Bool(true),
		MinimumTLSVersion:          jsii.Number(1.2),
		RemovalPolicy:              awscdk.RemovalPolicy_RETAIN,
	})
	a.keepRecords()
	a.Log = awslogs.NewLogGroup(a.Construct, jsii.String("Log"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String(auditLogGroup),
		EncryptionKey: key,
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
	// The CDK has a name for each number of days that CloudWatch Logs offers; CloudFormation takes the number.
	a.Log.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(logRetention(retentionDays)))
	a.countRecords("FailedDirty", `{ $.outcome = "failed_dirty" }`)
	a.countRecords("Evaluated", `{ $.event = "evaluated" }`)
	// Findings have lines of their own, at every inspection while they stand: of each there is one record a day.
	a.countRecords("Drift", `{ $.schema = "mayfly.finding.v1" && $.grade = "drift" }`)
	a.countRecords("Overdue", `{ $.schema = "mayfly.finding.v1" && $.grade = "overdue" }`)
	a.countRecords("ProbeFailed", `{ $.schema = "mayfly.finding.v1" && $.grade = "probe_failed" }`)
	return a
}

// keepRecords refuses, to everybody, what could end or weaken the lock, and what could hide a record: under COMPLIANCE a
// plain delete cannot remove a version, but it still puts a delete marker in front of it. Changing the default retention
// later takes two deployments on purpose: one that lifts this statement, one that changes the number.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
func (a Audit) keepRecords() {
	a.Bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("KeepRecords"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions: jsii.Strings("s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion",
			"s3:PutBucketObjectLockConfiguration"),
		Resources: &[]*string{a.Bucket.BucketArn(), a.Bucket.ArnForObjects(jsii.String("*"))},
	}))
}

// countRecords makes a metric of the audit records that match: alarms come from the log, so that a step has to write in
// one place only.
func (a Audit) countRecords(metric, pattern string) {
	awslogs.NewCfnMetricFilter(a.Construct, jsii.String("Count"+metric), &awslogs.CfnMetricFilterProps{
		LogGroupName:  a.Log.LogGroupName(),
		FilterName:    jsii.String("mayfly-" + kebab(metric)),
		FilterPattern: &pattern,
		MetricTransformations: []awslogs.CfnMetricFilter_MetricTransformationProperty{{
			MetricNamespace: jsii.String(metricSpace),
			MetricName:      &metric,
			MetricValue:     jsii.String("1"),
			Unit:            jsii.String("Count"),
		}},
	})
}

// GrantAppend lets a function append records to the chain: read the head, put the next record with its own lock. It
// cannot replace one (If-None-Match, and versions are locked anyway).
func (a Audit) GrantAppend(f *Function) {
	f.Set(env.Account, awscdk.Stack_Of(a.Construct).Account())
	f.Set(env.AuditBucket, a.Bucket.BucketName())
	f.Set(env.RetentionDays, jsii.String(fmt.Sprint(a.days)))
	f.Allow("AppendAudit", []string{"s3:GetObject", "s3:PutObject", "s3:PutObjectRetention"},
		a.Bucket.ArnForObjects(jsii.String(auditPrefix+"*")))
	f.Allow("FindAuditHead", []string{"s3:ListBucket"}, a.Bucket.BucketArn())
	f.Allow("EncryptAudit", []string{"kms:Decrypt", "kms:GenerateDataKey"}, a.key.KeyArn())
}

// logRetention is the shortest retention that CloudWatch Logs offers and that covers the days, or its longest.
// Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func logRetention(days int) int {
	offered := []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
	for _, d := range offered {
		if d >= days {
			return d
		}
	}
	return offered[len(offered)-1]
}
