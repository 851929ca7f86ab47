package infra_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/infra"
)

// scratch is where apps write; built, in it, stands for build/functions: folders with a bootstrap each, and the compiled
// contracts. The CDK only hashes them.
var scratch, built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "infra"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(scratch)
		built = filepath.Join(scratch, "functions")
		defer jsii.Close()
		for name := range permissions {
			write(filepath.Join(built, name, "bootstrap"), name)
		}
		write(filepath.Join(built, "apply-contracts", infra.ContractsFile),
			`{"commit":"4f2d","contracts":[{"environment":"prod","target":{"admin":"prod/orders-db-admin","port":5432}},
			{"name":"settlement-key","environment":"prod","services":["worker"],"kms_key":"arn:aws:kms:us-east-1:000000000000:key/of-payments"}],
			"services":[{"name":"worker","environments":{"prod":{"role":"arn:aws:iam::000000000000:role/prod-worker"}}}]}`)
		write(filepath.Join(built, "admit-rotation", infra.GuardrailsFile), `permit (principal, action, resource);`)
		return m.Run()
	}())
}

func write(path, text string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		panic(err)
	}
}

// newStack is the deployment with the given context over the defaults.
func newStack(t testing.TB, context map[string]any) (awscdk.App, awscdk.Stack) {
	t.Helper()
	all := map[string]any{
		"functions": built, "stateMachines": "../statemachines",
		"aws:cdk:disable-asset-staging": true, // nothing is deployed from here: no copies
	}
	for k, v := range context {
		all[k] = v
	}
	out, err := os.MkdirTemp(scratch, "out")
	if err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Context: &all, Outdir: &out})
	settings, err := infra.ReadSettings(app.Node())
	if err != nil {
		t.Fatal(err)
	}
	stack, err := infra.NewStack(app, "Mayfly", settings)
	if err != nil {
		t.Fatal(err)
	}
	return app, stack
}

// synthesized is what most tests look at: the default deployment, made once.
var synthesized = sync.OnceValue(func() template { return synthesize(nil, nil) })

func synthesize(t testing.TB, context map[string]any) template {
	if t == nil {
		t = &testing.B{} // only Fatal and Helper are called; a failure in the shared one must stop every test
	}
	app, _ := newStack(t, context)
	text, err := os.ReadFile(filepath.Join(*app.Synth(nil).Directory(), "Mayfly.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Resources map[string]resource }
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Resources
}

// template is resources by logical id.
type template map[string]resource

type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           any
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// the one resource of a type whose property has a value; with property "", the only one of its type.
func (t template) the(tb testing.TB, kind, property, value string) resource {
	tb.Helper()
	var found []resource
	for _, r := range t {
		if r.Type == kind && (property == "" || t.text(r.Properties[property]) == value) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("%d resources of type %s with %s = %q, want 1", len(found), kind, property, value)
	}
	return found[0]
}

// all resources of a type, by the value of a property.
func (t template) all(kind, property string) map[string]resource {
	found := map[string]resource{}
	for _, r := range t {
		if r.Type == kind {
			found[t.text(r.Properties[property])] = r
		}
	}
	return found
}

// arns says which ARN Ref or GetAtt Arn of a type gives, from the property that names it.
var arns = map[string][2]string{
	"AWS::DynamoDB::Table":             {"TableName", "arn:aws:dynamodb:us-east-1:000000000000:table/%s"},
	"AWS::Lambda::Function":            {"FunctionName", "arn:aws:lambda:us-east-1:000000000000:function:%s"},
	"AWS::StepFunctions::StateMachine": {"StateMachineName", "arn:aws:states:us-east-1:000000000000:stateMachine:%s"},
	"AWS::SNS::Topic":                  {"TopicName", "arn:aws:sns:us-east-1:000000000000:%s"},
	"AWS::SQS::Queue":                  {"QueueName", "arn:aws:sqs:us-east-1:000000000000:%s"},
	"AWS::S3::Bucket":                  {"BucketName", "arn:aws:s3:::%s"},
	"AWS::Logs::LogGroup":              {"LogGroupName", "arn:aws:logs:us-east-1:000000000000:log-group:%s:*"},
	"AWS::KMS::Key":                    {"KeyUsage", "arn:aws:kms:us-east-1:000000000000:key/mayfly%s"}, // by its alias
	"AWS::Events::EventBus":            {"Name", "arn:aws:events:us-east-1:000000000000:event-bus/%s"},
	"AWS::EC2::SecurityGroup":          {"GroupDescription", "group(%s)"},
	"AWS::IAM::Role":                   {"RoleName", "arn:aws:iam::000000000000:role/%s"}, // a role without a name is known by its description,
}

// text renders a value as it would be after deployment to account 000000000000 in us-east-1.
func (t template) text(v any) string {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		if s, ok := v.(string); ok {
			return s
		}
		return compact(t.resolve(v))
	}
	switch {
	case m["Fn::Join"] != nil:
		join := m["Fn::Join"].([]any)
		var parts []string
		for _, part := range join[1].([]any) {
			parts = append(parts, t.text(part))
		}
		return strings.Join(parts, join[0].(string))
	case m["Ref"] != nil:
		pseudo := map[string]string{"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "000000000000"}
		if s, ok := pseudo[m["Ref"].(string)]; ok {
			return s
		}
		r := t[m["Ref"].(string)]
		if r.Type == "AWS::StepFunctions::StateMachine" || r.Type == "AWS::SNS::Topic" { // whose Ref is the ARN
			return t.arn(r)
		}
		return t.text(r.Properties[arns[r.Type][0]])
	case m["Fn::GetAtt"] != nil:
		at := m["Fn::GetAtt"].([]any)
		r := t[at[0].(string)]
		if at[1] == "Arn" {
			return t.arn(r)
		}
		return t.text(r.Properties[arns[r.Type][0]]) + "." + at[1].(string)
	}
	return compact(t.resolve(v))
}

// compact is JSON on one line with <, > and & as they are.
func compact(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (t template) arn(r resource) string {
	a, ok := arns[r.Type]
	if !ok {
		panic("no ARN known for " + r.Type)
	}
	if r.Type == "AWS::IAM::Role" && r.Properties["RoleName"] == nil {
		return "role(" + t.text(r.Properties["Description"]) + ")"
	}
	if r.Properties["KeyUsage"] == "GENERATE_VERIFY_MAC" {
		return fmt.Sprintf(a[1], "-fingerprints")
	}
	if r.Properties[a[0]] == nil {
		return fmt.Sprintf(a[1], "")
	}
	return fmt.Sprintf(a[1], t.text(r.Properties[a[0]]))
}

// resolve replaces every intrinsic function below v by its text.
func (t template) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = t.resolve(e)
		}
		return list
	case map[string]any:
		if len(v) == 1 && (v["Fn::Join"] != nil || v["Ref"] != nil || v["Fn::GetAtt"] != nil) {
			return t.text(v)
		}
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = t.resolve(e)
		}
		return m
	}
	return v
}

