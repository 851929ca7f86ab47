package rotation

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// guard asks the organisation's rules about the contract and the policy in force. A run that breaks one is refused
// (GuardrailDenied), and so is every run while the rules cannot be read (GuardrailsInvalid): what nothing is known about is not
// allowed. A run that does not wait for rules goes on; what was found is text for the end of its record's reason.
//
// The rules are a file beside the function's binary: they come with a deployment, and asking them calls nobody.
func (s *AdmitRotation) guard(run *Run, d policy.Decision) (noted string, err error) {
	rules, err := s.Rules()
	if err != nil {
		err = fault.Wrap(err, fault.GuardrailsInvalid, "guardrails.cedar cannot be read, so no rule is known to be kept; correct it (mayfly lint) and deploy")
	} else if found := rules.Admit(run.Contract, run.Policy); len(found) > 0 {
		err = fault.New(fault.GuardrailDenied, "%s", said(found))
	}
	switch {
	case err == nil:
		return "", nil
	case waits(run, d):
		return "", err
	default:
		return "; not waited for: " + err.Error(), nil
	}
}

// waits says whether a run can wait until somebody has mended what breaks a rule. What may be in wrong hands cannot: whoever may
// tag a secret could keep an incident from being answered. Nor can what another run left half done: with strategy single the
// value in use may not log in until it is finished, and behind the commit point the old credential is not revoked yet.
func waits(run *Run, d policy.Decision) bool {
	return d.Mode == trigger.Routine && run.Trigger.Type != trigger.Incident && d.Reason != policy.UnfinishedRun
}

// said is findings as one line: "prod-expires: in prod a value stops being readable when it expires (remove on_expiry: keep)".
func said(found []blastradius.Finding) string {
	lines := make([]string, len(found))
	for i, f := range found {
		if lines[i] = f.Rule + ": " + f.Reason; f.Do != "" {
			lines[i] += " (" + f.Do + ")"
		}
	}
	return strings.Join(lines, "; ")
}
