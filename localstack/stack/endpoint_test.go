package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// bench is an endpoint with Secrets Manager behind it and a secret prod/a in it.
type bench struct {
	*stacktest.Server
	t *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	stacktest.Local(t)
	clock := stack.NewClock()
	b := &bench{stacktest.Start(t, clock, secretsmanager.New(clock)), t}
	if _, err := b.client(b.Config).CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("prod/a"), SecretString: aws.String("v")}); err != nil {
		t.Fatal(err)
	}
	b.Endpoint.ResetCalls()
	return b
}

// client never retries, so that one call is one request.
func (b *bench) client(cfg aws.Config) *sm.Client {
	return sm.NewFromConfig(cfg, func(o *sm.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 1) })
}

func (b *bench) describe(cfg aws.Config) error {
	_, err := b.client(cfg).DescribeSecret(b.t.Context(), &sm.DescribeSecretInput{SecretId: aws.String("prod/a")})
	return err
}

func (b *bench) control(method, path, body string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+"/_local/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	out, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(out)
}

func code(err error) string {
	if e, is := errors.AsType[smithy.APIError](err); is {
		return e.ErrorCode()
	}
	if err != nil {
		return "no answer"
	}
	return ""
}

func TestIdentityAndLedger(t *testing.T) {
	b := newBench(t)
	c := b.IDs.Issue(stack.Identity{ARN: "arn:aws:sts::000000000000:assumed-role/r/s", Role: "r", Function: "create-secret"})
	b.IDs.Work(c.AccessKeyID, "arn:execution")
	as := b.Config.Copy()
	as.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	forged := b.Config.Copy()
	forged.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, "not the secret", c.SessionToken)
	stolen := b.Config.Copy()
	stolen.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "not the token")
	for name, s := range map[string]struct {
		cfg  aws.Config
		want string
	}{
		"root": {b.Config, ""}, "a function": {as, ""}, "a forged signature": {forged, "InvalidSignatureException"}, "another token": {stolen, "InvalidSignatureException"},
	} {
		b.Endpoint.ResetCalls()
		if got := code(b.describe(s.cfg)); got != s.want {
			t.Errorf("%s: %q, want %q", name, got, s.want)
		}
		calls := b.Endpoint.Calls()
		if len(calls) != 1 || calls[0].Operation != "DescribeSecret" || calls[0].Service != "secretsmanager" || calls[0].Error != s.want {
			t.Errorf("%s: ledger %+v", name, calls)
		}
		if name == "a function" && (calls[0].Function != "create-secret" || calls[0].Execution != "arn:execution" || calls[0].Status != 200) {
			t.Errorf("%s: ledger %+v", name, calls)
		}
	}
	b.IDs.Revoke(c.AccessKeyID)
	if got := code(b.describe(as)); got != "ExpiredTokenException" {
		t.Errorf("revoked: %q", got)
	}
	_, ledger := b.control("GET", "calls", "")
	if !strings.Contains(ledger, `"error":"ExpiredTokenException"`) {
		t.Errorf("ledger %s", ledger)
	}
	b.control("DELETE", "calls", "")
	if len(b.Endpoint.Calls()) != 0 {
		t.Error("the ledger was not emptied")
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault  string
		want   [3]string // codes of three PutSecretValue calls in a row
		stored int       // versions afterwards, the first one included
		killed int32
	}{
		"fail before":         {`{"service":"secretsmanager","operation":"PutSecretValue"}`, [3]string{"InternalFailure", "", ""}, 3, 0},
		"fail after":          {`{"operation":"PutSecretValue","when":"after","count":2}`, [3]string{"InternalFailure", "InternalFailure", ""}, 4, 0},
		"a given code":        {`{"operation":"PutSecretValue","code":"ThrottlingException"}`, [3]string{"ThrottlingException", "", ""}, 3, 0},
		"drop before":         {`{"operation":"PutSecretValue","mode":"drop"}`, [3]string{"no answer", "", ""}, 3, 0},
		"drop after":          {`{"operation":"PutSecretValue","mode":"drop","when":"after"}`, [3]string{"no answer", "", ""}, 4, 0},
		"kill after":          {`{"operation":"PutSecretValue","mode":"kill","when":"after"}`, [3]string{"no answer", "", ""}, 4, 1},
		"skip one":            {`{"operation":"PutSecretValue","skip":1}`, [3]string{"", "InternalFailure", ""}, 3, 0},
		"all of them":         {`{"operation":"PutSecretValue","count":-1}`, [3]string{"InternalFailure", "InternalFailure", "InternalFailure"}, 1, 0},
		"another function's":  {`{"operation":"PutSecretValue","function":"create-secret"}`, [3]string{"", "", ""}, 4, 0},
		"another operation's": {`{"operation":"CreateSecret"}`, [3]string{"", "", ""}, 4, 0},
		"only for the root":   {`{"operation":"PutSecretValue","principal":"arn:aws:iam::000000000000:root"}`, [3]string{"InternalFailure", "", ""}, 3, 0},
		"of every service":    {`{}`, [3]string{"InternalFailure", "", ""}, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var killed atomic.Int32
			b.Endpoint.Kill = func(stack.Identity) { killed.Add(1) }
			if status, body := b.control("POST", "faults", c.fault); status != 200 {
				t.Fatal(body)
			}
			for i, want := range c.want {
				_, err := b.client(b.Config).PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("prod/a"), SecretString: aws.String(fmt.Sprint(i))})
				if got := code(err); got != want {
					t.Errorf("call %d: %q, want %q", i+1, got, want)
				}
			}
			b.control("DELETE", "faults", "")
			out, err := b.client(b.Config).ListSecretVersionIds(t.Context(), &sm.ListSecretVersionIdsInput{SecretId: aws.String("prod/a"), IncludeDeprecated: aws.Bool(true)})
			if err != nil || len(out.Versions) != c.stored {
				t.Errorf("%d versions, want %d (%v)", len(out.Versions), c.stored, err)
			}
			if killed.Load() != c.killed {
				t.Errorf("killed %d, want %d", killed.Load(), c.killed)
			}
		})
	}
}

