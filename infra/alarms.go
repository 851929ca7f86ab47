package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Alarms is the one topic that a person has to listen to, and what is said there. An alarm means that somebody has to
// act: a rotation that failed clean is not one.
type Alarms struct {
	constructs.Construct
	Topic awssns.Topic
	key   awskms.IKey
}

// NewAlarms makes the topic. With an email address, AWS asks its owner to confirm once.
func NewAlarms(scope constructs.Construct, id string, key awskms.IKey, email string) Alarms {
	a := Alarms{Construct: constructs.NewConstruct(scope, &id), key: key}
	a.Topic = awssns.NewTopic(a.Construct, jsii.String("Topic"), &awssns.TopicProps{
		TopicName: jsii.String("mayfly-alarms"), MasterKey: key, EnforceSSL: jsii.Bool(true),
	})
	// A topic policy of one's own replaces the default one, by which alarms of the account could publish.
	// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
	stack := awscdk.Stack_Of(a.Construct)
	a.Topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("PublishAlarms"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{a.Topic.TopicArn()},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
			"ArnLike":      map[string]any{"aws:SourceArn": arn(stack, "cloudwatch", "alarm:mayfly-*")},
		},
	}))
	if email != "" {
		a.Topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(&email, nil))
	}
	return a
}

// GrantPublish lets a role raise an alarm itself. EventBridge needs one: it supports no conditions in a topic's policy, so
// that a statement for it there would be one for everybody's rules.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
func (a Alarms) GrantPublish(role awsiam.Role) {
	allow(role, "RaiseAlarm", "sns:Publish", []*string{a.Topic.TopicArn()})
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String("EncryptAlarm"),
		Actions:   jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
		Resources: &[]*string{a.key.KeyArn()},
	}))
}

// Watch makes every alarm.
func (a Alarms) Watch(functions *Functions, machines Machines, deadLetters DeadLetters) {
	a.alarm("FailedDirty", "A run ended dirty: a law is at risk. Runbook: docs/operations.md, FailedDirty",
		condition{metric: counted("FailedDirty", 5), periods: 1, atLeast: 1})
	// The absence of work is the failure that nobody reports, so here missing data is the alarm.
	a.alarm("EvaluationMissing", "Nothing was evaluated for an hour: what is due is not rotated. Look at mayfly-respond and its schedule",
		condition{metric: counted("Evaluated", 30), periods: 2, missing: true})
	a.undelivered("UndeliveredEvents", deadLetters.Events)
	a.undelivered("UndeliveredTicks", deadLetters.Ticks)
	for _, f := range functions.all {
		a.failing(f)
	}
	a.unfinished("RotateUnfinished", "Rotations timed out or were aborted: the lease ends by itself, the next run verifies first",
		machines.Rotate, "timedOut + aborted")
	a.unfinished("RespondFailing", "Events were taken in and not answered: redrive the executions of mayfly-respond once the cause is gone",
		machines.Respond, "failed + timedOut + aborted")
}

func (a Alarms) undelivered(id string, queue awssqs.Queue) {
	a.alarm(id, "An event or tick could not be delivered and waits in "+*queue.Node().Id()+" to be sent again",
		condition{
			metric: queue.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{
				Period: minutes(5), Statistic: jsii.String("Maximum"),
			}),
			periods: 1, atLeast: 1,
		})
}

// failing counts errors and throttles together. A step's error is often an answer (the target refused, try later) that
// the state machine handles, so a few are normal: five within 15 minutes are more than one run's retries.
func (a Alarms) failing(f *Function) {
	sum := &awscloudwatch.MetricOptions{Period: minutes(15), Statistic: jsii.String("Sum")}
	a.alarm(f.State+"Failing", "The function "+functionName(f.State)+" fails or is throttled again and again: see its lines in "+auditLogGroup,
		condition{
			metric: expression("errors + throttles", 15, map[string]any{
				"errors": f.Function.MetricErrors(sum), "throttles": f.Function.MetricThrottles(sum),
			}),
			periods: 1, atLeast: 5,
		})
}

func (a Alarms) unfinished(id, says string, machine awsstepfunctions.StateMachine, formula string) {
	sum := &awscloudwatch.MetricOptions{Period: minutes(5), Statistic: jsii.String("Sum")}
	metrics := map[string]any{"timedOut": machine.MetricTimedOut(sum), "aborted": machine.MetricAborted(sum)}
	if id != "RotateUnfinished" { // its runs fail on record, and FailedDirty is counted there
		metrics["failed"] = machine.MetricFailed(sum)
	}
	a.alarm(id, says, condition{metric: expression(formula, 5, metrics), periods: 1, atLeast: 1})
}

// condition is when an alarm goes off: the metric is at least atLeast in each of the periods; or, with missing, it is
// absent or 0 in each of them.
type condition struct {
	metric           awscloudwatch.IMetric
	periods, atLeast int
	missing          bool
}

func (a Alarms) alarm(id, says string, c condition) {
	props := &awscloudwatch.AlarmProps{
		AlarmName:          jsii.String("mayfly-" + kebab(id)),
		AlarmDescription:   &says,
		Metric:             c.metric,
		EvaluationPeriods:  jsii.Number(c.periods),
		Threshold:          jsii.Number(c.atLeast),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	}
	if c.missing {
		props.Threshold = jsii.Number(1)
		props.ComparisonOperator = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
		props.TreatMissingData = awscloudwatch.TreatMissingData_BREACHING
	}
	awscloudwatch.NewAlarm(a.Construct, &id, props).AddAlarmAction(awscloudwatchactions.NewSnsAction(a.Topic))
}

// counted is a metric that the audit log's filters count.
func counted(name string, period int) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(metricSpace), MetricName: &name, Statistic: jsii.String("Sum"), Period: minutes(period),
	})
}

func expression(formula string, period int, metrics map[string]any) awscloudwatch.IMetric {
	using := map[string]awscloudwatch.IMetric{}
	for name, m := range metrics {
		using[name] = m.(awscloudwatch.IMetric)
	}
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: &formula, Period: minutes(period), UsingMetrics: &using,
	})
}

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }
