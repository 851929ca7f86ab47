// Command create-secret is the state CreateSecret: it stores a new value as AWSPENDING. It is the only function that may put values.
package main

import (
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.CreateSecret{Log: function.AuditLog(cfg), Secrets: secretsmanager.NewFromConfig(cfg), Rand: rand.Reader}
	function.Start(step.Handle)
}
