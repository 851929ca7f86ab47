package playground_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

const settlement = "prod/settlement-key"

// keys is the scene of a secret under a key of its team's own.
type keys struct {
	*playground.Playground
	t              *testing.T
	key            string
	worker, ledger string // roles
}

// read is what comes of reading the secret as a role.
func (k *keys) read(role string) error {
	k.t.Helper()
	as, err := k.As(k.t.Context(), role)
	must(k.t)(nil, err)
	_, err = secretsmanager.NewFromConfig(as).GetSecretValue(k.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(settlement)})
	return err
}

// reads expects a role to read, or to be refused by the key.
func (k *keys) reads(role string, want bool) {
	k.t.Helper()
	err := k.read(role)
	if want && err != nil || !want && (err == nil || !strings.Contains(err.Error(), "Access to KMS is not allowed")) {
		k.t.Errorf("%s reads: %v, want it %t", role, err, want)
	}
}

// granted are the roles with a grant that names the secret.
func (k *keys) granted() []string {
	k.t.Helper()
	out, err := kms.NewFromConfig(k.AWS).ListGrants(k.t.Context(), &kms.ListGrantsInput{KeyId: &k.key})
	must(k.t)(nil, err)
	var roles []string
	for _, g := range out.Grants {
		if g.Constraints != nil && strings.Contains(g.Constraints.EncryptionContextSubset["SecretARN"], settlement) {
			roles = append(roles, aws.ToString(g.GranteePrincipal))
		}
	}
	slices.Sort(roles)
	return roles
}

// opens are the keys that decrypt the value in use.
func (k *keys) opens(secret string) []string {
	k.t.Helper()
	out, err := k.Secrets().ListSecretVersionIds(k.t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: &secret})
	must(k.t)(nil, err)
	for _, v := range out.Versions {
		if slices.Contains(v.VersionStages, "AWSCURRENT") {
			return v.KmsKeyIds
		}
	}
	return nil
}

// move puts the secret under the account's own key, as somebody could who is let.
func (k *keys) move() {
	k.t.Helper()
	_, err := k.Secrets().UpdateSecret(k.t.Context(), &secretsmanager.UpdateSecretInput{SecretId: aws.String(settlement), KmsKeyId: aws.String("")})
	must(k.t)(nil, err)
}

// under expects the secret to lie under its contract's key again, and what is in use to be encrypted under it, too.
func (k *keys) under() {
	k.t.Helper()
	out, err := k.Secrets().DescribeSecret(k.t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(settlement)})
	must(k.t)(nil, err)
	if opens := k.opens(settlement); aws.ToString(out.KmsKeyId) != k.key || !slices.Contains(opens, k.key) {
		k.t.Errorf("it lies under %s, and its value in use under %v", aws.ToString(out.KmsKeyId), opens)
	}
}

// finds expects an inspection to have put a finding of the secret on record, after so many.
func (k *keys) finds(after int, want inspection.Code) {
	k.t.Helper()
	for _, r := range found(k.t, k.Playground, settlement)[after:] {
		if r.ReasonCode == string(want) {
			return
		}
	}
	k.t.Errorf("no %s on record: %+v", want, found(k.t, k.Playground, settlement)[after:])
}

// said expects a record of applying the contracts, with these words in its reason.
func (k *keys) said(words string) {
	k.t.Helper()
	for _, r := range records(k.t, k.Playground) {
		if r.Secret == settlement && r.Event == rotation.EventKeyChanged && strings.Contains(r.Reason, words) {
			return
		}
	}
	k.t.Errorf("no record says %q", words)
}

