package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"go.uber.org/goleak"

	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

var folder string // the built function

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "function")
	if err != nil {
		panic(err)
	}
	folder = dir
	build := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", filepath.Join(dir, "bootstrap"), "./testdata/function")
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

// book keeps log lines.
type book struct {
	mu    sync.Mutex
	lines map[string][]string // group -> lines
	names map[string]bool     // streams
}

func (b *book) Put(group, stream string, _ time.Time, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines == nil {
		b.lines, b.names = map[string][]string{}, map[string]bool{}
	}
	b.lines[group] = append(b.lines[group], line)
	b.names[stream] = true
}

func (b *book) in(group string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.lines[group]...)
}

type bench struct {
	*testing.T
	service *lambda.Service
	clock   *stack.Clock
	ids     *stack.Identities
	logs    *book
	client  *sdk.Client
}

func start(t *testing.T) *bench {
	t.Helper()
	stacktest.Local(t)
	b := &bench{T: t, clock: stack.NewClock(), ids: stack.NewIdentities(), logs: &book{}}
	b.service = lambda.New(b.clock, b.ids, b.logs)
	server := stacktest.StartWith(t, b.clock, b.ids, b.service)
	b.service.Endpoint = server.URL
	t.Cleanup(b.service.Close)
	b.client = sdk.NewFromConfig(server.Config, func(o *sdk.Options) { o.RetryMaxAttempts = 1 })
	return b
}

func (b *bench) make(kind, id, properties string) (stack.Made, error) {
	return b.service.Resources()[kind](b.Context(), stack.Resource{
		LogicalID: id, Type: kind, Properties: json.RawMessage(properties),
		Asset: func(bucket, key string) (string, error) {
			if key == "none.zip" {
				return os.TempDir(), nil
			}
			return folder, nil
		},
	})
}

func (b *bench) function(name, more string) stack.Made {
	b.Helper()
	if more != "" {
		more = "," + more
	}
	made, err := b.make("AWS::Lambda::Function", "Fn", fmt.Sprintf(`{"FunctionName":%q,"Runtime":"provided.al2023","Handler":"bootstrap",
		"Architectures":["arm64"],"Role":"arn:aws:iam::000000000000:role/service/%s-role","Code":{"S3Bucket":"b","S3Key":"k.zip"}%s}`, name, name, more))
	if err != nil {
		b.Fatal(err)
	}
	return made
}

func (b *bench) invoke(name, payload string) *sdk.InvokeOutput {
	b.Helper()
	out, err := b.client.Invoke(b.Context(), &sdk.InvokeInput{FunctionName: &name, Payload: []byte(payload)})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

type self struct {
	PID, Count   int
	ARN, ID, Dir string
	Left         float64
}

func decode[T any](t testing.TB, payload []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(payload, &v); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return v
}

func TestInvokeEchoesAndKeepsTheProcessWarm(t *testing.T) {
	b := start(t)
	made := b.function("echo", `"Timeout":"20"`)
	if made.Ref != "echo" || made.Att["Arn"] != "arn:aws:lambda:us-east-1:000000000000:function:echo" {
		t.Fatalf("made %+v", made)
	}
	out := b.invoke("echo", `{"hello":"world"}`)
	if string(out.Payload) != `{"hello":"world"}` || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" || out.StatusCode != 200 {
		t.Fatalf("got %s, %+v", out.Payload, out)
	}
	var pid int
	for i, ref := range []string{"echo", "echo:$LATEST", made.Att["Arn"], made.Att["Arn"] + ":$LATEST", "000000000000:function:echo", "function:echo"} {
		s := decode[self](t, b.invoke(ref, `{"do":"self"}`).Payload)
		if pid == 0 {
			pid = s.PID
		}
		if s.PID != pid || s.Count != i+2 {
			t.Errorf("%s: process %d served call %d; want process %d, call %d", ref, s.PID, s.Count, pid, i+2)
		}
		if s.ARN != made.Att["Arn"] || s.Left < 10 || s.Left > 20 || s.Dir != folder || s.ID == "" {
			t.Errorf("%s: %+v", ref, s)
		}
	}
}

func TestOneProcessPerConcurrentInvocation(t *testing.T) {
	b := start(t)
	b.function("echo", "")
	b.service.MaxIdle = 2
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { b.invoke("echo", `{"do":"sleep","Seconds":0.5}`) })
	}
	time.Sleep(300 * time.Millisecond)
	if n := b.service.Busy(); n != 4 {
		t.Errorf("%d busy, want 4", n)
	}
	wg.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for len(b.service.Processes()) > 2 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := len(b.service.Processes()); n != 2 {
		t.Errorf("%d processes are kept, want MaxIdle = 2", n)
	}
}

