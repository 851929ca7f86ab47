// Command probe-targets is the state ProbeTargets: it logs in with the value in use, and with values that were revoked.
package main

import (
	"crypto/rand"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
)

func main() {
	cfg := function.Config()
	registry := &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)}
	step := &inspection.ProbeTargets{
		Journal: &inspection.Journal{
			Log: function.AuditLog(cfg), Bus: inspection.NewBus(cfg, env.Must(env.Bus)), Lines: os.Stdout, Registry: registry,
		},
		Secrets:  secretsmanager.NewFromConfig(cfg),
		Rotators: rotation.Rotators{contract.Postgres: postgres.New(rand.Reader)},
		Prints:   registry, Fingerprints: fingerprint.New(cfg, env.Must(env.FingerprintKey)),
	}
	function.Start(step.Handle)
}
