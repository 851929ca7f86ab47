package infra_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
)

// The URL is open to everybody: whoever changes that, or how many may knock at once, should mean to.
func TestWebhookURL(t *testing.T) {
	made := synthesized()
	url := made.the(t, "AWS::Lambda::Url", "", "")
	if url.Properties["AuthType"] != "NONE" || made.text(url.Properties["TargetFunctionArn"]) != "arn:aws:lambda:us-east-1:000000000000:function:mayfly-receive-webhook" {
		t.Errorf("URL %s", made.text(url.Properties))
	}
	f := made.the(t, "AWS::Lambda::Function", "FunctionName", "mayfly-receive-webhook")
	if f.Properties["ReservedConcurrentExecutions"] != 10.0 {
		t.Errorf("%v may run at once, want 10", f.Properties["ReservedConcurrentExecutions"])
	}
	var got []string
	for _, r := range made {
		if r.Type == "AWS::Lambda::Permission" && made.text(r.Properties["FunctionName"]) == made.arn(f) {
			got = append(got, made.text(r.Properties))
		}
	}
	if len(got) != 2 {
		t.Fatalf("permissions %v, want the two that a public URL takes", got)
	}
	for _, p := range got {
		viaURL := strings.Contains(p, `"FunctionUrlAuthType":"NONE"`) || strings.Contains(p, `"InvokedViaFunctionUrl":true`)
		if !viaURL || !strings.Contains(p, `"Principal":"*"`) {
			t.Errorf("permission %s is not for calls of the URL alone", p)
		}
	}
}

func TestWebhookRuleAnswersOnTheBus(t *testing.T) {
	made := synthesized()
	rule := made.the(t, "AWS::Events::Rule", "Name", "mayfly-webhook")
	bus := made.the(t, "AWS::Events::EventBus", "Name", "mayfly")
	if got := made.text(rule.Properties["EventBusName"]); got != "mayfly" && got != made.arn(bus) {
		t.Errorf("the rule is on bus %s", got)
	}
	if got := made.text(rule.Properties["EventPattern"]); got != `{"source":["mayfly.webhook","mayfly.manual"]}` {
		t.Errorf("the rule matches %s", got)
	}
	target := rule.Properties["Targets"].([]any)[0].(map[string]any)
	if made.text(target["Arn"]) != respond {
		t.Errorf("the rule starts %s", made.text(target["Arn"]))
	}
	if diff := cmp.Diff([]string{"states:StartExecution on states:stateMachine:mayfly-respond"}, made.roleStatements(t, target["RoleArn"])); diff != "" {
		t.Error(diff)
	}
}

func TestGitHubKeysComeFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte("{\n  \"public_keys\": []\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	context := map[string]any{"functions": built, "githubKeys": file}
	s, err := infra.ReadSettings(awscdk.NewApp(&awscdk.AppProps{Context: &context}).Node())
	if err != nil || s.GitHubKeys != `{"public_keys":[]}` {
		t.Errorf("keys %q, %v", s.GitHubKeys, err)
	}
	context["githubKeys"] = file + ".missing"
	if _, err := infra.ReadSettings(awscdk.NewApp(&awscdk.AppProps{Context: &context}).Node()); err == nil || !strings.Contains(err.Error(), "githubKeys") {
		t.Errorf("without the file: %v, want it to name the context", err)
	}
}