// A secret whose contract names a key is read by whom the contract declares, by a grant and with no permission on the key, and
// by nobody else, whatever Secrets Manager lets; what changes that is found, put back and on record.
func TestKeysOfContracts(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	silence(t, p)
	c, _ := p.Bundle.Find(settlement)
	k := &keys{Playground: p, t: t, key: c.KMSKey}
	var err error
	k.worker, err = p.Role("settlement-worker", "prod")
	must(t)(nil, err)
	k.ledger, err = p.Role("ledger-service", "prod")
	must(t)(nil, err)
	both := []string{k.ledger, k.worker}

	k.reads(k.worker, true)
	k.reads(k.ledger, true)
	if got := k.granted(); !slices.Equal(got, both) {
		t.Errorf("granted to %v, want %v", got, both)
	}
	if _, err := breakGlass(t, p, settlement); err != nil {
		t.Errorf("in an emergency: %v", err)
	}
	t.Run("the key refuses whom the policy lets", func(t *testing.T) {
		_, err := p.Secrets().DeleteResourcePolicy(t.Context(), &secretsmanager.DeleteResourcePolicyInput{SecretId: aws.String(settlement)})
		must(t)(nil, err)
		k.reads(playground.Analytics, false)
		k.reads(k.worker, true)
		apply(t, p) // which puts the policy back
	})
	t.Run("rotation", func(t *testing.T) {
		_, was := value(t, p, settlement)
		if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": settlement})); got != "Rotated" {
			t.Fatalf("ended in %s\n%s", got, told(t, p))
		}
		if _, is := value(t, p, settlement); is == was {
			t.Error("AWSCURRENT is where it was")
		}
		k.reads(k.worker, true)
		k.reads(k.ledger, true)
	})
	t.Run("a service is taken off the contract", func(t *testing.T) {
		b := p.Bundle
		b.Contracts = slices.Clone(b.Contracts)
		at := slices.IndexFunc(b.Contracts, func(c contract.Contract) bool { return c.ID() == settlement })
		b.Contracts[at].Services = []string{"settlement-worker"}
		must(t)(nil, p.Deploy(t.Context(), b))
		apply(t, p)
		if got := k.granted(); !slices.Equal(got, []string{k.worker}) {
			t.Errorf("granted to %v", got)
		}
		k.said("no service of the contract has the role any more, of " + k.ledger)
		if err := k.read(k.ledger); err == nil {
			t.Error("it reads on")
		}
		must(t)(nil, p.Deploy(t.Context(), p.Bundle))
		apply(t, p)
		k.reads(k.ledger, true)
	})
	t.Run("a secret under another key, applied", func(t *testing.T) {
		k.move()
		apply(t, p)
		k.under()
		k.said("put under " + k.key)
		k.reads(k.worker, true)
	})
	t.Run("a foreign grant", func(t *testing.T) {
		out, err := p.Secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(settlement)})
		must(t)(nil, err)
		_, err = kms.NewFromConfig(p.AWS).CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &k.key, GranteePrincipal: aws.String(playground.Analytics),
			Operations:  []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
			Constraints: &kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"SecretARN": *out.ARN}}})
		must(t)(nil, err)
		before, was := len(found(t, p, settlement)), len(runs(t, p, settlement))
		inspect(t, p, false)
		k.finds(before, inspection.GrantDrift)
		if got := k.granted(); !slices.Equal(got, both) {
			t.Errorf("granted to %v, want %v", got, both)
		}
		if made := runs(t, p, settlement); len(made) != was+1 || made[0].Trigger != "access_change" {
			t.Errorf("%d runs followed: %+v\n%s", len(made)-was, made[0], told(t, p))
		}
	})
	t.Run("a grant that is gone", func(t *testing.T) {
		client := kms.NewFromConfig(p.AWS)
		out, err := client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &k.key, GranteePrincipal: &k.ledger})
		must(t)(nil, err)
		_, err = client.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &k.key, GrantId: out.Grants[0].GrantId})
		must(t)(nil, err)
		k.reads(k.ledger, false)
		before := len(found(t, p, settlement))
		inspect(t, p, false)
		k.finds(before, inspection.GrantMissing)
		k.reads(k.ledger, true)
	})
	t.Run("a secret under another key, inspected", func(t *testing.T) {
		k.move()
		before := len(found(t, p, settlement))
		inspect(t, p, false)
		k.finds(before, inspection.KeyDrift)
		k.under()
	})
}
