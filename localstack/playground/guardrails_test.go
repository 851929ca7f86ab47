package playground_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// A policy tag may break a rule that the contract kept when it was checked. The next run is refused, by the rule's name; what
// may be in wrong hands waits for no rule, and its record says what was not waited for.
func TestGuardrailsAtAdmission(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	finding := func(id string, severity float64) any {
		return map[string]any{"secret": orders, "trigger": map[string]any{"type": "incident", "id": id, "source": "aws.guardduty", "severity": severity}}
	}
	// tries has every kind of run: those that can wait are refused with the code, the others go on and say what they found.
	tries := func(t *testing.T, what string, code fault.Code, found string) {
		t.Helper()
		p.Stack.Clock.Advance(policy.CoolDown) // a deployment right behind a run would be skipped
		for _, c := range []struct {
			name  string
			input any
		}{
			{"by hand", map[string]any{"secret": orders}},
			{"deployment", map[string]any{"secret": orders, "trigger": map[string]any{"type": "deployment", "id": what, "source": "aws.codedeploy"}}},
			{"incident", finding(what+"-7.5", 7.5)},
			{"containment", finding(what+"-9.5", 9.5)},
		} {
			name, input := c.name, c.input
			_, before := value(t, p, orders)
			execution, want, event, reason, outcome := "", "FailedClean", "refused", string(code), audit.FailedClean
			if name == "incident" || name == "containment" {
				want, event, reason, outcome = "Rotated", "admitted", "", ""
			}
			execution = execute(t, p, playground.RotateMachine, input)
			if got := end(t, p, execution); got != want {
				t.Errorf("%s, %s: the run ended in %s, want %s%s", what, name, got, want, why(t, p, execution))
			}
			if _, after := value(t, p, orders); (after == before) != (want == "FailedClean") {
				t.Errorf("%s, %s: AWSCURRENT went from %s to %s", what, name, before, after)
			}
			of := func(r audit.Record) bool {
				return r.ExecutionARN == execution && r.Step == "AdmitRotation" && r.Event == event && r.Outcome == outcome &&
					(reason == "" || r.ReasonCode == reason) && strings.Contains(r.Reason, string(code)) && strings.Contains(r.Reason, found)
			}
			if n := count(records(t, p), of); n != 1 {
				t.Errorf("%s, %s: %d records %q say %s and %q, want 1%s", what, name, n, event, code, found, why(t, p, execution))
			}
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}

	tag(t, p, orders, "on_expiry", "keep")
	tries(t, "a tag", fault.GuardrailDenied, "prod-expires: in prod a value stops being readable when it expires")
	must(t)(p.Secrets().UntagResource(t.Context(), &secretsmanager.UntagResourceInput{SecretId: aws.String(orders), TagKeys: []string{"mayfly:on_expiry"}}))
	f.rotate(t, "mended")

	// Rules come with a deployment; where they cannot be read, nothing is known to be allowed.
	ours := p.Bundle
	broken := ours
	broken.Guardrails = []byte("permit (principal, action, resource")
	must(t)(nil, p.Deploy(t.Context(), broken))
	tries(t, "broken rules", fault.GuardrailsInvalid, "guardrails, line 1")
	broken.Guardrails = nil
	must(t)(nil, p.Deploy(t.Context(), broken))
	f.rotate(t, "no rules")
	must(t)(nil, p.Deploy(t.Context(), ours))
	f.rotate(t, "afterwards")
	clean(t, p)
}

func count(records []audit.Record, of func(audit.Record) bool) (n int) {
	for _, r := range records {
		if of(r) {
			n++
		}
	}
	return n
}
