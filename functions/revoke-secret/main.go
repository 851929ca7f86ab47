// Command revoke-secret is the state RevokeSecret: it proves that the target refuses the old credential.
package main

import (
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	"github.com/mayfly-secrets/mayfly/internal/rotator/random"
)

func main() {
	cfg := function.Config()
	step := &rotation.RevokeSecret{
		Log: function.AuditLog(cfg), Secrets: secretsmanager.NewFromConfig(cfg),
		Rotators: rotation.Rotators{contract.Random: random.Rotator{}, contract.Postgres: postgres.New(rand.Reader)},
	}
	function.Start(step.Handle)
}
