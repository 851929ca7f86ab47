package rotation_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/keyring"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	localkms "github.com/mayfly-secrets/mayfly/localstack/kms"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const (
	oldKey   = "arn:aws:kms:us-east-1:000000000000:key/0000abcd-12ab-34cd-56ef-1234567890ab"
	newKey   = "arn:aws:kms:us-east-1:000000000000:key/1111abcd-12ab-34cd-56ef-1234567890ab"
	billing  = "arn:aws:iam::000000000000:role/prod-billing"
	worker   = "arn:aws:iam::000000000000:role/prod-worker"
	stranger = "arn:aws:iam::000000000000:role/stranger"
	keyed    = "prod/keyed"
)

// keyScene is a secret under the old key, that is to come under the new one, with a foreign grant there and one that is stale.
type keyScene struct {
	*stacktest.Server
	t     *testing.T
	keys  *localkms.Service
	grant *kms.Client
	sm    *secretsmanager.Client
	arn   string
	said  []string // events
}

func newKeyScene(t *testing.T) *keyScene {
	stacktest.Local(t)
	clock := stack.NewClock()
	s := &keyScene{t: t, keys: localkms.New(clock)}
	secrets := local.New(clock)
	secrets.Keys.Usable = s.keys.Usable
	s.keys.Principal = func(arn string) bool { return !strings.HasSuffix(arn, "absent") }
	s.Server = stacktest.Start(t, clock, s.keys, secrets)
	s.Config.RetryMaxAttempts = 1
	s.grant, s.sm = kms.NewFromConfig(s.Config), secretsmanager.NewFromConfig(s.Config)
	for _, key := range []string{oldKey, newKey} {
		if err := s.keys.Existing(key); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(keyed), SecretString: aws.String("v"), KmsKeyId: aws.String(oldKey), ClientRequestToken: aws.String(strings.Repeat("v", 32))})
	if err != nil {
		t.Fatal(err)
	}
	s.arn = *out.ARN
	if err := s.enforce(newKey, billing, stranger); err != nil { // stranger's is stale from now on
		t.Fatal(err)
	}
	if err := authority.ChangeKey(t.Context(), s.sm, keyed, oldKey); err != nil {
		t.Fatal(err)
	}
	s.foreign()
	s.said = nil
	return s
}

// foreign makes a grant that Mayfly did not.
func (s *keyScene) foreign() {
	_, err := s.grant.CreateGrant(s.t.Context(), &kms.CreateGrantInput{KeyId: aws.String(newKey), GranteePrincipal: aws.String(stranger), Operations: []types.GrantOperation{types.GrantOperationDecrypt},
		Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"SecretARN": s.arn}}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *keyScene) enforce(key string, readers ...string) error {
	secret, err := authority.Describe(s.t.Context(), s.sm, keyed)
	if err != nil {
		s.t.Fatal(err)
	}
	k := rotation.Keys{Grants: keyring.Keyring{KMS: s.grant}, Secrets: s.sm}
	return k.Enforce(s.t.Context(), keyed, key, readers, secret, func(event, _ string) error { s.said = append(s.said, event); return nil })
}

// holds checks that the secret lies under the new key and exactly these roles have a grant that decrypts it.
func (s *keyScene) holds(roles ...string) {
	s.t.Helper()
	var have []string
	for _, g := range s.keys.Grants(newKey) {
		if g.Allows("Decrypt", map[string]string{"SecretARN": s.arn, "SecretVersionId": "v"}) {
			have = append(have, g.Grantee)
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, roles) {
		s.t.Errorf("grants of %v, want %v", have, roles)
	}
	if secret, err := authority.Describe(s.t.Context(), s.sm, keyed); err != nil || secret.Key != newKey {
		s.t.Errorf("the secret lies under %q: %v", secret.Key, err)
	}
}

// Every write fails, or its answer is lost; the next application of the contracts goes on from there (K1 to K3), and once there
// is nothing to do, nothing is done and nothing said.
func TestKeysFromEveryFailure(t *testing.T) {
	for _, write := range []string{"CreateGrant", "UpdateSecret", "RevokeGrant"} {
		for _, when := range []string{"before", "after"} {
			t.Run(write+" "+when, func(t *testing.T) {
				s := newKeyScene(t)
				service := "kms"
				if write == "UpdateSecret" {
					service = "secretsmanager"
				}
				if err := s.Endpoint.AddFault(stack.Fault{Service: service, Operation: write, When: when, Code: "PlannedException"}); err != nil {
					t.Fatal(err)
				}
				if err := s.enforce(newKey, billing, worker); err == nil {
					t.Fatal("the failure was passed over")
				}
				if !slices.Contains(s.said, rotation.EventKeyChanged) {
					t.Errorf("said %v before anything was written", s.said)
				}
				if err := s.enforce(newKey, billing, worker); err != nil {
					t.Fatal(err)
				}
				s.holds(billing, worker)
				s.said = nil
				if err := s.enforce(newKey, billing, worker); err != nil || len(s.said) > 0 {
					t.Errorf("with nothing to do: %v, said %v", err, s.said)
				}
				s.holds(billing, worker)
			})
		}
	}
}

// Without its record nothing is written.
func TestNoKeyChangesWithoutARecord(t *testing.T) {
	s := newKeyScene(t)
	k := rotation.Keys{Grants: keyring.Keyring{KMS: s.grant}, Secrets: s.sm}
	before := s.keys.Grants(newKey)
	err := k.Enforce(t.Context(), keyed, newKey, []string{worker}, authority.Secret{}, func(string, string) error { return context.Canceled })
	if err == nil || len(before) != len(s.keys.Grants(newKey)) {
		t.Errorf("%v, %d grants before and %d now", err, len(before), len(s.keys.Grants(newKey)))
	}
	if secret, err := authority.Describe(t.Context(), s.sm, keyed); err != nil || secret.Key != oldKey {
		t.Errorf("the secret lies under %q: %v", secret.Key, err)
	}
}

// A declared role that does not exist keeps none of the others out, and is told.
func TestARoleThatDoesNotExist(t *testing.T) {
	s := newKeyScene(t)
	if err := s.enforce(newKey, billing, worker+"-absent"); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.said, rotation.EventKeyIncomplete) {
		t.Errorf("said %v", s.said)
	}
	s.holds(billing)
}

// A grant that reaches everything under the key stays, and is told.
func TestAWideGrantStays(t *testing.T) {
	s := newKeyScene(t)
	if err := s.enforce(newKey, billing); err != nil {
		t.Fatal(err)
	}
	if _, err := s.grant.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: aws.String(newKey), GranteePrincipal: aws.String(stranger), Operations: []types.GrantOperation{types.GrantOperationDecrypt}}); err != nil {
		t.Fatal(err)
	}
	s.said = nil
	if err := s.enforce(newKey, billing); err != nil || !slices.Contains(s.said, rotation.EventKeyChanged) {
		t.Errorf("%v, said %v", err, s.said)
	}
	s.holds(billing, stranger)
}
