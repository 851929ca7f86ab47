package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// auditing is the commands about the audit bucket.
type auditing struct {
	Verify auditVerify `cmd:"" help:"Prove that no audit record is missing or was altered."`
	Query  auditQuery  `cmd:"" help:"Answer the auditor's questions: when, why, by which workflow, did it succeed."`
}

// log is the audit bucket, for reading.
func (b bucket) log(ctx context.Context, conn connection) (*audit.Log, *s3.Client, error) {
	name, err := conn.bucketName(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	client := conn.s3()
	return &audit.Log{S3: client, Bucket: name, Region: conn.Region, Lines: io.Discard}, client, nil
}

// writable is the audit bucket, for appending: account and retention are as the bucket has them.
func (b bucket) writable(ctx context.Context, conn connection) (*audit.Log, error) {
	log, client, err := b.log(ctx, conn)
	if err != nil {
		return nil, err
	}
	if log.Account, err = conn.accountID(ctx); err != nil {
		return nil, err
	}
	log.Retention, err = retention(ctx, client, log.Bucket)
	return log, err
}

// retention is how long the bucket itself locks what is put into it: what a deployment chose for audit records.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
func retention(ctx context.Context, client *s3.Client, name string) (time.Duration, error) {
	out, err := client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &name})
	if err != nil {
		return 0, fmt.Errorf("read how long %s locks its records: %w", name, err)
	}
	if l := out.ObjectLockConfiguration; l != nil && l.Rule != nil && l.Rule.DefaultRetention != nil {
		d := l.Rule.DefaultRetention
		const day = 24 * time.Hour
		switch {
		case d.Mode != types.ObjectLockRetentionModeCompliance:
		case d.Days != nil:
			return time.Duration(*d.Days) * day, nil
		case d.Years != nil:
			return time.Duration(*d.Years) * 365 * day, nil
		}
	}
	return 0, errors.New("bucket " + name + " does not lock its objects in COMPLIANCE mode by default, so it is not Mayfly's audit bucket; name that one with --audit-bucket")
}
