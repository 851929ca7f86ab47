package template_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/template"
)

// provider stands for a custom resource's function: it notes each request and PUTs what answer makes of it.
type provider struct {
	t         *testing.T
	requests  []map[string]any
	answer    func(request map[string]any) map[string]any
	responses *template.Responses
}

func newProvider(t *testing.T, answer func(map[string]any) map[string]any) *provider {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := &provider{t: t, answer: answer, responses: template.NewResponses(server.URL + "/_local/cfn/")}
	mux.Handle("/_local/cfn/", p.responses)
	return p
}

func (p *provider) invoke(_ context.Context, arn string, payload []byte) error {
	if arn != "arn:aws:lambda:us-east-1:000000000000:function:apply" {
		return fmt.Errorf("no function %s", arn)
	}
	var request map[string]any
	if err := json.Unmarshal(payload, &request); err != nil {
		return err
	}
	p.requests = append(p.requests, request)
	answer := p.answer(request)
	if answer == nil {
		return nil
	}
	for _, same := range []string{"StackId", "RequestId", "LogicalResourceId"} {
		if _, ok := answer[same]; !ok {
			answer[same] = request[same]
		}
	}
	b, _ := json.Marshal(answer)
	req, err := http.NewRequest(http.MethodPut, request["ResponseURL"].(string), bytes.NewReader(b))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("response refused: %s", res.Status)
	}
	return nil
}

func (p *provider) deploy(text string, previous *template.Stack) (*template.Stack, error) {
	p.t.Helper()
	return template.Deploy(p.t.Context(), parse(p.t, text), template.Options{
		Invoke: p.invoke, Responses: p.responses, Previous: previous, ResponseTimeout: 300 * time.Millisecond,
	})
}

const contracts = `{"Resources": {"Contracts": {"Type": "Custom::Contracts", "Properties": {
  "ServiceToken": "arn:aws:lambda:us-east-1:000000000000:function:apply", "Digest": "%s", "Count": 3, "Strict": true, "Nested": {"Sizes": [1, 2]}%s}}},
  "Outputs": {"Applied": {"Value": {"Fn::GetAtt": ["Contracts", "Applied"]}}, "Id": {"Value": {"Ref": "Contracts"}}}}`

func TestCustomResourceLife(t *testing.T) {
	p := newProvider(t, func(r map[string]any) map[string]any {
		id := "contracts-" + r["ResourceProperties"].(map[string]any)["Digest"].(string)[:1]
		return map[string]any{"Status": "SUCCESS", "PhysicalResourceId": id, "Data": map[string]any{"Applied": 7}}
	})
	first, err := p.deploy(fmt.Sprintf(contracts, "a1", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"Applied": "7", "Id": "contracts-a"}, first.Outputs); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{
		"RequestType": "Create", "ServiceToken": "arn:aws:lambda:us-east-1:000000000000:function:apply", "StackId": first.ID,
		"LogicalResourceId": "Contracts", "ResourceType": "Custom::Contracts",
		"ResourceProperties": map[string]any{
			"ServiceToken": "arn:aws:lambda:us-east-1:000000000000:function:apply", "Digest": "a1", "Count": "3", "Strict": "true",
			"Nested": map[string]any{"Sizes": []any{"1", "2"}},
		},
	}
	got := p.requests[0]
	if !strings.Contains(got["ResponseURL"].(string), "/_local/cfn/"+got["RequestId"].(string)) {
		t.Errorf("response URL %v of request %v", got["ResponseURL"], got["RequestId"])
	}
	delete(got, "ResponseURL")
	delete(got, "RequestId")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Same physical id: one Update, no Delete.
	second, err := p.deploy(fmt.Sprintf(contracts, "a2", ""), first)
	if err != nil {
		t.Fatal(err)
	}
	last := p.requests[len(p.requests)-1]
	if len(p.requests) != 2 || last["RequestType"] != "Update" || last["PhysicalResourceId"] != "contracts-a" || last["OldResourceProperties"].(map[string]any)["Digest"] != "a1" {
		t.Errorf("requests %v", p.requests)
	}
	// Unchanged: nothing is sent.
	if second, err = p.deploy(fmt.Sprintf(contracts, "a2", ""), second); err != nil || len(p.requests) != 2 {
		t.Errorf("%d requests, %v", len(p.requests), err)
	}
	// Another physical id: Update, then Delete of the old one.
	third, err := p.deploy(fmt.Sprintf(contracts, "b1", ""), second)
	if err != nil {
		t.Fatal(err)
	}
	last = p.requests[len(p.requests)-1]
	if len(p.requests) != 4 || last["RequestType"] != "Delete" || last["PhysicalResourceId"] != "contracts-a" {
		t.Errorf("requests %v", p.requests)
	}
	// Gone from the template: Delete.
	if _, err := p.deploy(`{"Resources": {"M": {"Type": "AWS::CDK::Metadata"}}}`, third); err != nil {
		t.Fatal(err)
	}
	last = p.requests[len(p.requests)-1]
	if last["RequestType"] != "Delete" || last["PhysicalResourceId"] != "contracts-b" {
		t.Errorf("last request %v", last)
	}
}

func TestCustomResourceFailures(t *testing.T) {
	ok := func() map[string]any {
		return map[string]any{"Status": "SUCCESS", "PhysicalResourceId": "x", "Data": map[string]any{"Applied": 1}}
	}
	for name, c := range map[string]struct {
		properties string
		answer     func(map[string]any) map[string]any
		want       string
	}{
		"failed": {"", func(map[string]any) map[string]any {
			return map[string]any{"Status": "FAILED", "Reason": "contract x: ttl is missing"}
		}, "contract x: ttl is missing"},
		"silence":        {"", func(map[string]any) map[string]any { return nil }, "did not receive a response from your Custom Resource within 300ms"},
		"own timeout":    {`, "ServiceTimeout": "1"`, func(map[string]any) map[string]any { return nil }, "within 1s"},
		"bad timeout":    {`, "ServiceTimeout": 4000`, func(map[string]any) map[string]any { return ok() }, "1 to 3600"},
		"bad status":     {"", func(map[string]any) map[string]any { return map[string]any{"Status": "OK"} }, "neither SUCCESS nor FAILED"},
		"no physical id": {"", func(map[string]any) map[string]any { return map[string]any{"Status": "SUCCESS"} }, "PhysicalResourceId"},
		"foreign answer": {"", func(map[string]any) map[string]any { a := ok(); a["RequestId"] = "other"; return a }, "those of the request"},
		"too long": {"", func(map[string]any) map[string]any {
			a := ok()
			a["Data"] = map[string]any{"Applied": strings.Repeat("x", 5000)}
			return a
		}, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newProvider(t, c.answer).deploy(fmt.Sprintf(contracts, "a", c.properties), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestCrashOfACustomResourcesFunctionIsReportedAtOnce(t *testing.T) {
	p := newProvider(t, nil)
	crash := errors.New("exit status 2")
	_, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(contracts, "a", "")), template.Options{
		Invoke: func(context.Context, string, []byte) error { return crash }, Responses: p.responses,
	})
	if !errors.Is(err, crash) {
		t.Errorf("got %v, want %v", err, crash)
	}
}

func TestResponsesRefusesStrangers(t *testing.T) {
	p := newProvider(t, nil)
	for method, want := range map[string]int{http.MethodPut: http.StatusForbidden, http.MethodGet: http.StatusMethodNotAllowed} {
		w := httptest.NewRecorder()
		p.responses.ServeHTTP(w, httptest.NewRequest(method, "/_local/cfn/guess", strings.NewReader("{}")))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
	}
}
