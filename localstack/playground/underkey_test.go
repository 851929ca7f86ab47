package playground_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Secrets under a key of their owner's: they are moved to it, each declared service gets a grant, and everything goes its way
// that has to read: a rotation, one that goes back, a containment, an inspection, a person in an emergency.
func TestUnderAKey(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	key := ownersKey(t, p)
	keyed := p.Bundle
	keyed.Contracts = slices.Clone(keyed.Contracts)
	for i := range keyed.Contracts {
		if c := &keyed.Contracts[i]; slices.Contains([]string{orders, orders + "-admin", payments}, c.ID()) {
			c.KMSKey = key
		}
	}
	must(t)(nil, p.Redeploy(t.Context(), synthesized(t, keyed, `"deletionProtection":false`), keyed))
	observe(t, p.Stack)
	settled(t, p)
	if want := grantees(t, p, key); len(want) != 3 {
		t.Errorf("%d grants: %v, want one for each service of two contracts", len(want), want)
	}
	service := serve(t, p, orders)
	admin := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders + "-admin"}) // a value that no other key was ever for
	if got := end(t, p, admin); got != "Rotated" {
		t.Errorf("the admin's run ended in %s, want Rotated%s", got, why(t, p, admin))
	}
	planned(t, p, stack.Fault{Function: "mayfly-create-secret", Service: "secretsmanager", Operation: "PutSecretValue", When: "after", Mode: "kill"})
	f.rotate(t, "routine, with a function that dies behind its value")
	clear := planned(t, p, stack.Fault{Function: "mayfly-test-secret", Service: "secretsmanager", Operation: "GetSecretValue", Mode: "fail",
		Code: "InvalidRequestException", Status: 400, Count: -1})
	if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
		t.Errorf("without a test the run ended in %s, want FailedClean", got)
	}
	clear()
	mine := []string{orders, orders + "-admin", payments}
	for _, secret := range mine {
		must(t)(p.Secrets().UpdateSecret(t.Context(), &secretsmanager.UpdateSecretInput{SecretId: &secret, KmsKeyId: aws.String("")}))
	}
	inspect(t, p, false)
	settled(t, p)
	for _, secret := range mine {
		out, err := p.Secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secret})
		must(t)(nil, err)
		if under := aws.ToString(out.KmsKeyId); under != key {
			t.Errorf("%s lies under %s, want it back under its contract's key", secret, under)
		}
	}
	must(t)(breakGlass(t, p, orders))
	settled(t, p)
	if c := service.Stop(); c.Failures > 0 || c.Logins == 0 {
		t.Errorf("the service saw %d logins and %d failures, the first: %s", c.Logins, c.Failures, c.First)
	}
	contained := execute(t, p, playground.RotateMachine, incident("under-a-key"))
	if got := end(t, p, contained); got != "Rotated" {
		t.Errorf("the containment ended in %s, want Rotated%s", got, why(t, p, contained))
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	// A service less: its grant is revoked.
	fewer := keyed
	fewer.Contracts = slices.Clone(keyed.Contracts)
	i := slices.IndexFunc(fewer.Contracts, func(c contract.Contract) bool { return c.ID() == payments })
	fewer.Contracts[i].Services = fewer.Contracts[i].Services[:1]
	must(t)(nil, p.Deploy(t.Context(), fewer))
	if left := grantees(t, p, key); len(left) != 2 {
		t.Errorf("%d grants are left: %v, want 2", len(left), left)
	}
	settled(t, p)
}

// ownersKey is a key whose policy hands the decision to the account, as that of a key made in the console does.
func ownersKey(t *testing.T, p *playground.Playground) (arn string) {
	t.Helper()
	made, err := p.Stack.Keys.Resources()["AWS::KMS::Key"](context.Background(), stack.Resource{LogicalID: "OwnersKey", Type: "AWS::KMS::Key",
		Properties: []byte(`{"KeyPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}]}}`)})
	must(t)(nil, err)
	return made.Att["Arn"]
}

// grantees are the roles that a key's grants are for.
func grantees(t *testing.T, p *playground.Playground, key string) (roles []string) {
	t.Helper()
	out, err := kms.NewFromConfig(p.AWS).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	must(t)(nil, err)
	for _, g := range out.Grants {
		roles = append(roles, *g.GranteePrincipal)
	}
	return roles
}
