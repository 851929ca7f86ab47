package lambda_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/lambda"
)

// withURL is a bench whose function "hook" has a public URL, and a function that sends requests there.
func withURL(t *testing.T, more string) (*bench, func(method, path, contentType, body string) (*http.Response, string)) {
	b := start(t)
	b.function("hook", more)
	mux := http.NewServeMux()
	mux.Handle(lambda.URLPath, b.service.URLs())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b.service.Endpoint, server.Config.Handler = server.URL, mux
	made, err := b.make("AWS::Lambda::Url", "Url", `{"TargetFunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:hook","AuthType":"NONE","InvokeMode":"BUFFERED"}`)
	if err != nil {
		t.Fatal(err)
	}
	if made.Ref != "arn:aws:lambda:us-east-1:000000000000:function:hook" || made.Att["FunctionUrl"] != server.URL+"/_local/url/hook/" {
		t.Fatalf("made %+v", made)
	}
	return b, func(method, path, contentType, body string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(made.Att["FunctionUrl"], "/")+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Add("X-Twice", "a")
		r.Header.Add("X-Twice", "b")
		r.AddCookie(&http.Cookie{Name: "k", Value: "v"})
		out, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		text, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return out, string(text)
	}
}

// open lets everybody call the URL of hook.
func (b *bench) open() {
	b.Helper()
	for id, more := range map[string]string{"lambda:InvokeFunctionUrl": `"FunctionUrlAuthType":"NONE"`, "lambda:InvokeFunction": `"InvokedViaFunctionUrl":true`} {
		if _, err := b.make("AWS::Lambda::Permission", "P", `{"Action":"`+id+`","FunctionName":"hook","Principal":"*",`+more+`}`); err != nil {
			b.Fatal(err)
		}
	}
}

func TestURLIsOpenOnlyWithBothPermissions(t *testing.T) {
	b, send := withURL(t, "")
	if out, text := send("POST", "/x", "text/plain", "hello"); out.StatusCode != http.StatusForbidden || !strings.Contains(text, "Forbidden") {
		t.Errorf("without permissions: %s %s", out.Status, text)
	}
	b.open()
	if out, text := send("POST", "/x", "text/plain", "hello"); out.StatusCode != http.StatusOK {
		t.Errorf("with permissions: %s %s", out.Status, text)
	}
	if p := b.service.Permissions("hook"); len(p) != 0 {
		t.Errorf("permissions on the URL open the API: %+v", p)
	}
}

func TestURLEventIsPayloadFormat2(t *testing.T) {
	b, send := withURL(t, "")
	b.open()
	type event struct {
		Version, RouteKey, RawPath, RawQueryString, Body string
		Headers, QueryStringParameters                   map[string]string
		Cookies                                          []string
		IsBase64Encoded                                  bool
		RequestContext                                   struct {
			AccountID, APIID, DomainPrefix, RequestID, Stage string
			TimeEpoch                                        int64
			HTTP                                             struct{ Method, Path, Protocol, SourceIP string }
		}
	}
	_, text := send("POST", "/github/a%2Fb?x=1&x=2&y=3", "application/json; charset=utf-8", `{"a": "b"}`)
	e := decode[event](t, []byte(text))
	if e.Version != "2.0" || e.RouteKey != "$default" || e.RawPath != "/github/a%2Fb" || e.RawQueryString != "x=1&x=2&y=3" || e.IsBase64Encoded || e.Body != `{"a": "b"}` {
		t.Errorf("event %s", text)
	}
	if diff := cmp.Diff(map[string]string{"x": "1,2", "y": "3"}, e.QueryStringParameters); diff != "" {
		t.Error(diff)
	}
	if e.Headers["x-twice"] != "a,b" || e.Headers["content-length"] != "10" || e.Headers["cookie"] != "" || len(e.Cookies) != 1 || e.Cookies[0] != "k=v" {
		t.Errorf("headers %v, cookies %v", e.Headers, e.Cookies)
	}
	c := e.RequestContext
	if c.AccountID != "anonymous" || c.HTTP.Method != "POST" || c.HTTP.SourceIP != "127.0.0.1" || c.TimeEpoch == 0 || c.RequestID == "" || c.Stage != "$default" {
		t.Errorf("request context %+v", c)
	}
	for contentType, body := range map[string]string{"application/x-www-form-urlencoded": "a=b", "application/octet-stream": "\x00\xff", "application/json": "\xff"} {
		_, text := send("POST", "/", contentType, body)
		e := decode[struct {
			Body            []byte
			IsBase64Encoded bool
		}](t, []byte(text))
		if !e.IsBase64Encoded || string(e.Body) != body {
			t.Errorf("%s: body %q, base64 %t", contentType, e.Body, e.IsBase64Encoded)
		}
	}
}

func TestURLResponses(t *testing.T) {
	b, send := withURL(t, `"Timeout":20,"ReservedConcurrentExecutions":1`)
	b.open()
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"status, header and cookie": {`{"statusCode":202,"headers":{"X-Made":"yes"},"cookies":["a=1"],"body":"done"}`, 202, "done"},
		"base64":                    {`{"statusCode":200,"body":"aGVsbG8=","isBase64Encoded":true}`, 200, "hello"},
		"no HTTP status":            {`{"statusCode":7}`, 502, "Internal Server Error"},
		"no number":                 {`{"statusCode":"x"}`, 502, "Internal Server Error"},
		"the function fails":        {`{"do":"fail","Text":"secret detail"}`, 502, "Internal Server Error"},
		"the function panics":       {`{"do":"panic","Text":"secret detail"}`, 502, "Internal Server Error"},
	} {
		out, text := send("POST", "/", "application/json", c.body)
		if out.StatusCode != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "secret detail") {
			t.Errorf("%s: %s %s, want %d and %q", name, out.Status, text, c.status, c.want)
		}
		if c.status == 202 && (out.Header.Get("X-Made") != "yes" || out.Header.Get("Set-Cookie") != "a=1") {
			t.Errorf("headers %v", out.Header)
		}
	}
	if out, text := send("GET", "/", "text/plain", ""); out.StatusCode != 200 || !json.Valid([]byte(text)) || out.Header.Get("Content-Type") != "application/json" {
		t.Errorf("inferred: %s %s", out.Status, text)
	}
	if out, _ := send("POST", "/", "text/plain", strings.Repeat("x", 6<<20+1)); out.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("more than 6 MB: %s", out.Status)
	}
	done := make(chan struct{})
	go func() { defer close(done); send("POST", "/", "application/json", `{"do":"sleep","Seconds":2}`) }()
	for b.service.Busy() == 0 {
		time.Sleep(time.Millisecond)
	}
	if out, _ := send("POST", "/", "text/plain", "x"); out.StatusCode != http.StatusTooManyRequests {
		t.Errorf("beyond the reserved concurrency: %s", out.Status)
	}
	<-done
}
