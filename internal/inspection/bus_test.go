package inspection_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// PutEvents answers 200 also where it took nothing.
func TestBus(t *testing.T) {
	for answer, code := range map[string]fault.Code{
		`{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`:                                                "",
		`{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"slow down"}]}`: fault.OutcomeUnknown,
		`{"FailedEntryCount":1}`: fault.OutcomeUnknown,
	} {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked = r.Header.Get("X-Amz-Target") + " " + string(body)
			fmt.Fprint(w, answer)
		}))
		defer server.Close()
		bus := inspection.NewBus(aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}, "mayfly")
		err := bus.Put(t.Context(), trigger.InspectionFinding{ID: "1", Secret: "prod/x", Finding: "PolicyDrift", Type: trigger.AccessChange, Reason: "why"})
		if (err == nil) != (code == "") || err != nil && fault.CodeOf(err) != code {
			t.Errorf("%s: %v", answer, err)
		}
		for _, part := range []string{"AWSEvents.PutEvents ", `"EventBusName":"mayfly"`, `"Source":"mayfly.inspect"`, `"DetailType":"Secret drift"`, `\"secret\":\"prod/x\"`} {
			if !strings.Contains(asked, part) {
				t.Errorf("asked %s, want %s in it", asked, part)
			}
		}
	}
}