func TestQuotas(t *testing.T) {
	b := newBench(t)
	if status, body := b.control("POST", "quotas", `{"service":"secretsmanager","operations":["DescribeSecret"],"rate":0.001,"burst":2}`); status != 200 {
		t.Fatal(body)
	}
	for i, want := range []string{"", "", "ThrottlingException"} {
		if got := code(b.describe(b.Config)); got != want {
			t.Fatalf("call %d: %q, want %q", i+1, got, want)
		}
	}
	b.control("POST", "clock", `{"advance":"20m"}`) // 1.2 tokens
	for i, want := range []string{"", "ThrottlingException"} {
		if got := code(b.describe(b.Config)); got != want {
			t.Fatalf("after 20 minutes, call %d: %q, want %q", i+1, got, want)
		}
	}
	b.control("DELETE", "quotas", "")
	if got := code(b.describe(b.Config)); got != "" {
		t.Fatalf("without quotas: %q", got)
	}
	if status, body := b.control("POST", "quotas", `{"aws":true}`); status != 200 || !strings.Contains(body, "UpdateSecretVersionStage") {
		t.Fatal(body)
	}
}

func TestLatency(t *testing.T) {
	b := newBench(t)
	b.control("POST", "latency", `{"service":"secretsmanager","operation":"DescribeSecret","ms":60}`)
	began := time.Now()
	if err := b.describe(b.Config); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Fatalf("took %v", took)
	}
	if calls := b.Endpoint.Calls(); calls[0].DurationMS < 60 {
		t.Fatalf("ledger %+v", calls)
	}
}

func TestControlIsStrict(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ path, body string }{
		{"faults", `{"serivce":"secretsmanager"}`}, {"faults", `{"service":"none"}`}, {"faults", `{"mode":"explode"}`}, {"faults", `{"when":"during"}`},
		{"clock", `{"advance":"-1h"}`}, {"clock", `{"forward":"1h"}`}, {"latency", `{"ms":-1}`}, {"quotas", `{"service":"secretsmanager"}`}, {"quotas", `{"service":"none","rate":1}`},
	} {
		if status, body := b.control("POST", c.path, c.body); status != 400 || !strings.Contains(body, `"error"`) {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, body)
		}
	}
	if status, body := b.control("GET", "ready", ""); status != 200 || body != "{\"ready\":true}\n" {
		t.Errorf("ready: %d %s", status, body)
	}
	if status, _ := b.control("GET", "none", ""); status != 404 {
		t.Errorf("unknown route: %d", status)
	}
}

func TestClock(t *testing.T) {
	b := newBench(t)
	before := b.Clock.Now()
	fired := make(chan time.Time, 1)
	b.Clock.AfterFunc(24*time.Hour, func() { fired <- b.Clock.Now() })
	if _, body := b.control("POST", "clock", `{"advance":"24h"}`); !strings.Contains(body, `"offset_seconds":86400`) {
		t.Fatal(body)
	}
	if at := <-fired; at.Sub(before) < 24*time.Hour {
		t.Fatalf("fired at %v", at)
	}
	var idle atomic.Bool
	b.Endpoint.Idle = idle.Load
	b.Clock.AfterFunc(time.Hour, func() { fired <- b.Clock.Now() })
	b.control("POST", "clock", `{"auto":true}`)
	select {
	case <-fired:
		t.Fatal("the clock jumped although the stack was busy")
	case <-time.After(50 * time.Millisecond):
	}
	idle.Store(true)
	select {
	case <-fired:
	case <-time.After(5 * time.Second):
		t.Fatal("the clock did not jump although the stack was idle")
	}
	b.control("POST", "clock", `{"auto":false}`)
}

// A request that no SDK would send, signed so that it is routed.
func TestRefusals(t *testing.T) {
	b := newBench(t)
	send := func(service string, sign bool, body []byte) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "secretsmanager.Nothing")
		if sign {
			err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, r, "UNSIGNED-PAYLOAD", service, stack.Region, time.Now())
			if err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var out struct {
			Type string `json:"__type"`
		}
		_ = json.NewDecoder(res.Body).Decode(&out)
		return res.StatusCode, out.Type
	}
	for name, c := range map[string]struct {
		service string
		sign    bool
		body    []byte
		status  int
		want    string
	}{
		"unsigned":          {"", false, nil, 403, "MissingAuthenticationTokenException"},
		"unknown service":   {"none", true, nil, 403, "UnrecognizedClientException"},
		"unknown operation": {"secretsmanager", true, nil, 400, "UnknownOperationException"},
		"too large":         {"secretsmanager", true, make([]byte, 33<<20), 413, "RequestEntityTooLargeException"},
	} {
		if status, got := send(c.service, c.sign, c.body); status != c.status || got != c.want {
			t.Errorf("%s: %d %s, want %d %s", name, status, got, c.status, c.want)
		}
	}
}

func TestMount(t *testing.T) {
	b := newBench(t)
	b.Endpoint.Mount("/_local/more/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	if _, body := b.control("GET", "more/x", ""); body != "/_local/more/x" {
		t.Fatal(body)
	}
}
