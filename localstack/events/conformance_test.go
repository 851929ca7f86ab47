package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/events"
	"github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

type bench struct {
	*testing.T
	ctx    context.Context
	c      *eventbridge.Client
	q      *sqsapi.Client
	clock  *stack.Clock
	events *events.Service
	sqs    *sqs.Service
}

func start(t *testing.T) *bench {
	clock := stack.NewClock()
	queues, buses := sqs.New(clock, ""), events.New(clock)
	buses.Targets.Send = queues.Send
	cfg := stacktest.Serve(t, queues, buses)
	return &bench{T: t, ctx: t.Context(), c: eventbridge.NewFromConfig(cfg, once), q: sqsapi.NewFromConfig(cfg), clock: clock, events: buses, sqs: queues}
}

// once keeps the SDK from trying again what is refused for a quota, which it takes for throttling.
func once(o *eventbridge.Options) { o.RetryMaxAttempts = 1 }

// queue makes a queue and returns its URL and ARN.
func (b *bench) queue(name string) (url, arn string) {
	b.Helper()
	name += fmt.Sprint(time.Now().UnixNano())
	out, err := b.q.CreateQueue(b.ctx, &sqsapi.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = b.q.DeleteQueue(context.Background(), &sqsapi.DeleteQueueInput{QueueUrl: out.QueueUrl})
	})
	return *out.QueueUrl, sqs.ARN(name)
}

func (b *bench) rule(name, pattern string, targets ...types.Target) {
	b.Helper()
	if _, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}); err != nil {
		b.Fatal(err)
	}
	out, err := b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: &name, Targets: targets})
	if err != nil || out.FailedEntryCount != 0 {
		b.Fatal(out, err)
	}
	b.Cleanup(func() {
		var ids []string
		for _, t := range targets {
			ids = append(ids, *t.Id)
		}
		_, _ = b.c.RemoveTargets(context.Background(), &eventbridge.RemoveTargetsInput{Rule: &name, Ids: ids})
		_, _ = b.c.DeleteRule(context.Background(), &eventbridge.DeleteRuleInput{Name: &name})
	})
}

func (b *bench) put(source, detail string) string {
	b.Helper()
	out, err := b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: &source, DetailType: aws.String("Test"), Detail: &detail, Resources: []string{"arn:x"}, Time: aws.Time(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))}}})
	if err != nil || out.FailedEntryCount != 0 {
		b.Fatal(out, err)
	}
	return *out.Entries[0].EventId
}

// receive waits for one message and takes it off the queue.
func (b *bench) receive(url string) *sqstypes.Message {
	b.Helper()
	out, err := b.q.ReceiveMessage(b.ctx, &sqsapi.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"}})
	if err != nil {
		b.Fatal(err)
	}
	if len(out.Messages) != 1 {
		b.Fatalf("no message arrived at %s", url)
	}
	if _, err := b.q.DeleteMessage(b.ctx, &sqsapi.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
		b.Fatal(err)
	}
	return &out.Messages[0]
}

func (b *bench) nothingIn(url string) {
	b.Helper()
	for b.events.Busy() > 0 {
		time.Sleep(time.Millisecond)
	}
	out, err := b.q.ReceiveMessage(b.ctx, &sqsapi.ReceiveMessageInput{QueueUrl: &url})
	if err != nil {
		b.Fatal(err)
	}
	if len(out.Messages) > 0 {
		b.Errorf("%s got %s", url, *out.Messages[0].Body)
	}
}

func (b *bench) wantCode(err error, code string) {
	b.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		b.Errorf("got %v, want the code %s", err, code)
	}
}

