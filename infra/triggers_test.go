package infra_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/events/pattern"
	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
)

const respond = "arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-respond"

var update = flag.Bool("update", false, "write what testdata is compared with")

// rule is one rule as testdata/rules.json has it.
type rule struct {
	Bus     string          `json:"bus,omitempty"`
	Pattern json.RawMessage `json:"pattern"`
	Target  string          `json:"target"`
	Input   string          `json:"input,omitempty"` // template of what the target gets, with paths in the place of variables
	State   string          `json:"state,omitempty"` // unless ENABLED
	May     string          `json:"may"`

	transformer *transform.Transformer
}

// rules are the rules of a template, each with what its role may do.
func (t template) rules(tb testing.TB) map[string]rule {
	rules := map[string]rule{}
	for name, r := range t.all("AWS::Events::Rule", "Name") {
		targets := r.Properties["Targets"].([]any)
		if len(targets) != 1 {
			tb.Errorf("%s has %d targets, want 1", name, len(targets))
		}
		target := targets[0].(map[string]any)
		may := t.roleStatements(tb, target["RoleArn"])
		of := rule{Pattern: json.RawMessage(t.text(r.Properties["EventPattern"])), Target: t.text(target["Arn"]), May: may[len(may)-1]}
		if state := t.text(r.Properties["State"]); state != "ENABLED" {
			of.State = state
		}
		if bus := r.Properties["EventBusName"]; bus != nil {
			of.Bus = t.text(bus)
		}
		if given := target["InputTransformer"]; given != nil {
			if err := json.Unmarshal([]byte(t.text(given)), &of.transformer); err != nil {
				tb.Fatal(err)
			}
			of.Input = of.transformer.InputTemplate
			for variable, path := range of.transformer.InputPathsMap {
				of.Input = strings.ReplaceAll(of.Input, "<"+variable+">", path)
			}
		}
		rules[name] = of
	}
	return rules
}

// Every rule is as testdata/rules.json has it, which is for reading: `go test ./infra -run TestRules -update` writes it.
func TestRules(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(synthesized().rules(t)); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/rules.json"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("rules (- %s, + template):\n%s", golden, diff)
	}
}

// ignoredOnRecord are samples that rotate nothing and come through all the same, so that there is a record of why. The last
// one is by a function of Mayfly that has no business with tags: rules leave out those that have.
var ignoredOnRecord = []string{"guardduty-sample.json", "cloudtrail-secretsmanager-mayfly.json"}

// Every sample that AWS or PagerDuty would put on a bus and that means something is answered; every other one that means
// nothing stays away, unless its record is wanted.
func TestRulesAndSamples(t *testing.T) {
	made := synthesize(t, map[string]any{"pagerDutyBus": "aws.partner/pagerduty.com/00000000/mayfly"})
	patterns := made.patterns(t)
	untried := maps.Clone(patterns)
	files, err := filepath.Glob("../events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct{ Source string }
		if json.Unmarshal(event, &envelope) != nil || envelope.Source == "" || envelope.Source == "mayfly.schedule" {
			continue // it is on no bus: the body of a webhook, the input of a machine, what Scheduler sends by itself
		}
		r, err := trigger.Resolve(event)
		if err != nil {
			t.Fatal(file, err)
		}
		wanted := r.Ignored == "" || slices.Contains(ignoredOnRecord, filepath.Base(file)) || envelope.Source == trigger.WebhookSource ||
			strings.HasPrefix(envelope.Source, "aws.partner/") && !strings.Contains(r.Ignored, "is not incident.triggered")
		by := matching(t, patterns, event)
		if wanted != (len(by) == 1) {
			t.Errorf("%s, ignored because %q: %v answer it, want that %v", filepath.Base(file), r.Ignored, by, wanted)
		}
		for _, rule := range by {
			delete(untried, rule)
		}
	}
	for rule := range untried {
		t.Errorf("no sample is answered by %s", rule)
	}
}

// patterns of the rules that start mayfly-respond.
func (t template) patterns(tb testing.TB) map[string]*pattern.Pattern {
	patterns := map[string]*pattern.Pattern{}
	for name, r := range t.rules(tb) {
		if r.Target != respond {
			continue
		}
		p, err := pattern.Parse(string(r.Pattern))
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		patterns[name] = p
	}
	return patterns
}

