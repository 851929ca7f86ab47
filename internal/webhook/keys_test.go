package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
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

// A leaked token goes on as the fingerprint that the value has in the registry, a password as that of the credential that it
// is part of. A list of leaks waits at GitHub while no fingerprint can be made.
func TestLeakedTokensGoOnAsFingerprints(t *testing.T) {
	b := start(t)
	if status, said := b.send(b.signed("github-secret-scanning")); status != 202 {
		t.Fatalf("%d %s", status, said)
	}
	var prints []string
	for _, n := range b.put {
		prints = append(prints, n.(trigger.SecretScanning).Fingerprints...)
	}
	if diff := cmp.Diff([]string{b.print(`{"username":"orders","password":"live-token-of-orders"}`), b.print("unknown")}, prints); diff != "" {
		t.Error(diff)
	}
	b.put = nil
	b.receiver.Memory, b.receiver.Fingerprints = forgetful{}, fingerprint.New(b.server.Config, "alias/none")
	status, said := b.send(b.signed("github-secret-scanning"))
	if status != 502 || len(b.put) != 0 {
		t.Errorf("without a key: %d %s, %v on the bus", status, said, b.put)
	}
	if strings.Contains(said, "live-token") {
		t.Errorf("the error has the token: %s", said)
	}
}

// forgetful takes every delivery for the first.
type forgetful struct{}

func (forgetful) Seen(context.Context, []string) (bool, error)             { return false, nil }
func (forgetful) Remember(context.Context, webhook.Delivery) (bool, error) { return true, nil }

// Each token that differs costs a call to KMS, so there is a bound; the same token many times is one.
func TestTokensOfADelivery(t *testing.T) {
	b := start(t)
	macs := func() int {
		n := 0
		for _, c := range b.server.Endpoint.Calls() {
			if c.Operation == "GenerateMac" {
				n++
			}
		}
		return n
	}
	for _, c := range []struct{ tokens, status, calls int }{{500, 202, 500}, {501, 413, 500}} {
		var list []string
		for i := range c.tokens {
			list = append(list, fmt.Sprintf(`{"token":"token-%d-%d"},{"token":"token-%d-%d"}`, c.tokens, i, c.tokens, i))
		}
		if status, said := b.send(b.scanned("[" + strings.Join(list, ",") + "]")); status != c.status || macs() != c.calls {
			t.Errorf("%d tokens: %d %s, %d calls in all; want %d and %d", c.tokens, status, said, macs(), c.status, c.calls)
		}
	}
	if rec := b.last(); rec.ReasonCode != webhook.TooLarge || !strings.Contains(rec.Reason, "501") {
		t.Errorf("on record: %+v", rec)
	}
}

// More tokens than fit in one event go in several; the same token twice in a place is one.
func TestManyLeaks(t *testing.T) {
	b := start(t)
	var list []string
	for i := range trigger.MaxFingerprints + 1 {
		list = append(list, fmt.Sprintf(`{"token":"token-%d"},{"token":"token-%d"}`, i, i))
	}
	if status, said := b.send(b.scanned("[" + strings.Join(list, ",") + "]")); status != 202 || len(b.put) != 2 {
		t.Fatalf("%d %s, %d events", status, said, len(b.put))
	}
	ids, prints := map[string]bool{}, map[string]bool{}
	for _, n := range b.put {
		e := n.(trigger.SecretScanning)
		ids[e.ID] = true
		for _, p := range e.Fingerprints {
			prints[p] = true
		}
		if _, err := e.Resolution(); err != nil {
			t.Error(err)
		}
	}
	if len(ids) != 2 || len(prints) != trigger.MaxFingerprints+1 {
		t.Errorf("%d ids, %d fingerprints", len(ids), len(prints))
	}
}
