package playground_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

const receiver = "mayfly-receive-webhook"

// hook sends webhooks to a playground, as their senders do: over HTTP.
type hook struct {
	*testing.T
	p *playground.Playground
}

// post sends a body with headers to a route and returns what came back.
func (h hook) post(route string, body []byte, headers map[string]string) (status int, said string) {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.p.Stack.URL+"/_local/url/"+receiver+"/"+route, bytes.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	out, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	if err != nil {
		h.Fatal(err)
	}
	return out.StatusCode, string(text)
}

// push sends a push of GitHub's with a commit of its own.
func (h hook) push(commit string, key []byte) (status int, said string) {
	h.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "events", "github-push.json"))
	if err != nil {
		h.Fatal(err)
	}
	body := bytes.ReplaceAll(text, []byte("8b1d3e5f701f0c3a5b7d9e2f4a6c8b0d1e3f5a7c"), []byte(fmt.Sprintf("%040s", commit)))
	return h.post("github", body, map[string]string{
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(sign(key, body)), "X-GitHub-Event": "push", "X-GitHub-Delivery": "delivery-" + commit})
}

func sign(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

// key is the signing key of a route, as a sender is given it.
func (h hook) key(route string) []byte {
	h.Helper()
	v, _, err := h.p.Value(h.Context(), "prod/webhook-"+route, "")
	if err != nil {
		h.Fatal(err)
	}
	return []byte(v.Reveal())
}

// refusals are the reason codes of refused requests on record.
func (h hook) refusals() []string {
	var codes []string
	for _, o := range h.p.Stack.Buckets.Objects(playground.AuditBucket) {
		var rec struct {
			Event, Step string
			ReasonCode  string `json:"reason_code"`
		}
		if json.Unmarshal(o.Body, &rec) == nil && rec.Event == "refused" && rec.Step == "ReceiveWebhook" {
			codes = append(codes, rec.ReasonCode)
		}
	}
	slices.Sort(codes)
	return codes
}

// A push that GitHub signed goes the way of every event, to a rotation on record; one that nobody signed, or that comes
// again, starts nothing.
func TestSignedPushRotates(t *testing.T) {
	p := start(t, playground.Options{})
	p.Stack.Clock.Advance(11 * time.Minute) // past the time in which the first rotation answers commits as well
	settled(t, p)
	h := hook{t, p}
	before := len(runs(t, p, orders))
	if status, said := h.push("1", h.key("github")); status != http.StatusAccepted || !strings.Contains(said, "sent") {
		t.Fatalf("%d %s", status, said)
	}
	settled(t, p)
	after := runs(t, p, orders)
	if len(after) != before+1 || after[0].Trigger != "commit" || after[0].Outcome != "rotated" {
		t.Fatalf("%d runs, the last %+v; want one more, a commit that rotated", len(after)-before, after[0])
	}
	if ids := after[0].TriggerIDs; len(ids) != 1 || !strings.HasSuffix(ids[0], fmt.Sprintf("orders/orders-service@%040d", 1)) {
		t.Errorf("the run answers %v", ids)
	}
	for name, c := range map[string]struct {
		status int
		key    []byte
	}{"replayed": {409, h.key("github")}, "signed with another key": {401, []byte("guess")}, "signed with no key": {401, nil}} {
		if status, said := h.push("1", c.key); status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, said, c.status)
		}
	}
	if status, said := h.post("github", []byte("{}"), nil); status != 401 {
		t.Errorf("unsigned: %d %s", status, said)
	}
	if status, said := h.post("elsewhere", []byte("{}"), nil); status != 404 {
		t.Errorf("no such route: %d %s", status, said)
	}
	settled(t, p)
	if n := len(runs(t, p, orders)); n != len(after) {
		t.Errorf("refused requests made %d runs", n-len(after))
	}
	if diff := h.refusals(); strings.Join(diff, " ") != "Replayed SignatureMissing SignatureWrong UnknownRoute" {
		t.Errorf("refusals on record: %v", diff)
	}
	if _, err := p.CheckAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values were found in %v, %v", leaks, err)
	}
}