func matching(t *testing.T, patterns map[string]*pattern.Pattern, event []byte) []string {
	t.Helper()
	var by []string
	for name, p := range patterns {
		ok, err := p.Match(event)
		if err != nil {
			t.Fatal(name, err)
		}
		if ok {
			by = append(by, name)
		}
	}
	return by
}

// What is near a sample that is answered, and is not to be.
func TestRulesStayNarrow(t *testing.T) {
	made := synthesized()
	patterns := made.patterns(t)
	closeRun := made.role(t, "close-run")
	for _, c := range []struct{ sample, from, to, by string }{
		{"guardduty-critical.json", `"severity": 9.5`, `"severity": 1`, "mayfly-guard-duty"}, // a policy may ask for it
		{"cloudtrail-secretsmanager-tagresource.json", `"mayfly:ttl"`, `"team"`, ""},
		{"cloudtrail-secretsmanager-tagresource.json", `"secretId": "prod/orders-db"`, `"secretId": "orders-db"`, ""},
		{"cloudtrail-secretsmanager-tagresource.json", `"secretId": "prod/orders-db"`,
			`"secretId": "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/orders-db-KqVw3Z"`, "mayfly-tag-change"},
		{"cloudtrail-secretsmanager-tagresource.json", `"tags": [`, `"tagKeys": ["mayfly:ttl"], "unread": [`, "mayfly-tag-change"},
		{"cloudtrail-secretsmanager-tagresource.json", `"userIdentity": {`,
			`"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "` + closeRun + `"}},`, ""},
		{"cloudtrail-secretsmanager-putsecretvalue.json", `"userIdentity": {`,
			`"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "` + closeRun + `"}},`, ""},
		{"cloudtrail-secretsmanager-putsecretvalue.json", `"userIdentity": {`,
			`"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "` + closeRun + `x"}},`, "mayfly-secret-change"},
		{"cloudtrail-secretsmanager-putresourcepolicy.json", `"errorCode"`, `"errorCode"`, "mayfly-secret-change"},
		{"cloudtrail-kms-creategrant.json", `"userIdentity": {`, `"userIdentity": {"invokedBy": "dynamodb.amazonaws.com",`, ""},
		{"cloudtrail-kms-creategrant.json", `"userIdentity": {`, `"userIdentity": {"invokedBy": "AWS Internal",`, "mayfly-key-change"},
		{"secretsmanager-secret-label-updated.json", `"AWSCURRENT"`, `"AWSPENDING"`, ""},
		{"secretsmanager-secret-label-updated.json", `"versionId": "`, `"versionId": "mayfly-a-`, ""},
		{"securityhub-finding.json", `"HIGH"`, `"LOW"`, "mayfly-security-hub"},
		{"securityhub-finding.json", `"HIGH"`, `"INFORMATIONAL"`, ""},
		{"securityhub-finding.json", `"Types": [`, `"Kinds": [`, "mayfly-security-hub"},
		{"securityhub-finding.json", `"AwsIamAccessKey",`, `"AwsS3Bucket",`, ""},
		{"health-aws-risk-credentials-exposed.json", `"RISK"`, `"EC2"`, ""},
		{"access-analyzer-external-secret.json", `"ACTIVE"`, `"ARCHIVED"`, ""},
		{"codecommit-referenceUpdated.json", `"referenceName": "main"`, `"referenceName": "topic"`, ""},
	} {
		text, err := os.ReadFile("../events/" + c.sample)
		if err != nil {
			t.Fatal(err)
		}
		event := strings.Replace(string(text), c.from, c.to, 1)
		if event == string(text) && c.from != c.to {
			t.Errorf("%s has no %s", c.sample, c.from)
		}
		if by := strings.Join(matching(t, patterns, []byte(event)), " "); by != c.by {
			t.Errorf("%s with %s is answered by %q, want %q", c.sample, c.to, by, c.by)
		}
	}
}

