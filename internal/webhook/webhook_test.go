package webhook_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
)

// found completes the event of one token.
func (b *bench) found(token string, e trigger.SecretScanning) trigger.SecretScanning {
	e.Fingerprints = []string{b.print(token)}
	sum := sha256.Sum256([]byte(e.Fingerprints[0]))
	e.ID = "leak " + hex.EncodeToString(sum[:16])
	return e
}

func TestSignedRequestsBecomeEvents(t *testing.T) {
	for _, plain := range []bool{true, false} {
		b := start(t)
		for _, route := range routes {
			r := b.signed(route)
			r.base64 = !plain
			if status, said := b.send(r); status != 202 || said != "sent" {
				t.Errorf("%s, base64 %t: %d %s", route, r.base64, status, said)
			}
		}
		want := []trigger.Normalised{
			trigger.GitHubPush{Repository: "orders/orders-service", Ref: "refs/heads/main", DefaultBranch: "main", After: "8b1d3e5f701f0c3a5b7d9e2f4a6c8b0d1e3f5a7c",
				Commits: 1, Pusher: "dana", Files: []string{"db/migrations/1.sql"}},
			trigger.PagerDutyIncident{ID: "PGR0VU2", Event: "incident.triggered", Actor: "Tex", Service: "Orders", Severity: 7, Named: trigger.Named{Secrets: []string{"prod/orders-db"}}},
			trigger.SIEMAlert{ID: "a-1", System: "siem", Severity: 8, Title: "odd login", Named: trigger.Named{Secrets: []string{"prod/orders-db"}}},
			trigger.ProviderChange{ID: "c-1", Provider: "payments", Change: "keys reissued", Secrets: []string{"prod/payment-api-key"}},
			b.found("live-token-of-orders", trigger.SecretScanning{Kind: "orders_api_token", Where: "content", Location: "https://github.com/o/r/blob/main/c.yml"}),
			b.found("unknown", trigger.SecretScanning{Kind: "x", Where: "commit"}),
		}
		if diff := cmp.Diff(want, b.put); diff != "" {
			t.Errorf("on the bus (- want, + got):\n%s", diff)
		}
		if len(b.records) != 0 {
			t.Errorf("records of what is on the bus: %+v", b.records)
		}
		text, err := json.Marshal(b.put)
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range []string{"free text", "live-token-of-orders", "dana@example.com"} {
			if strings.Contains(string(text), leak) {
				t.Errorf("%q is on the bus", leak)
			}
		}
	}
}

// GitHub's own test vector: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func TestGitHubTestVector(t *testing.T) {
	b := start(t)
	headers := map[string]string{"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "x-github-event": "ping"}
	if status, said := b.send(request{path: "/github", body: "Hello, World!", headers: headers}); status != 202 || said != "ignored" {
		t.Errorf("%d %s", status, said)
	}
	if rec := b.last(); rec.Event != "ignored" || rec.ReasonCode != "NothingAffected" || len(b.put) != 0 {
		t.Errorf("record %+v, on the bus %v", rec, b.put)
	}
	if status, said := b.send(request{path: "/github", body: "Hello, World?", headers: headers}); status != 401 || said != webhook.SignatureWrong {
		t.Errorf("another body: %d %s", status, said)
	}
}

