// Command test-secret is the state TestSecret: it logs in with the new value, as it is stored.
package main

import (
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	"github.com/mayfly-secrets/mayfly/internal/rotator/random"
)

func main() {
	cfg := function.Config()
	step := &rotation.TestSecret{
		Log: function.AuditLog(cfg), Secrets: secretsmanager.NewFromConfig(cfg),
		Rotators:     rotation.Rotators{contract.Random: random.Rotator{}, contract.Postgres: postgres.New(rand.Reader)},
		Fingerprints: fingerprint.New(cfg, env.Must(env.FingerprintKey)),
	}
	function.Start(step.Handle)
}