func TestFunctionErrors(t *testing.T) {
	b := start(t)
	b.function("f", `"Timeout":1`)
	for name, c := range map[string]struct{ payload, errorType, message string }{
		"typed error": {`{"do":"fail","Text":"no"}`, "RefusedError", "no"},
		"panic":       {`{"do":"panic","Text":"boom"}`, "string", "boom"},
		"exit 1":      {`{"do":"exit","Code":1}`, "Runtime.ExitError", "Error: Runtime exited with error: exit status 1"},
		"exit 0":      {`{"do":"exit","Code":0}`, "Runtime.ExitError", "Error: Runtime exited without providing a reason"},
		"timeout":     {`{"do":"sleep","Seconds":30}`, "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds"},
	} {
		out := b.invoke("f", c.payload)
		e := decode[struct{ ErrorType, ErrorMessage string }](t, out.Payload)
		if aws.ToString(out.FunctionError) != "Unhandled" || e.ErrorType != c.errorType || !strings.HasSuffix(e.ErrorMessage, c.message) {
			t.Errorf("%s: %v %s", name, aws.ToString(out.FunctionError), out.Payload)
		}
		if out := b.invoke("f", `1`); string(out.Payload) != "1" {
			t.Errorf("after %s: %s", name, out.Payload)
		}
	}
	r, err := b.service.Invoke(t.Context(), "f", []byte(`{"do":"fail","Text":"no"}`), "")
	if err != nil || r.ErrorType != "RefusedError" || r.ErrorMessage != "no" || r.FunctionError != "Unhandled" {
		t.Errorf("Invoke: %+v, %v", r, err)
	}
}

func TestInitErrors(t *testing.T) {
	b := start(t)
	b.function("f", `"Environment":{"Variables":{"FAIL_INIT":"cannot start"}}`)
	e := decode[struct{ ErrorType, ErrorMessage string }](t, b.invoke("f", "{}").Payload)
	if e.ErrorType != "Runtime.ExitError" || !strings.HasSuffix(e.ErrorMessage, "exit status 3") {
		t.Errorf("exit in init: %+v", e)
	}
	b.function("none", `"Description":"has no binary"`)
	if _, err := b.make("AWS::Lambda::Function", "N", `{"FunctionName":"none","Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Code":{"S3Bucket":"b","S3Key":"none.zip"}}`); err != nil {
		t.Fatal(err)
	}
	e = decode[struct{ ErrorType, ErrorMessage string }](t, b.invoke("none", "{}").Payload)
	if e.ErrorType != "Runtime.InvalidEntrypoint" {
		t.Errorf("no bootstrap: %+v", e)
	}
}

func TestEnvironmentIsOnlyWhatIsDeclaredAndLambdas(t *testing.T) {
	t.Setenv("MAYFLY_TEST_LEAK", "must not be passed on")
	b := start(t)
	b.function("f", `"Environment":{"Variables":{"TABLE":"runs"}},"MemorySize":256`)
	got := map[string]string{}
	for _, kv := range decode[[]string](t, b.invoke("f", `{"do":"env"}`).Payload) {
		k, v, _ := strings.Cut(kv, "=")
		got[k] = v
	}
	var names []string
	for k := range got {
		names = append(names, k)
	}
	sort.Strings(names)
	want := "AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LAMBDA_TASK_ROOT PATH TABLE _HANDLER _X_AMZN_TRACE_ID"
	if s := strings.Join(names, " "); s != want {
		t.Errorf("environment has\n%s\nwant\n%s", s, want)
	}
	if got["TABLE"] != "runs" || got["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] != "256" {
		t.Errorf("%v", got)
	}
	id := b.ids.Lookup(got["AWS_ACCESS_KEY_ID"])
	if id.ARN != "arn:aws:sts::000000000000:assumed-role/f-role/f" || id.Role != "f-role" || id.Function != "f" {
		t.Errorf("identity %+v", id)
	}
	if p := b.service.Processes(); len(p) != 1 || p[0].Function != "f" || len(p[0].Environ) != len(names) || p[0].PID == 0 {
		t.Errorf("processes %+v", p)
	}
}