// Whatever is wrong with a signature, nothing happens but the record that says so.
func TestBadSignatures(t *testing.T) {
	type change struct {
		status int
		code   string
		with   func(b *bench, r *request)
	}
	signature := func(how func(string) string) func(*bench, *request) {
		return func(_ *bench, r *request) { name := signatureHeader(*r); r.headers[name] = how(r.headers[name]) }
	}
	everywhere := map[string]change{
		"missing":       {401, webhook.SignatureMissing, signature(func(string) string { return "" })},
		"another body":  {401, webhook.SignatureWrong, func(_ *bench, r *request) { r.body += " " }},
		"no body":       {401, webhook.SignatureWrong, func(_ *bench, r *request) { r.body = "" }},
		"not POST":      {405, webhook.MethodNotAllowed, func(_ *bench, r *request) { r.method = "GET" }},
		"oversize":      {413, webhook.TooLarge, func(_ *bench, r *request) { r.body = strings.Repeat("x", webhook.MaxBody+1) }},
		"oversize b64":  {413, webhook.TooLarge, func(_ *bench, r *request) { r.body, r.base64 = strings.Repeat("x", webhook.MaxBody+1), true }},
		"unknown route": {404, webhook.UnknownRoute, func(_ *bench, r *request) { r.path += "/x" }},
	}
	hexed := map[string]change{
		"truncated":       {401, webhook.SignatureMalformed, signature(func(s string) string { return s[:len(s)-2] })},
		"half a digit":    {401, webhook.SignatureMalformed, signature(func(s string) string { return s[:len(s)-1] })},
		"longer":          {401, webhook.SignatureMalformed, signature(func(s string) string { return s + "00" })},
		"empty":           {401, webhook.SignatureMalformed, signature(func(s string) string { return s[:strings.Index(s, "=")+1] })},
		"no digits":       {401, webhook.SignatureMalformed, signature(func(s string) string { return s[:len(s)-1] + "g" })},
		"another scheme":  {401, webhook.SignatureMalformed, signature(func(s string) string { return "sha1" + s[strings.Index(s, "="):] })},
		"another key":     {401, webhook.SignatureWrong, func(b *bench, r *request) { b.resign(r, "another key") }},
		"the empty key":   {401, webhook.SignatureWrong, func(b *bench, r *request) { b.resign(r, "") }},
		"many signatures": {401, webhook.SignatureMalformed, signature(func(s string) string { return strings.Repeat(s+",", 20) + s })},
	}
	timed := map[string]change{
		"six minutes old":   {401, webhook.TimestampStale, func(b *bench, r *request) { b.restamp(r, fmt.Sprint(b.now.Add(-6*time.Minute).Unix())) }},
		"six minutes ahead": {401, webhook.TimestampStale, func(b *bench, r *request) { b.restamp(r, fmt.Sprint(b.now.Add(6*time.Minute).Unix())) }},
		"another time":      {401, webhook.SignatureWrong, func(_ *bench, r *request) { r.headers["x-mayfly-timestamp"] += "0" }},
		"no time":           {401, webhook.SignatureMissing, func(_ *bench, r *request) { delete(r.headers, "x-mayfly-timestamp") }},
		"no number":         {401, webhook.SignatureMalformed, func(b *bench, r *request) { b.restamp(r, "soon") }},
		"before 1970":       {401, webhook.SignatureMalformed, func(b *bench, r *request) { b.restamp(r, "-5") }},
	}
	scanned := map[string]change{
		"truncated":   {401, webhook.SignatureWrong, signature(func(s string) string { return s[:len(s)-8] })},
		"no base64":   {401, webhook.SignatureMalformed, signature(func(s string) string { return "?" + s })},
		"unknown key": {401, webhook.KeyUnknown, func(_ *bench, r *request) { r.headers["github-public-key-identifier"] = "another" }},
		"no key":      {401, webhook.SignatureMissing, func(_ *bench, r *request) { delete(r.headers, "github-public-key-identifier") }},
	}
	for _, route := range routes {
		b := start(t)
		tables := []map[string]change{everywhere, hexed}
		switch route {
		case "siem", "provider":
			tables = append(tables, timed)
		case "github-secret-scanning":
			tables[1] = scanned
		}
		for _, table := range tables {
			for name, c := range table {
				b.now = b.now.Add(2 * time.Minute) // each refusal gets its own record
				r := b.signed(route)
				c.with(b, &r)
				if status, said := b.send(r); status != c.status || said != c.code {
					t.Errorf("%s, %s: %d %s, want %d %s", route, name, status, said, c.status, c.code)
				}
				if rec := b.last(); rec.Event != "refused" || rec.ReasonCode != c.code || rec.Actor != "192.0.2.7" || rec.Secret != audit.NoSecret || rec.Time != audit.Stamp(b.now) {
					t.Errorf("%s, %s: on record is %+v", route, name, rec)
				}
			}
		}
		if len(b.put) != 0 || b.items() != 0 {
			t.Errorf("%s: %d events on the bus, %d deliveries remembered", route, len(b.put), b.items())
		}
	}
}

