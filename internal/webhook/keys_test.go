package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/webhook"
	localkms "github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// alertBy is an alert with an id of its own, signed with a key.
func (b *bench) alertBy(id, by string) request {
	r := b.signed("siem")
	r.body = strings.Replace(alert, "a-1", id, 1)
	b.resign(&r, by)
	return r
}

// While an overlap lasts two keys sign; when its end takes AWSPREVIOUS away, only the new one does.
func TestTwoKeysSignDuringAnOverlap(t *testing.T) {
	b := start(t)
	const fresh = "a key that was rotated in just now, of 43 chars"
	want := func(when, id, by string, status int) {
		t.Helper()
		if got, said := b.send(b.alertBy(id, by)); got != status {
			t.Errorf("%s: %d %s, want %d", when, got, said, status)
		}
	}
	want("before", "1", key, 202)
	want("before, the key to come", "2", fresh, 401)
	before, err := b.sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/webhook-siem"), SecretString: aws.String(fresh)})
	if err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(6 * time.Second)
	want("overlap, the new key at once", "3", fresh, 202)
	want("overlap, the old key", "4", key, 202)
	out, err := b.sm.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: before.Name})
	if err != nil {
		t.Fatal(err)
	}
	for version, labels := range out.VersionIdsToStages {
		if len(labels) == 1 && labels[0] == "AWSPREVIOUS" {
			if _, err := b.sm.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
				SecretId: before.Name, VersionStage: aws.String("AWSPREVIOUS"), RemoveFromVersionId: &version}); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.now = b.now.Add(6 * time.Second) // and not a minute: the old key is looked at with fresh eyes
	want("afterwards, the old key", "5", key, 401)
	want("afterwards, the new key", "6", fresh, 202)
}

// A route without a key under contract is closed, and asking costs no more than where there is one.
func TestRouteWithoutAKey(t *testing.T) {
	b := start(t)
	if _, err := b.sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("prod/webhook-siem"), ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if status, said := b.send(b.alertBy("1", key)); status != 401 || said != webhook.KeyUnknown {
			t.Errorf("%d %s", status, said)
		}
	}
	reads := 0
	for _, c := range b.server.Endpoint.Calls() {
		if c.Operation == "GetSecretValue" {
			reads++
		}
	}
	if reads > 2 {
		t.Errorf("%d reads for 20 requests", reads)
	}
}

func TestPublicKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no JSON": "{", "no PEM": `{"public_keys":[{"key_identifier":"a","key":"x"}]}`, "another curve": published(t, "a", &p384.PublicKey),
		"another kind": published(t, "a", edwards), "no identifier": strings.Replace(published(t, "a", &p384.PublicKey), `"a"`, `""`, 1),
	} {
		if _, err := webhook.ParsePublicKeys(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if keys, err := webhook.ParsePublicKeys(""); err != nil || len(keys) != 0 {
		t.Errorf("nothing configured: %v, %v", keys, err)
	}
}

type index map[string]string

func (x index) Lookup(_ context.Context, keys []string) ([]string, error) {
	if s, ok := x[keys[0]]; ok {
		return []string{s}, nil
	}
	return nil, nil
}

func TestFingerprints(t *testing.T) {
	service := localkms.New(stack.NewClock())
	made, err := service.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: "K", Type: "AWS::KMS::Key",
		Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC","KeyPolicy":{"Version":"2012-10-17","Statement":[]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	f := &webhook.Fingerprints{KMS: kms.NewFromConfig(stacktest.Serve(t, service)), KeyID: made.Att["Arn"], Registry: index{}}
	lookup, err := f.Key(t.Context(), "live-token")
	if err != nil || len(lookup) != len("fingerprint:")+64 || strings.Contains(lookup, "live-token") {
		t.Fatalf("lookup key %q, %v", lookup, err)
	}
	if o, err := f.Owner(t.Context(), "live-token"); err != nil || o != (webhook.Owner{}) {
		t.Errorf("a token of nobody's: %+v, %v", o, err)
	}
	f.Registry = index{lookup: "prod/orders-db"}
	first, err := f.Owner(t.Context(), "live-token")
	if err != nil || first.Secret != "prod/orders-db" || strings.Contains(first.ID, strings.TrimPrefix(lookup, "fingerprint:")) {
		t.Errorf("owner %+v, %v", first, err)
	}
	if again, _ := f.Owner(t.Context(), "live-token"); again != first {
		t.Errorf("the same token is %+v, then %+v", first, again)
	}
	if other, _ := f.Owner(t.Context(), "another"); other.Secret != "" {
		t.Errorf("another token has owner %+v", other)
	}
}
