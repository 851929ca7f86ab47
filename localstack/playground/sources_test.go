package playground_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/goccy/go-yaml"

	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const (
	payments = "prod/payment-api-key"
	root     = "arn:aws:iam::000000000000:root"
)

// way is one way in: a sample on the bus or a call of AWS's API, and what the run that follows says about itself. The
// id of a call is not known before.
type way struct {
	name   string
	sample string                                       // in events/; its trigger is what the run has to name
	call   func(t *testing.T, p *playground.Playground) // instead
	undo   func(t *testing.T, p *playground.Playground) // what the call left behind; nil: nothing
	secret string                                       // "" is orders
	kind   trigger.Type
	mode   trigger.Mode // "" is routine
	from   string       // the rest is for calls: trigger source
	actor  string       // "*" is anybody
	reason string       // words of it
}

// Every source, through rules or by hand, ends in one finished run that says why it was.
func TestEverySource(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	for _, s := range slices.Concat(sampled(), called()) {
		t.Run(s.name, func(t *testing.T) { s.test(t, p) })
	}
	t.Run("samples that mean nothing", func(t *testing.T) { samplesThatMeanNothing(t, p) })
	t.Run("five at once", func(t *testing.T) { fiveAtOnce(t, p) })
	t.Run("as large as EventBridge takes", func(t *testing.T) { largeFinding(t, p) })
	t.Run("Mayfly's own calls", func(t *testing.T) { ownCalls(t, p) })
	clean(t, p)
}

func sampled() []way {
	return []way{
		{name: "CodeDeploy", sample: "codedeploy-success.json", kind: trigger.Deployment},
		{name: "CodePipeline", sample: "codepipeline-succeeded.json", kind: trigger.Deployment},
		{name: "ECS", sample: "ecs-deployment-completed.json", kind: trigger.Deployment},
		{name: "CodeCommit", sample: "codecommit-referenceUpdated.json", kind: trigger.Commit},
		{name: "GuardDuty on a task", sample: "guardduty-task.json", kind: trigger.Incident},
		{name: "GuardDuty on a function", sample: "guardduty-function.json", kind: trigger.Incident, secret: payments},
		{name: "GuardDuty, critical", sample: "guardduty-critical.json", kind: trigger.Incident, mode: trigger.Contain},
		{name: "Security Hub", sample: "securityhub-finding.json", kind: trigger.Incident},
		{name: "Health", sample: "health-aws-risk-credentials-exposed.json", kind: trigger.Incident, mode: trigger.Contain, secret: payments},
		{name: "Access Analyzer", sample: "access-analyzer-external-secret.json", kind: trigger.Incident},
		{name: "IAM", sample: "cloudtrail-iam-attachrolepolicy.json", kind: trigger.AccessChange},
	}
}

// called are calls through the SDK, which CloudTrail tells of.
func called() []way {
	return []way{
		{name: "a resource policy", kind: trigger.AccessChange, from: "aws.secretsmanager", actor: root, reason: "PutResourcePolicy by " + root,
			call: func(t *testing.T, p *playground.Playground) { permit(t, p.AWS, "secretsmanager:PutResourcePolicy") }},
		{name: "a resource policy by a role", kind: trigger.AccessChange, from: "aws.secretsmanager", actor: session, reason: "PutResourcePolicy by " + session,
			call: func(t *testing.T, p *playground.Playground) {
				permit(t, p.Stack.As(stack.Identity{ARN: session, Role: "dev"}), "secretsmanager:DescribeSecret")
			}},
		// Eight hours before expiry is due: a value of eleven minutes is, once it lives for 485 minutes.
		{name: "a shorter ttl", kind: trigger.PolicyChange, from: "aws.secretsmanager", actor: root, reason: "tags changed by " + root + ": mayfly:ttl",
			call: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "ttl", "485m") },
			undo: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "ttl", "24h") }},
		{name: "the mark of a compromised secret", kind: trigger.Annotation, mode: trigger.Contain, from: "aws.secretsmanager", actor: root,
			reason: "mayfly:compromised was set by " + root,
			call:   func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "compromised", "laptop lost") }},
		{name: "a value by hand", kind: trigger.Upstream, from: "aws.secretsmanager", actor: "*", reason: "past Mayfly",
			call: func(t *testing.T, p *playground.Playground) {
				text, _ := value(t, p, orders)
				put(t, p, orders, text)
			}},
		{name: "a workflow of GitHub's", kind: trigger.Deployment, from: "github", actor: "dana", reason: "GitHub deployed orders/orders-service to production",
			call: workflow},
		{name: "start-execution", kind: trigger.Manual, from: "aws.states", actor: "on-call", reason: "drill",
			call: func(t *testing.T, p *playground.Playground) {
				must(t)(p.Rotate(t.Context(), orders, "drill-1", "drill"))
			}},
		{name: "the schedule", kind: trigger.Schedule, from: "mayfly.schedule", reason: "evaluation of what is due",
			call: func(t *testing.T, p *playground.Playground) { p.Stack.Clock.Advance(17 * time.Hour) }},
	}
}