// role is the ARN of a function's role, as the template has it.
func (t template) role(tb testing.TB, name string) string {
	return t.text(t.the(tb, "AWS::Lambda::Function", "FunctionName", "mayfly-"+name).Properties["Role"])
}

// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
func TestPatternsHaveRoom(t *testing.T) {
	const most = 2048
	for _, environments := range []int{1, 10, 11} {
		contracts := make([]string, environments)
		for i := range contracts {
			contracts[i] = fmt.Sprintf(`{"environment":"environment-%02d"}`, i)
		}
		folder := t.TempDir()
		for name := range permissions {
			write(filepath.Join(folder, name, "bootstrap"), name)
		}
		write(filepath.Join(folder, "apply-contracts", infra.ContractsFile), `{"commit":"4f2d","contracts":[`+strings.Join(contracts, ",")+`],"services":[]}`)
		write(filepath.Join(folder, "admit-rotation", infra.GuardrailsFile), "")
		for name, r := range synthesize(t, map[string]any{"functions": folder}).rules(t) {
			if len(r.Pattern) > most {
				t.Errorf("with %d environments more, the pattern of %s has %d characters, at most %d", environments, name, len(r.Pattern), most)
			}
		}
	}
}

// PagerDuty's rule is on the bus that its partner source is associated with, and its dead letters are taken, too.
func TestPagerDutyBus(t *testing.T) {
	const bus = "aws.partner/pagerduty.com/00000000/mayfly"
	made := synthesize(t, map[string]any{"pagerDutyBus": bus})
	if got := made.rules(t)["mayfly-pager-duty"]; got.Bus != bus || got.Target != respond {
		t.Errorf("rule %+v", got)
	}
	letters := ""
	for _, r := range made {
		if r.Type == "AWS::SQS::QueuePolicy" {
			letters += strings.Join(made.statements(r.Properties["PolicyDocument"]), "\n")
		}
	}
	if !strings.Contains(letters, `"events:rule/`+bus+`/mayfly-*"`) {
		t.Errorf("the dead letters of PagerDuty's rule are refused: %s", letters)
	}
	if _, ok := synthesized().rules(t)["mayfly-pager-duty"]; ok {
		t.Error("without a bus there is a rule")
	}
}

func TestEveryTargetHasADeadLetterQueueAndARetryPolicy(t *testing.T) {
	made := synthesized()
	var targets []map[string]any
	for _, r := range made {
		switch r.Type {
		case "AWS::Events::Rule":
			for _, target := range r.Properties["Targets"].([]any) {
				targets = append(targets, target.(map[string]any))
			}
		case "AWS::Scheduler::Schedule":
			targets = append(targets, r.Properties["Target"].(map[string]any))
		}
	}
	if schedules := 3; len(targets) != len(made.rules(t))+schedules {
		t.Errorf("%d targets, want one of each of %d rules and %d schedules", len(targets), len(made.rules(t)), schedules)
	}
	queues := made.all("AWS::SQS::Queue", "QueueName")
	for _, target := range targets {
		letters, _ := target["DeadLetterConfig"].(map[string]any)
		found := false
		for _, q := range queues {
			found = found || letters != nil && made.text(letters["Arn"]) == made.arn(q)
		}
		if !found {
			t.Errorf("target %s loses what it cannot deliver", made.text(target))
		}
		if target["RetryPolicy"] == nil {
			t.Errorf("target %s has no retry policy of its own", made.text(target))
		}
	}
}

