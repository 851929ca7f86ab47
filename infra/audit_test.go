package infra_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

func TestAuditBucketKeepsRecords(t *testing.T) {
	made := synthesized()
	b := made.the(t, "AWS::S3::Bucket", "BucketName", "mayfly-audit-000000000000-us-east-1")
	if b.DeletionPolicy != "Retain" || b.UpdateReplacePolicy != "Retain" {
		t.Error("the bucket goes with the stack")
	}
	for property, want := range map[string]string{
		"BucketName":              "mayfly-audit-000000000000-us-east-1",
		"ObjectLockEnabled":       "true",
		"ObjectLockConfiguration": `{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Days":400,"Mode":"COMPLIANCE"}}}`,
		"VersioningConfiguration": `{"Status":"Enabled"}`,
		"PublicAccessBlockConfiguration": `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,` +
			`"RestrictPublicBuckets":true}`,
		"OwnershipControls": `{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}`,
	} {
		if got := made.text(b.Properties[property]); got != want {
			t.Errorf("%s = %s, want %s", property, got, want)
		}
	}
}

func TestAuditBucketPolicy(t *testing.T) {
	made := synthesized()
	const everything = "s3:mayfly-audit-000000000000-us-east-1 s3:mayfly-audit-000000000000-us-east-1/*"
	want := []string{
		`Deny to {"AWS":"*"} s3:* on ` + everything + ` if {"Bool":{"aws:SecureTransport":"false"}}`,
		`Deny to {"AWS":"*"} s3:* on ` + everything + ` if {"NumericLessThan":{"s3:TlsVersion":1.2}}`,
		`Deny to {"AWS":"*"} s3:BypassGovernanceRetention s3:DeleteObject s3:DeleteObjectVersion s3:PutBucketObjectLockConfiguration on ` + everything,
	}
	got := made.statements(made.the(t, "AWS::S3::BucketPolicy", "Bucket", "mayfly-audit-000000000000-us-east-1").Properties["PolicyDocument"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bucket policy (- want, + template):\n%s", diff)
	}
}

func TestRetentionFollowsTheContext(t *testing.T) {
	made := other() // retentionDays 30
	lock := made.text(made.the(t, "AWS::S3::Bucket", "BucketName", "mayfly-audit-000000000000-us-east-1").Properties["ObjectLockConfiguration"])
	if !strings.Contains(lock, `{"Days":30,"Mode":"COMPLIANCE"}`) {
		t.Errorf("Object Lock = %s, want 30 days", lock)
	}
	if got := made.the(t, "AWS::Logs::LogGroup", "LogGroupName", "/mayfly/audit").Properties["RetentionInDays"]; got != 30.0 {
		t.Errorf("the log is kept %v days, want 30", got)
	}
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		if got := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["MAYFLY_RETENTION_DAYS"]; got != "30" {
			t.Errorf("%s locks records for %v days, want 30", name, got)
		}
	}
}

func TestAuditLog(t *testing.T) {
	log := synthesized().the(t, "AWS::Logs::LogGroup", "LogGroupName", "/mayfly/audit")
	if log.Properties["RetentionInDays"] != 400.0 || log.DeletionPolicy != "Retain" {
		t.Errorf("kept %v days, on deletion %s; want 400 and Retain", log.Properties["RetentionInDays"], log.DeletionPolicy)
	}
}

func TestMetricsAreCountedFromRecords(t *testing.T) {
	made := synthesized()
	for name, want := range map[string]string{
		"FailedDirty": `{ $.outcome = "` + audit.FailedDirty + `" }`,
		"Evaluated":   `{ $.event = "evaluated" }`,
	} {
		found := 0
		for _, f := range made.all("AWS::Logs::MetricFilter", "FilterName") {
			transformation := f.Properties["MetricTransformations"].([]any)[0].(map[string]any)
			if transformation["MetricName"] != name {
				continue
			}
			found++
			if f.Properties["FilterPattern"] != want || made.text(f.Properties["LogGroupName"]) != "/mayfly/audit" ||
				transformation["MetricNamespace"] != "Mayfly" || transformation["MetricValue"] != "1" {
				t.Errorf("%s counts %s", name, made.text(f.Properties))
			}
		}
		if found != 1 {
			t.Errorf("%d filters count %s, want 1", found, name)
		}
	}
}
