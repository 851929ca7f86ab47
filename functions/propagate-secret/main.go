// Command propagate-secret is the state PropagateSecret: it puts in force who reads the new version, and makes the services pick it up.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.PropagateSecret{
		Log: function.AuditLog(cfg),
		Access: rotation.Access{Secrets: secretsmanager.NewFromConfig(cfg), Mayfly: env.MustList(env.ReaderRoles),
			BreakGlass: env.Must(env.BreakGlassRole)},
	}
	function.Start(step.Handle)
}
