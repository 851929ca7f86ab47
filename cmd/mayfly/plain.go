package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// plain turns an error of an AWS call into words: what was tried, what AWS said, what to do. Other errors pass.
func plain(err error) error {
	var usage usageError
	var api smithy.APIError
	switch {
	case err == nil, errors.Is(err, errFindings), errors.As(err, &usage):
		return err
	case errors.Is(err, context.Canceled):
		return errors.New("stopped before it was done")
	case errors.As(err, &api):
		return fmt.Errorf("%s: %s (%s)%s", attempt(err), api.ErrorCode(), api.ErrorMessage(), advice(api.ErrorCode()))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: nobody answers at AWS_ENDPOINT_URL; start the local stack with `make up`, or unset the variable to reach AWS", attempt(err))
	case strings.Contains(err.Error(), "get credentials"), strings.Contains(err.Error(), "failed to refresh cached credentials"):
		return fmt.Errorf("%s: there are no AWS credentials; log in, or set AWS_PROFILE; for the local stack, `. .mayfly/local.env`", attempt(err))
	default:
		return err
	}
}

// attempt says what was tried: as the code that tried it says, or the name of the call.
func attempt(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return "cannot " + known.Message
	}
	var call *smithy.OperationError
	if errors.As(err, &call) {
		return "cannot call " + call.Service() + " " + call.Operation()
	}
	return "cannot call AWS"
}

// advice is what to do about an error code, where something can be said.
func advice(code string) string {
	switch code {
	case "ResourceNotFoundException", "NoSuchBucket", "StateMachineDoesNotExist", "ResourceNotFound", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
		return "; Mayfly is not deployed in this account and Region, or under other names: `make deploy`, or give the names (see --help)"
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError":
		return "; these credentials may not do that: use others, or have them allowed to"
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return "; the credentials have expired: log in again"
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException":
		return "; AWS does not know these credentials: check AWS_PROFILE and AWS_ENDPOINT_URL"
	case "ThrottlingException", "TooManyRequestsException", "ProvisionedThroughputExceededException", "SlowDown":
		return "; too many calls at once: try again in a minute"
	default:
		return ""
	}
}

// notInForce says that there is no such contract; other errors pass.
func notInForce(err error, secret string) error {
	if errors.Is(err, registry.ErrNotInForce) {
		return fmt.Errorf("no contract is in force for %s; `mayfly status` lists those that are", secret)
	}
	return err
}