func TestAnEventReachesItsTarget(t *testing.T) {
	b := start(t)
	url, arn := b.queue("in")
	other, otherARN := b.queue("other")
	b.rule("mine", `{"source":["test.mine"],"detail":{"n":[{"numeric":[">",1]}]}}`, types.Target{Id: aws.String("q"), Arn: &arn})
	b.rule("others", `{"source":["test.others"]}`, types.Target{Id: aws.String("q"), Arn: &otherARN})
	id := b.put("test.mine", `{"n": 2, "text": "<a> & b"}`)
	var got map[string]any
	if err := json.Unmarshal([]byte(*b.receive(url).Body), &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"version": "0", "id": id, "source": "test.mine", "detail-type": "Test", "time": "2026-03-01T10:00:00Z", "region": "us-east-1"} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	if d := got["detail"].(map[string]any); d["text"] != "<a> & b" {
		t.Errorf("detail %v", d)
	}
	b.nothingIn(other)
	b.put("test.mine", `{"n": 1}`)
	b.nothingIn(url)
}

func TestInputs(t *testing.T) {
	b := start(t)
	for name, c := range map[string]struct {
		target types.Target
		want   string
	}{
		"constant":   {types.Target{Input: aws.String(`{"fixed": true}`)}, `{"fixed": true}`},
		"path":       {types.Target{InputPath: aws.String("$.detail.who")}, `{"first":"Ana","last":"Lima"}`},
		"path index": {types.Target{InputPath: aws.String("$.detail.list[1]")}, `2`},
		"path all":   {types.Target{InputPath: aws.String("$.detail.people[*].name")}, `["a","b"]`},
		"json": {transform(map[string]string{"first": "$.detail.who.first", "who": "$.detail.who", "n": "$.detail.list[0]", "no": "$.detail.no"},
			`{"a": <first>, "b": "hi <first>, \"<n>\"", "c": <who>, "d": [<n>, 9], "e": <no>, "f": "<no>", "rule": <aws.events.rule-name>}`),
			`{"a":"Ana","b":"hi Ana, \"1\"","c":{"first":"Ana","last":"Lima"},"d":[1,9],"e":"","f":"","rule":"json"}`},
		"text":        {transform(map[string]string{"first": "$.detail.who.first"}, `"<first> came"`), `"Ana came"`},
		"bare text":   {transform(map[string]string{"first": "$.detail.who.first", "n": "$.detail.list"}, `<first> has <n>`), `Ana has [1,2]`},
		"whole value": {transform(map[string]string{"who": "$.detail.who"}, `<who>`), `{"first":"Ana","last":"Lima"}`},
		"envelope":    {transform(nil, `{"e": <aws.events.event>}`), `{"e":{"account":"000000000000","detailType":"Test","id":"ID","region":"us-east-1","resources":["arn:x"],"source":"test.inputs","time":"2026-03-01T10:00:00Z","version":"0"}}`},
	} {
		url, arn := b.queue("in")
		c.target.Id, c.target.Arn = aws.String("q"), &arn
		b.rule(strings.ReplaceAll(name, " ", "-"), `{"source":["test.inputs"]}`, c.target)
		id := b.put("test.inputs", `{"who": {"first": "Ana", "last": "Lima"}, "list": [1, 2], "people": [{"name": "a"}, {"name": "b"}]}`)
		if got := strings.ReplaceAll(*b.receive(url).Body, id, "ID"); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func transform(paths map[string]string, template string) types.Target {
	return types.Target{InputTransformer: &types.InputTransformer{InputPathsMap: paths, InputTemplate: &template}}
}

func TestWholeEventAndIngestionTime(t *testing.T) {
	b := start(t)
	url, arn := b.queue("in")
	target := transform(nil, `{"event": <aws.events.event.json>, "arn": <aws.events.rule-arn>, "at": <aws.events.event.ingestion-time>}`)
	target.Id, target.Arn = aws.String("q"), &arn
	b.rule("whole", `{"source":["test.whole"]}`, target)
	id := b.put("test.whole", `{"x": 1}`)
	var got struct {
		Event struct {
			ID     string         `json:"id"`
			Detail map[string]int `json:"detail"`
		} `json:"event"`
		Arn string    `json:"arn"`
		At  time.Time `json:"at"`
	}
	if err := json.Unmarshal([]byte(*b.receive(url).Body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Event.ID != id || got.Event.Detail["x"] != 1 || !strings.HasSuffix(got.Arn, ":rule/whole") || time.Since(got.At) > time.Minute {
		t.Errorf("%+v", got)
	}
}

func TestPutEventsRefusals(t *testing.T) {
	b := start(t)
	e := func(source, detailType, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{Source: &source, DetailType: &detailType, Detail: &detail}
	}
	out, err := b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		e("test", "T", "{}"), e("", "T", "{}"), e("test", "", "{}"), e("test", "T", ""), e("test", "T", "[1]"), e("test", "T", "{"), e("aws.guardduty", "T", "{}")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "InvalidArgument", "InvalidArgument", "InvalidArgument", "MalformedDetail", "MalformedDetail", "NotAuthorizedForSourceException"}
	if out.FailedEntryCount != 6 {
		t.Errorf("%d failed", out.FailedEntryCount)
	}
	for i, r := range out.Entries {
		if aws.ToString(r.ErrorCode) != want[i] || (r.EventId == nil) != (want[i] != "") {
			t.Errorf("entry %d: %+v, want %s", i, r, want[i])
		}
	}
	_, err = b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, 11)})
	b.wantCode(err, "ValidationException")
	big := fmt.Sprintf(`{"x":%q}`, strings.Repeat("y", 600<<10))
	if _, err := b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e("test", "T", big)}}); err != nil {
		t.Error(err)
	}
	_, err = b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e("test", "T", big), e("test", "T", big)}})
	b.wantCode(err, "ValidationException")
}