// session is somebody in a role that is not Mayfly's.
const session = "arn:aws:sts::000000000000:assumed-role/dev/dana"

// permit lets that session do something with the secret.
func permit(t *testing.T, as aws.Config, action string) {
	t.Helper()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + session + `"},"Action":"` + action + `","Resource":"*"}]}`
	must(t)(secretsmanager.NewFromConfig(as).PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: aws.String(orders), ResourcePolicy: &policy}))
}

// workflow runs the last step of the example for GitHub Actions; the AWS CLI in it only hands over what it would put.
func workflow(t *testing.T, p *playground.Playground) {
	t.Helper()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("the example needs jq")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "examples", "github-actions.yml"))
	must(t)(nil, err)
	var example struct {
		Jobs map[string]struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	must(t)(nil, yaml.Unmarshal(text, &example))
	steps := example.Jobs["deploy"].Steps
	step, folder := steps[len(steps)-1], t.TempDir()
	must(t)(nil, os.WriteFile(filepath.Join(folder, "aws"), []byte("#!/bin/sh\nprintf %s \"$4\" > \"$ENTRIES\"\necho 0\n"), 0o755))
	script := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", step.Run)
	script.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "ENTRIES="+filepath.Join(folder, "entries"))
	for name, value := range step.Env {
		said := strings.NewReplacer("${{ github.repository }}", "orders/orders-service", "${{ github.run_id }}", "440099",
			"${{ github.sha }}", "8b1d3e5f701f0c3a5b7d9e2f4a6c8b0d1e3f5a7c", "${{ github.actor }}", "dana").Replace(value)
		script.Env = append(script.Env, name+"="+said)
	}
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("the step failed: %v\n%s", err, out)
	}
	put, err := os.ReadFile(filepath.Join(folder, "entries"))
	must(t)(nil, err)
	var entries []ebtypes.PutEventsRequestEntry
	must(t)(nil, json.Unmarshal(put, &entries))
	out, err := eventbridge.NewFromConfig(p.AWS).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
	if err != nil || out.FailedEntryCount > 0 || len(entries) != 1 {
		t.Fatal(out, err)
	}
}

