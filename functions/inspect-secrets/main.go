// Command inspect-secrets is the state InspectSecrets: it looks at everything of a secret but its value, and puts back what
// others have changed.
package main

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/keyring"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
)

func main() {
	cfg := function.Config()
	step := &inspection.InspectSecrets{
		Journal: &inspection.Journal{
			Log: function.AuditLog(cfg), Bus: inspection.NewBus(cfg, env.Must(env.Bus)), Lines: os.Stdout,
			Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)},
		},
		Secrets: secretsmanager.NewFromConfig(cfg), Mayfly: env.MustList(env.ReaderRoles), BreakGlass: env.Must(env.BreakGlassRole),
		Keys: keyring.Keyring{KMS: kms.NewFromConfig(cfg)},
	}
	function.Start(step.Handle)
}
