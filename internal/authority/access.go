package authority

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

// PolicyKeeper is the two calls that Policy and PutPolicy make.
type PolicyKeeper interface {
	GetResourcePolicy(ctx context.Context, in *secretsmanager.GetResourcePolicyInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.GetResourcePolicyOutput, error)
	PutResourcePolicy(ctx context.Context, in *secretsmanager.PutResourcePolicyInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.PutResourcePolicyOutput, error)
}

// Policy reads the resource policy of a secret, "" where it has none. Errors: SecretMissing, AuthorityUnavailable.
func Policy(ctx context.Context, sm PolicyKeeper, id string) (string, error) {
	out, err := sm.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &id})
	if err != nil {
		return "", translate(err, "read the resource policy of %s", id)
	}
	return aws.ToString(out.ResourcePolicy), nil
}

// ErrMalformed says that Secrets Manager refused a policy as malformed, which it also does where a principal does not exist.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html#API_PutResourcePolicy_Errors
var ErrMalformed = errors.New("the resource policy is not one that Secrets Manager takes")

// PutPolicy puts a resource policy in the place of the one in force; putting it twice is putting it once. One that would open
// the secret to everybody is refused by Secrets Manager itself. Errors: ErrMalformed, SecretMissing, AuthorityUnavailable.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
func PutPolicy(ctx context.Context, sm PolicyKeeper, id string, policy []byte) error {
	_, err := sm.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
		SecretId: &id, ResourcePolicy: aws.String(string(policy)), BlockPublicPolicy: aws.Bool(true),
	})
	var malformed *types.MalformedPolicyDocumentException
	if errors.As(err, &malformed) {
		return ErrMalformed
	}
	return translate(err, "put the resource policy of %s in force", id)
}

// Denied tells whether AWS refused a call because the caller may not make it. Secrets Manager says so before it says whether
// there is such a version.
func Denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException"
}
