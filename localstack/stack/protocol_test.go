package stack_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// The protocol bases are proven with the SDK's own clients of services that speak them.

type metricInput struct {
	Namespace  string
	MetricData []struct {
		MetricName string
		Value      float64
		Timestamp  stack.Time
		Dimensions []struct{ Name, Value string }
	}
}

type alarms struct {
	MetricAlarms []alarm
}

type alarm struct {
	AlarmName                          string
	Threshold                          float64
	EvaluationPeriods                  int
	AlarmConfigurationUpdatedTimestamp stack.Time
	ActionsEnabled                     bool
	AlarmDescription                   string `json:",omitempty"`
}

func TestCBOR(t *testing.T) {
	stacktest.Local(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	var got metricInput
	service := &stack.CBOR{Signing: "monitoring", Shape: "GraniteServiceVersion20100801", Ops: map[string]stack.Op{
		"PutMetricData": stack.Handle(func(_ context.Context, _ *stack.Call, in *metricInput) (*struct{}, error) {
			got = *in
			return &struct{}{}, nil
		}),
		"DescribeAlarms": stack.Handle(func(context.Context, *stack.Call, *struct{}) (*alarms, error) {
			return &alarms{[]alarm{{AlarmName: "a", Threshold: -1.5, EvaluationPeriods: -3, ActionsEnabled: true, AlarmConfigurationUpdatedTimestamp: stack.Time{Time: at}}}}, nil
		}),
		"DeleteAlarms": stack.Handle(func(context.Context, *stack.Call, *struct{ AlarmNames []string }) (*struct{}, error) {
			return nil, &stack.Error{Code: "ResourceNotFound", Status: http.StatusNotFound, Message: "no alarm"}
		}),
	}}
	c := cloudwatch.NewFromConfig(stacktest.Serve(t, service))
	name := strings.Repeat("n", 200)
	datum := cwtypes.MetricDatum{MetricName: &name, Value: aws.Float64(-2.5), Timestamp: &at, Dimensions: []cwtypes.Dimension{{Name: aws.String("State"), Value: aws.String("Rotated")}}}
	data := make([]cwtypes.MetricDatum, 100) // large enough to be sent compressed
	for i := range data {
		data[i] = datum
	}
	if _, err := c.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Mayfly"), MetricData: data}); err != nil {
		t.Fatal(err)
	}
	last := got.MetricData[99]
	if got.Namespace != "Mayfly" || last.MetricName != name || last.Value != -2.5 || !last.Timestamp.Equal(at) || last.Dimensions[0].Value != "Rotated" {
		t.Fatalf("got %+v", last)
	}
	out, err := c.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	if err != nil {
		t.Fatal(err)
	}
	a := out.MetricAlarms[0]
	if *a.AlarmName != "a" || *a.Threshold != -1.5 || *a.EvaluationPeriods != -3 || !*a.ActionsEnabled || !a.AlarmConfigurationUpdatedTimestamp.Equal(at) || a.AlarmDescription != nil {
		t.Fatalf("got %+v", a)
	}
	if _, err = c.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a"}}); code(err) != "ResourceNotFound" {
		t.Fatalf("error %v", err)
	}
	if _, err = c.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a"}}); code(err) != "SerializationException" {
		t.Fatalf("an unknown member: %v", err)
	}
}

type topicInput struct {
	Name       string
	Attributes map[string]string
	Tags       []struct{ Key, Value string }
}

func TestQuery(t *testing.T) {
	stacktest.Local(t)
	var got topicInput
	service := &stack.Query{Signing: "sns", Namespace: "http://sns.amazonaws.com/doc/2010-03-31/", Ops: map[string]stack.Op{
		"CreateTopic": stack.HandleQuery(func(_ context.Context, _ *stack.Call, in *topicInput) (*struct{ TopicArn string }, error) {
			got = *in
			return &struct{ TopicArn string }{"arn:<&>"}, nil
		}),
		"GetTopicAttributes": stack.HandleQuery(func(context.Context, *stack.Call, *struct{ TopicArn string }) (*struct{ Attributes map[string]string }, error) {
			return &struct{ Attributes map[string]string }{map[string]string{"A": "1", "B": "<2>"}}, nil
		}),
		"ListTopics": stack.HandleQuery(func(context.Context, *stack.Call, *struct{}) (*struct{ Topics []struct{ TopicArn string } }, error) {
			return nil, &stack.Error{Code: "NotFound", Status: http.StatusNotFound, Message: "a < b"}
		}),
	}}
	c := sns.NewFromConfig(stacktest.Serve(t, service))
	in := &sns.CreateTopicInput{Name: aws.String("t"), Attributes: map[string]string{"DisplayName": "a&b", "Policy": "{}"}}
	made, err := c.CreateTopic(t.Context(), in)
	if err != nil || *made.TopicArn != "arn:<&>" {
		t.Fatalf("%v %v", made, err)
	}
	if diff := cmp.Diff(topicInput{Name: "t", Attributes: in.Attributes}, got); diff != "" {
		t.Fatal(diff)
	}
	attributes, err := c.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String("x")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "<2>"}, attributes.Attributes); diff != "" {
		t.Fatal(diff)
	}
	if _, err := c.ListTopics(t.Context(), &sns.ListTopicsInput{}); code(err) != "NotFound" || !strings.Contains(err.Error(), "a < b") {
		t.Fatalf("error %v", err)
	}
	if _, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("t"), DataProtectionPolicy: aws.String("{}")}); code(err) != "InvalidParameter" {
		t.Fatalf("an unknown parameter: %v", err)
	}
	if _, err := c.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String("x")}); code(err) != "InvalidAction" {
		t.Fatalf("an unknown action: %v", err)
	}
}

func TestREST(t *testing.T) {
	stacktest.Local(t)
	var labels map[string]string
	var query url.Values
	service := &stack.REST{Signing: "scheduler", Routes: []stack.Route{
		{Method: "GET", Path: "/schedules/{Name}", Operation: "GetSchedule", Op: stack.Handle(func(_ context.Context, call *stack.Call, _ *struct{}) (*struct{ Name string }, error) {
			labels, query = call.Labels, call.Request.URL.Query()
			return &struct{ Name string }{call.Labels["Name"]}, nil
		})},
		{Method: "DELETE", Path: "/schedules/{Name}", Operation: "DeleteSchedule", Op: stack.Handle(func(context.Context, *stack.Call, *struct{}) (*struct{}, error) {
			return nil, &stack.Error{Code: "ResourceNotFoundException", Status: http.StatusNotFound, Message: "no schedule"}
		})},
	}}
	c := scheduler.NewFromConfig(stacktest.Serve(t, service))
	out, err := c.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("a/b c"), GroupName: aws.String("g")})
	if err != nil || *out.Name != "a/b c" || labels["Name"] != "a/b c" || query.Get("groupName") != "g" {
		t.Fatalf("%v %v %v %v", out, err, labels, query)
	}
	if _, err := c.DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{Name: aws.String("a")}); code(err) != "ResourceNotFoundException" {
		t.Fatalf("error %v", err)
	}
	if _, err := c.GetScheduleGroup(t.Context(), &scheduler.GetScheduleGroupInput{Name: aws.String("a")}); code(err) != "UnknownOperationException" {
		t.Fatalf("unknown route: %v", err)
	}
}
