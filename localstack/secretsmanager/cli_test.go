package secretsmanager_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/iam"
	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

// TestCommandLine proves that the AWS CLI works unchanged, with nothing but AWS_ENDPOINT_URL.
func TestCommandLine(t *testing.T) {
	stacktest.Local(t)
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	clock, ids := stack.NewClock(), stack.NewIdentities()
	roles := iam.New(clock)
	server := stacktest.StartWith(t, clock, ids, secretsmanager.New(clock), sts.New(clock, ids, roles))
	run := func(args ...string) (map[string]any, string) {
		cmd := exec.CommandContext(t.Context(), cli, args...)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
			"AWS_DEFAULT_REGION="+stack.Region, "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // a failure shows in stderr, which the caller looks at
		out := map[string]any{}
		_ = json.Unmarshal([]byte(stdout.String()), &out)
		return out, stderr.String()
	}
	for _, step := range []struct {
		args  string
		field string
		want  any
		fails string
	}{
		{"sts get-caller-identity", "Arn", "arn:aws:iam::000000000000:root", ""},
		{"secretsmanager create-secret --name prod/a --secret-string hello --tags Key=mayfly:owner,Value=payments", "Name", "prod/a", ""},
		{"secretsmanager get-secret-value --secret-id prod/a", "SecretString", "hello", ""},
		{"secretsmanager describe-secret --secret-id prod/a", "Name", "prod/a", ""},
		{"secretsmanager list-secret-version-ids --secret-id prod/a --include-deprecated", "Name", "prod/a", ""},
		{"secretsmanager get-secret-value --secret-id prod/none", "", nil, "(ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret."},
	} {
		out, stderr := run(strings.Fields(step.args)...)
		if step.fails != "" {
			if !strings.Contains(stderr, step.fails) {
				t.Errorf("%s: %q", step.args, stderr)
			}
			continue
		}
		if out[step.field] != step.want {
			t.Errorf("%s: %s is %v, want %v; %s", step.args, step.field, out[step.field], step.want, stderr)
		}
	}
}
