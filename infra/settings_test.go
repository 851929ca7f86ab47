package infra_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
)

// other is a deployment that chooses everything that a deployment may choose, made once.
var other = sync.OnceValue(func() template {
	return synthesize(nil, map[string]any{
		"environment": "staging", "retentionDays": "30", "deletionProtection": "false", "alarmEmail": "oncall@example.com",
		"region": "us-east-1",
	})
})

func TestSettings(t *testing.T) {
	read := func(context map[string]any) (infra.Settings, error) {
		context["functions"] = built
		return infra.ReadSettings(awscdk.NewApp(&awscdk.AppProps{Context: &context}).Node())
	}
	s, err := read(map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	want := infra.Settings{
		Environment: "prod", RetentionDays: 400, DeletionProtection: true, Functions: built, StateMachines: "statemachines",
		Commit: "4f2d", ContractsDigest: s.ContractsDigest, Environments: []string{"prod"}, Ports: []int{5432},
		ServiceRoles: []string{"arn:aws:iam::000000000000:role/prod-worker"},
		Keyed: []infra.KeyedContract{{
			Secret: "prod/settlement-key", Key: "arn:aws:kms:us-east-1:000000000000:key/of-payments", Readers: []string{"arn:aws:iam::000000000000:role/prod-worker"},
		}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("defaults (- want, + got):\n%s", diff)
	}
	// The command line gives text, cdk.json may give numbers.
	if s, err = read(map[string]any{"retentionDays": 730, "region": "eu-west-1", "deletionProtection": false}); err != nil {
		t.Fatal(err)
	}
	if s.RetentionDays != 730 || s.Region != "eu-west-1" || s.DeletionProtection {
		t.Errorf("settings = %+v", s)
	}
	for key, value := range map[string]any{"retentionDays": "0", "deletionProtection": "maybe"} {
		if _, err := read(map[string]any{key: value}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s = %v: error %v, want it to name the key", key, value, err)
		}
	}
}

func TestSettingsSayWhatIsMissing(t *testing.T) {
	folder := t.TempDir()
	context := map[string]any{"functions": folder}
	app := awscdk.NewApp(&awscdk.AppProps{Context: &context})
	if _, err := infra.ReadSettings(app.Node()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("without compiled contracts: %v, want it to say what to run", err)
	}
	write(filepath.Join(folder, "apply-contracts", infra.ContractsFile), `{"contracts":`)
	if _, err := infra.ReadSettings(app.Node()); err == nil || !strings.Contains(err.Error(), infra.GuardrailsFile) {
		t.Errorf("without guardrails: %v, want it to name the file", err)
	}
	write(filepath.Join(folder, "admit-rotation", infra.GuardrailsFile), "")
	if _, err := infra.ReadSettings(app.Node()); err == nil || !strings.Contains(err.Error(), infra.ContractsFile) {
		t.Errorf("with broken contracts: %v, want it to name the file", err)
	}
}