func TestKillEndsTheProcessThatWorksForTheExecution(t *testing.T) {
	b := start(t)
	b.function("f", `"Timeout":30`)
	type outcome struct {
		r   lambda.Result
		err error
	}
	done := map[string]chan outcome{"arn:one": make(chan outcome, 1), "arn:two": make(chan outcome, 1)}
	for execution, ch := range done {
		go func() {
			r, err := b.service.Invoke(context.Background(), "f", []byte(`{"do":"sleep","Seconds":1.5}`), execution)
			ch <- outcome{r, err}
		}()
	}
	id := stack.Identity{Function: "f", Execution: "arn:one"}
	deadline := time.Now().Add(5 * time.Second)
	for !b.service.Kill(id) {
		if time.Now().After(deadline) {
			t.Fatal("no process to kill")
		}
		time.Sleep(time.Millisecond)
	}
	if o := <-done["arn:one"]; o.err != nil || o.r.ErrorType != "Runtime.ExitError" || !strings.HasSuffix(o.r.ErrorMessage, "signal: killed") {
		t.Errorf("killed: %+v", o)
	}
	if o := <-done["arn:two"]; o.err != nil || o.r.FunctionError != "" {
		t.Errorf("the other one: %+v", o)
	}
	if b.service.Kill(id) {
		t.Error("Kill reports a process that no longer works")
	}
}

func TestLogs(t *testing.T) {
	b := start(t)
	b.function("text", "")
	b.function("json", `"LoggingConfig":{"LogFormat":"JSON","SystemLogLevel":"WARN","ApplicationLogLevel":"INFO","LogGroup":"/mayfly/own"},"Timeout":1`)
	b.invoke("text", `{"do":"print","Text":"a line"}`)
	b.invoke("json", `{"do":"print","Text":"a line"}`)
	b.service.Close()
	text := b.logs.in("/aws/lambda/text")
	if len(text) != 5 || !strings.HasPrefix(text[0], "START RequestId: ") || text[1] != "a line" || text[2] != "a line" && !strings.HasPrefix(text[2], "END") {
		t.Errorf("text format: %q", text)
	}
	if own := b.logs.in("/mayfly/own"); len(own) != 2 || own[0] != "a line" {
		t.Errorf("JSON format at WARN has system lines, or lost some: %q", own)
	}
	for stream := range b.logs.names {
		if !strings.HasPrefix(stream, b.clock.Now().Format("2006/01/02/")+"[$LATEST]") || len(stream) != 11+9+32 {
			t.Errorf("stream %q", stream)
		}
	}
}

func TestServiceErrors(t *testing.T) {
	b := start(t)
	b.function("f", `"ReservedConcurrentExecutions":0`)
	_, err := b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f")})
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) || throttled.Reason != "ReservedFunctionConcurrentInvocationLimitExceeded" {
		t.Errorf("reserved concurrency 0: %v", err)
	}
	_, err = b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("absent")})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) || !strings.Contains(missing.ErrorMessage(), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent") {
		t.Errorf("absent: %v", err)
	}
	_, err = b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), Qualifier: aws.String("7")})
	if !errors.As(err, &missing) {
		t.Errorf("absent version: %v", err)
	}
	_, err = b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), Payload: []byte("{")})
	var content *types.InvalidRequestContentException
	if !errors.As(err, &content) {
		t.Errorf("broken JSON: %v", err)
	}
	big := []byte(`"` + strings.Repeat("x", 6<<20) + `"`)
	_, err = b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), Payload: big})
	var large *types.RequestTooLargeException
	if !errors.As(err, &large) {
		t.Errorf("6 MB: %.200v", err)
	}
	b.function("g", "")
	out := b.invoke("g", `{"do":"big","Code":1200000}`) // each zero byte is written as six characters
	if e := decode[struct{ ErrorType string }](t, out.Payload); e.ErrorType != "Function.ResponseSizeTooLarge" {
		t.Errorf("big response: %.100s", out.Payload)
	}
	dry, err := b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("g"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || dry.StatusCode != 204 {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
}

func TestDescribeAndUpdate(t *testing.T) {
	b := start(t)
	b.function("a", `"Environment":{"Variables":{"K":"1"}},"ReservedConcurrentExecutions":5`)
	b.function("b", "")
	list, err := b.client.ListFunctions(t.Context(), &sdk.ListFunctionsInput{})
	if err != nil || len(list.Functions) != 2 || *list.Functions[0].FunctionName != "a" {
		t.Fatalf("list: %+v, %v", list, err)
	}
	got, err := b.client.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("a")})
	if err != nil || *got.Concurrency.ReservedConcurrentExecutions != 5 || got.Configuration.Architectures[0] != types.ArchitectureArm64 || got.Configuration.CodeSize == 0 {
		t.Fatalf("get: %+v, %v", got, err)
	}
	before := decode[self](t, b.invoke("a", `{"do":"self"}`).Payload)
	if _, err := b.client.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("a"), Environment: &types.Environment{Variables: map[string]string{"K": "2"}},
	}); err != nil {
		t.Fatal(err)
	}
	c, err := b.client.GetFunctionConfiguration(t.Context(), &sdk.GetFunctionConfigurationInput{FunctionName: aws.String("a")})
	if err != nil || c.Environment.Variables["K"] != "2" || *c.Timeout != 3 {
		t.Fatalf("configuration: %+v, %v", c, err)
	}
	after := decode[self](t, b.invoke("a", `{"do":"self"}`).Payload)
	if after.PID == before.PID {
		t.Error("the process with the old configuration was used again")
	}
}

