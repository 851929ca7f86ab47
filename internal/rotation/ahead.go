package rotation

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/authority"
)

// ahead answers the first question for one secret's AWSCURRENT with an answer that was asked for before.
type ahead struct {
	authority.Reader
	secret string
	answer chan answer // nil once it was given
}

type answer struct {
	out *secretsmanager.GetSecretValueOutput
	err error
}

// adminAhead begins to read the admin credential, for a step that writes its record meanwhile. Reading changes nothing, so
// it need not wait for the record; what is done with the credential does.
func adminAhead(ctx context.Context, sm authority.Reader, run *Run) authority.Reader {
	if run.born() || run.Contract.Target == nil || run.Contract.Target.Admin == "" {
		return sm
	}
	a := &ahead{Reader: sm, secret: run.Contract.Target.Admin, answer: make(chan answer, 1)}
	go func(into chan<- answer) {
		out, err := sm.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &a.secret, VersionStage: aws.String(authority.Current)})
		into <- answer{out, err}
	}(a.answer)
	return a
}

func (a *ahead) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if a.answer == nil || aws.ToString(in.SecretId) != a.secret || aws.ToString(in.VersionStage) != authority.Current {
		return a.Reader.GetSecretValue(ctx, in, opts...)
	}
	got := <-a.answer
	a.answer = nil
	return got.out, got.err
}
