// Package roles takes the roles that probes read as. It is a package of its own for the sake of the functions that take none.
package roles

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
)

// Taker takes roles, for as short as AWS lets it: a quarter of an hour.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
type Taker struct {
	STS interface {
		AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, opts ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
	}
}

// sessionName is what CloudTrail shows of the probes' reads: they are not a service's.
const sessionName = "mayfly-probe-access"

// Take gives the credentials of a session of the role. Errors: inspection.ErrNotTrusted, AuthorityUnavailable.
func (r *Taker) Take(ctx context.Context, role string) (aws.CredentialsProvider, error) {
	out, err := r.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String(sessionName), DurationSeconds: aws.Int32(900)})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "AccessDenied" { // STS speaks the Query protocol: not AccessDeniedException
		return nil, inspection.ErrNotTrusted
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.AuthorityUnavailable, "take the role %s", role)
	}
	c := out.Credentials
	return credentials.NewStaticCredentialsProvider(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken)), nil
}
