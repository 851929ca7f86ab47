package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	local "github.com/mayfly-secrets/mayfly/localstack/s3"
	secrets "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// bench is a receiver on real services: Secrets Manager, S3 and KMS of the local stack. Bus and audit are lists, so that a test
// can look.
type bench struct {
	*testing.T
	receiver *webhook.Receiver
	server   *stacktest.Server
	sm       *secretsmanager.Client
	prints   fingerprint.Maker
	now      time.Time
	signer   *ecdsa.PrivateKey

	mu      sync.Mutex
	put     []trigger.Normalised
	records []audit.Record
	busDown bool
}

func (b *bench) Put(_ context.Context, _ *webhook.Request, es []trigger.Normalised) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busDown {
		return errors.New("the bus does not answer")
	}
	b.put = append(b.put, es...)
	return nil
}

func (b *bench) Append(_ context.Context, head audit.Head, rec audit.Record) (audit.Head, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, rec)
	return head, nil
}

const key = "It's a Secret to Everybody"

func start(t *testing.T) *bench {
	t.Helper()
	stacktest.Local(t)
	clock := stack.NewClock()
	buckets := local.New(clock)
	b := &bench{T: t, now: time.Date(2026, 3, 2, 10, 11, 12, 0, time.UTC)}
	keys := kms.New(clock)
	b.server = stacktest.Start(t, clock, secrets.New(clock), buckets, keys)
	made, err := keys.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: "Fingerprints", Type: "AWS::KMS::Key",
		Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)})
	if err != nil {
		t.Fatal(err)
	}
	b.prints = fingerprint.New(b.server.Config, made.Ref)
	b.sm = secretsmanager.NewFromConfig(b.server.Config)
	if _, err := b.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(deliveries)}); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"github", "pagerduty", "siem", "provider"} {
		if _, err := b.sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/webhook-" + route), SecretString: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
	if b.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	public, err := webhook.ParsePublicKeys(published(t, "the-key", &b.signer.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	b.receiver = &webhook.Receiver{
		Keys:   &webhook.Keys{Secrets: b.sm, Environment: "prod"},
		GitHub: public, Memory: &webhook.Deliveries{S3: b.s3(), Bucket: deliveries},
		Bus: b, Log: b, Fingerprints: b.prints,
	}
	return b
}

// print is the fingerprint of a value.
func (b *bench) print(value string) string {
	b.Helper()
	print, err := b.prints.Of(b.Context(), credential.Parse(value))
	if err != nil {
		b.Fatal(err)
	}
	return print
}

func published(t testing.TB, id string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"public_keys": []map[string]any{
		{"key_identifier": id, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "is_current": true}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mac(key string, parts ...string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(h.Sum(nil))
}

// request is one to the function's URL; names of headers are in lower case, as Lambda writes them.
type request struct {
	path, body string
	headers    map[string]string
	base64     bool
	broken     bool // said to be base64, and is not
	method     string
}

func (b *bench) send(r request) (status int, said string) {
	b.Helper()
	e := events.LambdaFunctionURLRequest{Version: "2.0", RawPath: r.path, Headers: r.headers, Body: r.body, IsBase64Encoded: r.base64}
	if r.base64 {
		e.Body = base64.StdEncoding.EncodeToString([]byte(r.body))
	}
	e.RequestContext.TimeEpoch, e.RequestContext.HTTP.SourceIP, e.RequestContext.HTTP.Method = b.now.UnixMilli(), "192.0.2.7", "POST"
	if r.broken {
		e.Body, e.IsBase64Encoded = "%%%", true
	}
	if r.method != "" {
		e.RequestContext.HTTP.Method = r.method
	}
	out, err := b.receiver.Handle(b.Context(), e)
	if err != nil {
		return 502, err.Error()
	}
	var answer map[string]string
	if err := json.Unmarshal([]byte(out.Body), &answer); err != nil {
		b.Fatalf("answer %q: %v", out.Body, err)
	}
	return out.StatusCode, answer["refused"] + answer["accepted"]
}

const push = `{"ref":"refs/heads/main","after":"8b1d3e5f701f0c3a5b7d9e2f4a6c8b0d1e3f5a7c","commits":[{"added":["db/migrations/1.sql"],"message":"free text"}],
	"repository":{"full_name":"orders/orders-service","default_branch":"main"},"pusher":{"name":"dana","email":"dana@example.com"}}`

const incident = `{"event":{"id":"01DEN4HPBQAAAG05V5QQYBRZMF","event_type":"incident.triggered","agent":{"summary":"Tex"},
	"data":{"id":"PGR0VU2","type":"incident","urgency":"high","title":"free text","service":{"summary":"Orders"},"custom_details":{"mayfly_secret":"prod/orders-db"}}}}`

const alert = `{"id":"a-1","system":"siem","severity":8,"title":"odd login","secrets":["prod/orders-db"]}`

const change = `{"id":"c-1","provider":"payments","change":"keys reissued","secrets":["prod/payment-api-key"]}`

const leaks = `[{"token":"live-token-of-orders","type":"orders_api_token","url":"https://github.com/o/r/blob/main/c.yml?token=live-token-of-orders","source":"content"},
	{"token":"unknown","type":"x","url":"","source":"commit"}]`

// signed is a good request of each route.
func (b *bench) signed(route string) request {
	stamp := fmt.Sprint(b.now.Unix())
	switch route {
	case "github":
		return request{path: "/github", body: push, headers: map[string]string{"x-hub-signature-256": "sha256=" + mac(key, push),
			"x-github-event": "push", "x-github-delivery": "72d3162e", "content-type": "application/json"}}
	case "pagerduty":
		return request{path: "/pagerduty", body: incident, headers: map[string]string{"x-pagerduty-signature": "v1=" + mac("another", incident) + ",v1=" + mac(key, incident)}}
	case "siem":
		return request{path: "/siem", body: alert, headers: map[string]string{"x-mayfly-timestamp": stamp, "x-mayfly-signature": "v1=" + mac(key, stamp, ".", alert)}}
	case "provider":
		return request{path: "/provider", body: change, headers: map[string]string{"x-mayfly-timestamp": stamp, "x-mayfly-signature": "v1=" + mac(key, stamp, ".", change)}}
	default:
		return b.scanned(leaks)
	}
}

// scanned is a list of leaks, signed as GitHub does.
func (b *bench) scanned(body string) request {
	b.Helper()
	digest := sha256.Sum256([]byte(body))
	signature, err := ecdsa.SignASN1(rand.Reader, b.signer, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	return request{path: "/github-secret-scanning", body: body, headers: map[string]string{
		"github-public-key-identifier": "the-key", "github-public-key-signature": base64.StdEncoding.EncodeToString(signature)}}
}

// resign signs a request anew, with any key.
func (b *bench) resign(r *request, key string) {
	switch name := signatureHeader(*r); name {
	case "x-hub-signature-256":
		r.headers[name] = "sha256=" + mac(key, r.body)
	case "x-pagerduty-signature":
		r.headers[name] = "v1=" + mac(key, r.body)
	default:
		r.headers[name] = "v1=" + mac(key, r.headers["x-mayfly-timestamp"], ".", r.body)
	}
}

// restamp signs a request for another time.
func (b *bench) restamp(r *request, stamp string) {
	r.headers["x-mayfly-timestamp"] = stamp
	b.resign(r, key)
}

var routes = []string{"github", "pagerduty", "siem", "provider", "github-secret-scanning"}

// signatureHeader is where a route's signature is.
func signatureHeader(r request) string {
	for _, name := range []string{"x-hub-signature-256", "x-pagerduty-signature", "x-mayfly-signature", "github-public-key-signature"} {
		if r.headers[name] != "" {
			return name
		}
	}
	return ""
}

func (b *bench) last() audit.Record {
	b.Helper()
	if len(b.records) == 0 {
		b.Fatal("nothing is on record")
	}
	return b.records[len(b.records)-1]
}

const deliveries = "deliveries"

func (b *bench) s3() *s3.Client { return s3.NewFromConfig(b.server.Config) }

func (b *bench) items() int {
	b.Helper()
	out, err := b.s3().ListObjectsV2(b.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(deliveries)})
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range out.Contents {
		if !strings.HasPrefix(*o.Key, webhook.KeyPrefix) {
			b.Errorf("the receiver wrote %s", *o.Key)
		}
	}
	return len(out.Contents)
}
