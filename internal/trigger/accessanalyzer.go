package trigger

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Severities of Access Analyzer's findings, which have none, on GuardDuty's scale.
const (
	public   = Critical // anybody may read the secret
	external = 7.0      // another account may
	idle     = 2.0      // a role may, and does not: a right too many, and no sign of an attack
)

// accessAnalyzer reads "Access Analyzer Finding" on a secret and "Unused Access Finding for IAM entities" on a role or
// user: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html
// "Internal Access Finding" says who in the account may read, which the declared services do, too.
func accessAnalyzer(e envelope) (Resolution, error) {
	var d struct {
		ID        string `json:"id"`
		FindingID string `json:"findingId"` // what unused access calls it
		Status    string `json:"status"`
		Deleted   bool   `json:"isDeleted"`
		Error     string `json:"error"`
		Resource  string `json:"resource"`
		Kind      string `json:"resourceType"`
		Public    bool   `json:"isPublic"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.ID == "" {
		d.ID = d.FindingID
	}
	if d.ID == "" || d.Resource == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "Access Analyzer event %q lacks the finding's id or resource", clip(e.ID, 64))
	}
	t := Trigger{Type: Incident, ID: identity(d.ID), Source: e.Source}
	var keys []string
	switch {
	case d.Error != "":
		return ignore(t, "the finding says only that the resource could not be analyzed"), nil
	case d.Deleted || d.Status != "ACTIVE":
		return ignore(t, "the finding is no longer active"), nil
	case e.DetailType == "Internal Access Finding":
		return ignore(t, "access from inside the account is what services have; its changes come from CloudTrail"), nil
	case e.DetailType == "Access Analyzer Finding" && d.Kind == "AWS::SecretsManager::Secret":
		keys, t.Severity = secretKeys(d.Resource), external
		t.Reason = "Access Analyzer: another account may read the secret"
		if d.Public {
			t.Severity, t.Reason = public, "Access Analyzer: anybody may read the secret"
		}
	case strings.HasPrefix(e.DetailType, "Unused Access Finding"):
		keys, t.Severity = principalKeys(d.Resource), idle
		t.Reason = "Access Analyzer: rights that are not used"
	case e.DetailType == "Access Analyzer Finding" && contract.RoleName(d.Resource) != "":
		keys, t.Severity = principalKeys(d.Resource), external
		t.Reason = "Access Analyzer: somebody outside of the account may take the role"
	default:
		return ignore(t, "Access Analyzer's finding is on "+clip(d.Kind, 60)+", and neither on a secret nor on a role that reads one"), nil
	}
	if len(keys) == 0 {
		return ignore(t, "the finding names no secret, role or user that a contract could name"), nil
	}
	return found(t, keys...)
}
