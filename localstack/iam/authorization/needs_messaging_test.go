package authorization_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedtypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

func (w *world) executionCalls() map[string]call {
	const machine, execution, function, role = "arn:aws:states:us-east-1:000000000000:stateMachine:m", "arn:aws:states:us-east-1:000000000000:execution:m:x", "arn:aws:lambda:us-east-1:000000000000:function:f", "arn:aws:iam::000000000000:role/r"
	const mapRun = "arn:aws:states:us-east-1:000000000000:mapRun:m/Map:x"
	states := func(f func(ctx context.Context, c *sfn.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, sfn.NewFromConfig(cfg)) }
	}
	return map[string]call{
		"StartExecution": {[]grant{{"states:StartExecution", machine}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(machine)})
			return err
		})},
		"DescribeMapRun": {[]grant{{"states:DescribeMapRun", mapRun}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: aws.String(mapRun)})
			return err
		})},
		"DescribeExecution": {[]grant{{"states:DescribeExecution", execution}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
			return err
		})},
		"StopExecution": {[]grant{{"states:StopExecution", execution}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: aws.String(execution)})
			return err
		})},
		"ListExecutions": {[]grant{{"states:ListExecutions", machine}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(machine)})
			return err
		})},
		"ListStateMachines": {[]grant{{"states:ListStateMachines", "*"}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
			return err
		})},
		"SendTaskSuccess": {[]grant{{"states:SendTaskSuccess", "*"}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String("t"), Output: aws.String("{}")})
			return err
		})},
		"CreateStateMachine": {[]grant{{"states:CreateStateMachine", "arn:aws:states:us-east-1:000000000000:stateMachine:n"}, {"iam:PassRole", role}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("n"), RoleArn: aws.String(role), Definition: aws.String("{}")})
			return err
		})},
		"Invoke": {[]grant{{"lambda:InvokeFunction", function}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		}},
		"Invoke by ARN and qualifier": {[]grant{{"lambda:InvokeFunction", function + ":live"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(function), Qualifier: aws.String("live")})
			return err
		}},
		"UpdateFunctionConfiguration": {[]grant{{"lambda:UpdateFunctionConfiguration", function}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("f"), Timeout: aws.Int32(3)})
			return err
		}},
		"CreateSchedule": {[]grant{{"scheduler:CreateSchedule", "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := scheduler.NewFromConfig(cfg).CreateSchedule(ctx, &scheduler.CreateScheduleInput{Name: aws.String("s"), ScheduleExpression: aws.String("rate(1 hour)"),
				FlexibleTimeWindow: &schedtypes.FlexibleTimeWindow{Mode: schedtypes.FlexibleTimeWindowModeOff}, Target: &schedtypes.Target{Arn: aws.String(machine), RoleArn: aws.String(role)}})
			return err
		}},
		"GetSchedule": {[]grant{{"scheduler:GetSchedule", "arn:aws:scheduler:us-east-1:000000000000:schedule/g/s"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := scheduler.NewFromConfig(cfg).GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s"), GroupName: aws.String("g")})
			return err
		}},
	}
}

func (w *world) messageCalls() map[string]call {
	const queue, topic, bus = "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sns:us-east-1:000000000000:t", "arn:aws:events:us-east-1:000000000000:event-bus/default"
	const role, rule = "arn:aws:iam::000000000000:role/r", "arn:aws:events:us-east-1:000000000000:rule/r"
	url := aws.String("http://127.0.0.1/000000000000/q")
	return map[string]call{
		"SendMessage": {[]grant{{"sqs:SendMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("m")})
			return err
		}},
		"SendMessageBatch": {[]grant{{"sqs:SendMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: aws.String("i"), MessageBody: aws.String("m")}}})
			return err
		}},
		"ReceiveMessage": {[]grant{{"sqs:ReceiveMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url})
			return err
		}},
		"GetQueueUrl": {[]grant{{"sqs:GetQueueUrl", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
			return err
		}},
		"ListQueues": {[]grant{{"sqs:ListQueues", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{})
			return err
		}},
		"Publish": {[]grant{{"sns:Publish", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Publish(ctx, &sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String("m")})
			return err
		}},
		"Subscribe": {[]grant{{"sns:Subscribe", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(topic), Protocol: aws.String("sqs"), Endpoint: aws.String(queue)})
			return err
		}},
		"Unsubscribe": {[]grant{{"sns:Unsubscribe", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(topic + ":id")})
			return err
		}},
		"PutEvents": {[]grant{{"events:PutEvents", bus}, {"events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/b"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
				{Source: aws.String("s"), DetailType: aws.String("d"), Detail: aws.String("{}")},
				{Source: aws.String("s"), DetailType: aws.String("d"), Detail: aws.String("{}"), EventBusName: aws.String("b")}}})
			return err
		}},
		"PutRule": {[]grant{{"events:PutRule", rule}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), RoleArn: aws.String(role), EventPattern: aws.String(`{"source":["s"]}`)})
			return err
		}},
		"PutTargets": {[]grant{{"events:PutTargets", "arn:aws:events:us-east-1:000000000000:rule/b/r"}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), EventBusName: aws.String("b"), Targets: []ebtypes.Target{{Id: aws.String("i"), Arn: aws.String(queue), RoleArn: aws.String(role)}}})
			return err
		}},
	}
}

func (w *world) observationCalls() map[string]call {
	group := "arn:aws:logs:us-east-1:000000000000:log-group:/mayfly/audit:"
	do := func(f func(ctx context.Context, c *cloudwatchlogs.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, cloudwatchlogs.NewFromConfig(cfg)) }
	}
	name, stream := aws.String("/mayfly/audit"), aws.String("s")
	return map[string]call{
		"CreateLogStream": {[]grant{{"logs:CreateLogStream", group + "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: name, LogStreamName: stream})
			return err
		})},
		"PutLogEvents": {[]grant{{"logs:PutLogEvents", group + "log-stream:s"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: name, LogStreamName: stream, LogEvents: []logtypes.InputLogEvent{{Message: aws.String("m"), Timestamp: aws.Int64(w.Clock.Now().UnixMilli())}}})
			return err
		})},
		"FilterLogEvents": {[]grant{{"logs:FilterLogEvents", group + "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: name})
			return err
		})},
		"DescribeLogGroups": {[]grant{{"logs:DescribeLogGroups", "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{})
			return err
		})},
		"PutMetricData": {[]grant{{"cloudwatch:PutMetricData", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}})
			return err
		}},
		"SetAlarmState": {[]grant{{"cloudwatch:SetAlarmState", "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: cwtypes.StateValueOk, StateReason: aws.String("r")})
			return err
		}},
		"ListMetrics": {[]grant{{"cloudwatch:ListMetrics", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
			return err
		}},
	}
}

func (w *world) identityCalls() map[string]call {
	target := w.role(document())
	full := "arn:aws:iam::000000000000:role/" + target
	return map[string]call{
		"GetRole": {[]grant{{"iam:GetRole", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: &target})
			return err
		}},
		"AssumeRole": {[]grant{{"sts:AssumeRole", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &full, RoleSessionName: aws.String("me")})
			return err
		}},
		"AssumeRole with tags": {[]grant{{"sts:AssumeRole", full}, {"sts:TagSession", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &full, RoleSessionName: aws.String("me"), Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("x")}}})
			return err
		}},
	}
}