var anyARN = regexp.MustCompile(`arn:aws:(\w+):[\w-]*:\d*:`)

// statements renders a policy document, one line per statement, sorted: effect unless Allow, principal if any, actions,
// resources with "arn:aws:service:region:account:" cut to "service:", conditions.
func (t template) statements(document any) []string {
	var lines []string
	for _, s := range document.(map[string]any)["Statement"].([]any) {
		m := t.resolve(s).(map[string]any)
		var words []string
		if m["Effect"] != "Allow" {
			words = append(words, m["Effect"].(string))
		}
		if m["Principal"] != nil {
			words = append(words, "to", t.text(m["Principal"]))
		}
		words = append(words, list(m["Action"]), "on")
		if m["NotResource"] != nil {
			words = append(words, "all but", list(m["NotResource"]))
		} else {
			words = append(words, list(m["Resource"]))
		}
		if m["Condition"] != nil {
			words = append(words, "if", t.text(m["Condition"]))
		}
		lines = append(lines, anyARN.ReplaceAllString(strings.Join(words, " "), "$1:"))
	}
	sort.Strings(lines)
	return lines
}

func list(v any) string {
	values, ok := v.([]any)
	if !ok {
		values = []any{v}
	}
	var words []string
	for _, e := range values {
		if e != nil {
			words = append(words, e.(string))
		}
	}
	return strings.Join(words, " ")
}

// roleStatements are all statements of all policies of the role that an Arn attribute names.
func (t template) roleStatements(tb testing.TB, roleARN any) []string {
	tb.Helper()
	id := roleARN.(map[string]any)["Fn::GetAtt"].([]any)[0].(string)
	if t[id].Properties["ManagedPolicyArns"] != nil {
		tb.Errorf("role %s has managed policies: %v", id, t[id].Properties["ManagedPolicyArns"])
	}
	var lines []string
	for _, r := range t {
		if r.Type != "AWS::IAM::Policy" {
			continue
		}
		for _, role := range r.Properties["Roles"].([]any) {
			if role.(map[string]any)["Ref"] == id {
				lines = append(lines, t.statements(r.Properties["PolicyDocument"])...)
			}
		}
	}
	sort.Strings(lines)
	return lines
}