func TestRules(t *testing.T) {
	b := start(t)
	_, arn := b.queue("in")
	b.rule("alpha", `{"source":["a"]}`, types.Target{Id: aws.String("one"), Arn: &arn})
	got, err := b.c.DescribeRule(b.ctx, &eventbridge.DescribeRuleInput{Name: aws.String("alpha")})
	if err != nil || *got.EventPattern != `{"source":["a"]}` || got.State != types.RuleStateEnabled || !strings.HasSuffix(*got.Arn, ":rule/alpha") {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("bad"), EventPattern: aws.String(`{"source":"a"}`)})
	var invalid *types.InvalidEventPatternException
	if !errors.As(err, &invalid) || !strings.Contains(*invalid.Message, `"source" must be an object or an array`) {
		t.Errorf("got %v", err)
	}
	_, err = b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("bad")})
	b.wantCode(err, "ValidationException")
	_, err = b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("bad"), EventPattern: aws.String(`{"source":["` + strings.Repeat("x", 2048) + `"]}`)})
	b.wantCode(err, "LimitExceededException")
	_, err = b.c.DeleteRule(b.ctx, &eventbridge.DeleteRuleInput{Name: aws.String("alpha")})
	b.wantCode(err, "ValidationException")
	_, err = b.c.DescribeRule(b.ctx, &eventbridge.DescribeRuleInput{Name: aws.String("nope")})
	b.wantCode(err, "ResourceNotFoundException")

	var six []types.Target
	for i := range 6 {
		six = append(six, types.Target{Id: aws.String(fmt.Sprint(i)), Arn: &arn})
	}
	_, err = b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: aws.String("alpha"), Targets: six})
	b.wantCode(err, "LimitExceededException")
	unknown := transform(nil, `{"a": <nope>}`)
	unknown.Id, unknown.Arn = aws.String("u"), &arn
	_, err = b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: aws.String("alpha"), Targets: []types.Target{unknown}})
	b.wantCode(err, "ValidationException")

	list, err := b.c.ListTargetsByRule(b.ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String("alpha")})
	if err != nil || len(list.Targets) != 1 || *list.Targets[0].Arn != arn {
		t.Errorf("%+v, %v", list, err)
	}
	removed, err := b.c.RemoveTargets(b.ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("alpha"), Ids: []string{"nope"}})
	if err != nil || removed.FailedEntryCount != 1 {
		t.Errorf("%+v, %v", removed, err)
	}
	rules, err := b.c.ListRules(b.ctx, &eventbridge.ListRulesInput{NamePrefix: aws.String("alp")})
	if err != nil || len(rules.Rules) != 1 {
		t.Errorf("%+v, %v", rules, err)
	}
}

