package infra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Who takes the role for emergencies has a second factor, an hour, and values to read, and changes nothing.
func TestBreakGlass(t *testing.T) {
	made := synthesized()
	role := made.the(t, "AWS::IAM::Role", "RoleName", trigger.BreakGlass)
	if seconds := role.Properties["MaxSessionDuration"]; seconds != 3600.0 {
		t.Errorf("a session lasts %v s", seconds)
	}
	if diff := cmp.Diff([]string{
		`Deny to {"AWS":"*"} sts:AssumeRole on  if {"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`,
		`to {"AWS":"iam:root"} sts:AssumeRole on  if {"Bool":{"aws:MultiFactorAuthPresent":"true"}}`,
	}, made.statements(role.Properties["AssumeRolePolicyDocument"])); diff != "" {
		t.Errorf("others may take it (- want, + template):\n%s", diff)
	}
	id := ""
	for logical, r := range made {
		if r.Type == "AWS::IAM::Role" && r.Properties["RoleName"] == trigger.BreakGlass {
			id = logical
		}
	}
	if diff := cmp.Diff([]string{
		decrypts,
		"secretsmanager:GetSecretValue on " + secrets,
	}, made.roleStatements(t, map[string]any{"Fn::GetAtt": []any{id, "Arn"}})); diff != "" {
		t.Errorf("it may do something else (- want, + template):\n%s", diff)
	}
}
