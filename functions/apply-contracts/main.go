// Command apply-contracts puts the contracts that lie beside it in force. CloudFormation calls it as a custom resource on
// every deployment, `mayfly apply` by hand.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/keyring"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	secrets := secretsmanager.NewFromConfig(cfg)
	apply := &rotation.ApplyContracts{
		Log:      function.AuditLog(cfg),
		Registry: &dynamo.Registry{DB: dynamodb.NewFromConfig(cfg), Contracts: env.Must(env.ContractsTable)},
		Secrets:  secrets,
		Keys:     rotation.Keys{Grants: keyring.Keyring{KMS: kms.NewFromConfig(cfg)}, Secrets: secrets},
		Mayfly:   env.MustList(env.ReaderRoles), BreakGlass: env.Must(env.BreakGlassRole),
		Rand:   rand.Reader,
		Now:    time.Now,
		Source: "aws.cloudformation",
	}
	file := env.Must(env.ContractsFile)
	lambda.Start(cfn.LambdaWrap(func(ctx context.Context, event cfn.Event) (string, map[string]any, error) {
		const id = "mayfly-contracts"
		if event.RequestType == cfn.RequestDelete {
			return id, nil, nil // the stack goes, the secrets stay, and so does what their registry says
		}
		compiled, err := os.ReadFile(file)
		if err != nil {
			return id, nil, fault.Wrap(err, fault.ContractInvalid, "read the compiled contracts")
		}
		done, err := apply.Compiled(ctx, compiled, event.RequestID)
		// CloudFormation takes 4,096 bytes of an answer, and hears nothing of a longer one; the records have it all.
		// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
		if err != nil && len(err.Error()) > 3000 {
			err = fmt.Errorf("%.3000s … and more", err)
		}
		return id, map[string]any{"InForce": len(done.InForce), "Created": len(done.Created), "Withdrawn": len(done.Withdrawn)}, err
	}))
}
