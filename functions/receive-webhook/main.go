// Command receive-webhook is the function behind the webhook URL: it checks what the outside world signs, and puts a small
// normalised event of it on the bus.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/webhook"
)

func main() {
	cfg := function.Config()
	keys, err := webhook.ParsePublicKeys(env.May(env.GitHubKeys))
	if err != nil {
		panic(err)
	}
	receiver := &webhook.Receiver{
		Keys:   &webhook.Keys{Secrets: secretsmanager.NewFromConfig(cfg), Environment: env.Must(env.Environment)},
		GitHub: keys,
		Memory: &webhook.Deliveries{S3: s3.NewFromConfig(cfg), Bucket: env.Must(env.DispatchBucket)},
		Bus:    &webhook.EventBus{Events: eventbridge.NewFromConfig(cfg), Name: env.Must(env.Bus)},
		Log:    function.AuditLog(cfg),

		Fingerprints: fingerprint.New(cfg, env.Must(env.FingerprintKey)),
	}
	function.Start(receiver.Handle)
}
