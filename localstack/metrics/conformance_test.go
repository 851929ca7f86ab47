package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/metrics"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func client(t *testing.T) *sdk.Client {
	return sdk.NewFromConfig(stacktest.Serve(t, metrics.New(stack.NewClock(), nil)))
}

func wants(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func TestMetricData(t *testing.T) {
	c, ctx := client(t), t.Context()
	space := aws.String(fmt.Sprintf("Conformance/%d", time.Now().UnixNano()))
	start := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
	env := []types.Dimension{{Name: aws.String("Environment"), Value: aws.String("prod")}}
	datum := func(minute int, value float64) types.MetricDatum {
		return types.MetricDatum{MetricName: aws.String("Runs"), Dimensions: env, Value: &value, Timestamp: aws.Time(start.Add(time.Duration(minute)*time.Minute + time.Second))}
	}
	many := datum(3, 0)
	many.Value, many.Values, many.Counts = nil, []float64{1, 10}, []float64{9, 1}
	set := datum(4, 0)
	set.Value, set.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(2), Sum: aws.Float64(6), Minimum: aws.Float64(1), Maximum: aws.Float64(5)}
	if _, err := c.PutMetricData(ctx, &sdk.PutMetricDataInput{Namespace: space, MetricData: []types.MetricDatum{datum(0, 2), datum(0, 4), datum(1, 5), many, set}}); err != nil {
		t.Fatal(err)
	}
	stats, err := c.GetMetricStatistics(ctx, &sdk.GetMetricStatisticsInput{
		Namespace: space, MetricName: aws.String("Runs"), Dimensions: env, StartTime: &start, EndTime: aws.Time(start.Add(5 * time.Minute)), Period: aws.Int32(60),
		Statistics: types.Statistic("").Values(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range stats.Datapoints {
		got = append(got, fmt.Sprintf("%v:%v/%v/%v/%v/%v", d.Timestamp.Sub(start).Minutes(), *d.SampleCount, *d.Sum, *d.Average, *d.Minimum, *d.Maximum))
	}
	if want := "0:2/6/3/2/4 1:1/5/5/5/5 3:10/19/1.9/1/10 4:2/6/3/1/5"; strings.Join(got, " ") != want {
		t.Errorf("statistics:\n got %s\nwant %s", strings.Join(got, " "), want)
	}
	query := func(id, stat string) types.MetricDataQuery {
		return types.MetricDataQuery{Id: &id, ReturnData: aws.Bool(id != "hidden"), MetricStat: &types.MetricStat{Stat: &stat, Period: aws.Int32(60), Metric: &types.Metric{Namespace: space, MetricName: aws.String("Runs"), Dimensions: env}}}
	}
	data, err := c.GetMetricData(ctx, &sdk.GetMetricDataInput{
		StartTime: &start, EndTime: aws.Time(start.Add(4 * time.Minute)), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{
			query("p90", "p90"), query("p91", "p91"), query("hidden", "Sum"),
			{Id: aws.String("e1"), Expression: aws.String("(hidden + 1) * 2 / 4")}, {Id: aws.String("e2"), Expression: aws.String("FILL(hidden, 7) - 1")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, r := range data.MetricDataResults {
		got = append(got, fmt.Sprint(*r.Id, r.Values))
	}
	if want := "p90[4 5 1] p91[4 5 10] e1[3.5 3 10] e2[5 4 6 18]"; strings.Join(got, " ") != want {
		t.Errorf("data:\n got %s\nwant %s", strings.Join(got, " "), want)
	}
	list, err := c.ListMetrics(ctx, &sdk.ListMetricsInput{Namespace: space, Dimensions: []types.DimensionFilter{{Name: aws.String("Environment")}}})
	if err != nil || len(list.Metrics) != 1 || *list.Metrics[0].Dimensions[0].Value != "prod" {
		t.Fatalf("list: %+v, %v", list, err)
	}
	if list, err = c.ListMetrics(ctx, &sdk.ListMetricsInput{Namespace: space, Dimensions: []types.DimensionFilter{{Name: aws.String("Other")}}}); err != nil || len(list.Metrics) != 0 {
		t.Fatalf("list: %+v, %v", list, err)
	}
	_, err = c.PutMetricData(ctx, &sdk.PutMetricDataInput{Namespace: aws.String("AWS/Lambda"), MetricData: []types.MetricDatum{datum(0, 1)}})
	wants(t, err, "InvalidParameterValue")
	_, err = c.SetAlarmState(ctx, &sdk.SetAlarmStateInput{AlarmName: aws.String("none"), StateValue: types.StateValueOk, StateReason: aws.String("x")})
	wants(t, err, "ResourceNotFound")
	_, err = c.GetMetricData(ctx, &sdk.GetMetricDataInput{StartTime: &start, EndTime: aws.Time(start.Add(time.Minute)), MetricDataQueries: []types.MetricDataQuery{query("a", "Sum"), {Id: aws.String("b"), Expression: aws.String("a + absent")}}})
	wants(t, err, "InvalidParameterValue")
}

// More than ten kilobytes, so that the SDK compresses the body.
func TestCompressedPut(t *testing.T) {
	c := client(t)
	var data []types.MetricDatum
	for i := range 300 {
		data = append(data, types.MetricDatum{MetricName: aws.String(strings.Repeat("m", 60) + fmt.Sprint(i)), Value: aws.Float64(1)})
	}
	space := aws.String(fmt.Sprintf("Compressed/%d", time.Now().UnixNano()))
	if _, err := c.PutMetricData(t.Context(), &sdk.PutMetricDataInput{Namespace: space, MetricData: data}); err != nil {
		t.Fatal(err)
	}
	stacktest.Local(t) // AWS lists new metrics only after some minutes
	if list, err := c.ListMetrics(t.Context(), &sdk.ListMetricsInput{Namespace: space}); err != nil || len(list.Metrics) != 300 {
		t.Fatalf("list: %v", err)
	}
}

// bench is a service on a clock of its own, with one alarm.
type bench struct {
	*testing.T
	clock *stack.Clock
	*metrics.Service
	client *sdk.Client
	sent   chan string
}

func newBench(t *testing.T, properties string) *bench {
	stacktest.Local(t)
	b := &bench{T: t, clock: stack.NewClock(), sent: make(chan string, 100)}
	b.Service = metrics.New(b.clock, func(_ context.Context, topic, subject, message string) error {
		var m struct{ OldStateValue, NewStateValue string }
		if err := json.Unmarshal([]byte(message), &m); err != nil || !strings.Contains(subject, m.NewStateValue) {
			t.Errorf("message %q of %q: %v", message, subject, err)
		}
		b.sent <- topic + " " + m.OldStateValue + ">" + m.NewStateValue
		return nil
	})
	b.client = sdk.NewFromConfig(stacktest.Start(t, b.clock, b.Service).Config)
	made, err := b.Resources()["AWS::CloudWatch::Alarm"](t.Context(), stack.Resource{LogicalID: "A", Properties: json.RawMessage(properties)})
	if err != nil || made.Ref != "a" || made.Att["Arn"] != "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a" {
		t.Fatalf("made %+v, %v", made, err)
	}
	// Start in the first second of a minute, so that data added now end up in the minute that the test expects.
	b.clock.Advance(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
	return b
}

func (b *bench) state() string {
	b.Helper()
	out, err := b.client.DescribeAlarms(b.Context(), &sdk.DescribeAlarmsInput{AlarmNames: []string{"a"}})
	if err != nil || len(out.MetricAlarms) != 1 {
		b.Fatalf("DescribeAlarms: %+v, %v", out, err)
	}
	return string(out.MetricAlarms[0].StateValue)
}

func (b *bench) wantState(want string) {
	b.Helper()
	if got := b.state(); got != want {
		b.Fatalf("state %s, want %s", got, want)
	}
}

func (b *bench) wantSent(want ...string) {
	b.Helper()
	for _, w := range want {
		select {
		case got := <-b.sent:
			if got != w {
				b.Fatalf("sent %s, want %s", got, w)
			}
		case <-time.After(5 * time.Second):
			b.Fatalf("nothing sent, want %s", w)
		}
	}
	select {
	case got := <-b.sent:
		b.Fatalf("sent %s too", got)
	default:
	}
}

const topic = "arn:aws:sns:us-east-1:000000000000:mayfly-alarms"

func TestAlarmComesAndGoes(t *testing.T) {
	b := newBench(t, `{"AlarmName":"a","Namespace":"Mayfly","MetricName":"FailedDirty","Statistic":"Sum","Period":"60","EvaluationPeriods":1,"Threshold":1,
		"ComparisonOperator":"GreaterThanOrEqualToThreshold","TreatMissingData":"notBreaching","AlarmActions":["`+topic+`"],"OKActions":["`+topic+`"],"Tags":[]}`)
	b.wantState("OK")
	b.wantSent(topic + " INSUFFICIENT_DATA>OK")
	b.Add("Mayfly", "FailedDirty", nil, 1, b.clock.Now())
	b.Add("Mayfly", "FailedDirty", map[string]string{"another": "metric"}, 1, b.clock.Now().Add(time.Hour))
	b.wantState("OK") // the minute is not over
	b.clock.Advance(time.Minute)
	b.wantState("ALARM")
	b.wantSent(topic + " OK>ALARM")
	// Missing data are notBreaching only once the evaluation range holds no real datum: two minutes more.
	b.clock.Advance(time.Minute)
	b.wantState("ALARM")
	b.clock.Advance(2 * time.Minute)
	b.wantState("OK")
	b.wantSent(topic + " ALARM>OK")
	// An alarm that comes and goes within one move of the clock still tells.
	b.Add("Mayfly", "FailedDirty", nil, 1, b.clock.Now())
	b.clock.Advance(24 * time.Hour)
	b.wantState("OK")
	b.wantSent(topic+" OK>ALARM", topic+" ALARM>OK")
	if _, err := b.client.SetAlarmState(t.Context(), &sdk.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: types.StateValueAlarm, StateReason: aws.String("drill")}); err != nil {
		t.Fatal(err)
	}
	b.wantSent(topic + " OK>ALARM")
	b.wantState("ALARM")
	b.clock.Advance(time.Minute)
	b.wantState("OK")
	b.wantSent(topic + " ALARM>OK")
}

func TestAbsenceIsAnAlarm(t *testing.T) {
	b := newBench(t, `{"AlarmName":"a","Namespace":"Mayfly","MetricName":"Evaluated","Statistic":"Sum","Period":1800,"EvaluationPeriods":2,"Threshold":1,
		"ComparisonOperator":"LessThanThreshold","TreatMissingData":"breaching","AlarmActions":["`+topic+`"]}`)
	for range 8 {
		b.Add("Mayfly", "Evaluated", nil, 1, b.clock.Now())
		b.clock.Advance(15 * time.Minute)
	}
	b.wantState("OK")
	b.wantSent(topic + " INSUFFICIENT_DATA>ALARM") // from before the first datum
	b.clock.Advance(3 * time.Hour)
	b.wantState("ALARM")
	b.wantSent(topic + " OK>ALARM")
}

func TestAlarmOverAnExpression(t *testing.T) {
	metric := func(id, name string) string {
		return `{"Id":"` + id + `","ReturnData":false,"MetricStat":{"Metric":{"Namespace":"AWS/Lambda","MetricName":"` + name + `","Dimensions":[{"Name":"FunctionName","Value":"f"}]},"Period":60,"Stat":"Sum"}}`
	}
	b := newBench(t, `{"AlarmName":"a","EvaluationPeriods":1,"Threshold":5,"ComparisonOperator":"GreaterThanOrEqualToThreshold","TreatMissingData":"notBreaching",
		"Metrics":[{"Id":"expr_1","Expression":"errors + throttles"},`+metric("errors", "Errors")+`,`+metric("throttles", "Throttles")+`]}`)
	f := map[string]string{"FunctionName": "f"}
	b.Add("AWS/Lambda", "Errors", f, 3, b.clock.Now())
	b.clock.Advance(time.Minute)
	b.wantState("OK") // one side is missing, so the sum is
	b.Add("AWS/Lambda", "Errors", f, 3, b.clock.Now())
	b.Add("AWS/Lambda", "Throttles", f, 2, b.clock.Now())
	b.clock.Advance(time.Minute)
	b.wantState("ALARM")
}

func TestRefusedAlarms(t *testing.T) {
	s := metrics.New(stack.NewClock(), nil)
	const rest = `"Namespace":"n","MetricName":"m","Statistic":"Sum","Period":60,"Threshold":1,`
	for _, bad := range []string{
		`{` + rest + `"EvaluationPeriods":1,"ComparisonOperator":"GreaterThanUpperThreshold"}`,
		`{` + rest + `"EvaluationPeriods":0,"ComparisonOperator":"LessThanThreshold"}`,
		`{` + rest + `"EvaluationPeriods":1,"ComparisonOperator":"LessThanThreshold","AlarmActions":["arn:aws:lambda:us-east-1:000000000000:function:f"]}`,
		`{` + rest + `"EvaluationPeriods":1,"ComparisonOperator":"LessThanThreshold","Unheard":1}`,
		`{"EvaluationPeriods":1,"Threshold":1,"ComparisonOperator":"LessThanThreshold","Metrics":[{"Id":"e","Expression":"SEARCH('x')"}]}`,
	} {
		if _, err := s.Resources()["AWS::CloudWatch::Alarm"](t.Context(), stack.Resource{LogicalID: "A", Properties: json.RawMessage(bad)}); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}
