// Command trace-lineage is the state TraceLineage: it finds the secrets that hold a value of those which were contained.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.TraceLineage{
		Log:      function.AuditLog(cfg),
		Lists:    &rotation.Lists{S3: s3.NewFromConfig(cfg), Bucket: env.Must(env.DispatchBucket)},
		Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)},
	}
	function.Start(step.Handle)
}
