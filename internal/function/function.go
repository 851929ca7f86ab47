// Package function is what every Lambda function starts with: the SDK's configuration, the audit log and the boundary.
package function

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Config reads what Lambda puts into a function's environment: Region, the role's credentials, and an endpoint where the
// function runs elsewhere than on AWS. It knows no other source: config.LoadDefaultConfig looks for six more, single
// sign-on and instance metadata among them, and what it imports for that is a quarter of a function's start.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func Config() aws.Config {
	cfg := aws.Config{
		Region: env.Must("AWS_REGION"),
		// Lambda renews credentials by starting another process, so they are read once.
		Credentials: credentials.StaticCredentialsProvider{Value: aws.Credentials{
			AccessKeyID: env.Must("AWS_ACCESS_KEY_ID"), SecretAccessKey: env.Must("AWS_SECRET_ACCESS_KEY"),
			SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
		}},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg
}

// AuditLog is the audit as the function's environment describes it. Each record is also a line on stdout, which the
// function's log configuration sends to /mayfly/audit.
func AuditLog(cfg aws.Config) *audit.Log {
	return &audit.Log{
		S3: s3.NewFromConfig(cfg), Bucket: env.Must(env.AuditBucket), Retention: time.Duration(env.MustInt(env.RetentionDays)) * 24 * time.Hour,
		Account: env.Must(env.Account), Region: cfg.Region, Lines: os.Stdout,
	}
}

// Start serves a step.
func Start[In, Out any](handle func(context.Context, In) (Out, error)) {
	lambda.Start(fault.Boundary(os.Stdout, handle))
}
