package template

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// maxAnswer is the largest response body that CloudFormation reads.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
const maxAnswer = 4096

// Responses is where functions of custom resources PUT their answers: in AWS a presigned S3 URL, here a handler of the
// local stack under a URL that only the function knows.
type Responses struct {
	base    string
	mu      sync.Mutex
	waiting map[string]*waiting // by the last element of the URL
}

type waiting struct {
	responses *Responses
	key, url  string
	answer    chan customAnswer
}

// customAnswer is the function's response object.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
type customAnswer struct {
	Status             string
	Reason             string
	PhysicalResourceID string `json:"PhysicalResourceId"`
	StackID            string `json:"StackId"`
	RequestID          string `json:"RequestId"`
	LogicalResourceID  string `json:"LogicalResourceId"`
	NoEcho             bool
	Data               map[string]any
	malformed          error
}

// NewResponses makes the handler. BaseURL is where the composition root mounts it, as functions reach it:
// http://127.0.0.1:4566/_local/cfn/
func NewResponses(baseURL string) *Responses {
	return &Responses{base: strings.TrimSuffix(baseURL, "/") + "/", waiting: map[string]*waiting{}}
}

func (r *Responses) expect(requestID string) *waiting {
	w := &waiting{responses: r, key: requestID + "-" + name.UUID(), answer: make(chan customAnswer, 1)}
	w.url = r.base + w.key
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[w.key] = w
	return w
}

func (w *waiting) forget() {
	w.responses.mu.Lock()
	defer w.responses.mu.Unlock()
	delete(w.responses.waiting, w.key)
}

// ServeHTTP takes one answer. The first counts; what comes later, or where nobody waits, is 403 like an expired
// presigned URL.
func (r *Responses) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPut {
		http.Error(w, "responses to CloudFormation are sent with PUT", http.StatusMethodNotAllowed)
		return
	}
	key := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	r.mu.Lock()
	waiter, ok := r.waiting[key]
	delete(r.waiting, key)
	r.mu.Unlock()
	if !ok {
		http.Error(w, "nobody waits for this response: it was answered, or it timed out", http.StatusForbidden)
		return
	}
	waiter.answer <- readAnswer(req.Body)
}

func readAnswer(body io.Reader) customAnswer {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return customAnswer{malformed: fmt.Errorf("reading the response: %w", err)}
	}
	if len(b) > maxAnswer {
		return customAnswer{malformed: fmt.Errorf("response object is too long: at most %d bytes", maxAnswer)}
	}
	var a customAnswer
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err := dec.Decode(&a); err != nil {
		return customAnswer{malformed: fmt.Errorf("invalid response object: %w", err)}
	}
	return a
}

// check says what is wrong with an answer: that it reports a failure, or does not answer the request.
func (a customAnswer) check(request customRequest) error {
	switch {
	case a.malformed != nil:
		return a.malformed
	case a.StackID != request.StackID || a.RequestID != request.RequestID || a.LogicalResourceID != request.LogicalResourceID:
		return fmt.Errorf("invalid response object: StackId, RequestId and LogicalResourceId must be those of the request")
	case a.Status == "FAILED":
		return fmt.Errorf("%s: received response status [FAILED] from custom resource. Message returned: %s (RequestId: %s)", request.RequestType, a.Reason, request.RequestID)
	case a.Status != "SUCCESS":
		return fmt.Errorf("invalid response object: Status is %q, neither SUCCESS nor FAILED", a.Status)
	case a.PhysicalResourceID == "" || len(a.PhysicalResourceID) > 1024:
		return fmt.Errorf("invalid PhysicalResourceId: it must have 1 to 1024 characters")
	}
	return nil
}
