package playground_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// size is how many secrets a fleet has here: 500, or MAYFLY_FLEET, as `make fleet` sets it.
func size(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MAYFLY_FLEET")
	if text == "" {
		return 500
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= rotation.Inline {
		t.Fatalf("MAYFLY_FLEET is %q, want a number above %d", text, rotation.Inline)
	}
	return n
}

// fleet is a deployed stack without a target, whose registry knows secrets that Secrets Manager does not have.
type fleet struct {
	*testing.T
	*localstack.Stack
	machines *sfn.Client
	secrets  []string
}

// newFleet makes a fleet. Every third secret is in staging. All are read with the role fleet-reader and are due at the time.
func newFleet(t *testing.T, n int, due time.Time) *fleet {
	t.Helper()
	s, err := localstack.Start(t.Context(), localstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	compiled, err := contract.Bundle{}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deploy(t.Context(), assembly(), localstack.Files{"contracts.json": compiled, "guardrails.cedar": blastradius.Rules(contract.Bundle{})}); err != nil {
		t.Fatalf("%v; no synthesized template? run `make synth-local`", err)
	}
	observe(t, s)
	f := &fleet{T: t, Stack: s, machines: sfn.NewFromConfig(s.Config())}
	f.settle() // the first evaluation, of nothing
	began := time.Now()
	f.register(n, due)
	t.Logf("%d contracts were in the registry after %.1f s", n, time.Since(began).Seconds())
	go f.tick()
	return f
}

// tick lets a second pass whenever everything waits. The stack's automatic clock goes from timer to timer, of which every
// start has its own.
func (f *fleet) tick() {
	for quiet := 0; f.Context().Err() == nil; time.Sleep(time.Millisecond) {
		if quiet++; !f.Endpoint.Idle() {
			quiet = 0
		}
		if quiet == 5 {
			f.Clock.Advance(time.Second)
			quiet = 0
		}
	}
}

func (f *fleet) register(n int, due time.Time) {
	f.Helper()
	db := dynamodb.NewFromConfig(f.Config())
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	var items []types.WriteRequest
	put := func(item map[string]types.AttributeValue) {
		items = append(items, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	for i := range n {
		c := contract.Contract{Name: fmt.Sprintf("fleet-%05d", i), Owner: "platform-team", Environment: "prod", Services: []string{"reader"},
			TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"incident"}, BlastRadius: []string{"minimal", "limited", "broad"}[i%7%3], Kind: contract.Random, Strategy: contract.Single}
		if i%3 == 0 {
			c.Environment = "staging"
		}
		compiled, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.secrets = append(f.secrets, c.ID())
		put(map[string]types.AttributeValue{"secret": text(c.ID()), "item": text("contract"), "contract": text(string(compiled)), "readers": &types.AttributeValueMemberL{}, "digest": text("d"),
			"environment": text(c.Environment), "owner": text(c.Owner), "due_pool": text("in_force"),
			"due_at": &types.AttributeValueMemberN{Value: fmt.Sprint(due.Unix())}, "fence": &types.AttributeValueMemberN{Value: "1"}})
		put(map[string]types.AttributeValue{"secret": text(c.ID()), "item": text("key#role:fleet-reader"), "lookup": text("role:fleet-reader")})
	}
	var wg sync.WaitGroup
	for batch := range slices.Chunk(items, 25) {
		wg.Go(func() {
			out, err := db.BatchWriteItem(f.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{playground.ContractsTable: batch}})
			if err != nil || len(out.UnprocessedItems) > 0 {
				f.Errorf("%v, %d items left", err, len(out.UnprocessedItems))
			}
		})
	}
	wg.Wait()
	if f.Failed() {
		f.FailNow()
	}
}

// startOnly puts a machine in the place of mayfly-rotate that does nothing, so that starting alone is looked at.
func (f *fleet) startOnly() {
	f.Helper()
	_, err := f.machines.UpdateStateMachine(f.Context(), &sfn.UpdateStateMachineInput{StateMachineArn: aws.String(playground.RotateMachine),
		Definition: aws.String(`{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}`)})
	if err != nil {
		f.Fatal(err)
	}
}

// incident is a finding about the role that reads every secret of the fleet.
func (f *fleet) incident(id, severity string) string {
	f.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "events", "guardduty-critical.json"))
	if err != nil {
		f.Fatal(err)
	}
	return strings.NewReplacer("prod-orders-service", "fleet-reader", "c0ffee00112233445566778899aabbcc", id, `"severity": 9.5`, `"severity": `+severity).Replace(string(text))
}

