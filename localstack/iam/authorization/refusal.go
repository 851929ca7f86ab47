package authorization

import (
	"net/http"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// refusal is the error for a need that was denied. When Secrets Manager may not use a key in the caller's name, it does
// not tell which.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html
func refusal(call *stack.Call, n need, d policy.Decision) error {
	if call.Service == "secretsmanager" && service(n.action) == "kms" {
		return denied(call.Service, "Access to KMS is not allowed")
	}
	return denied(call.Service, d.Message)
}

// denied is the error with which a service refuses a call, as its "Common errors" page names it, or for S3
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, for SNS
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html.
func denied(service, message string) error {
	e := &stack.Error{Code: "AccessDeniedException", Message: message}
	switch service {
	case "s3", "iam", "sts", "sqs", "monitoring":
		e.Code, e.Status = "AccessDenied", http.StatusForbidden
	case "sns":
		e.Code, e.Status = "AuthorizationError", http.StatusForbidden
	case "lambda", "scheduler":
		e.Status = http.StatusForbidden
	}
	return e
}