func (s way) test(t *testing.T, p *playground.Playground) {
	secret := orders
	if s.secret != "" {
		secret = s.secret
	}
	p.Stack.Clock.Advance(11 * time.Minute) // past the cool-down of the case before
	settled(t, p)
	before := len(runs(t, p, secret))
	want := trigger.Trigger{Type: s.kind, Source: s.from, Actor: s.actor, Reason: s.reason}
	if s.sample != "" {
		r, err := trigger.Resolve(sample(t, s.sample))
		must(t)(nil, err)
		want = r.Trigger
		if want.Type != s.kind {
			t.Fatalf("the sample is of type %s", want.Type)
		}
		send(t, p, s.sample)
	} else {
		s.call(t, p)
	}
	settled(t, p)
	if s.undo != nil {
		defer func() { s.undo(t, p); settled(t, p) }()
	}
	if made := len(runs(t, p, secret)) - before; made != 1 {
		t.Fatalf("%d runs of %s, want 1: %s", made, secret, told(t, p))
	}
	run := latest(t, p, secret)
	mode := trigger.Routine
	if s.mode != "" {
		mode = s.mode
	}
	if run.Mode != string(mode) || run.Outcome != "rotated" {
		t.Errorf("the run is %s and ended %s (%s), want %s and rotated", run.Mode, run.Outcome, run.ReasonCode, mode)
	}
	got := run.Trigger
	if got.Type != want.Type || got.ID == "" || want.ID != "" && got.ID != want.ID || got.Source != want.Source ||
		s.actor != "*" && got.Actor != want.Actor || !strings.Contains(got.Reason, want.Reason) {
		t.Errorf("the history names %+v, want %+v", got, want)
	}
	said := 0
	for _, r := range records(t, p) {
		if r.ExecutionARN != run.Execution || r.Event == "sealed" { // the first record of a day also seals the day before
			continue
		}
		said++
		if r.TriggerType != string(got.Type) || r.TriggerID != got.ID || r.TriggerSource != got.Source || r.Actor != got.Actor {
			t.Errorf("record %s of the run names %s %s %s %q, its history %+v", r.Event, r.TriggerType, r.TriggerID, r.TriggerSource, r.Actor, got)
		}
	}
	if said == 0 {
		t.Error("the run left no record")
	}
	if p.Target(secret) != nil {
		if err := p.CheckLaws(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
}

func sample(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "events", file))
	must(t)(nil, err)
	return text
}

// latest is the newest run of a secret with all that the history says of it.
func latest(t *testing.T, p *playground.Playground, secret string) registry.Run {
	t.Helper()
	reg := &dynamo.Registry{DB: dynamodb.NewFromConfig(p.AWS), Contracts: playground.ContractsTable, Runs: playground.RunsTable}
	all, err := reg.History(t.Context(), secret, 1)
	must(t)(nil, err)
	return all[0]
}

