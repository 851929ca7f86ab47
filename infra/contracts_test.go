package infra_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/infra"
)

func TestContractsComeIntoForceThroughTheFunctionItself(t *testing.T) {
	made := synthesized()
	p := made.the(t, "AWS::CloudFormation::CustomResource", "", "").Properties
	if got := made.text(p["ServiceToken"]); got != "arn:aws:lambda:us-east-1:000000000000:function:mayfly-apply-contracts" {
		t.Errorf("CloudFormation calls %s", got)
	}
	if digest, _ := p["Digest"].(string); len(digest) != 64 {
		t.Errorf("Digest = %q, want a SHA-256 in hex", digest)
	}
	for id, r := range made {
		if strings.HasPrefix(r.Type, "Custom::") {
			t.Errorf("%s is a custom resource of the CDK's own: %s", id, r.Type)
		}
	}
}

func TestChangedContractsChangeTheDigest(t *testing.T) {
	made := synthesized()
	folder := t.TempDir()
	for name := range permissions {
		write(filepath.Join(folder, name, "bootstrap"), name)
	}
	write(filepath.Join(folder, "apply-contracts", infra.ContractsFile),
		`{"commit":"","contracts":[{"environment":"staging","target":null},{"environment":"prod"}]}`)
	write(filepath.Join(folder, "admit-rotation", infra.GuardrailsFile), "")
	changed := synthesize(t, map[string]any{"functions": folder})
	digest := func(m template) any {
		return m.the(t, "AWS::CloudFormation::CustomResource", "", "").Properties["Digest"]
	}
	if digest(made) == digest(changed) {
		t.Error("other contracts, same digest: CloudFormation would not apply them")
	}
	// Other environments are other permissions, and an unknown commit is said to be unknown.
	f := changed.the(t, "AWS::Lambda::Function", "FunctionName", "mayfly-set-secret")
	may := strings.Join(changed.roleStatements(t, f.Properties["Role"]), "\n")
	if !strings.Contains(may, "secretsmanager:GetSecretValue on secretsmanager:secret:prod/* secretsmanager:secret:staging/*") {
		t.Errorf("set-secret may read\n%s\nwant prod and staging", may)
	}
	variables := changed.text(changed.the(t, "AWS::Lambda::Function", "FunctionName", "mayfly-apply-contracts").Properties["Environment"])
	if !strings.Contains(variables, `"MAYFLY_CONTRACT_COMMIT":"unknown"`) {
		t.Errorf("environment %s, want the commit to be unknown", variables)
	}
}
