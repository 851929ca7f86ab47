// Command contain-secret is the state ContainSecret: it gets the credential in use refused at once.
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
	step := &rotation.ContainSecret{
		Log: function.AuditLog(cfg), Secrets: secretsmanager.NewFromConfig(cfg),
		Rotators: rotation.Rotators{contract.Random: random.Rotator{}, contract.Postgres: postgres.New(rand.Reader)},
	}
	function.Start(step.Handle)
}