func TestHexOfEitherCaseIsTheSameSignature(t *testing.T) {
	b := start(t)
	for _, route := range routes[:4] {
		r := b.signed(route)
		name := signatureHeader(r)
		prefix, digits, _ := strings.Cut(r.headers[name], "=")
		if route == "pagerduty" {
			prefix, digits, _ = strings.Cut("v1="+mac(key, incident), "=")
		}
		r.headers[name] = prefix + "=" + strings.ToUpper(digits)
		if status, said := b.send(r); status != 202 {
			t.Errorf("%s: %d %s", route, status, said)
		}
	}
}

func TestSizeLimitIsTheBodysOwn(t *testing.T) {
	b := start(t)
	for _, encoded := range []bool{false, true} {
		body := strings.Repeat(" ", webhook.MaxBody-len(push)) + push
		if encoded {
			body = strings.Repeat("\n", webhook.MaxBody-len(push)) + push
		}
		r := request{path: "/github", body: body, base64: encoded, headers: map[string]string{"x-hub-signature-256": "sha256=" + mac(key, body), "x-github-event": "push"}}
		if status, said := b.send(r); status != 202 {
			t.Errorf("%d bytes, base64 %t: %d %s", len(body), encoded, status, said)
		}
	}
}

func TestReplaysAreRefused(t *testing.T) {
	b := start(t)
	for _, route := range routes {
		if status, said := b.send(b.signed(route)); status != 202 {
			t.Fatalf("%s: %d %s", route, status, said)
		}
	}
	sent := len(b.put)
	b.now = b.now.Add(time.Minute) // signed anew where time is signed: the same delivery all the same
	again := map[string]request{}
	for _, route := range routes {
		again[route] = b.signed(route)
	}
	// The delivery id is not signed: who has seen one request cannot make others of it.
	forged := b.signed("github")
	forged.headers["x-github-delivery"] = "another"
	again["github, another delivery id"] = forged
	for name, r := range again {
		if status, said := b.send(r); status != 409 || said != webhook.Replayed {
			t.Errorf("%s again: %d %s, want 409", name, status, said)
		}
		if rec := b.last(); rec.ReasonCode != webhook.Replayed {
			t.Errorf("%s again: on record is %+v", name, rec)
		}
		b.now = b.now.Add(time.Minute)
		delete(again, name)
	}
	if len(b.put) != sent {
		t.Errorf("replays put %d events on the bus", len(b.put)-sent)
	}
}

// Of two deliveries that come at the same moment, one is taken in: who remembers it first.
func TestTwinsAtOnce(t *testing.T) {
	b := start(t)
	d := webhook.Delivery{IDs: []string{"one", "two"}, Source: "github", At: b.now}
	if first, err := b.receiver.Memory.Remember(t.Context(), d); err != nil || !first {
		t.Fatalf("the first: %t, %v", first, err)
	}
	if first, err := b.receiver.Memory.Remember(t.Context(), d); err != nil || first {
		t.Errorf("the same again: %t, %v", first, err)
	}
	if first, err := b.receiver.Memory.Remember(t.Context(), webhook.Delivery{IDs: []string{"two", "three"}, At: b.now}); err != nil || first {
		t.Errorf("half the same: %t, %v", first, err)
	}
	for id, want := range map[string]bool{"one": true, "two": true, "three": false} {
		if seen, err := b.receiver.Memory.Seen(t.Context(), []string{"another", id}); err != nil || seen != want {
			t.Errorf("%s was seen: %t, %v", id, seen, err)
		}
	}
	var wg sync.WaitGroup
	statuses := make([]int, 5)
	for i := range statuses {
		wg.Go(func() { statuses[i], _ = b.send(b.signed("siem")) })
	}
	wg.Wait()
	slices.Sort(statuses)
	if diff := cmp.Diff([]int{202, 409, 409, 409, 409}, statuses); diff != "" {
		t.Error(diff)
	}
}

