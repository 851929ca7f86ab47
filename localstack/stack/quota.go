package stack

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Quota is a token bucket shared by some operations of a service.
type Quota struct {
	Service    string   `json:"service"`
	Operations []string `json:"operations"` // empty: all of the service's operations together
	Rate       float64  `json:"rate"`       // tokens a second
	Burst      float64  `json:"burst"`      // size of the bucket; 0 means one second's worth
}

type bucket struct {
	Quota
	tokens float64
	filled time.Time
}

// AWSQuotas are the request quotas that AWS documents and that matter to a fleet of secrets, for us-east-1.
//   - https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
//   - https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
func AWSQuotas() []Quota {
	sm := func(rate float64, ops ...string) Quota {
		return Quota{Service: "secretsmanager", Operations: ops, Rate: rate}
	}
	return []Quota{
		sm(10_000, "GetSecretValue"),
		sm(40_000, "DescribeSecret"),
		sm(100, "BatchGetSecretValue"),
		sm(100, "ListSecrets"),
		sm(50, "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage"),
		sm(50, "RotateSecret", "CancelRotateSecret"),
		sm(50, "GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy"),
		sm(50, "TagResource", "UntagResource"),
		sm(50, "CreateSecret"),
		sm(50, "ListSecretVersionIds"),
		{Service: "states", Operations: []string{"StartExecution"}, Rate: 300, Burst: 1300},
	}
}

// SetQuota adds a quota, in place of one for the same operations.
func (e *Endpoint) SetQuota(q Quota) error {
	if _, ok := e.services[q.Service]; !ok {
		return fmt.Errorf("quota: the local stack has no service %q", q.Service)
	}
	if q.Rate <= 0 || q.Burst < 0 {
		return errors.New("quota: rate must be above 0 and burst not below 0")
	}
	if q.Burst == 0 {
		q.Burst = max(q.Rate, 1)
	}
	slices.Sort(q.Operations)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quotas = slices.DeleteFunc(e.quotas, func(b *bucket) bool {
		return b.Service == q.Service && slices.Equal(b.Operations, q.Operations)
	})
	e.quotas = append(e.quotas, &bucket{Quota: q, tokens: q.Burst, filled: e.clock.Now()})
	return nil
}

// ClearQuotas takes every quota back; a new Endpoint has none.
func (e *Endpoint) ClearQuotas() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quotas = nil
}

// takeQuota takes a token from every bucket that the call falls under, or returns the service's throttling error.
func (e *Endpoint) takeQuota(call *Call) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.quotas {
		if b.Service != call.Service || (len(b.Operations) > 0 && !slices.Contains(b.Operations, call.Operation)) {
			continue
		}
		b.tokens = min(b.Burst, b.tokens+call.Time.Sub(b.filled).Seconds()*b.Rate)
		b.filled = call.Time
		if b.tokens < 1 {
			return throttled(call.Service)
		}
		b.tokens--
	}
	return nil
}

// throttled is the error with which a service refuses a call above its quota, as its "Common errors" page or the
// operation's own page names it.
func throttled(service string) error {
	e := &Error{Code: "ThrottlingException", Message: "Rate exceeded"}
	switch service {
	case "lambda":
		e.Code, e.Status = "TooManyRequestsException", http.StatusTooManyRequests
	case "scheduler":
		e.Status = http.StatusTooManyRequests
	case "s3":
		e.Code, e.Status, e.Message = "SlowDown", http.StatusServiceUnavailable, "Please reduce your request rate."
	case "sqs":
		e.Code = "RequestThrottled"
	case "iam", "sts", "sns", "monitoring":
		e.Code = "Throttling"
	}
	return e
}