// told is what the last records say, for whoever looks for a mistake.
func told(t *testing.T, p *playground.Playground) string {
	t.Helper()
	var lines []string
	for _, r := range records(t, p) {
		if r.ReasonCode != "" {
			lines = append(lines, strings.Join([]string{r.Time, r.Secret, r.Event, r.TriggerType, r.TriggerID, r.ReasonCode, r.Reason}, " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}

// responses counts what the rules and the schedule have started.
func responses(t *testing.T, p *playground.Playground) int {
	t.Helper()
	n := 0
	pages := sfn.NewListExecutionsPaginator(sfn.NewFromConfig(p.AWS), &sfn.ListExecutionsInput{StateMachineArn: aws.String(playground.RespondMachine)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t)(nil, err)
		n += len(page.Executions)
	}
	return n
}

// all counts the runs of every secret under contract.
func all(t *testing.T, p *playground.Playground) int {
	t.Helper()
	n := 0
	for _, c := range p.Bundle.Contracts {
		n += len(runs(t, p, c.ID()))
	}
	return n
}

// samplesThatMeanNothing start no run. Those that look like a cause are on record with a reason; those that patterns keep
// away start nothing at all.
func samplesThatMeanNothing(t *testing.T, p *playground.Playground) {
	runsBefore := all(t, p)
	for _, c := range []struct {
		file     string
		answered bool
	}{
		{"guardduty-sample.json", true},
		{"guardduty-finding-instance-credential-exfiltration.json", true}, // of a role that no service has
		{"access-analyzer-unused-access-finding.json", true},
		{"cloudtrail-iam-putrolepolicy.json", true},
		{"cloudtrail-kms-creategrant.json", true},
		{"kms-rotation.json", true},
		{"cloudtrail-iam-refused.json", false},
		{"cloudtrail-secretsmanager-othertags.json", false},
		{"cloudtrail-secretsmanager-getsecretvalue.json", false},
		{"codepipeline-pipeline-failed.json", false},
		{"ecs-deployment-service_deployment_in_progress.json", false},
		{"codecommit-referenceDeleted.json", false},
		{"access-analyzer-internal-access-finding.json", false},
		{"securityhub-control.json", false},
		{"secretsmanager-rotation-succeeded.json", false},
		{"stepfunctions-execution-failed.json", false},
	} {
		r, err := trigger.Resolve(sample(t, c.file))
		must(t)(nil, err)
		before := responses(t, p)
		send(t, p, c.file)
		settled(t, p)
		if got := responses(t, p) - before; got != map[bool]int{true: 1}[c.answered] {
			t.Errorf("%s started mayfly-respond %d times", c.file, got)
		}
		recorded := false
		for _, rec := range records(t, p) {
			recorded = recorded || rec.TriggerID == r.Trigger.ID && rec.TriggerSource == r.Trigger.Source && rec.Event == "ignored" && rec.Reason != ""
		}
		if recorded != c.answered {
			t.Errorf("%s is on record: %t", c.file, recorded)
		}
	}
	if after := all(t, p); after != runsBefore {
		t.Errorf("they made %d runs", after-runsBefore)
	}
}

// onBus puts a sample with another detail on the bus.
func onBus(t *testing.T, p *playground.Playground, source, detailType, detail string) {
	out, err := eventbridge.NewFromConfig(p.AWS).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
		{Source: &source, DetailType: &detailType, Detail: &detail}}})
	if err != nil || out.FailedEntryCount > 0 {
		t.Error(out, err)
	}
}

// fiveAtOnce delivers one event five times: one rotation.
func fiveAtOnce(t *testing.T, p *playground.Playground) {
	p.Stack.Clock.Advance(11 * time.Minute)
	settled(t, p)
	before, started := len(runs(t, p, orders)), responses(t, p)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			onBus(t, p, "aws.codedeploy", "CodeDeploy Deployment State-change Notification",
				`{"application":"orders","deploymentId":"d-FIVE","state":"SUCCESS"}`)
		})
	}
	wg.Wait()
	settled(t, p)
	if got := responses(t, p) - started; got != 5 {
		t.Errorf("mayfly-respond was started %d times, want 5", got)
	}
	after := runs(t, p, orders)
	if len(after) != before+1 || after[0].Outcome != "rotated" || len(after[0].TriggerIDs) != 1 {
		t.Errorf("%d runs, the last %+v, want 1 of one trigger", len(after)-before, after[0])
	}
}

// largeFinding is nearly as large as EventBridge takes it, four times what Step Functions does, and is answered all the same.
func largeFinding(t *testing.T, p *playground.Playground) {
	before := len(runs(t, p, orders))
	var event struct{ Detail json.RawMessage }
	must(t)(nil, json.Unmarshal(sample(t, "guardduty-task.json"), &event))
	detail := strings.Replace(string(event.Detail), `{`, `{"signals":"`+strings.Repeat("x", 1000<<10)+`",`, 1)
	detail = strings.Replace(detail, `"id": "`, `"id": "large-`, 1)
	onBus(t, p, "aws.guardduty", "GuardDuty Finding", detail)
	settled(t, p)
	if run := runs(t, p, orders)[0]; len(runs(t, p, orders)) != before+1 || run.Trigger != "incident" || run.Outcome != "rotated" {
		t.Errorf("%d runs, the last %+v: %s", len(runs(t, p, orders))-before, run, told(t, p))
	}
}

// ownCalls: what a rotation does to the secret is no cause of another one, nor does it get as far as mayfly-respond.
func ownCalls(t *testing.T, p *playground.Playground) {
	runsBefore, before := all(t, p), responses(t, p)
	f := &failing{Playground: p}
	f.rotate(t, "own calls")
	settled(t, p)
	if got := responses(t, p) - before; got != 0 {
		t.Errorf("a rotation started mayfly-respond %d times", got)
	}
	if got := all(t, p) - runsBefore; got != 1 {
		t.Errorf("a rotation made %d runs", got)
	}
}
