// Command close-run is the state CloseRun: it ends every run: labels, metadata, history, lease.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.CloseRun{
		Log:      function.AuditLog(cfg),
		Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable), Runs: env.Must(env.RunsTable)},
		Secrets:  secretsmanager.NewFromConfig(cfg),
	}
	function.Start(step.Handle)
}
