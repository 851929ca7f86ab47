package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// actions runs a plan and gives the action for each secret.
func (b *bench) actions() map[string]string {
	b.Helper()
	got := map[string]string{}
	for _, p := range answer[[]planned](b, 0, "plan", b.dir) {
		got[p.Secret] = p.Action
	}
	return got
}

func TestPlanSaysWhatApplyDoes(t *testing.T) {
	b := account(t)
	b.contracts()
	both := func(action string) map[string]string {
		return map[string]string{"prod/token": action, "prod/signing-key": action}
	}
	if diff := cmp.Diff(both(planCreate), b.actions()); diff != "" {
		t.Errorf("before (- want, + got):\n%s", diff)
	}
	text, _ := b.mayfly(0, "plan", b.dir)
	b.contains(text, "+ prod/token comes into force", "the secret is created", "max_overlap=0s", "owner=payments", "2 to create, 0 to change")
	if text, _ := b.mayfly(0, "status"); text != "No contract is in force; `mayfly apply` puts contracts in force.\n" {
		t.Errorf("a plan changed something: %s", text)
	}
	done := answer[rotation.Applied](b, 0, "apply", b.dir)
	if len(done.InForce) != 2 || len(done.Created) != 2 || len(done.Withdrawn) != 0 {
		t.Errorf("applied %+v", done)
	}
	if diff := cmp.Diff(both(planNone), b.actions()); diff != "" {
		t.Errorf("after (- want, + got):\n%s", diff)
	}
}

func TestPlanNamesWhatChanges(t *testing.T) {
	b := account(t)
	b.contracts()
	b.mayfly(0, "apply", b.dir)
	b.write("token.yaml", strings.Replace(contractText("token", "12h"), "max_overlap: 0s", "max_overlap: 1h", 1))
	b.write("services/billing.yaml", billing+"    deployments: {codedeploy: [billing]}\n")
	b.must(os.Remove(filepath.Join(b.dir, "signing-key.yaml")))
	got := map[string]planned{}
	for _, p := range answer[[]planned](b, 0, "plan", b.dir) {
		got[p.Secret] = p
	}
	token := got["prod/token"]
	if token.Action != planChange || token.CreatesSecret || len(token.Tags) != 0 {
		t.Errorf("token: %+v", token)
	}
	if diff := cmp.Diff([]fieldChange{{"policy.max_overlap", "0s", "1h"}, {"ttl", "86400", "43200"}}, token.Fields); diff != "" {
		t.Errorf("fields (- want, + got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"codedeploy:billing"}, token.KeysAdded); diff != "" {
		t.Errorf("keys (- want, + got):\n%s", diff)
	}
	if got["prod/signing-key"].Action != planWithdraw {
		t.Errorf("signing-key: %+v", got["prod/signing-key"])
	}
	text, _ := b.mayfly(0, "apply", b.dir)
	b.contains(text, "prod/token in force\n", "prod/signing-key withdrawn; the secret itself stays\n")
	if _, err := secretsmanager.NewFromConfig(b.Config).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/signing-key")}); err != nil {
		t.Errorf("the withdrawn secret is gone: %v", err)
	}
	_, complaint := b.mayfly(3, "status", "prod/signing-key")
	b.contains(complaint, "no contract is in force for prod/signing-key")
}

// A policy that somebody tightened by hand is runtime data: applying contracts leaves it.
func TestPolicyThatIsThereStays(t *testing.T) {
	b := account(t)
	b.contracts()
	client := secretsmanager.NewFromConfig(b.Config)
	_, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("prod/token"), SecretString: aws.String("made by hand, before there was a contract"),
		Tags: []types.Tag{{Key: aws.String("mayfly:ttl"), Value: aws.String("6h")}},
	})
	b.must(err)
	for _, p := range answer[[]planned](b, 0, "plan", b.dir) {
		if p.Secret != "prod/token" {
			continue
		}
		if diff := cmp.Diff(map[string]string{"mayfly:owner": "payments", "mayfly:environment": "prod"}, p.Tags); diff != "" {
			t.Errorf("tags (- want, + got):\n%s", diff)
		}
	}
}

func TestContractsWithProblemsAreNotApplied(t *testing.T) {
	b := account(t)
	b.write("services/billing.yaml", billing)
	b.write("token.yaml", contractText("token", "never"))
	for _, command := range []string{"plan", "apply"} {
		_, complaint := b.mayfly(1, command, b.dir)
		b.contains(complaint, "token.yaml:5:")
	}
	b.mayfly(3, "apply", filepath.Join(b.dir, "elsewhere"))
	if text, _ := b.mayfly(0, "status"); text != "No contract is in force; `mayfly apply` puts contracts in force.\n" {
		t.Errorf("something came into force: %s", text)
	}
}

// A bucket that does not lock what it is given is not the one to keep records in.
func TestApplyNeedsABucketThatLocks(t *testing.T) {
	b := account(t)
	b.contracts()
	_, complaint := b.mayfly(3, "apply", b.dir, "--audit-bucket", "elsewhere")
	b.contains(complaint, "NoSuchBucket", "Mayfly is not deployed")
}
