package fault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// input chooses how the handler ends.
type input struct {
	End string `json:"end"`
}

// value is made as every generated value is.
func value(t testing.TB, seed byte) string {
	t.Helper()
	v, err := credential.Compose(nil, "", bytes.NewReader(bytes.Repeat([]byte{seed, 0x5b, 0xe1, 0x07}, 8)))
	if err != nil {
		t.Fatal(err)
	}
	return v.Reveal()
}

const leaked = "hQ3mX9-2_aZbYcXdWeVfUgThSiRjQkPlOmNnMoLpKqJ"

func handle(_ context.Context, in input) (string, error) {
	switch in.End {
	case "well":
		return "done", nil
	case "wrapped":
		return "ignored", fmt.Errorf("step: %w", fault.Wrap(fault.New(fault.AdminRefused, "password %s refused", leaked), fault.Internal, "set"))
	case "plain":
		return "ignored", io.ErrUnexpectedEOF
	case "panic":
		panic("an invariant broke near " + leaked)
	case "nil":
		var m map[string]int
		m["a"]++
	}
	return "", errors.New("the test asked for an unknown end")
}

// serveFunction is what the test's own binary does when it plays the function: a real process under the real runtime.
func serveFunction() { lambda.Start(fault.Boundary(os.Stdout, handle)) }

func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		serveFunction()
		return
	}
	os.Exit(m.Run())
}

// answer is what the Runtime API was told about one invocation.
type answer struct {
	failed bool
	body   string
	stdout string
	goesOn bool // the process asked for the next invocation
}

// invoke starts the function and gives it one payload.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func invoke(t *testing.T, payload string) answer {
	t.Helper()
	var a answer
	asked := 0
	done := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/invocation/next") && asked == 0:
			asked++
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "one")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			_, _ = io.WriteString(w, payload)
		case strings.HasSuffix(r.URL.Path, "/invocation/next"):
			a.goesOn = true
			close(done)
			<-r.Context().Done()
		default:
			a.failed, a.body = strings.HasSuffix(r.URL.Path, "/error"), string(body)
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(api.Close)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-done:
		_ = cmd.Process.Kill()
		<-ended
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
		t.Fatalf("the function neither answered nor ended: %s", stderr.String())
	}
	api.Close() // and with it whatever still writes to a
	a.stdout = stdout.String()
	return a
}

// TestBoundary sends errors through the real runtime loop of aws-lambda-go and looks at what Lambda would be told: the
// state machines' ErrorEquals compares with errorType.
func TestBoundary(t *testing.T) {
	for name, c := range map[string]struct {
		payload  string
		code     fault.Code // "" for success
		message  string     // part of it
		goesOn   bool
		hasStack bool
	}{
		"success":               {payload: `{"end":"well"}`, goesOn: true},
		"a wrapped fault":       {payload: `{"end":"wrapped"}`, code: fault.AdminRefused, message: "password [redacted] refused", goesOn: true},
		"an error without code": {payload: `{"end":"plain"}`, code: fault.Internal, message: "unexpected EOF", goesOn: true},
		"an input of another type": {payload: `{"end":5}`, code: fault.InputMalformed,
			message: "the input is not what this function takes", goesOn: true},
		"a panic":         {payload: `{"end":"panic"}`, code: fault.Internal, message: "panic: an invariant broke near [redacted]", hasStack: true},
		"a runtime error": {payload: `{"end":"nil"}`, code: fault.Internal, message: "assignment to entry in nil map", hasStack: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := invoke(t, c.payload)
			if a.goesOn != c.goesOn {
				t.Errorf("the process asked for more work: %t, want %t", a.goesOn, c.goesOn)
			}
			if strings.Contains(a.body+a.stdout, leaked) {
				t.Errorf("a value left the function: %s %s", a.body, a.stdout)
			}
			if c.code == "" {
				if a.failed || a.body != `"done"` || a.stdout != "" {
					t.Errorf("answered %s (failed: %t), wrote %q, want %q and nothing", a.body, a.failed, a.stdout, `"done"`)
				}
				return
			}
			var told struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal([]byte(a.body), &told); err != nil || !a.failed {
				t.Fatalf("answered %s (failed: %t): %v", a.body, a.failed, err)
			}
			if told.ErrorType != string(c.code) || !strings.Contains(told.ErrorMessage, c.message) {
				t.Errorf("Lambda was told %s: %s, want %s: …%s…", told.ErrorType, told.ErrorMessage, c.code, c.message)
			}
			var line struct{ Schema, Code, Class, Message, Stack string }
			if err := json.Unmarshal([]byte(a.stdout), &line); err != nil {
				t.Fatalf("stdout is not one JSON line: %q", a.stdout)
			}
			if line.Schema != "mayfly.fault.v1" || line.Code != string(c.code) || line.Class != string(c.code.Class()) || line.Message != told.ErrorMessage {
				t.Errorf("the line says %+v", line)
			}
			if got := strings.Contains(line.Stack, "boundary_test.go"); got != c.hasStack {
				t.Errorf("the line has the stack: %t, want %t", got, c.hasStack)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	a, b := value(t, 0x11), value(t, 0xd7)
	for name, c := range map[string]struct{ in, want string }{
		"alone":             {a, "[redacted]"},
		"in a sentence":     {"login with " + a + " failed", "login with [redacted] failed"},
		"two, one space":    {a + " " + b, "[redacted] [redacted]"},
		"quoted":            {`password="` + a + `"`, `password="[redacted]"`},
		"in JSON":           {`{"password":"` + a + `","username":"orders_a"}`, `{"password":"[redacted]","username":"orders_a"}`},
		"in a URL":          {"postgres://orders_a:" + a + "@db:5432/orders", "postgres://orders_a:[redacted]@db:5432/orders"},
		"at a line's end":   {"value\n" + a + "\n", "value\n[redacted]\n"},
		"escaped in a JSON": {`{\"password\":\"` + a + `\"}`, `{\"password\":\"[redacted]\"}`},
	} {
		if got := fault.Redact(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What operators need to read stays as it is.
func TestRedactLeavesAlone(t *testing.T) {
	for _, text := range []string{
		"sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		credential.Token("arn:aws:states:us-east-1:000000000000:execution:mayfly-rotate:one", credential.SlotA),
		"arn:aws:states:us-east-1:000000000000:execution:mayfly-rotate:6f1c8d2e-7c47-4d7e-9f1e-2f0a8c1b4d5e",
		"arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/orders-db-AbCdEf",
		"secret prod/reconciliation-worker-production-database-1", // a name of 43 characters
		"commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"2026-11-22T03:14:26.000Z#mayfly-7f3a",
		"SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==",
		"EXAMPLEKEYIDOFTWENTY",
	} {
		if got := fault.Redact(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if name := "reconciliation-worker-production-database-1"; len(name) != 43 {
		t.Errorf("the name above has %d characters, so it proves nothing", len(name))
	}
}
