// Command admit-rotation is the state AdmitRotation: it decides whether a run happens and how.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.AdmitRotation{
		Log:        function.AuditLog(cfg),
		Registry:   &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable), Runs: env.Must(env.RunsTable)},
		Secrets:    secretsmanager.NewFromConfig(cfg),
		Executions: sfn.NewFromConfig(cfg),
	}
	function.Start(step.Handle)
}
