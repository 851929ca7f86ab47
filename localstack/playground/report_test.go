package playground_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/report"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// The report of a whole Mayfly: a rotation and a containment with their proofs, then something that is wrong. No value is in it.
func TestReport(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "mayfly")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/mayfly").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := start(t, playground.Options{Policy: brisk})
	page := filepath.Join(t.TempDir(), "page.html")
	reported := func(code int) report.Report {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, "report", "--contracts", "../../contracts", "--json", "--out", page)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.Stack.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION="+stack.Region,
			"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("exit code %d, want %d: %v\n%s%s", got, code, err, &stdout, &stderr)
		}
		var r report.Report
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	(&failing{Playground: p}).rotate(t, "by-hand")
	if got := end(t, p, execute(t, p, playground.RotateMachine, incident("finding-1"))); got != "Rotated" {
		t.Fatalf("the containment ended in %s", got)
	}
	r := reported(0)
	if len(r.Findings) > 0 || !r.Audit.OK || len(r.Secrets) != len(p.Bundle.Contracts) {
		t.Errorf("%d secrets, findings %v, audit %t", len(r.Secrets), r.Findings, r.Audit.OK)
	}
	for _, s := range r.Secrets {
		if s.Secret != orders {
			continue
		}
		if len(s.Runs) < 2 || !s.Runs[0].Contained || s.Runs[0].TriggerID != "finding-1" || s.Runs[1].Contained || s.Answers.Why == nil || s.Answers.Why.TriggerID != "finding-1" {
			t.Errorf("runs %+v, answers %+v", s.Runs, s.Answers)
		}
		for _, run := range s.Runs {
			if len(run.Proofs) == 0 || run.Proofs[0].Outcome != "refused" {
				t.Errorf("no proof of %+v", run)
			}
		}
	}
	tag(t, p, orders, "on_expiry", "keep")
	must(t)(nil, p.Settle(t.Context()))
	if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
		t.Fatalf("the run ended in %s", got)
	}
	if r = reported(1); len(r.Findings) != 2 || r.Findings[0].Code != report.Refused || r.Findings[1].Code != report.KeepsExpired || r.Secrets[0].Secret != orders {
		t.Errorf("findings %v, first %s", r.Findings, r.Secrets[0].Secret)
	}
	text, err := os.ReadFile(page)
	must(t)(nil, err)
	if !strings.Contains(string(text), "prod-expires") {
		t.Error("the page does not name the rule")
	}
	for _, v := range append(p.GivenPasswords(), p.Stack.Secrets.Values()...) {
		if strings.Contains(string(text), v) {
			t.Error("a value is on the page")
		}
	}
	clean(t, p)
}
