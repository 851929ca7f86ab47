// Command receive-webhook is the function behind the webhook URL: it checks what the outside world signs, and puts a small
// normalised event of it on the bus.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
)

func main() {
	cfg := function.Config()
	db := dynamodb.NewFromConfig(cfg)
	keys, err := webhook.ParsePublicKeys(env.May(env.GitHubKeys))
	if err != nil {
		panic(err)
	}
	receiver := &webhook.Receiver{
		Keys:   &webhook.Keys{Secrets: secretsmanager.NewFromConfig(cfg), Environment: env.Must(env.Environment)},
		GitHub: keys,
		Memory: &webhook.Deliveries{DB: db, Table: env.Must(env.RunsTable)},
		Bus:    &webhook.EventBus{Events: eventbridge.NewFromConfig(cfg), Name: env.Must(env.Bus)},
		Tokens: &webhook.Fingerprints{
			KMS: kms.NewFromConfig(cfg), KeyID: env.Must(env.FingerprintKey),
			Registry: &dynamo.Registry{DB: db, Contracts: env.Must(env.ContractsTable)},
		},
		Log: function.AuditLog(cfg),
	}
	function.Start(receiver.Handle)
}