func TestScheduleTicksEvery15Minutes(t *testing.T) {
	made := synthesized()
	schedule := made.the(t, "AWS::Scheduler::Schedule", "Name", "mayfly-evaluate")
	if schedule.Properties["ScheduleExpression"] != "rate(15 minutes)" || schedule.Properties["State"] != "ENABLED" {
		t.Errorf("schedule = %s", made.text(schedule.Properties))
	}
	target := schedule.Properties["Target"].(map[string]any)
	if made.text(target["Arn"]) != respond {
		t.Errorf("it starts %s", made.text(target["Arn"]))
	}
	var input map[string]any
	if err := json.Unmarshal([]byte(made.text(target["Input"])), &input); err != nil {
		t.Fatalf("input %s: %v", made.text(target["Input"]), err)
	}
	want := map[string]any{
		"version": "0", "id": "<aws.scheduler.execution-id>", "source": "mayfly.schedule", "detail-type": "Evaluation",
		"time": "<aws.scheduler.scheduled-time>", "account": "000000000000", "region": "us-east-1",
		"resources": []any{"<aws.scheduler.schedule-arn>"}, "detail": map[string]any{},
	}
	if diff := cmp.Diff(want, input); diff != "" {
		t.Errorf("input (- want, + template):\n%s", diff)
	}
	may := []string{
		"kms:Decrypt kms:GenerateDataKey on kms:key/mayfly",
		"sqs:SendMessage on sqs:mayfly-undelivered-ticks",
		"states:StartExecution on states:stateMachine:mayfly-inspect",
		"states:StartExecution on states:stateMachine:mayfly-respond",
	}
	if diff := cmp.Diff(may, made.roleStatements(t, target["RoleArn"])); diff != "" {
		t.Errorf("its role (- want, + template):\n%s", diff)
	}
}

// Inspections run by themselves, with and without probes of access.
func TestInspectionsAreScheduled(t *testing.T) {
	made := synthesized()
	for name, want := range map[string][2]string{
		"mayfly-inspect": {"cron(0/15 * * * ? *)", `{"access":false}`}, "mayfly-probe": {"cron(7 3 * * ? *)", `{"access":true}`},
	} {
		p := made.the(t, "AWS::Scheduler::Schedule", "Name", name).Properties
		target := p["Target"].(map[string]any)
		if got := [2]string{p["ScheduleExpression"].(string), target["Input"].(string)}; got != want || p["State"] != "ENABLED" {
			t.Errorf("%s: %v %v, want %v", name, got, p["State"], want)
		}
		if got := made.text(target["Arn"]); !strings.HasSuffix(got, ":stateMachine:mayfly-inspect") {
			t.Errorf("%s starts %s", name, got)
		}
	}
}

// Whoever could take the stranger's role could read every secret whose own policy does not keep it out: the probe alone takes it,
// and reading is all that it may.
func TestStranger(t *testing.T) {
	made := synthesized()
	for id, r := range made {
		if r.Type != "AWS::IAM::Role" || r.Properties["RoleName"] != "mayfly-probe-stranger" {
			continue
		}
		trust := made.statements(r.Properties["AssumeRolePolicyDocument"])
		if want := []string{`to {"AWS":"iam:role/mayfly-probe-access"} sts:AssumeRole on `}; !slices.Equal(trust, want) {
			t.Errorf("it is taken by %q, want %q", trust, want)
		}
		may := made.roleStatements(t, map[string]any{"Fn::GetAtt": []any{id, "Arn"}})
		if want := []string{"secretsmanager:GetSecretValue on " + secrets}; !slices.Equal(may, want) {
			t.Errorf("it may do %q, want %q", may, want)
		}
		return
	}
	t.Error("there is no stranger")
}

func TestServicesTakeTheirRolesForThisAccountOnly(t *testing.T) {
	made := synthesized()
	for id, r := range made {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		trust := made.text(r.Properties["AssumeRolePolicyDocument"])
		var document struct {
			Statement []struct {
				Principal struct{ Service string }
				Condition map[string]map[string]string
			}
		}
		if r.Properties["RoleName"] == "mayfly-probe-stranger" {
			continue // below
		}
		if err := json.Unmarshal([]byte(trust), &document); err != nil {
			t.Fatalf("%s: %v in %s", id, err, trust)
		}
		if made.text(r.Properties["RoleName"]) == trigger.BreakGlass {
			continue // for people: see TestBreakGlass
		}
		s := document.Statement[0]
		switch s.Principal.Service {
		case "lambda.amazonaws.com", "states.amazonaws.com": // pass the roles only of functions and machines that exist here
		case "events.amazonaws.com", "scheduler.amazonaws.com":
			if s.Condition["StringEquals"]["aws:SourceAccount"] != "000000000000" {
				t.Errorf("%s can be taken on behalf of other accounts: %s", id, trust)
			}
		default:
			t.Errorf("%s is for %q, who is that?", id, s.Principal.Service)
		}
	}
}
