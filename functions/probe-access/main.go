// Command probe-access is the state ProbeAccess: it tries to read secrets as others would, and keeps what it sees as evidence.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/inspection/roles"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
)

func main() {
	cfg := function.Config()
	taker := &roles.Taker{STS: sts.NewFromConfig(cfg)}
	step := &inspection.ProbeAccess{
		Journal: &inspection.Journal{
			Log: function.AuditLog(cfg), Bus: inspection.NewBus(cfg, env.Must(env.Bus)), Lines: os.Stdout,
			Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)},
		},
		Secrets: secretsmanager.NewFromConfig(cfg), Stranger: env.Must(env.StrangerRole),
		Assume: func(ctx context.Context, role string) (authority.Reader, error) {
			session, err := taker.Take(ctx, role)
			if err != nil {
				return nil, err
			}
			as := cfg.Copy()
			as.Credentials = session
			return secretsmanager.NewFromConfig(as), nil
		},
	}
	function.Start(step.Handle)
}
