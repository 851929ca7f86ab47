// Command admit-rotation is the state AdmitRotation: it decides whether a run happens and how.
package main

import (
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotation/executions"
)

func main() {
	cfg, rules := function.Config(), env.Must(env.GuardrailsFile)
	step := &rotation.AdmitRotation{
		Log:        function.AuditLog(cfg),
		Registry:   &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable), Runs: env.Must(env.RunsTable)},
		Secrets:    secretsmanager.NewFromConfig(cfg),
		Executions: executions.Executions{SFN: sfn.NewFromConfig(cfg)},
		Rules: sync.OnceValues(func() (blastradius.Guardrails, error) { // with the first run that they are asked about
			text, err := os.ReadFile(rules)
			if err != nil {
				return blastradius.Guardrails{}, err
			}
			return blastradius.ReadGuardrails(text)
		}),
	}
	function.Start(step.Handle)
}
