package logs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/logs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func client(t *testing.T) *sdk.Client {
	return sdk.NewFromConfig(stacktest.Serve(t, logs.New(stack.NewClock(), nil)))
}

func newGroup(t *testing.T, c *sdk.Client, streams ...string) *string {
	t.Helper()
	name := aws.String(fmt.Sprintf("/conformance/%d", time.Now().UnixNano()))
	if _, err := c.CreateLogGroup(t.Context(), &sdk.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		if _, err := c.CreateLogStream(t.Context(), &sdk.CreateLogStreamInput{LogGroupName: name, LogStreamName: &s}); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func wants(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// write puts lines into a stream, one second apart from start on.
func write(t *testing.T, c *sdk.Client, group *string, stream string, start time.Time, lines ...string) {
	t.Helper()
	var events []types.InputLogEvent
	for i, l := range lines {
		events = append(events, types.InputLogEvent{Message: &l, Timestamp: aws.Int64(start.Add(time.Duration(i) * time.Second).UnixMilli())})
	}
	if _, err := c.PutLogEvents(t.Context(), &sdk.PutLogEventsInput{LogGroupName: group, LogStreamName: &stream, LogEvents: events}); err != nil {
		t.Fatal(err)
	}
}

func TestGroupsAndStreams(t *testing.T) {
	c, ctx := client(t), t.Context()
	g := newGroup(t, c, "s1", "s2")
	_, err := c.CreateLogGroup(ctx, &sdk.CreateLogGroupInput{LogGroupName: g})
	wants(t, err, "ResourceAlreadyExistsException")
	_, err = c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: g, LogStreamName: aws.String("s1")})
	wants(t, err, "ResourceAlreadyExistsException")
	_, err = c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: aws.String("/none"), LogStreamName: aws.String("s1")})
	wants(t, err, "ResourceNotFoundException")
	if _, err := c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: g, RetentionInDays: aws.Int32(400)}); err != nil {
		t.Fatal(err)
	}
	_, err = c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: g, RetentionInDays: aws.Int32(401)})
	wants(t, err, "InvalidParameterException")
	groups, err := c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: g})
	if err != nil || len(groups.LogGroups) != 1 || *groups.LogGroups[0].RetentionInDays != 400 || !strings.HasSuffix(*groups.LogGroups[0].Arn, *g+":*") {
		t.Fatalf("groups: %+v, %v", groups, err)
	}
	if _, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: groups.LogGroups[0].LogGroupArn, Tags: map[string]string{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	write(t, c, g, "s1", time.Now(), "x")
	var names []string
	for p := sdk.NewDescribeLogStreamsPaginator(c, &sdk.DescribeLogStreamsInput{LogGroupName: g, Limit: aws.Int32(1), OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.LogStreams {
			names = append(names, *s.LogStreamName)
		}
	}
	if fmt.Sprint(names) != "[s1 s2]" {
		t.Fatalf("streams: %v", names)
	}
}

func TestGetLogEvents(t *testing.T) {
	c, ctx := client(t), t.Context()
	g := newGroup(t, c, "s")
	start := time.Now().Add(-time.Minute)
	write(t, c, g, "s", start, "0", "1", "2", "3", "4")
	in := &sdk.GetLogEventsInput{LogGroupName: g, LogStreamName: aws.String("s"), StartFromHead: aws.Bool(true), Limit: aws.Int32(2)}
	var read []string
	for {
		out, err := c.GetLogEvents(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			read = append(read, *e.Message)
		}
		if in.NextToken != nil && *in.NextToken == *out.NextForwardToken {
			break // the end of the stream
		}
		in.NextToken = out.NextForwardToken
	}
	if fmt.Sprint(read) != "[0 1 2 3 4]" {
		t.Fatalf("forward: %v", read)
	}
	last, err := c.GetLogEvents(ctx, &sdk.GetLogEventsInput{LogGroupName: g, LogStreamName: aws.String("s"), Limit: aws.Int32(2)})
	if err != nil || *last.Events[0].Message != "3" {
		t.Fatalf("newest page: %+v, %v", last, err)
	}
	back, err := c.GetLogEvents(ctx, &sdk.GetLogEventsInput{LogGroupName: g, LogStreamName: aws.String("s"), Limit: aws.Int32(2), NextToken: last.NextBackwardToken})
	if err != nil || *back.Events[0].Message != "1" {
		t.Fatalf("page before: %+v, %v", back, err)
	}
	// endTime is exclusive.
	part, err := c.GetLogEvents(ctx, &sdk.GetLogEventsInput{LogGroupName: g, LogStreamName: aws.String("s"), StartTime: aws.Int64(start.Add(time.Second).UnixMilli()), EndTime: aws.Int64(start.Add(3 * time.Second).UnixMilli())})
	if err != nil || len(part.Events) != 2 {
		t.Fatalf("range: %+v, %v", part, err)
	}
	_, err = c.GetLogEvents(ctx, &sdk.GetLogEventsInput{LogGroupName: g, LogStreamName: aws.String("none")})
	wants(t, err, "ResourceNotFoundException")
	_, err = c.PutLogEvents(ctx, &sdk.PutLogEventsInput{LogGroupName: g, LogStreamName: aws.String("s"), LogEvents: []types.InputLogEvent{
		{Message: aws.String("b"), Timestamp: aws.Int64(2000)}, {Message: aws.String("a"), Timestamp: aws.Int64(1000)}}})
	wants(t, err, "InvalidParameterException")
}

func TestFilterLogEvents(t *testing.T) {
	c, ctx := client(t), t.Context()
	g := newGroup(t, c, "prod/a", "prod/b", "dev/a")
	start := time.Now().Add(-time.Minute)
	write(t, c, g, "prod/a", start, `{"schema":"mayfly.audit.v1","outcome":"failed_dirty","n":1}`, `{"schema":"mayfly.audit.v1","outcome":"rotated","n":2}`)
	write(t, c, g, "prod/b", start.Add(500*time.Millisecond), `{"schema":"mayfly.audit.v1","outcome":"failed_dirty","n":3}`)
	write(t, c, g, "dev/a", start, `not json, failed_dirty`)
	filter := func(in sdk.FilterLogEventsInput) string {
		t.Helper()
		in.LogGroupName = g
		var got []string
		for p := sdk.NewFilterLogEventsPaginator(c, &in); p.HasMorePages(); {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				var doc struct{ N int }
				_ = json.Unmarshal([]byte(*e.Message), &doc)
				got = append(got, fmt.Sprint(*e.LogStreamName, ":", doc.N))
			}
		}
		return strings.Join(got, " ")
	}
	at := func(d time.Duration) *int64 { return aws.Int64(start.Add(d).UnixMilli()) }
	for name, c := range map[string]struct {
		in   sdk.FilterLogEventsInput
		want string
	}{
		"json":           {sdk.FilterLogEventsInput{FilterPattern: aws.String(`{ $.schema = "mayfly.audit.v1" && $.outcome = "failed_dirty" }`)}, "prod/a:1 prod/b:3"},
		"term":           {sdk.FilterLogEventsInput{FilterPattern: aws.String("failed_dirty"), LogStreamNamePrefix: aws.String("dev/")}, "dev/a:0"},
		"streams":        {sdk.FilterLogEventsInput{LogStreamNames: []string{"prod/b", "prod/a"}}, "prod/a:1 prod/b:3 prod/a:2"},
		"pages":          {sdk.FilterLogEventsInput{LogStreamNamePrefix: aws.String("prod"), Limit: aws.Int32(1)}, "prod/a:1 prod/b:3 prod/a:2"},
		"from":           {sdk.FilterLogEventsInput{StartTime: at(time.Second)}, "prod/a:2"},
		"to, inclusive":  {sdk.FilterLogEventsInput{EndTime: at(500 * time.Millisecond), LogStreamNamePrefix: aws.String("prod")}, "prod/a:1 prod/b:3"},
		"nothing at all": {sdk.FilterLogEventsInput{FilterPattern: aws.String("absent")}, ""},
	} {
		if got := filter(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	_, err := c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: g, FilterPattern: aws.String("{ $.a = ")})
	wants(t, err, "InvalidParameterException")
	_, err = c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: aws.String("/none")})
	wants(t, err, "ResourceNotFoundException")
}

