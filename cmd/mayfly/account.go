package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
)

// place says which account and Region a command works in; commands embed it. What is left empty comes from where the AWS
// CLI takes it: environment variables (AWS_ENDPOINT_URL too) and profiles.
type place struct {
	Region  string `placeholder:"REGION" help:"AWS Region; otherwise the environment's."`
	Account string `placeholder:"ID" help:"AWS account id; otherwise that of the credentials."`
}

// tables names the registry; commands embed it.
type tables struct {
	ContractsTable string `default:"mayfly-contracts" help:"DynamoDB table of the contracts in force."`
	RunsTable      string `default:"mayfly-runs" help:"DynamoDB table of the run history."`
}

// bucket names the audit bucket; commands embed it.
type bucket struct {
	AuditBucket string `placeholder:"NAME" help:"S3 bucket of the audit records; otherwise mayfly-audit-<account>-<region>."`
}

// connection is an account that can be called.
type connection struct {
	aws.Config
	account string // as the flag says; empty: ask
}

// caller is whose credentials a command works with.
type caller struct{ Account, ARN, Partition string }

// connect reads the configuration; nothing is called yet.
func (p place) connect(ctx context.Context) (connection, error) {
	var options []func(*config.LoadOptions) error
	if p.Region != "" {
		options = append(options, config.WithRegion(p.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return connection{}, fmt.Errorf("cannot read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return connection{}, errors.New("no AWS Region is set: give --region, or set AWS_REGION; for the local stack, `. .mayfly/local.env`")
	}
	return connection{Config: cfg, account: p.Account}, nil
}

// who asks STS whose credentials these are.
func (c connection) who(ctx context.Context) (caller, error) {
	out, err := sts.NewFromConfig(c.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return caller{}, fmt.Errorf("find out whose credentials these are: %w", err)
	}
	is := caller{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn), Partition: "aws"}
	if parts := strings.Split(is.ARN, ":"); len(parts) > 1 {
		is.Partition = parts[1]
	}
	if c.account != "" {
		is.Account = c.account
	}
	return is, nil
}

// accountID is the account as flag or credentials say.
func (c connection) accountID(ctx context.Context) (string, error) {
	if c.account != "" {
		return c.account, nil
	}
	is, err := c.who(ctx)
	return is.Account, err
}

func (c connection) registry(t tables) *dynamo.Registry {
	return &dynamo.Registry{DB: dynamodb.NewFromConfig(c.Config), Contracts: t.ContractsTable, Runs: t.RunsTable}
}

// s3 is S3. An endpoint of one's own, such as the local stack, has no name for each bucket: the bucket goes into the path.
func (c connection) s3() *s3.Client {
	return s3.NewFromConfig(c.Config, func(o *s3.Options) { o.UsePathStyle = c.BaseEndpoint != nil })
}

// bucketName is the audit bucket as flag or account and Region say.
func (c connection) bucketName(ctx context.Context, b bucket) (string, error) {
	if b.AuditBucket != "" {
		return b.AuditBucket, nil
	}
	account, err := c.accountID(ctx)
	return "mayfly-audit-" + account + "-" + c.Region, err
}

// spared are roles that the resource policy of every secret spares.
type spared struct {
	mayfly     []string // of functions that read values
	breakGlass string   // of people in an emergency
}

// readers are the roles that read, as the deployed function that applies contracts is told them.
func (c connection) readers(ctx context.Context) (spared, error) {
	const applying = "mayfly-apply-contracts"
	out, err := lambda.NewFromConfig(c.Config).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(applying)})
	if err != nil {
		return spared{}, fmt.Errorf("ask function %s which roles of Mayfly's read secrets: %w; is Mayfly deployed here?", applying, err)
	}
	if out.Environment == nil || out.Environment.Variables[env.ReaderRoles] == "" {
		return spared{}, fmt.Errorf("function %s does not know which roles of Mayfly's read secrets: deploy this version first", applying)
	}
	told := out.Environment.Variables
	return spared{strings.Split(told[env.ReaderRoles], ","), told[env.BreakGlassRole]}, nil
}

// machineARN is the ARN of a state machine, or the name itself where it is one.
func (c connection) machineARN(name string, is caller) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", is.Partition, c.Region, is.Account, name)
}
