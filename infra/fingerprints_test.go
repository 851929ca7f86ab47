package infra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whoever may make fingerprints may try values against those in the registry: the functions that need them, and not even
// the account's administrators.
func TestFingerprintsAreMadeByNamedFunctionsOnly(t *testing.T) {
	made := synthesized()
	key := made.the(t, "AWS::KMS::Key", "KeyUsage", "GENERATE_VERIFY_MAC")
	if key.Properties["KeySpec"] != "HMAC_256" || key.Properties["EnableKeyRotation"] == true {
		t.Errorf("the key is %v; an HMAC key cannot rotate by itself", key.Properties)
	}
	if key.DeletionPolicy != "Retain" || key.UpdateReplacePolicy != "Retain" {
		t.Errorf("policies on deletion %q and replacement %q: under another key no fingerprint matches", key.DeletionPolicy, key.UpdateReplacePolicy)
	}
	want := []string{
		`Deny to {"AWS":"*"} kms:GenerateMac kms:VerifyMac on * if {"ArnNotEquals":{"aws:PrincipalArn":` +
			`["iam:role/mayfly-test-secret","iam:role/mayfly-probe-targets","iam:role/mayfly-receive-webhook"]}}`,
		`to {"AWS":"iam:root"} kms:* on *`,
	}
	if diff := cmp.Diff(want, made.statements(key.Properties["KeyPolicy"])); diff != "" {
		t.Errorf("key policy (- want, + template):\n%s", diff)
	}
	alias := made.the(t, "AWS::KMS::Alias", "AliasName", "alias/mayfly-fingerprints")
	if got := made.text(alias.Properties["TargetKeyId"]); got != "arn:aws:kms:us-east-1:000000000000:key/mayfly-fingerprints" {
		t.Errorf("the alias is of %s", got)
	}
}