// respond delivers an event to mayfly-respond, several times at once, and waits until all of that has ended.
func (f *fleet) respond(event string, times int) []*sfn.DescribeExecutionOutput {
	f.Helper()
	out := make([]*sfn.DescribeExecutionOutput, times)
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() {
			begun, err := f.machines.StartExecution(f.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(playground.RespondMachine), Input: &event})
			for err == nil {
				if out[i], err = f.machines.DescribeExecution(f.Context(), &sfn.DescribeExecutionInput{ExecutionArn: begun.ExecutionArn}); err == nil && out[i].Status != sfntypes.ExecutionStatusRunning {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			f.Error(err)
		})
	}
	wg.Wait()
	if f.Failed() {
		f.FailNow()
	}
	return out
}

func (f *fleet) succeeded(all ...*sfn.DescribeExecutionOutput) {
	f.Helper()
	for _, x := range all {
		if x.Status != sfntypes.ExecutionStatusSucceeded {
			f.Fatalf("mayfly-respond ended %s: %s %s", x.Status, aws.ToString(x.Error), aws.ToString(x.Cause))
		}
	}
}

func (f *fleet) settle() {
	f.Helper()
	deadline := time.Now().Add(time.Minute)
	for quiet := 0; quiet < 5; quiet++ {
		if f.Machines.Running()+f.Schedules.Busy()+f.Events.Busy() > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			f.Fatal("the stack does not come to rest")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// started lists the executions of mayfly-rotate, oldest first.
func (f *fleet) started() []sfntypes.ExecutionListItem {
	f.Helper()
	var all []sfntypes.ExecutionListItem
	pages := sfn.NewListExecutionsPaginator(f.machines, &sfn.ListExecutionsInput{StateMachineArn: aws.String(playground.RotateMachine), MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, page.Executions...)
	}
	slices.Reverse(all)
	return all
}

// check holds what was started against what had to be: each secret once, none before its turn, the most exposed first.
func (f *fleet) check(event string, base time.Time) {
	f.Helper()
	resolution, err := trigger.Resolve([]byte(event))
	if err != nil {
		f.Fatal(err)
	}
	want := map[string]string{}
	for _, secret := range f.secrets {
		want[trigger.ExecutionName(secret, resolution.Trigger)] = secret
	}
	base = base.Truncate(time.Second)
	started := f.started()
	prod := len(f.secrets) - (len(f.secrets)+2)/3
	const atOnce = 32 // children of the Map
	for i, x := range started {
		secret, ok := want[*x.Name]
		if !ok {
			f.Errorf("%s was started twice, or is none of the fleet's", *x.Name)
		}
		delete(want, *x.Name)
		if turns := int(x.StartDate.Sub(base)/time.Second) + 1; i >= turns*rotation.StartsPerSecond {
			f.Fatalf("start %d came %s after the event, before its turn", i+1, x.StartDate.Sub(base))
		}
		if i >= 10*atOnce { // atOnce in two seconds, and those that were there when the time began
			if took := x.StartDate.Sub(*started[i-10*atOnce].StartDate); took < 18*time.Second {
				f.Fatalf("%d starts in %s: more than Secrets Manager bears", 10*atOnce, took)
			}
		}
		if i < prod-atOnce && !strings.HasPrefix(secret, "prod/") {
			f.Errorf("start %d is %s: prod comes first", i+1, secret)
		}
	}
	if len(want) > 0 {
		f.Errorf("%d of %d secrets were not started", len(want), len(f.secrets))
	}
	if len(started) > 0 {
		f.Logf("%d starts in %s of the stack's clock", len(started), started[len(started)-1].StartDate.Sub(base).Round(time.Second))
	}
}

// kills plans the death of ResolveTrigger in every place that matters: while it reads, before and after its list is there,
// while it reads the list of an attempt before, and before and after its record is there. Every attempt but the first three
// puts its list and is answered that it is there.
func (f *fleet) kills() int {
	f.Helper()
	kills := []stack.Fault{
		{Service: "dynamodb", Operation: "Query", When: "before"},
		{Service: "dynamodb", Operation: "BatchGetItem", When: "after", Skip: 3},
		{Service: "s3", Operation: "PutObject", When: "before"},
		{Service: "s3", Operation: "PutObject", When: "after"},
		{Service: "s3", Operation: "GetObject", When: "before"},
		{Service: "s3", Operation: "PutObject", When: "before", Skip: 3},
		{Service: "s3", Operation: "PutObject", When: "after", Skip: 3},
	}
	for _, k := range kills {
		k.Function, k.Mode = "mayfly-resolve-trigger", "kill"
		if err := f.Endpoint.AddFault(k); err != nil {
			f.Fatal(err)
		}
	}
	return len(kills)
}

func (f *fleet) killed() int {
	n := 0
	for _, call := range f.Endpoint.Calls() {
		if call.Error == "Killed" {
			n++
		}
	}
	return n
}

// resolved is how long the last attempt of an execution at resolving took.
func (f *fleet) resolved(execution string) (took time.Duration) {
	var from time.Time
	for _, call := range f.Endpoint.Calls() {
		switch {
		case call.Function != "mayfly-resolve-trigger" || call.Execution != execution:
		case call.Operation == "Query":
			from = call.At
		default:
			took = call.At.Sub(from)
		}
	}
	return took
}

// listed looks at the list and at the results of a fleet.
func (f *fleet) listed(x *sfn.DescribeExecutionOutput, n int) {
	f.Helper()
	f.succeeded(x)
	var out struct {
		Fleet struct {
			ResultWriterDetails struct{ Bucket, Key string }
		}
		Items struct{ Total, Succeeded int }
	}
	if err := json.Unmarshal([]byte(aws.ToString(x.Output)), &out); err != nil {
		f.Fatal(err)
	}
	if out.Items.Total != n || out.Items.Succeeded != n {
		f.Errorf("the Map Run counts %+v", out.Items)
	}
	objects := s3.NewFromConfig(f.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	read := func(key string, into any) {
		got, err := objects.GetObject(f.Context(), &s3.GetObjectInput{Bucket: aws.String("mayfly-dispatch-000000000000-us-east-1"), Key: &key})
		if err != nil {
			f.Fatalf("%s: %v", key, err)
		}
		defer got.Body.Close()
		if got.ServerSideEncryption != "aws:kms" {
			f.Errorf("%s is encrypted with %q", key, got.ServerSideEncryption)
		}
		if err := json.NewDecoder(got.Body).Decode(into); err != nil {
			f.Fatalf("%s: %v", key, err)
		}
	}
	var list []rotation.Started
	read("dispatch/"+*x.Name+"/secrets.json", &list)
	if len(list) != n {
		f.Errorf("the list has %d starts, want %d", len(list), n)
	}
	var manifest struct {
		ResultFiles struct{ SUCCEEDED, FAILED, PENDING []struct{ Key string } }
	}
	read(out.Fleet.ResultWriterDetails.Key, &manifest)
	var results []struct{ Status string }
	if len(manifest.ResultFiles.SUCCEEDED) != 1 || len(manifest.ResultFiles.FAILED) != 0 {
		f.Fatalf("the manifest is %+v", manifest)
	}
	read(manifest.ResultFiles.SUCCEEDED[0].Key, &results)
	if len(results) != n {
		f.Errorf("%d results, want %d", len(results), n)
	}
}
