package stepfunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	sdk "github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"go.uber.org/goleak"

	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
)

var folder string // the function that the tests of Lambda use, built

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "function")
	if err != nil {
		panic(err)
	}
	folder = dir
	build := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", filepath.Join(dir, "bootstrap"), "../lambda/testdata/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

type silent struct{}

func (silent) Put(string, string, time.Time, string) {}

type bench struct {
	*testing.T
	clock   *stack.Clock
	lambda  *lambda.Service
	service *stepfunctions.Service
	client  *sdk.Client
	objects *awss3.Client

	mu      sync.Mutex
	emitted []string // statuses
	put     []string // envelopes
	metrics map[string]float64
}

const (
	role     = "arn:aws:iam::000000000000:role/machine"
	machines = "arn:aws:states:us-east-1:000000000000:stateMachine:"
	runs     = "arn:aws:states:us-east-1:000000000000:execution:"
)

func start(t *testing.T) *bench {
	t.Helper()
	stacktest.Local(t)
	b := &bench{T: t, clock: stack.NewClock(), metrics: map[string]float64{}}
	ids := stack.NewIdentities()
	b.lambda = lambda.New(b.clock, ids, silent{})
	b.service = stepfunctions.New(b.clock)
	b.service.Invoke = func(ctx context.Context, function string, payload []byte, execution string) (stepfunctions.Invoked, error) {
		r, err := b.lambda.Invoke(ctx, function, payload, execution)
		return stepfunctions.Invoked(r), err
	}
	b.service.Emit = func(_ context.Context, event []byte) {
		var e struct{ Detail struct{ Status string } }
		_ = json.Unmarshal(event, &e)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.emitted = append(b.emitted, e.Detail.Status)
	}
	b.service.Put = func(_ context.Context, bus string, event []byte) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.put = append(b.put, bus+" "+string(event))
		return nil
	}
	b.service.Metric = func(_, name string, _ map[string]string, value float64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.metrics[name] += value
	}
	buckets := s3.New(b.clock)
	b.service.Objects = buckets
	server := stacktest.StartWith(t, b.clock, ids, b.service, b.lambda, buckets)
	b.lambda.Endpoint = server.URL
	t.Cleanup(func() { b.service.Close(); b.lambda.Close() })
	b.objects = awss3.NewFromConfig(server.Config, func(o *awss3.Options) { o.UsePathStyle = true })
	b.client = sdk.NewFromConfig(server.Config, func(o *sdk.Options) { o.RetryMaxAttempts = 1 })
	return b
}

