package playground_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
)

const (
	payments = "prod/payment-api-key"
	root     = "arn:aws:iam::000000000000:root"
)

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