// recorder keeps what metric filters send.
type recorder struct {
	mu  sync.Mutex
	got []string
}

func (r *recorder) Add(namespace, name string, dims map[string]string, value float64, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprintf("%s/%s %v %v", namespace, name, dims, value))
}

func TestTemplateAndMetricFilters(t *testing.T) {
	stacktest.Local(t)
	clock, rec := stack.NewClock(), &recorder{}
	service := logs.New(clock, rec)
	c := sdk.NewFromConfig(stacktest.Start(t, clock, service).Config)
	makes := service.Resources()
	build := func(kind, properties string) (stack.Made, error) {
		return makes[kind](t.Context(), stack.Resource{LogicalID: "R", Type: kind, Properties: json.RawMessage(properties)})
	}
	made, err := build("AWS::Logs::LogGroup", `{"LogGroupName":"/mayfly/audit","RetentionInDays":"30","KmsKeyId":"k","Tags":[]}`)
	if err != nil || made.Ref != "/mayfly/audit" || made.Att["Arn"] != "arn:aws:logs:us-east-1:000000000000:log-group:/mayfly/audit:*" {
		t.Fatalf("log group: %+v, %v", made, err)
	}
	for _, f := range []string{
		`{"FilterPattern":"{ $.outcome = \"failed_dirty\" }","LogGroupName":"/mayfly/audit","MetricTransformations":[{"MetricName":"Dirty","MetricNamespace":"Mayfly","MetricValue":"1","Dimensions":[{"Key":"Environment","Value":"$.environment"}]}]}`,
		`{"FilterName":"age","FilterPattern":"{ $.age > 0 }","LogGroupName":"/mayfly/audit","MetricTransformations":[{"MetricName":"Age","MetricNamespace":"Mayfly","MetricValue":"$.age","DefaultValue":0}]}`,
	} {
		if _, err := build("AWS::Logs::MetricFilter", f); err != nil {
			t.Fatal(err)
		}
	}
	service.Put("/mayfly/audit", "s", clock.Now(), `{"outcome":"failed_dirty","environment":"prod","age":2.5}`)
	service.Put("/mayfly/audit", "s", clock.Now(), `{"outcome":"failed_dirty"}`)
	clock.Advance(time.Minute)
	service.Put("/mayfly/audit", "s", clock.Now(), `nothing`)
	service.Put("/mayfly/audit", "s", clock.Now(), `nothing`)
	got := map[string]int{}
	for _, g := range rec.got {
		got[g]++
	}
	want := map[string]int{"Mayfly/Dirty map[Environment:prod] 1": 1, "Mayfly/Age map[] 2.5": 1, "Mayfly/Age map[] 0": 1}
	if !maps.Equal(got, want) {
		t.Fatalf("recorded %v, want %v", got, want)
	}
	if n := len(service.Lines("/mayfly/audit")); n != 4 {
		t.Fatalf("%d lines", n)
	}
	clock.Advance(31 * 24 * time.Hour)
	out, err := c.FilterLogEvents(t.Context(), &sdk.FilterLogEventsInput{LogGroupName: aws.String("/mayfly/audit")})
	if err != nil || len(out.Events) != 0 {
		t.Fatalf("events outlive their retention: %+v, %v", out, err)
	}
	service.Put("/new/group", "s", clock.Now(), "made on demand")
	if fmt.Sprint(service.Groups()) != "[/mayfly/audit /new/group]" {
		t.Fatalf("groups: %v", service.Groups())
	}
	for kind, bad := range map[string]string{
		"AWS::Logs::LogGroup":     `{"LogGroupName":"/mayfly/audit"}`,
		"AWS::Logs::LogStream":    `{"LogGroupName":"/absent"}`,
		"AWS::Logs::MetricFilter": `{"FilterPattern":"{","LogGroupName":"/mayfly/audit","MetricTransformations":[]}`,
	} {
		if _, err := build(kind, bad); err == nil {
			t.Errorf("%s accepted %s", kind, bad)
		}
	}
}
