package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
)

// still is everything around a receiver, without a wire: fuzzing makes millions of calls.
type still struct {
	mu  sync.Mutex
	put []trigger.Normalised
}

func (s *still) Put(_ context.Context, _ *webhook.Request, es []trigger.Normalised) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = append(s.put, es...)
	return nil
}
func (*still) Seen(context.Context, []string) (bool, error)             { return false, nil }
func (*still) Remember(context.Context, webhook.Delivery) (bool, error) { return true, nil }
func (*still) Append(_ context.Context, h audit.Head, _ audit.Record) (audit.Head, error) {
	return h, nil
}
func (*still) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(key)}, nil
}

func (*still) Of(_ context.Context, v credential.Value) (string, error) {
	sum := sha256.Sum256([]byte(v.Reveal()))
	return hex.EncodeToString(sum[:]), nil
}

func (s *still) receiver() *webhook.Receiver {
	return &webhook.Receiver{Keys: &webhook.Keys{Secrets: s, Environment: "prod"}, Memory: s, Bus: s, Log: s, Fingerprints: s}
}

func event(path, body string, headers map[string]string) events.LambdaFunctionURLRequest {
	e := events.LambdaFunctionURLRequest{RawPath: path, Body: body, Headers: headers}
	e.RequestContext.HTTP.Method, e.RequestContext.TimeEpoch = "POST", time.Unix(1772446272, 0).UnixMilli()
	return e
}

// FuzzUnsigned sends anything to every route: without a key nobody gets anything on the bus, and nothing panics.
func FuzzUnsigned(f *testing.F) {
	f.Add("/github", "x-hub-signature-256", "sha256="+strings.Repeat("0", 64), "1772446272", "{}", false)
	f.Add("/pagerduty", "x-pagerduty-signature", "v1=,v1=00", "", "e30=", true)
	f.Add("/siem", "x-mayfly-signature", "v1="+strings.Repeat("f", 64), "-1", "", false)
	f.Add("/github-secret-scanning", "github-public-key-signature", "AAAA", "k", "[]", false)
	f.Fuzz(func(t *testing.T, path, name, value, stamp, body string, encoded bool) {
		s := &still{}
		e := event(path, body, map[string]string{name: value, "x-mayfly-timestamp": stamp, "github-public-key-identifier": stamp})
		e.IsBase64Encoded = encoded
		out, err := s.receiver().Handle(t.Context(), e)
		if err != nil || out.StatusCode < 400 || len(s.put) != 0 {
			t.Errorf("%d, %v, %v on the bus", out.StatusCode, err, s.put)
		}
	})
}

// FuzzSigned sends anything with a good signature: each parser answers with an event of known size, or with a refusal.
func FuzzSigned(f *testing.F) {
	for _, file := range []string{"github-push", "github-deployment-status", "pagerduty-incident-triggered", "github-secret-scanning-partner"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "events", file+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(alert)
	f.Add(change)
	f.Fuzz(func(t *testing.T, body string) {
		const stamp = "1772446272"
		for _, r := range []struct{ path, event string }{{"/github", "push"}, {"/github", "deployment_status"}, {"/github", "ping"}, {"/pagerduty", ""}, {"/siem", ""}, {"/provider", ""}} {
			s := &still{}
			out, err := s.receiver().Handle(t.Context(), event(r.path, body, map[string]string{
				"x-hub-signature-256": "sha256=" + mac(key, body), "x-github-event": r.event, "x-pagerduty-signature": "v1=" + mac(key, body),
				"x-mayfly-timestamp": stamp, "x-mayfly-signature": "v1=" + mac(key, stamp, ".", body)}))
			if err != nil || out.StatusCode != 202 && out.StatusCode != 400 && out.StatusCode != 413 {
				t.Fatalf("%s: %d, %v", r.path, out.StatusCode, err)
			}
			for _, n := range s.put {
				text, err := json.Marshal(n)
				if err != nil || len(text) > 2*webhook.MaxBody {
					t.Errorf("%s: an event of %d bytes, %v", r.path, len(text), err)
				}
			}
		}
	})
}

// FuzzScanning signs anything as GitHub would: no token ever gets into an event.
func FuzzScanning(f *testing.F) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	keys := webhook.PublicKeys{"k": &signer.PublicKey}
	f.Add(leaks, "live-token-of-orders")
	f.Add(`[{"token":"a"},{"token":"a"}]`, "a")
	f.Add(`[null,{"token":"\u0000","url":"\u0000?"}]`, "")
	f.Fuzz(func(t *testing.T, body, token string) {
		s := &still{}
		digest := sha256.Sum256([]byte(body))
		signature, err := ecdsa.SignASN1(rand.Reader, signer, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		receiver := s.receiver()
		receiver.GitHub = keys
		out, err := receiver.Handle(t.Context(), event("/github-secret-scanning", body, map[string]string{
			"github-public-key-identifier": "k", "github-public-key-signature": base64.StdEncoding.EncodeToString(signature)}))
		if err != nil || out.StatusCode != 202 && out.StatusCode != 400 && out.StatusCode != 413 {
			t.Fatalf("%d, %v", out.StatusCode, err)
		}
		var sent []struct{ Token string }
		_ = json.Unmarshal([]byte(body), &sent) // what does not parse was refused
		for _, n := range s.put {
			e := n.(trigger.SecretScanning)
			for _, one := range sent {
				if len(one.Token) >= 8 && strings.Contains(e.Kind+"\x00"+e.Where+"\x00"+e.Location, one.Token) {
					t.Errorf("the token %q is in %+v", one.Token, e)
				}
			}
		}
	})
}
