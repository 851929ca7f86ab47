// Command list-secrets is the state ListSecrets: it parts what is under contract into batches to be inspected.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &inspection.ListSecrets{
		Log:      function.AuditLog(cfg),
		Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)},
		Lists:    &rotation.Lists{S3: s3.NewFromConfig(cfg), Bucket: env.Must(env.DispatchBucket)},
	}
	function.Start(step.Handle)
}