// The receiver's own keys are rotated like any secret: during the overlap both sign, afterwards only the new one.
func TestSigningKeyRotatesWithOverlap(t *testing.T) {
	p := start(t, playground.Options{})
	h := hook{t, p}
	old := h.key("siem")
	serial := 0
	alert := func(key []byte) int {
		t.Helper()
		serial++
		body := fmt.Appendf(nil, `{"id":"alert-%d","system":"siem","severity":1,"sample":true}`, serial)
		stamp := fmt.Append(nil, p.Stack.Clock.Now().Unix())
		status, _ := h.post("siem", body, map[string]string{"X-Mayfly-Timestamp": string(stamp), "X-Mayfly-Signature": "v1=" + hex.EncodeToString(sign(key, stamp, []byte("."), body))})
		return status
	}
	if status := alert(old); status != http.StatusAccepted {
		t.Fatalf("before: %d", status)
	}
	execution, err := p.Rotate(t.Context(), "prod/webhook-siem", "key-1", "time for a new key")
	if err != nil {
		t.Fatal(err)
	}
	fresh := h.key("siem")
	for bytes.Equal(fresh, old) {
		time.Sleep(50 * time.Millisecond)
		fresh = h.key("siem")
	}
	began := p.Stack.Clock.Now()
	// The receiver looks again when a signature is wrong, though not more often than every few seconds.
	status := alert(fresh)
	for status == http.StatusUnauthorized && p.Stack.Clock.Now().Sub(began) < 6*time.Second {
		time.Sleep(100 * time.Millisecond)
		status = alert(fresh)
	}
	if status != http.StatusAccepted {
		t.Errorf("overlap, the new key: %d", status)
	}
	if status := alert(old); status != http.StatusAccepted {
		t.Errorf("overlap, the old key: %d", status)
	}
	out, err := p.Wait(t.Context(), execution)
	if err != nil || out.Status != "SUCCEEDED" {
		t.Fatalf("the rotation ended %v, %v", out.Status, err)
	}
	p.Stack.Clock.Advance(time.Minute)
	if status := alert(old); status != http.StatusUnauthorized {
		t.Errorf("afterwards, the old key: %d", status)
	}
	if status := alert(fresh); status != http.StatusAccepted {
		t.Errorf("afterwards, the new key: %d", status)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values were found in %v, %v", leaks, err)
	}
}

// A live token that GitHub found is matched by the fingerprint that its rotation left, and contains the secret; it is nowhere
// afterwards. A token of nobody, and one that was revoked meanwhile, start nothing.
func TestLeakedTokenContains(t *testing.T) {
	p := start(t, playground.Options{})
	settled(t, p)
	h := hook{t, p}
	signer := h.configureGitHub()
	token, _, err := p.Value(t.Context(), orders, "")
	if err != nil {
		t.Fatal(err)
	}
	before := runs(t, p, orders)
	h.leak(signer, "somebody-elses-token-of-43-characters-at-all", "https://github.com/o/r/blob/main/other.yml")
	settled(t, p)
	if n := len(runs(t, p, orders)) - len(before); n != 0 {
		t.Fatalf("a token of nobody made %d runs", n)
	}
	h.leak(signer, token.Password(), "https://github.com/o/r/blob/main/config.yml")
	settled(t, p)
	after := runs(t, p, orders)
	if len(after) != len(before)+1 || after[0].Mode != "contain" || after[0].Outcome != "rotated" {
		t.Errorf("%d runs more, the last %+v; want one containment", len(after)-len(before), after[0])
	}
	if err := playground.Login(t.Context(), p.Target(orders), token); !playground.Refused(err) {
		t.Errorf("the leaked credential: %v, want it refused", err)
	}
	h.leak(signer, token.Password(), "https://github.com/o/r/blob/main/again.yml")
	settled(t, p)
	if n := len(runs(t, p, orders)) - len(after); n != 0 {
		t.Errorf("a token that is refused already made %d runs", n)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values were found in %v, %v", leaks, err)
	}
}

// leak sends GitHub's list with one token, found at a place.
func (h hook) leak(signer *ecdsa.PrivateKey, token, url string) {
	h.Helper()
	if status, said := h.post(h.scan(signer, token, url)); status != http.StatusAccepted || !strings.Contains(said, "sent") {
		h.Fatalf("%d %s", status, said)
	}
}

// configureGitHub gives the receiver a public key for GitHub's list of leaks, and returns the other half.
func (h hook) configureGitHub() *ecdsa.PrivateKey {
	h.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&signer.PublicKey)
	if err != nil {
		h.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"public_keys": []map[string]any{
		{"key_identifier": "test", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}}})
	if err != nil {
		h.Fatal(err)
	}
	functions := lambda.NewFromConfig(h.p.AWS)
	set, err := functions.GetFunctionConfiguration(h.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(receiver)})
	if err != nil {
		h.Fatal(err)
	}
	set.Environment.Variables["MAYFLY_GITHUB_KEYS"] = string(text)
	if _, err := functions.UpdateFunctionConfiguration(h.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String(receiver), Environment: &lambdatypes.Environment{Variables: set.Environment.Variables}}); err != nil {
		h.Fatal(err)
	}
	return signer
}
