package infra_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
)

func TestEveryFunctionIsGoOnArmAndLogsToTheAuditTrail(t *testing.T) {
	made := synthesized()
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		p := f.Properties
		for property, want := range map[string]string{
			"Runtime":       "provided.al2023",
			"Handler":       "bootstrap",
			"Architectures": `["arm64"]`,
			"LoggingConfig": `{"LogFormat":"JSON","LogGroup":"/mayfly/audit","SystemLogLevel":"WARN"}`,
		} {
			if got := made.text(p[property]); got != want {
				t.Errorf("%s: %s = %s, want %s", name, property, got, want)
			}
		}
		if p["Code"].(map[string]any)["ZipFile"] != nil {
			t.Errorf("%s holds its code in the template: a helper of somebody else", name)
		}
		for _, absent := range []string{"ReservedConcurrentExecutions", "TracingConfig", "Layers", "VpcConfig"} {
			if name == "mayfly-receive-webhook" && absent == "ReservedConcurrentExecutions" {
				continue // the one function that strangers can call
			}
			if p[absent] != nil {
				t.Errorf("%s sets %s", name, absent)
			}
		}
		most := [2]float64{256, 60}
		if name == "mayfly-resolve-trigger" || name == "mayfly-trace-lineage" {
			most = [2]float64{1024, 120} // fifty thousand secrets at once
		}
		if memory := p["MemorySize"].(float64); memory < 128 || memory > most[0] {
			t.Errorf("%s has %v MB", name, memory)
		}
		if timeout := p["Timeout"].(float64); timeout < 15 || timeout > most[1] {
			t.Errorf("%s may run %v s", name, timeout)
		}
	}
}

func TestFunctionsFindWhatTheyAreGranted(t *testing.T) {
	made := synthesized()
	const (
		table   = "MAYFLY_CONTRACTS_TABLE=mayfly-contracts"
		history = "MAYFLY_RUNS_TABLE=mayfly-runs"
		key     = "MAYFLY_FINGERPRINT_KEY=arn:aws:kms:us-east-1:000000000000:key/mayfly-fingerprints"
	)
	var reading []string
	for _, f := range []string{"contain-secret", "create-secret", "set-secret", "test-secret", "confirm-adoption", "revoke-secret", "roll-back", "probe-targets"} {
		reading = append(reading, "arn:aws:iam::000000000000:role/mayfly-"+f)
	}
	readers := "MAYFLY_READER_ROLES=" + strings.Join(reading, ",")
	const glass = "MAYFLY_BREAK_GLASS_ROLE=arn:aws:iam::000000000000:role/mayfly-break-glass"
	more := map[string][]string{
		"resolve-trigger":  {table, "MAYFLY_DISPATCH_BUCKET=mayfly-dispatch-000000000000-us-east-1"},
		"trace-lineage":    {table, "MAYFLY_DISPATCH_BUCKET=mayfly-dispatch-000000000000-us-east-1"},
		"admit-rotation":   {table, history, "MAYFLY_GUARDRAILS_FILE=guardrails.cedar"},
		"finish-secret":    {table},
		"close-run":        {table, history},
		"receive-webhook":  {"MAYFLY_DISPATCH_BUCKET=mayfly-dispatch-000000000000-us-east-1", "MAYFLY_ENVIRONMENT=prod", "MAYFLY_BUS=mayfly", key},
		"test-secret":      {key},
		"list-secrets":     {table, "MAYFLY_DISPATCH_BUCKET=mayfly-dispatch-000000000000-us-east-1"},
		"inspect-secrets":  {table, readers, glass, "MAYFLY_BUS=mayfly"},
		"probe-targets":    {table, key, "MAYFLY_BUS=mayfly"},
		"probe-access":     {table, "MAYFLY_BUS=mayfly", "MAYFLY_STRANGER_ROLE=arn:aws:iam::000000000000:role/mayfly-probe-stranger"},
		"propagate-secret": {readers, glass},
		"apply-contracts":  {table, readers, glass, "MAYFLY_CONTRACTS_FILE=contracts.json", "MAYFLY_CONTRACT_COMMIT=4f2d"},
	}
	for name := range permissions {
		want := map[string]string{
			"MAYFLY_ACCOUNT":        "000000000000",
			"MAYFLY_AUDIT_BUCKET":   "mayfly-audit-000000000000-us-east-1",
			"MAYFLY_RETENTION_DAYS": "400",
		}
		for _, pair := range more[name] {
			key, value, _ := strings.Cut(pair, "=")
			want[key] = value
		}
		f := made.the(t, "AWS::Lambda::Function", "FunctionName", "mayfly-"+name)
		got := map[string]string{}
		for k, v := range f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any) {
			got[k] = made.text(v)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s finds something else (- want, + template):\n%s", name, diff)
		}
	}
}

func TestFunctionThatIsNotBuiltIsNamed(t *testing.T) {
	_, stack := newStack(t, nil)
	_, err := infra.NewFunctions(stack, "Elsewhere", t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "resolve-trigger is not built") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error = %v, want it to name the function and what to run", err)
	}
}