// A token may stand in what GitHub writes beside it, or beside another.
func TestTextWithATokenInItIsDropped(t *testing.T) {
	b := start(t)
	r := b.scanned(`[{"token":"live-token-of-orders","type":"of unknown-token","url":"https://github.com/live-token-of-orders","source":"content"},{"token":"unknown-token"}]`)
	if status, said := b.send(r); status != 202 {
		t.Fatalf("%d %s", status, said)
	}
	if diff := cmp.Diff([]trigger.Normalised{b.found("live-token-of-orders", trigger.SecretScanning{Where: "content"}), b.found("unknown-token", trigger.SecretScanning{})}, b.put); diff != "" {
		t.Errorf("on the bus (- want, + got):\n%s", diff)
	}
}

// What could not be put on the bus is not remembered, so that the sender's next attempt goes through.
func TestWhatWasNotPutIsNotRemembered(t *testing.T) {
	b := start(t)
	b.busDown = true
	if status, _ := b.send(b.signed("siem")); status != 502 {
		t.Errorf("%d, want an error that Lambda turns into 502", status)
	}
	b.busDown = false
	if status, said := b.send(b.signed("siem")); status != 202 || len(b.put) != 1 {
		t.Errorf("the second attempt: %d %s, %d events", status, said, len(b.put))
	}
}

// A flood of bad requests writes one record a minute for each kind, which says how many it stands for.
func TestFloodIsBounded(t *testing.T) {
	b := start(t)
	for range 500 {
		r := b.signed("github")
		r.body += "x"
		if status, _ := b.send(r); status != 401 {
			t.Fatalf("%d", status)
		}
	}
	if len(b.records) != 1 {
		t.Errorf("%d records of 500 requests at once, want 1", len(b.records))
	}
	calls := 0
	for _, c := range b.server.Endpoint.Calls() {
		if c.Service == "secretsmanager" && c.Operation == "GetSecretValue" {
			calls++
		}
	}
	if calls > 2 {
		t.Errorf("%d reads of keys for 500 bad requests at once, want 2", calls)
	}
	b.now = b.now.Add(time.Minute)
	r := b.signed("github")
	r.body += "x"
	b.send(r)
	if rec := b.last(); len(b.records) != 2 || !strings.Contains(rec.Reason, "499 more of these since 2026-03-02T10:11:12.000Z") {
		t.Errorf("%d records, the last: %q", len(b.records), rec.Reason)
	}
}

// Signed, and not what the route reads: the sender is told, and no event is made.
func TestMalformedBodies(t *testing.T) {
	b := start(t)
	for route, bodies := range map[string][]string{
		"github":    {``, `[]`, `{`, `{"ref":5}`, `{"repository":{}}`},
		"pagerduty": {``, `[]`, `{}`, `{"event":{"id":"x"}}`, `{"event":{"id":"x","event_type":"incident.triggered","data":{}}}`},
		"siem":      {``, `{}`, alert + alert, `{"id":"a","system":"s","severity":11}`, `{"id":"a","system":"s","severity":1,"token":"t"}`, `{"id":"` + strings.Repeat("x", 300) + `","system":"s","severity":1}`},
		"provider":  {``, `{}`, `{"id":"a","provider":"p","value":"v"}`, `{"id":"a","provider":"p","secrets":["no id"]}`},
	} {
		for _, body := range bodies {
			r := b.signed(route)
			r.body = body
			b.resign(&r, key)
			if status, said := b.send(r); status != 400 || said != webhook.BodyMalformed {
				t.Errorf("%s, body %.40q: %d %s, want 400", route, body, status, said)
			}
		}
	}
	form := b.signed("github")
	form.headers["content-type"] = "application/x-www-form-urlencoded"
	b.now = b.now.Add(time.Hour)
	if status, _ := b.send(form); status != 400 || !strings.Contains(b.last().Reason, "application/json") {
		t.Errorf("a form: %d, on record %q", status, b.last().Reason)
	}
	if len(b.put) != 0 {
		t.Errorf("on the bus: %v", b.put)
	}
}

