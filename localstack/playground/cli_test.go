package playground_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// commandLine is somebody at a shell with the AWS CLI and what `make up` writes into .mayfly/local.env.
type commandLine struct {
	*testing.T
	aws string
	env []string
}

func newCommandLine(t *testing.T, p *playground.Playground) commandLine {
	t.Helper()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("NOT TESTED: that unchanged AWS CLI commands work, because there is no `aws` on PATH; install the AWS CLI to test it")
	}
	return commandLine{t, cli, append(os.Environ(), "AWS_ENDPOINT_URL="+p.Stack.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_DEFAULT_REGION="+stack.Region, "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")}
}

func (c commandLine) command(args []string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(c.Context(), c.aws, append(args, "--output", "json")...)
	var out, problem strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, &out, &problem
	err = cmd.Run()
	return out.String(), problem.String(), err
}

// run runs a command that must succeed and reads its JSON output.
func run[Out any](c commandLine, args ...string) Out {
	c.Helper()
	var out Out
	stdout, stderr, err := c.command(args)
	if err != nil {
		c.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		c.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return out
}

// refuse runs a command that must fail, with this error code.
func (c commandLine) refuse(code string, args ...string) {
	c.Helper()
	if _, stderr, err := c.command(args); err == nil || !strings.Contains(stderr, "("+code+")") {
		c.Errorf("aws %s: %v, want (%s)\n%s", strings.Join(args, " "), err, code, stderr)
	}
}

// item is an item in DynamoDB's JSON.
type item map[string]struct {
	S  string
	N  string
	SS []string
}

type items struct{ Items []item }

// TestCommandLine does what the README shows, with the AWS CLI as it is installed: nothing but AWS_ENDPOINT_URL says that
// this is not AWS.
func TestCommandLine(t *testing.T) {
	p := start(t, playground.Options{})
	c := newCommandLine(t, p)

	caller := run[struct{ Account, Arn string }](c, "sts", "get-caller-identity")
	if caller.Account != stack.Account || !strings.HasPrefix(caller.Arn, "arn:aws:iam::"+stack.Account+":") {
		t.Errorf("get-caller-identity: %+v", caller)
	}
	execution := c.rotates(p)
	c.tellsOfSecret(p)
	c.breaksIn()
	c.findsInTables(execution)
	c.keepsAudit()
	c.sendsEvent(p)
	c.filtersLogs()
}

// rotates starts a run by hand, and follows it.
func (c commandLine) rotates(p *playground.Playground) (execution string) {
	started := run[struct{ ExecutionArn string }](c, "stepfunctions", "start-execution", "--state-machine-arn", playground.RotateMachine, "--name", "by-hand",
		"--input", `{"secret":"`+orders+`","trigger":{"type":"manual","id":"cli-1","source":"cli","actor":"on-call","reason":"a drill"}}`)
	if !strings.HasSuffix(started.ExecutionArn, ":execution:mayfly-rotate:by-hand") {
		c.Fatalf("start-execution: %+v", started)
	}
	if _, err := p.Wait(c.Context(), started.ExecutionArn); err != nil {
		c.Fatal(err)
	}
	ended := run[struct{ Status, Input, Output, StateMachineArn string }](c, "stepfunctions", "describe-execution", "--execution-arn", started.ExecutionArn)
	var state struct {
		Outcome string `json:"outcome"`
	}
	if err := json.Unmarshal([]byte(ended.Output), &state); err != nil || ended.Status != "SUCCEEDED" || state.Outcome != "rotated" ||
		ended.StateMachineArn != playground.RotateMachine || !strings.Contains(ended.Input, "a drill") {
		c.Errorf("describe-execution: %+v, %v", ended, err)
	}
	history := run[struct {
		Events []struct {
			ID                       int64
			Type                     string
			StateEnteredEventDetails struct{ Name string }
		}
	}](c, "stepfunctions", "get-execution-history", "--execution-arn", started.ExecutionArn)
	var path []string
	for _, e := range history.Events {
		if e.Type == "TaskStateEntered" && !slices.Contains(path, e.StateEnteredEventDetails.Name) {
			path = append(path, e.StateEnteredEventDetails.Name)
		}
	}
	want := []string{"AdmitRotation", "CreateSecret", "SetSecret", "TestSecret", "FinishSecret", "PropagateSecret", "ConfirmAdoption", "RevokeSecret", "CloseRun"}
	if !slices.Equal(path, want) {
		c.Errorf("get-execution-history: tasks %v, want %v", path, want)
	}
	if last := history.Events[len(history.Events)-1]; last.Type != "ExecutionSucceeded" {
		c.Errorf("get-execution-history ends with %s", last.Type)
	}
	list := run[struct {
		Executions []struct{ ExecutionArn, Name, Status string }
	}](c, "stepfunctions", "list-executions", "--state-machine-arn", playground.RotateMachine, "--status-filter", "SUCCEEDED")
	if len(list.Executions) == 0 || list.Executions[0].ExecutionArn != started.ExecutionArn {
		c.Errorf("list-executions, the newest first: %+v, want %s", list, started.ExecutionArn)
	}
	return started.ExecutionArn
}

// assumes is the same shell with the credentials of a role of this account.
func (c commandLine) assumes(role string) commandLine {
	c.Helper()
	given := run[struct {
		Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	}](c, "sts", "assume-role", "--role-arn", "arn:aws:iam::"+stack.Account+":role/"+role, "--role-session-name", "cli").Credentials
	c.env = append(slices.Clone(c.env), "AWS_ACCESS_KEY_ID="+given.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+given.SecretAccessKey, "AWS_SESSION_TOKEN="+given.SessionToken)
	return c
}

// breaksIn tries to read without being declared, in the ways that the README invites to.
func (c commandLine) breaksIn() {
	const secret = "prod/payment-api-key"
	for _, who := range []commandLine{c, c.assumes("prod-analytics"), c.assumes("staging-billing-service"), c.assumes("prod-orders-service")} {
		who.refuse("AccessDeniedException", "secretsmanager", "get-secret-value", "--secret-id", secret)
	}
	if read := run[struct{ Name string }](c.assumes("prod-billing-service"), "secretsmanager", "get-secret-value", "--secret-id", secret); read.Name != secret {
		c.Errorf("the declared service reads %q", read.Name)
	}
	c.assumes("prod-billing-service").refuse("AccessDeniedException", "secretsmanager", "delete-resource-policy", "--secret-id", secret)
}

// tellsOfSecret looks at the secret after its rotation.
func (c commandLine) tellsOfSecret(p *playground.Playground) {
	value := run[struct {
		Name, VersionID, SecretString string
		VersionStages                 []string
	}](c.assumes("prod-orders-service"), "secretsmanager", "get-secret-value", "--secret-id", orders)
	if value.Name != orders || !slices.Contains(value.VersionStages, "AWSCURRENT") || !strings.HasPrefix(value.VersionID, "mayfly-") {
		c.Errorf("get-secret-value: version %s of %s with %v", value.VersionID, value.Name, value.VersionStages)
	}
	if err := playground.Login(c.Context(), p.Target(orders), credential.Parse(value.SecretString)); err != nil {
		c.Errorf("the value that the CLI reads does not log in: %v", err)
	}
	described := run[struct {
		Tags               []struct{ Key, Value string }
		VersionIdsToStages map[string][]string
	}](c, "secretsmanager", "describe-secret", "--secret-id", orders)
	tags := map[string]string{}
	for _, tag := range described.Tags {
		tags[tag.Key] = tag.Value
	}
	if tags["mayfly:last-trigger"] != "manual:cli-1" || tags["mayfly:last-outcome"] != "rotated" || tags["mayfly:owner"] != "orders-team" {
		c.Errorf("describe-secret: tags %v", tags)
	}
	if !slices.Contains(described.VersionIdsToStages[value.VersionID], "AWSCURRENT") {
		c.Errorf("describe-secret: labels %v, want AWSCURRENT on %s", described.VersionIdsToStages, value.VersionID)
	}
	listed := run[struct {
		Versions []struct {
			VersionID     string
			VersionStages []string
		}
	}](c, "secretsmanager", "list-secret-version-ids", "--secret-id", orders, "--include-deprecated")
	var labels []string
	for _, v := range listed.Versions {
		labels = append(labels, v.VersionStages...)
	}
	slices.Sort(labels)
	if !slices.Equal(labels, []string{"AWSCURRENT", "AWSPREVIOUS"}) {
		c.Errorf("list-secret-version-ids: labels %v, want AWSCURRENT and AWSPREVIOUS", labels)
	}
}

// findsInTables asks the registry in each of its ways.
func (c commandLine) findsInTables(execution string) {
	query := func(table, condition, values string, more ...string) []item {
		c.Helper()
		return run[items](c, append([]string{"dynamodb", "query", "--table-name", table, "--key-condition-expression", condition,
			"--expression-attribute-values", values}, more...)...).Items
	}
	contracts := query(playground.ContractsTable, "secret = :s AND #i = :c", `{":s":{"S":"`+orders+`"},":c":{"S":"contract"}}`, "--expression-attribute-names", `{"#i":"item"}`)
	if len(contracts) != 1 || contracts[0]["owner"].S != "orders-team" || contracts[0]["due_at"].N == "" {
		c.Errorf("query of the contract: %+v", contracts)
	}
	runs := query(playground.RunsTable, "secret = :s", `{":s":{"S":"`+orders+`"}}`, "--no-scan-index-forward", "--limit", "1")
	if len(runs) != 1 || runs[0]["execution"].S != execution || runs[0]["outcome"].S != "rotated" || !slices.Equal(runs[0]["trigger_ids"].SS, []string{"manual:cli-1"}) {
		c.Errorf("query of the last run: %+v", runs)
	}
	byExecution := query(playground.RunsTable, "execution = :e", `{":e":{"S":"`+execution+`"}}`, "--index-name", "execution")
	if len(byExecution) != 1 || byExecution[0]["secret"].S != orders {
		c.Errorf("query of the run of an execution: %+v", byExecution)
	}
	byName := query(playground.ContractsTable, "lookup = :k", `{":k":{"S":"codedeploy:orders"}}`, "--index-name", "lookup")
	if len(byName) == 0 || byName[0]["secret"].S != orders {
		c.Errorf("query of the secrets that a deployment means: %+v", byName)
	}
}

// keepsAudit finds a record in the bucket, and cannot delete it.
func (c commandLine) keepsAudit() {
	versions := run[struct {
		Versions []struct{ Key, VersionID string }
	}](c, "s3api", "list-object-versions", "--bucket", playground.AuditBucket, "--prefix", "audit/environment=prod/").Versions
	if len(versions) < 9 {
		c.Fatalf("list-object-versions: %d records, want at least one for each step", len(versions))
	}
	object := []string{"--bucket", playground.AuditBucket, "--key", versions[0].Key, "--version-id", versions[0].VersionID}
	head := func() {
		c.Helper()
		meta := run[struct {
			ObjectLockMode            string
			ObjectLockRetainUntilDate time.Time
			ContentLength             int
		}](c, append([]string{"s3api", "head-object"}, object...)...)
		if meta.ObjectLockMode != "COMPLIANCE" || time.Until(meta.ObjectLockRetainUntilDate) < 24*time.Hour || meta.ContentLength == 0 {
			c.Errorf("head-object: %+v", meta)
		}
	}
	head()
	c.refuse("AccessDenied", append([]string{"s3api", "delete-object"}, object...)...)
	head()
}

// sendsEvent puts a deployment on the bus; it rotates the secrets of the service.
func (c commandLine) sendsEvent(p *playground.Playground) {
	text, err := os.ReadFile(filepath.Join("..", "..", "events", "codedeploy-success.json"))
	if err != nil {
		c.Fatal(err)
	}
	var event struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(text, &event); err != nil {
		c.Fatal(err)
	}
	entries, err := json.Marshal([]map[string]string{{"Source": event.Source, "DetailType": event.DetailType, "Detail": string(event.Detail)}})
	if err != nil {
		c.Fatal(err)
	}
	p.Stack.Clock.Advance(15 * time.Minute) // past the time in which the rotation before answers a deployment too
	if err := p.Settle(c.Context()); err != nil {
		c.Fatal(err)
	}
	put := run[struct {
		FailedEntryCount int
		Entries          []struct{ EventID string }
	}](c, "events", "put-events", "--entries", string(entries))
	if put.FailedEntryCount != 0 || len(put.Entries) != 1 || put.Entries[0].EventID == "" {
		c.Fatalf("put-events: %+v", put)
	}
	if err := p.Settle(c.Context()); err != nil {
		c.Fatal(err)
	}
	runs, err := p.Runs(c.Context(), orders)
	if err != nil || len(runs) < 2 || runs[0].Trigger != "deployment" || runs[0].Outcome != "rotated" || runs[1].Trigger != "manual" {
		c.Errorf("after a deployment the runs are %+v, %v, want one more that rotated", runs, err)
	}
}

// filtersLogs finds the ends of both runs in the audit's log group, and nothing else.
func (c commandLine) filtersLogs() {
	found := run[struct{ Events []struct{ Message string } }](c, "logs", "filter-log-events", "--log-group-name", playground.AuditGroup,
		"--filter-pattern", `{ $.event = "closed" && $.outcome = "rotated" && $.secret = "`+orders+`" }`).Events
	var triggers []string
	for _, e := range found {
		var record struct {
			Event   string `json:"event"`
			Secret  string `json:"secret"`
			Trigger string `json:"trigger_type"`
		}
		if err := json.Unmarshal([]byte(e.Message), &record); err != nil || record.Event != "closed" || record.Secret != orders {
			c.Errorf("filter-log-events: %s, %v", e.Message, err)
		}
		triggers = append(triggers, record.Trigger)
	}
	if n := len(triggers); n < 2 || !slices.Equal(triggers[n-2:], []string{"manual", "deployment"}) {
		c.Errorf("filter-log-events: runs by %v ended, want manual and deployment at the end", triggers)
	}
}