func TestARuleCountQuota(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	for i := range 300 {
		if _, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String(fmt.Sprint("r", i)), EventPattern: aws.String(`{"source":["a"]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("more"), EventPattern: aws.String(`{"source":["a"]}`)})
	b.wantCode(err, "LimitExceededException")
	first, err := b.c.ListRules(b.ctx, &eventbridge.ListRulesInput{Limit: aws.Int32(100)})
	if err != nil || len(first.Rules) != 100 || first.NextToken == nil {
		t.Fatalf("%v", err)
	}
	second, err := b.c.ListRules(b.ctx, &eventbridge.ListRulesInput{NextToken: first.NextToken})
	if err != nil || *second.Rules[0].Name == *first.Rules[0].Name {
		t.Errorf("the second page begins like the first: %v", err)
	}
}

func TestDisabledRules(t *testing.T) {
	b := start(t)
	url, arn := b.queue("in")
	b.rule("switch", `{"source":["test.switch"]}`, types.Target{Id: aws.String("q"), Arn: &arn})
	if _, err := b.c.DisableRule(b.ctx, &eventbridge.DisableRuleInput{Name: aws.String("switch")}); err != nil {
		t.Fatal(err)
	}
	b.put("test.switch", `{}`)
	b.nothingIn(url)
	if _, err := b.c.EnableRule(b.ctx, &eventbridge.EnableRuleInput{Name: aws.String("switch")}); err != nil {
		t.Fatal(err)
	}
	b.put("test.switch", `{}`)
	b.receive(url)
}

func TestBuses(t *testing.T) {
	b := start(t)
	made, err := b.c.CreateEventBus(b.ctx, &eventbridge.CreateEventBusInput{Name: aws.String("partner-feed")})
	if err != nil || !strings.HasSuffix(*made.EventBusArn, ":event-bus/partner-feed") {
		t.Fatal(made, err)
	}
	t.Cleanup(func() {
		_, _ = b.c.DeleteEventBus(context.Background(), &eventbridge.DeleteEventBusInput{Name: aws.String("partner-feed")})
	})
	_, err = b.c.CreateEventBus(b.ctx, &eventbridge.CreateEventBusInput{Name: aws.String("partner-feed")})
	b.wantCode(err, "ResourceAlreadyExistsException")
	list, err := b.c.ListEventBuses(b.ctx, &eventbridge.ListEventBusesInput{})
	if err != nil || len(list.EventBuses) < 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if one, err := b.c.DescribeEventBus(b.ctx, &eventbridge.DescribeEventBusInput{}); err != nil || *one.Name != "default" {
		t.Errorf("%+v, %v", one, err)
	}
	_, err = b.c.DescribeEventBus(b.ctx, &eventbridge.DescribeEventBusInput{Name: aws.String("nope")})
	b.wantCode(err, "ResourceNotFoundException")
}

func TestAnEventGoesFromBusToBus(t *testing.T) {
	b := start(t)
	if _, err := b.c.CreateEventBus(b.ctx, &eventbridge.CreateEventBusInput{Name: aws.String("feed")}); err != nil {
		t.Fatal(err)
	}
	url, arn := b.queue("in")
	b.rule("behind", `{"source":["test.hop"]}`, types.Target{Id: aws.String("q"), Arn: &arn})
	if _, err := b.c.PutRule(b.ctx, &eventbridge.PutRuleInput{Name: aws.String("hop"), EventBusName: aws.String("feed"), EventPattern: aws.String(`{"source":["test.hop"]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.c.PutTargets(b.ctx, &eventbridge.PutTargetsInput{Rule: aws.String("hop"), EventBusName: aws.String("feed"), Targets: []types.Target{
		{Id: aws.String("default"), Arn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default")}}}); err != nil {
		t.Fatal(err)
	}
	out, err := b.c.PutEvents(b.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("test.hop"), DetailType: aws.String("T"), Detail: aws.String(`{}`), EventBusName: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/feed")}}})
	if err != nil {
		t.Fatal(err)
	}
	if body := *b.receive(url).Body; !strings.Contains(body, *out.Entries[0].EventId) {
		t.Errorf("the event changed its id on the way: %s", body)
	}
}

func TestTestEventPattern(t *testing.T) {
	b := start(t)
	event := `{"id":"1","account":"0","source":"a","time":"2026-03-01T10:00:00Z","region":"us-east-1","resources":[],"detail-type":"T","detail":{"x":1}}`
	for pattern, want := range map[string]bool{`{"detail":{"x":[1]}}`: true, `{"detail":{"x":[2]}}`: false} {
		out, err := b.c.TestEventPattern(b.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: &pattern})
		if err != nil || out.Result != want {
			t.Errorf("%s: %+v, %v", pattern, out, err)
		}
	}
	_, err := b.c.TestEventPattern(b.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: aws.String(`{}`)})
	b.wantCode(err, "InvalidEventPatternException")
	_, err = b.c.TestEventPattern(b.ctx, &eventbridge.TestEventPatternInput{Event: aws.String(`{"id":"1"}`), EventPattern: aws.String(`{"id":["1"]}`)})
	b.wantCode(err, "ValidationException")
}

func TestRuleResource(t *testing.T) {
	stacktest.Local(t)
	b := start(t)
	url, arn := b.queue("in")
	types := b.events.Resources()
	build := func(typ, id, properties string) (stack.Made, error) {
		return types[typ](b.ctx, stack.Resource{LogicalID: id, Type: typ, Properties: []byte(properties)})
	}
	text := `{"EventPattern":{"source":["test.resource"]},"State":"ENABLED","Targets":[{"Id":"Target0","Arn":"` + arn + `",
	  "InputTransformer":{"InputPathsMap":{"x":"$.detail.x"},"InputTemplate":"{\"x\":<x>}"},"RetryPolicy":{"MaximumRetryAttempts":"2"}}]}`
	for range 2 { // made again is made in place
		made, err := build("AWS::Events::Rule", "OnCommit", text)
		if err != nil || made.Ref != "OnCommit" || made.Att["Arn"] != "arn:aws:events:us-east-1:000000000000:rule/OnCommit" {
			t.Fatal(made, err)
		}
	}
	b.put("test.resource", `{"x": 5}`)
	if body := *b.receive(url).Body; body != `{"x":5}` {
		t.Errorf("body %s", body)
	}
	b.nothingIn(url)
	if made, err := build("AWS::Events::EventBus", "Feed", `{"Name":"feed"}`); err != nil || made.Ref != "feed" || made.Att["Arn"] != "arn:aws:events:us-east-1:000000000000:event-bus/feed" {
		t.Error(made, err)
	}
	if _, err := build("AWS::Events::EventBusPolicy", "FeedPolicy", `{"EventBusName":"feed","StatementId":"partner","Statement":{"Effect":"Allow"}}`); err != nil {
		t.Error(err)
	}
	if got := b.events.Policy("feed"); got != `{"Statement":[{"Effect":"Allow"}],"Version":"2012-10-17"}` {
		t.Errorf("policy %s", got)
	}
	if made, err := build("AWS::Events::Rule", "OnFeed", `{"EventBusName":"feed","EventPattern":{"source":["x"]}}`); err != nil || made.Ref != "feed|OnFeed" {
		t.Error(made, err)
	}
	if _, err := build("AWS::Events::Rule", "Bad", `{"EventPattern":{"source":["x"]},"Targets":[{"Id":"t","Arn":"`+arn+`","EcsParameters":{}}]}`); err == nil {
		t.Error("an unknown target parameter was accepted")
	}
}