func TestTemplatesAreReadStrictly(t *testing.T) {
	b := start(t)
	const base = `"Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Code":{"S3Bucket":"b","S3Key":"k"}`
	for name, properties := range map[string]string{
		"unknown property":  `{` + base + `,"Colour":"red"}`,
		"other runtime":     `{"Runtime":"nodejs20.x","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Code":{"S3Bucket":"b","S3Key":"k"}}`,
		"no role":           `{"Runtime":"provided.al2023","Handler":"x","Code":{"S3Bucket":"b","S3Key":"k"}}`,
		"reserved variable": `{` + base + `,"Environment":{"Variables":{"AWS_REGION":"x"}}}`,
		"timeout":           `{` + base + `,"Timeout":901}`,
		"dead letters":      `{` + base + `,"DeadLetterConfig":{"TargetArn":"arn:aws:sqs:us-east-1:000000000000:q"}}`,
	} {
		if _, err := b.make("AWS::Lambda::Function", "F", properties); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b.function("f", "")
	if _, err := b.make("AWS::Lambda::Permission", "P", `{"Action":"lambda:InvokeFunction","FunctionName":"f","Principal":"events.amazonaws.com","SourceArn":"arn:rule"}`); err != nil {
		t.Fatal(err)
	}
	if p := b.service.Permissions("f"); len(p) != 1 || p[0].Principal != "events.amazonaws.com" || p[0].SourceArn != "arn:rule" {
		t.Errorf("permissions %+v", p)
	}
	v, err := b.make("AWS::Lambda::Version", "V", `{"FunctionName":"f"}`)
	if err != nil || v.Att["Version"] != "1" {
		t.Fatalf("version: %+v, %v", v, err)
	}
	a, err := b.make("AWS::Lambda::Alias", "A", `{"FunctionName":"f","FunctionVersion":"1","Name":"live"}`)
	if err != nil {
		t.Fatal(err)
	}
	out := b.invoke(a.Ref, `{"do":"self"}`)
	if *out.ExecutedVersion != "1" || !strings.HasSuffix(decode[self](t, out.Payload).ARN, ":f:live") {
		t.Errorf("alias: %s %s", *out.ExecutedVersion, out.Payload)
	}
}

func TestAsynchronousEventsAreRetriedAndThenSentAway(t *testing.T) {
	b := start(t)
	type message struct {
		queue, body string
		attributes  map[string]string
	}
	sent := make(chan message, 4)
	b.service.Send = func(_ context.Context, queue, body string, attributes map[string]string) error {
		sent <- message{queue, body, attributes}
		return nil
	}
	const dlq, failures = "arn:aws:sqs:us-east-1:000000000000:dlq", "arn:aws:sqs:us-east-1:000000000000:failures"
	b.function("f", `"DeadLetterConfig":{"TargetArn":"`+dlq+`"}`)
	if _, err := b.make("AWS::Lambda::EventInvokeConfig", "C", `{"FunctionName":"f","Qualifier":"$LATEST","MaximumRetryAttempts":"2","DestinationConfig":{"OnFailure":{"Destination":"`+failures+`"}}}`); err != nil {
		t.Fatal(err)
	}
	out, err := b.client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"do":"fail","Text":"no"}`)})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("%+v, %v", out, err)
	}
	for retry := 1; retry <= 2; retry++ {
		var at time.Time
		for ok := false; !ok; at, ok = b.clock.Next() {
			time.Sleep(5 * time.Millisecond)
		}
		if wait := at.Sub(b.clock.Now()).Round(10 * time.Second); wait != time.Duration(retry)*time.Minute {
			t.Errorf("retry %d after %s", retry, wait)
		}
		b.clock.Advance(time.Duration(retry) * time.Minute)
	}
	destination, dead := <-sent, <-sent
	record := decode[struct {
		RequestContext struct {
			Condition              string
			ApproximateInvokeCount int
		}
		RequestPayload  map[string]string
		ResponsePayload struct{ ErrorType string }
	}](t, []byte(destination.body))
	if destination.queue != failures || record.RequestContext.Condition != "RetriesExhausted" || record.RequestContext.ApproximateInvokeCount != 3 ||
		record.RequestPayload["do"] != "fail" || record.ResponsePayload.ErrorType != "RefusedError" {
		t.Errorf("destination: %+v", destination)
	}
	if dead.queue != dlq || dead.body != `{"do":"fail","Text":"no"}` || dead.attributes["ErrorMessage"] != "no" {
		t.Errorf("dead letter: %+v", dead)
	}
}