// function makes a Lambda function.
func (b *bench) function(name, more string) {
	b.Helper()
	_, err := b.lambda.Resources()["AWS::Lambda::Function"](b.Context(), stack.Resource{
		LogicalID: name, Type: "AWS::Lambda::Function",
		Properties: json.RawMessage(`{"FunctionName":"` + name + `","Runtime":"provided.al2023","Handler":"bootstrap","Role":"arn:aws:iam::000000000000:role/f","Code":{"S3Bucket":"b","S3Key":"k"}` + more + `}`),
		Asset:      func(string, string) (string, error) { return folder, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
}

// machine creates a machine from its states; the first one named is where it starts.
func (b *bench) machine(name, startAt, states string) string {
	b.Helper()
	out, err := b.client.CreateStateMachine(b.Context(), &sdk.CreateStateMachineInput{
		Name: &name, RoleArn: aws.String(role), Definition: aws.String(`{"StartAt":"` + startAt + `","States":{` + states + `}}`),
	})
	if err != nil {
		b.Fatal(err)
	}
	return *out.StateMachineArn
}

func (b *bench) begin(machine, name, input string) string {
	b.Helper()
	in := &sdk.StartExecutionInput{StateMachineArn: &machine, Input: &input}
	if name != "" {
		in.Name = &name
	}
	out, err := b.client.StartExecution(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	return *out.ExecutionArn
}

// end waits until an execution has ended.
func (b *bench) end(arn string) *sdk.DescribeExecutionOutput {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		out, err := b.client.DescribeExecution(b.Context(), &sdk.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil {
			b.Fatal(err)
		}
		if out.Status != types.ExecutionStatusRunning {
			return out
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s runs on; its history is %v", arn, b.history(arn))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// run runs a machine to its end: "SUCCEEDED output" or "FAILED error".
func (b *bench) run(machine, input string) string {
	b.Helper()
	out := b.end(b.begin(machine, "", input))
	if out.Status == types.ExecutionStatusSucceeded {
		return "SUCCEEDED " + *out.Output
	}
	return string(out.Status) + " " + aws.ToString(out.Error)
}

func (b *bench) events(arn string) []types.HistoryEvent {
	b.Helper()
	var all []types.HistoryEvent
	pages := sdk.NewGetExecutionHistoryPaginator(b.client, &sdk.GetExecutionHistoryInput{ExecutionArn: &arn, IncludeExecutionData: aws.Bool(true), MaxResults: 3})
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, page.Events...)
	}
	return all
}

// history is the types of the events of an execution.
func (b *bench) history(arn string) string {
	b.Helper()
	var kinds []string
	for _, e := range b.events(arn) {
		kinds = append(kinds, string(e.Type))
	}
	return strings.Join(kinds, " ")
}

// idle waits until every execution waits for the clock.
func (b *bench) idle() {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !b.service.Idle() {
		if time.Now().After(deadline) {
			b.Fatal("the executions never wait for the clock")
		}
		time.Sleep(time.Millisecond)
	}
}

const invoke = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"}`

func TestLambdaInvoke(t *testing.T) {
	b := start(t)
	b.function("f", "")
	m := b.machine("m", "Call", `"Call":{`+invoke+`,"ResultSelector":{"got.$":"$.Payload","code.$":"$.StatusCode","version.$":"$.ExecutedVersion"},"ResultPath":"$.r","OutputPath":"$.r","End":true}`)
	arn := b.begin(m, "one", `{"hello":"<world>"}`)
	if out := b.end(arn); *out.Output != `{"code":200,"got":{"hello":"<world>"},"version":"$LATEST"}` {
		t.Fatalf("output %s", *out.Output)
	}
	if got, want := b.history(arn), "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSucceeded TaskStateExited ExecutionSucceeded"; got != want {
		t.Errorf("history\n%s\nwant\n%s", got, want)
	}
	for i, e := range b.events(arn) {
		if previous := max(int64(i), 0); e.Id != int64(i)+1 || (i > 1 && e.PreviousEventId != previous) || (i < 2 && e.PreviousEventId != 0) {
			t.Errorf("event %d: id %d, previous %d", i, e.Id, e.PreviousEventId)
		}
		if d := e.TaskScheduledEventDetails; d != nil && (*d.ResourceType != "lambda" || *d.Resource != "invoke" || *d.Region != "us-east-1" || *d.Parameters != `{"FunctionName":"f","Payload":{"hello":"<world>"}}`) {
			t.Errorf("TaskScheduled %+v", d)
		}
	}
	if n := b.service.Transitions(arn); n != 1 {
		t.Errorf("%d transitions, want 1", n)
	}
	plain := b.machine("plain", "Call", `"Call":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","End":true}`)
	arn = b.begin(plain, "", `[1]`)
	if out := b.end(arn); *out.Output != `[1]` {
		t.Errorf("output %s", *out.Output)
	}
	if got, want := b.history(arn), "ExecutionStarted TaskStateEntered LambdaFunctionScheduled LambdaFunctionStarted LambdaFunctionSucceeded TaskStateExited ExecutionSucceeded"; got != want {
		t.Errorf("history\n%s\nwant\n%s", got, want)
	}
}

func TestLambdaErrorsHaveTheirNames(t *testing.T) {
	b := start(t)
	b.function("f", `,"Timeout":1`)
	b.function("none", `,"ReservedConcurrentExecutions":0`)
	m := b.machine("m", "Call", `"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName.$":"$.f","Payload.$":"$.p"},"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Caught"}],"End":true},
		"Caught":{"Type":"Pass","OutputPath":"$.e","End":true}`)
	for payload, want := range map[string][2]string{
		`{"f":"f","p":{"do":"fail","Text":"no"}}`:    {"RefusedError", `{"errorMessage":"no","errorType":"RefusedError"}`},
		`{"f":"f","p":{"do":"panic","Text":"boom"}}`: {"string", `{"errorMessage":"boom","errorType":"string","stackTrace":[`},
		`{"f":"f","p":{"do":"exit","Code":1}}`:       {"Runtime.ExitError", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: `},
		`{"f":"f","p":{"do":"sleep","Seconds":30}}`:  {"Sandbox.Timedout", `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: `},
		`{"f":"f","p":{"do":"big","Code":100000}}`:   {"", ""}, // States.DataLimitExceeded: States.ALL does not catch it
		`{"f":"none","p":{}}`:                        {"Lambda.TooManyRequestsException", "Rate Exceeded."},
		`{"f":"absent","p":{}}`:                      {"Lambda.ResourceNotFoundException", "Function not found: "},
	} {
		out := b.end(b.begin(m, "", payload))
		if want[0] == "" {
			if out.Status != types.ExecutionStatusFailed || *out.Error != "States.DataLimitExceeded" {
				t.Errorf("%s: %s %s", payload, out.Status, aws.ToString(out.Error))
			}
			continue
		}
		var e struct{ Error, Cause string }
		if err := json.Unmarshal([]byte(aws.ToString(out.Output)), &e); err != nil || e.Error != want[0] || !strings.HasPrefix(e.Cause, want[1]) {
			t.Errorf("%s: %s", payload, aws.ToString(out.Output))
		}
	}
}

func TestRetriersCountByThemselvesAndWaitOnTheClock(t *testing.T) {
	b := start(t)
	b.function("f", "")
	m := b.machine("m", "Call", `"Call":{`+invoke+`,"Retry":[
		{"Comment":"never","ErrorEquals":["Never"],"MaxAttempts":0},
		{"ErrorEquals":["RefusedError"],"IntervalSeconds":10,"MaxAttempts":3,"BackoffRate":2,"MaxDelaySeconds":30},
		{"ErrorEquals":["States.ALL"],"MaxAttempts":9}],
		"Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"Caught"}],"End":true},"Caught":{"Type":"Succeed"}`)
	arn := b.begin(m, "", `{"do":"fail","Text":"no"}`)
	for _, want := range []int{10, 20, 30} {
		b.idle()
		at, _ := b.clock.Next()
		if got := at.Sub(b.clock.Now()).Seconds(); got > float64(want) || got < float64(want)-5 {
			t.Errorf("delay %.0f s, want %d s", got, want)
		}
		if b.service.Running() != 0 {
			t.Errorf("an execution that waits for a retry counts as running")
		}
		b.clock.Advance(time.Duration(want) * time.Second)
	}
	out := b.end(arn)
	if *out.Output != `{"Cause":"{\"errorMessage\":\"no\",\"errorType\":\"RefusedError\"}","Error":"RefusedError"}` {
		t.Errorf("output %s", *out.Output)
	}
	if n := strings.Count(b.history(arn), "TaskFailed"); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
	if n := b.service.Transitions(arn); n != 5 { // Call, three retries, Caught
		t.Errorf("%d transitions, want 5", n)
	}
}

func TestTaskTokens(t *testing.T) {
	b := start(t)
	tokens := make(chan string, 8)
	b.service.Invoke = func(_ context.Context, _ string, payload []byte, _ string) (stepfunctions.Invoked, error) {
		var token string
		_ = json.Unmarshal(payload, &token)
		tokens <- token
		return stepfunctions.Invoked{Payload: []byte("{}")}, nil
	}
	m := b.machine("m", "Ask", `"Ask":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f","Payload.$":"$$.Task.Token"},"TimeoutSeconds":600,"HeartbeatSeconds":60,"End":true}`)

	arn := b.begin(m, "", `{}`)
	token := <-tokens
	if b.service.Idle() || b.service.Running() != 1 {
		t.Error("waiting for somebody's answer is not waiting for the clock")
	}
	if _, err := b.client.SendTaskSuccess(t.Context(), &sdk.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(`{`)}); !isA[*types.InvalidOutput](err) {
		t.Errorf("broken output: %v", err)
	}
	if _, err := b.client.SendTaskSuccess(t.Context(), &sdk.SendTaskSuccessInput{TaskToken: aws.String("x"), Output: aws.String(`1`)}); !isA[*types.InvalidToken](err) {
		t.Errorf("unknown token: %v", err)
	}
	if _, err := b.client.SendTaskSuccess(t.Context(), &sdk.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(`{"ok":true}`)}); err != nil {
		t.Fatal(err)
	}
	if out := b.end(arn); *out.Output != `{"ok":true}` {
		t.Errorf("output %s", *out.Output)
	}
	if got, want := b.history(arn), "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded"; got != want {
		t.Errorf("history\n%s", got)
	}
	if _, err := b.client.SendTaskSuccess(t.Context(), &sdk.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(`1`)}); !isA[*types.TaskTimedOut](err) {
		t.Errorf("second answer: %v", err)
	}

	arn = b.begin(m, "", `{}`)
	token = <-tokens
	if _, err := b.client.SendTaskFailure(t.Context(), &sdk.SendTaskFailureInput{TaskToken: &token, Error: aws.String("Denied"), Cause: aws.String("no")}); err != nil {
		t.Fatal(err)
	}
	if out := b.end(arn); *out.Error != "Denied" || *out.Cause != "no" {
		t.Errorf("%+v", out)
	}

	arn = b.begin(m, "", `{}`)
	token = <-tokens
	for range 3 { // longer than HeartbeatSeconds, with a heartbeat in time
		b.clock.Advance(40 * time.Second)
		if _, err := b.client.SendTaskHeartbeat(t.Context(), &sdk.SendTaskHeartbeatInput{TaskToken: &token}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.clock.Advance(61 * time.Second)
	if out := b.end(arn); *out.Error != "States.HeartbeatTimeout" {
		t.Errorf("missed heartbeat: %s", *out.Error)
	}
	if !strings.Contains(b.history(arn), "TaskTimedOut ExecutionFailed") {
		t.Errorf("history %s", b.history(arn))
	}
	arn = b.begin(m, "", `{}`)
	<-tokens
	b.clock.Advance(601 * time.Second)
	if out := b.end(arn); *out.Error != "States.Timeout" && *out.Error != "States.HeartbeatTimeout" {
		t.Errorf("timeout: %s", *out.Error)
	}
}

func isA[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

func TestTaskTimeout(t *testing.T) {
	b := start(t)
	b.function("f", `,"Timeout":30`)
	m := b.machine("m", "Call", `"Call":{`+invoke+`,"TimeoutSecondsPath":"$.limit","Retry":[{"ErrorEquals":["States.TaskFailed"]}],"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":null,"Next":"Late"}],"End":true},"Late":{"Type":"Pass","Result":"late","End":true}`)
	if got := b.run(m, `{"do":"sleep","Seconds":5,"limit":1}`); got != `SUCCEEDED "late"` {
		t.Error(got)
	}
}

func TestWaitStates(t *testing.T) {
	b := start(t)
	m := b.machine("m", "A", `"A":{"Type":"Wait","Seconds":3600,"Next":"B"},"B":{"Type":"Wait","SecondsPath":"$.s","Next":"C"},"C":{"Type":"Wait","TimestampPath":"$.t","Next":"D"},"D":{"Type":"Wait","Timestamp":"2020-01-01T00:00:00Z","End":true}`)
	began := b.clock.Now()
	at := began.Add(3 * time.Hour).Format(time.RFC3339)
	arn := b.begin(m, "", `{"s":60,"t":"`+at+`"}`)
	for range 3 {
		b.idle()
		next, _ := b.clock.Next()
		b.clock.Advance(next.Sub(b.clock.Now()))
	}
	if out := b.end(arn); out.StopDate.Sub(*out.StartDate).Round(time.Minute) != 3*time.Hour {
		t.Errorf("took %s", out.StopDate.Sub(*out.StartDate))
	}
	if got, want := b.history(arn), "ExecutionStarted WaitStateEntered WaitStateExited WaitStateEntered WaitStateExited WaitStateEntered WaitStateExited WaitStateEntered WaitStateExited ExecutionSucceeded"; got != want {
		t.Errorf("history\n%s", got)
	}
	if b.service.Running() != 0 || b.service.Idle() {
		t.Error("something still runs")
	}
	if got := b.run(b.machine("bad", "W", `"W":{"Type":"Wait","SecondsPath":"$.s","End":true}`), `{"s":-1}`); got != "FAILED States.Runtime" {
		t.Error(got)
	}
}

func TestParallelAndMap(t *testing.T) {
	b := start(t)
	b.function("f", "")
	p := b.machine("p", "P", `"P":{"Type":"Parallel","Parameters":{"x.$":"$.v"},"Branches":[
		{"StartAt":"A","States":{"A":{"Type":"Pass","Result":1,"End":true}}},
		{"StartAt":"B","States":{"B":{"Type":"Pass","OutputPath":"$.x","End":true}}}],"ResultSelector":{"both.$":"$"},"End":true}`)
	arn := b.begin(p, "", `{"v":"w"}`)
	if out := b.end(arn); *out.Output != `{"both":[1,"w"]}` {
		t.Errorf("parallel: %s", *out.Output)
	}
	if h := b.history(arn); !strings.HasPrefix(h, "ExecutionStarted ParallelStateEntered ParallelStateStarted PassState") || !strings.HasSuffix(h, "ParallelStateSucceeded ParallelStateExited ExecutionSucceeded") {
		t.Errorf("history %s", h)
	}
	fails := b.machine("fails", "P", `"P":{"Type":"Parallel","Branches":[
		{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":9999,"End":true}}},
		{"StartAt":"B","States":{"B":{"Type":"Fail","ErrorPath":"$.e","CausePath":"States.Format('for {}', $.e)"}}}],
		"Catch":[{"ErrorEquals":["Mine"],"Next":"Caught"}],"End":true},"Caught":{"Type":"Succeed"}`)
	if got := b.run(fails, `{"e":"Mine"}`); got != `SUCCEEDED {"Cause":"for Mine","Error":"Mine"}` {
		t.Error(got)
	}
	if got := b.run(fails, `{"e":"Other"}`); got != `FAILED Other` {
		t.Error(got)
	}

	m := b.machine("m", "M", `"M":{"Type":"Map","ItemsPath":"$.list","MaxConcurrency":2,"ItemSelector":{"i.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value","all.$":"$.k"},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"Call","States":{"Call":{`+invoke+`,"OutputPath":"$.Payload","End":true}}},"ResultPath":"$.out","OutputPath":"$.out","End":true}`)
	arn = b.begin(m, "", `{"k":7,"list":["a","b","c"]}`)
	if out := b.end(arn); aws.ToString(out.Output) != `[{"all":7,"i":0,"v":"a"},{"all":7,"i":1,"v":"b"},{"all":7,"i":2,"v":"c"}]` {
		t.Errorf("map: %+v", out)
	}
	if h := b.history(arn); strings.Count(h, "MapIterationStarted") != 3 || strings.Count(h, "MapIterationSucceeded") != 3 || !strings.Contains(h, "MapStateEntered MapStateStarted MapIterationStarted") {
		t.Errorf("history %s", h)
	}
	if got := b.run(m, `{"k":7,"list":[]}`); got != `SUCCEEDED []` {
		t.Error(got)
	}
	if got := b.run(m, `{"k":7,"list":{}}`); got != `FAILED States.Runtime` {
		t.Error(got)
	}
}

func TestDistributedMap(t *testing.T) {
	b := start(t)
	const states = `"M":{"Type":"Map","Label":"Fleet","ToleratedFailurePercentage":%s,"MaxConcurrency":3,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Odd?","States":{
		"Odd?":{"Type":"Choice","Choices":[{"Variable":"$","NumericEquals":3,"Next":"No"}],"Default":"Wait"},"Wait":{"Type":"Wait","Seconds":60,"Next":"Yes"},"Yes":{"Type":"Succeed"},"No":{"Type":"Fail","Error":"Three"}}},"End":true}`
	tolerant := b.machine("tolerant", "M", fmt.Sprintf(states, "50"))
	arn := b.begin(tolerant, "", `[1,2,3,4]`)
	for done := false; !done; {
		b.idle()
		b.clock.Advance(time.Minute)
		done = b.settled(arn)
	}
	if out := b.end(arn); aws.ToString(out.Output) != `[1,2,4]` {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Output))
	}
	var run string
	for _, e := range b.events(arn) {
		if e.MapRunStartedEventDetails != nil {
			run = *e.MapRunStartedEventDetails.MapRunArn
		}
	}
	children, err := b.client.ListExecutions(t.Context(), &sdk.ListExecutionsInput{MapRunArn: &run})
	if err != nil || len(children.Executions) != 4 {
		t.Fatalf("children %+v, %v", children, err)
	}
	if a := *children.Executions[0].StateMachineArn; a != machines+"tolerant/Fleet" {
		t.Errorf("a child's machine is %s", a)
	}
	if h := b.history(*children.Executions[3].ExecutionArn); h != "ExecutionStarted ChoiceStateEntered ChoiceStateExited WaitStateEntered WaitStateExited SucceedStateEntered SucceedStateExited ExecutionSucceeded" {
		t.Errorf("a child's history is %s", h)
	}
	strict := b.machine("strict", "M", fmt.Sprintf(states, "0"))
	if got := b.run(strict, `[3,1,1]`); got != "FAILED States.ExceedToleratedFailureThreshold" {
		t.Error(got)
	}
	all, err := b.client.ListExecutions(t.Context(), &sdk.ListExecutionsInput{StateMachineArn: &tolerant})
	if err != nil || len(all.Executions) != 1 {
		t.Errorf("the machine's own executions: %+v, %v", all, err)
	}
}

// settled waits until an execution has ended or all wait for the clock again.
func (b *bench) settled(arn string) bool {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		out, err := b.client.DescribeExecution(b.Context(), &sdk.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil {
			b.Fatal(err)
		}
		if out.Status != types.ExecutionStatusRunning {
			return true
		}
		if b.service.Idle() {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("neither ended nor idle")
	return true
}

func TestExecutionNamesAreIdempotent(t *testing.T) {
	b := start(t)
	m := b.machine("m", "W", `"W":{"Type":"Wait","SecondsPath":"$.s","End":true}`)
	first := b.begin(m, "same", `{"s":60}`)
	if first != runs+"m:same" {
		t.Errorf("arn %s", first)
	}
	if again := b.begin(m, "same", `{"s":60}`); again != first {
		t.Errorf("again %s", again)
	}
	input := &sdk.StartExecutionInput{StateMachineArn: &m, Name: aws.String("same"), Input: aws.String(`{"s":61}`)}
	if _, err := b.client.StartExecution(t.Context(), input); !isA[*types.ExecutionAlreadyExists](err) {
		t.Errorf("other input: %v", err)
	}
	b.idle()
	b.clock.Advance(time.Minute)
	b.end(first)
	input.Input = aws.String(`{"s":60}`)
	if _, err := b.client.StartExecution(t.Context(), input); !isA[*types.ExecutionAlreadyExists](err) {
		t.Errorf("closed: %v", err)
	}
	b.clock.Advance(90*24*time.Hour + time.Second)
	if _, err := b.client.StartExecution(t.Context(), input); err != nil {
		t.Errorf("after 90 days: %v", err)
	}
	for name, bad := range map[string]*sdk.StartExecutionInput{
		"colon": {StateMachineArn: &m, Name: aws.String("a:b")}, "long": {StateMachineArn: &m, Name: aws.String(strings.Repeat("x", 81))},
	} {
		if _, err := b.client.StartExecution(t.Context(), bad); !isA[*types.InvalidName](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.client.StartExecution(t.Context(), &sdk.StartExecutionInput{StateMachineArn: &m, Input: aws.String("{")}); !isA[*types.InvalidExecutionInput](err) {
		t.Errorf("broken input: %v", err)
	}
	if _, err := b.client.StartExecution(t.Context(), &sdk.StartExecutionInput{StateMachineArn: aws.String(machines + "absent")}); !isA[*types.StateMachineDoesNotExist](err) {
		t.Errorf("no machine: %v", err)
	}
	if _, err := b.client.DescribeExecution(t.Context(), &sdk.DescribeExecutionInput{ExecutionArn: aws.String(runs + "m:absent")}); !isA[*types.ExecutionDoesNotExist](err) {
		t.Errorf("no execution: %v", err)
	}
}

func TestStopTimeoutEventsAndMetrics(t *testing.T) {
	b := start(t)
	m := b.machine("m", "P", `"P":{"Type":"Parallel","Branches":[{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"S"}],"Next":"S"},"S":{"Type":"Succeed"}`)
	arn := b.begin(m, "", `{}`)
	b.idle()
	if _, err := b.client.StopExecution(t.Context(), &sdk.StopExecutionInput{ExecutionArn: &arn, Error: aws.String("Enough"), Cause: aws.String("by hand")}); err != nil {
		t.Fatal(err)
	}
	out := b.end(arn)
	if out.Status != types.ExecutionStatusAborted || *out.Error != "Enough" || *out.Cause != "by hand" || !strings.HasSuffix(b.history(arn), "ExecutionAborted") {
		t.Errorf("stopped: %+v", out)
	}
	created, err := b.client.CreateStateMachine(t.Context(), &sdk.CreateStateMachineInput{Name: aws.String("slow"), RoleArn: aws.String(role),
		Definition: aws.String(`{"StartAt":"W","TimeoutSeconds":30,"States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	arn = b.begin(*created.StateMachineArn, "", `{}`)
	b.idle()
	b.clock.Advance(31 * time.Second)
	if out := b.end(arn); out.Status != types.ExecutionStatusTimedOut || !strings.HasSuffix(b.history(arn), "WaitStateEntered ExecutionTimedOut") {
		t.Errorf("timed out: %+v", out)
	}
	fail := b.machine("fail", "F", `"F":{"Type":"Fail","Error":"E","Cause":"C"}`)
	pass := b.machine("pass", "S", `"S":{"Type":"Succeed"}`)
	b.run(fail, `{}`)
	b.run(pass, `{}`)
	b.service.Close()
	slices.Sort(b.emitted)
	if got := strings.Join(b.emitted, " "); got != "ABORTED FAILED RUNNING RUNNING RUNNING RUNNING SUCCEEDED TIMED_OUT" {
		t.Errorf("emitted %s", got)
	}
	delete(b.metrics, "ExecutionTime")
	if got := fmt.Sprint(b.metrics); got != "map[ExecutionsAborted:1 ExecutionsFailed:1 ExecutionsStarted:4 ExecutionsSucceeded:1 ExecutionsTimedOut:1]" {
		t.Errorf("metrics %s", got)
	}
}

func TestListsAndPages(t *testing.T) {
	b := start(t)
	m := b.machine("m", "C", `"C":{"Type":"Choice","Choices":[{"Variable":"$.ok","BooleanEquals":true,"Next":"S"}]},"S":{"Type":"Succeed"}`)
	for i := range 5 {
		b.end(b.begin(m, fmt.Sprintf("e%d", i), fmt.Sprintf(`{"ok":%v}`, i%2 == 0)))
	}
	var names []string
	pages := sdk.NewListExecutionsPaginator(b.client, &sdk.ListExecutionsInput{StateMachineArn: &m, MaxResults: 2})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(names) == 2 {
			b.end(b.begin(m, "meanwhile", `{}`)) // does not shift the pages
		}
		for _, e := range page.Executions {
			names = append(names, *e.Name)
		}
	}
	if got := strings.Join(names, " "); got != "e4 e3 e2 e1 e0" {
		t.Errorf("executions %s", got)
	}
	failed, err := b.client.ListExecutions(t.Context(), &sdk.ListExecutionsInput{StateMachineArn: &m, StatusFilter: types.ExecutionStatusFailed})
	if err != nil || len(failed.Executions) != 3 || *failed.Executions[0].Name != "meanwhile" {
		t.Errorf("failed: %+v, %v", failed, err)
	}
	out, err := b.client.GetExecutionHistory(t.Context(), &sdk.GetExecutionHistoryInput{ExecutionArn: aws.String(runs + "m:e1"), ReverseOrder: true, MaxResults: 1, IncludeExecutionData: aws.Bool(false)})
	if err != nil || len(out.Events) != 1 || out.Events[0].ExecutionFailedEventDetails == nil || *out.Events[0].ExecutionFailedEventDetails.Error != "States.NoChoiceMatched" || out.NextToken == nil {
		t.Fatalf("reverse: %+v, %v", out, err)
	}
	out, err = b.client.GetExecutionHistory(t.Context(), &sdk.GetExecutionHistoryInput{ExecutionArn: aws.String(runs + "m:e1"), ReverseOrder: true, NextToken: out.NextToken, IncludeExecutionData: aws.Bool(false)})
	if err != nil || len(out.Events) != 2 || out.Events[1].Type != types.HistoryEventTypeExecutionStarted || out.Events[1].ExecutionStartedEventDetails.Input != nil {
		t.Errorf("reverse, page 2: %+v, %v", out, err)
	}
	list, err := b.client.ListStateMachines(t.Context(), &sdk.ListStateMachinesInput{})
	if err != nil || len(list.StateMachines) != 1 || *list.StateMachines[0].StateMachineArn != m {
		t.Errorf("machines: %+v, %v", list, err)
	}
}

func TestNestedExecutions(t *testing.T) {
	b := start(t)
	b.machine("child", "W", `"W":{"Type":"Wait","SecondsPath":"$.s","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.s","NumericEquals":0,"Next":"F"}],"Default":"S"},"S":{"Type":"Succeed"},"F":{"Type":"Fail","Error":"Zero"}`)
	const call = `"Type":"Task","Resource":"arn:aws:states:::states:startExecution%s","Parameters":{"StateMachineArn":"` + machines + `child","Name.$":"$.n","Input":{"s.$":"$.s"}}`
	forget := b.machine("forget", "A", `"A":{`+fmt.Sprintf(call, "")+`,"ResultSelector":{"arn.$":"$.ExecutionArn"},"Catch":[{"ErrorEquals":["StepFunctions.ExecutionAlreadyExistsException"],"ResultPath":null,"Next":"Joined"}],"End":true},"Joined":{"Type":"Pass","Result":"joined","End":true}`)
	for _, want := range []string{`SUCCEEDED {"arn":"` + runs + `child:one"}`, `SUCCEEDED {"arn":"` + runs + `child:one"}`} { // the second one finds it running
		if got := b.run(forget, `{"n":"one","s":60}`); got != want {
			t.Error(got)
		}
	}
	if got := b.run(forget, `{"n":"one","s":61}`); got != `SUCCEEDED "joined"` {
		t.Error(got)
	}
	b.clock.Advance(time.Minute)
	b.end(runs + "child:one")
	if got := b.run(forget, `{"n":"one","s":60}`); got != `SUCCEEDED "joined"` {
		t.Error(got)
	}
	wait := b.machine("wait", "A", `"A":{`+fmt.Sprintf(call, ".sync:2")+`,"ResultSelector":{"out.$":"$.Output","status.$":"$.Status"},"End":true}`)
	arn := b.begin(wait, "", `{"n":"two","s":60}`)
	b.idle() // the parent waits for a child that waits for the clock
	b.clock.Advance(time.Minute)
	if out := b.end(arn); aws.ToString(out.Output) != `{"out":{"s":60},"status":"SUCCEEDED"}` {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Output))
	}
	if out := b.end(b.begin(wait, "", `{"n":"three","s":0}`)); *out.Error != "States.TaskFailed" || !strings.Contains(*out.Cause, `"Error":"Zero"`) {
		t.Errorf("failed child: %+v", out)
	}
	arn = b.begin(wait, "", `{"n":"four","s":600}`)
	b.idle()
	if _, err := b.client.StopExecution(t.Context(), &sdk.StopExecutionInput{ExecutionArn: &arn}); err != nil {
		t.Fatal(err)
	}
	if out := b.end(runs + "child:four"); out.Status != types.ExecutionStatusAborted {
		t.Errorf("the child of a stopped parent is %s", out.Status)
	}
}

func TestPutEvents(t *testing.T) {
	b := start(t)
	m := b.machine("m", "P", `"P":{"Type":"Task","Resource":"arn:aws:states:::events:putEvents","Parameters":{"Entries":[{"Source":"mayfly","DetailType":"Rotated","EventBusName":"own","Detail":{"secret.$":"$.s"}}]},"ResultSelector":{"failed.$":"$.FailedEntryCount"},"End":true}`)
	arn := b.begin(m, "", `{"s":"prod/x"}`)
	if out := b.end(arn); aws.ToString(out.Output) != `{"failed":0}` {
		t.Fatalf("%+v", out)
	}
	bus, body, _ := strings.Cut(b.put[0], " ")
	var e struct {
		Source, Region, Account string
		DetailType              string `json:"detail-type"`
		Resources               []string
		Detail                  map[string]string
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || bus != "own" || e.Source != "mayfly" || e.DetailType != "Rotated" || e.Detail["secret"] != "prod/x" || !slices.Equal(e.Resources, []string{m, arn}) {
		t.Errorf("%s, %v", b.put[0], err)
	}
}

func TestLimits(t *testing.T) {
	b := start(t)
	loop := b.machine("loop", "A", `"A":{"Type":"Pass","Next":"A"}`)
	arn := b.begin(loop, "", `{}`)
	out := b.end(arn)
	if out.Status != types.ExecutionStatusFailed || !strings.Contains(*out.Cause, "history events (25000)") {
		t.Errorf("%+v", out)
	}
	last, err := b.client.GetExecutionHistory(t.Context(), &sdk.GetExecutionHistoryInput{ExecutionArn: &arn, ReverseOrder: true, MaxResults: 1})
	if err != nil || last.Events[0].Id != 25000 || last.Events[0].Type != types.HistoryEventTypeExecutionFailed {
		t.Errorf("%+v, %v", last, err)
	}
	double := b.machine("double", "A", `"A":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"End":true}`)
	if got := b.run(double, `"`+strings.Repeat("x", 200<<10)+`"`); got != "FAILED States.DataLimitExceeded" {
		t.Errorf("%.100s", got)
	}
}

func TestAuthorize(t *testing.T) {
	b := start(t)
	b.function("f", "")
	b.service.Authorize = func(_ context.Context, roleARN, action, resource string) error {
		return fmt.Errorf("User: %s is not authorized to perform: %s on resource: %s", roleARN, action, resource)
	}
	m := b.machine("m", "A", `"A":{`+invoke+`,"End":true}`)
	if out := b.end(b.begin(m, "", `{}`)); *out.Error != "Lambda.AWSLambdaException" || !strings.Contains(*out.Cause, "lambda:InvokeFunction on resource: f") {
		t.Errorf("%+v", out)
	}
}

func TestCloudFormation(t *testing.T) {
	b := start(t)
	b.function("f", "")
	file := filepath.Join(t.TempDir(), "m.asl.json")
	if err := os.WriteFile(file, []byte(`{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"${Fn}","Payload":{"n":${Number}}},"OutputPath":"$.Payload","End":true}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func(properties string) (stack.Made, error) {
		return b.service.Resources()["AWS::StepFunctions::StateMachine"](t.Context(), stack.Resource{
			LogicalID: "Machine", Type: "AWS::StepFunctions::StateMachine", Properties: json.RawMessage(properties),
			Asset: func(string, string) (string, error) { return file, nil },
		})
	}
	made, err := apply(`{"StateMachineName":"m","RoleArn":"` + role + `","DefinitionS3Location":{"Bucket":"b","Key":"k"},"DefinitionSubstitutions":{"Fn":"f","Number":3},"StateMachineType":"STANDARD",
		"LoggingConfiguration":{"Level":"ERROR","IncludeExecutionData":false,"Destinations":[{"CloudWatchLogsLogGroup":{"LogGroupArn":"arn:x"}}]},"TracingConfiguration":{"Enabled":true}}`)
	if err != nil || made.Ref != machines+"m" || made.Att["Arn"] != machines+"m" || made.Att["Name"] != "m" {
		t.Fatalf("%+v, %v", made, err)
	}
	if got := b.run(made.Ref, `{}`); got != `SUCCEEDED {"n":3}` {
		t.Error(got)
	}
	d, err := b.client.DescribeStateMachine(t.Context(), &sdk.DescribeStateMachineInput{StateMachineArn: &made.Ref})
	if err != nil || d.LoggingConfiguration.Level != types.LogLevelError || *d.LoggingConfiguration.Destinations[0].CloudWatchLogsLogGroup.LogGroupArn != "arn:x" || !d.TracingConfiguration.Enabled {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := apply(`{"StateMachineName":"m","RoleArn":"` + role + `","DefinitionString":"{\"StartAt\":\"S\",\"States\":{\"S\":{\"Type\":\"Succeed\"}}}"}`); err != nil {
		t.Fatal(err)
	}
	if got := b.run(made.Ref, `1`); got != `SUCCEEDED 1` {
		t.Error(got)
	}
	for name, properties := range map[string]string{
		"unknown property":  `{"RoleArn":"` + role + `","DefinitionString":"{\"StartAt\":\"S\",\"States\":{\"S\":{\"Type\":\"Succeed\"}}}","Colour":1}`,
		"left over":         `{"RoleArn":"` + role + `","DefinitionS3Location":{"Bucket":"b","Key":"k"},"DefinitionSubstitutions":{"Fn":"f"}}`,
		"broken definition": `{"RoleArn":"` + role + `","DefinitionString":"{}"}`,
	} {
		if _, err := apply(properties); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
