// Package function is what every Lambda function starts with: the SDK's configuration, the audit log and the boundary.
package function

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Config reads region and credentials from the environment that Lambda provides.
func Config() aws.Config {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(fmt.Sprintf("AWS configuration: %v", err)) // at start, where Lambda reports it as an init error
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