// Signed, and none of Mayfly's business.
func TestIgnored(t *testing.T) {
	b := start(t)
	gitHub := func(kind, body string) request {
		r := b.signed("github")
		r.body, r.headers["x-github-event"], r.headers["x-github-delivery"] = body, kind, kind+body[:20]
		b.resign(&r, key)
		return r
	}
	pager := b.signed("pagerduty")
	pager.body = `{"event":{"id":"e","event_type":"pagey.ping","data":{"message":"hello","type":"ping"}}}`
	b.resign(&pager, key)
	for name, c := range map[string]struct {
		request
		why string
	}{
		"ping":                {gitHub("ping", `{"zen":"Keep it logically awesome.","hook_id":1}`), `"ping" rotates nothing`},
		"another event":       {gitHub("issues", `{"action":"opened","title":"x"}`), `"issues" rotates nothing`},
		"another branch":      {gitHub("push", strings.Replace(push, "heads/main", "heads/topic", 1)), "not to the default branch"},
		"PagerDuty's ping":    {pager, `"pagey.ping" rotates nothing`},
		"a failed deployment": {gitHub("deployment_status", `{"deployment_status":{"state":"failure"},"deployment":{"id":7},"repository":{"full_name":"a/b"}}`), "failure is not success"},
	} {
		if status, said := b.send(c.request); status != 202 || said != "ignored" {
			t.Errorf("%s: %d %s", name, status, said)
		}
		if rec := b.last(); rec.Event != "ignored" || !strings.Contains(rec.Reason, c.why) || rec.TriggerSource == "" {
			t.Errorf("%s: on record %+v, want a reason with %q", name, rec, c.why)
		}
	}
	if len(b.put) != 0 {
		t.Errorf("on the bus: %v", b.put)
	}
}

func TestFreeTextIsShortAndHoldsNoValue(t *testing.T) {
	b := start(t)
	value := "hQ3mX9-2_aZbYcXdWeVfUgThSiRjQkPlOmNnMoLpKqJ"
	body, err := json.Marshal(map[string]any{"id": "a", "system": "s", "severity": 5, "title": value + " " + strings.Repeat("é", 300) + "\n", "secrets": []string{"prod/orders-db"}})
	if err != nil {
		t.Fatal(err)
	}
	r := b.signed("siem")
	r.body = string(body)
	b.resign(&r, key)
	if status, said := b.send(r); status != 202 {
		t.Fatalf("%d %s", status, said)
	}
	title := b.put[0].(trigger.SIEMAlert).Title
	if len(title) > 200 || strings.Contains(title, value) || strings.Contains(title, "\n") || !strings.HasPrefix(title, "[redacted] é") {
		t.Errorf("title %q", title)
	}
}

func TestBodyThatIsNoBase64(t *testing.T) {
	b := start(t)
	e := b.signed("github")
	e.headers["x-hub-signature-256"] = "sha256=" + strings.Repeat("0", 64)
	e.broken = true
	if status, said := b.send(e); status != 400 || said != webhook.BodyMalformed {
		t.Errorf("%d %s", status, said)
	}
}
