package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// records are the keys of a secret's records, in order.
func (b *bench) records(slug string) []string {
	b.Helper()
	out, err := b.s3().ListObjectsV2(b.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(auditBucketName), Prefix: aws.String("audit/environment=prod/")})
	b.must(err)
	var keys []string
	for _, o := range out.Contents {
		if strings.Contains(*o.Key, "/"+slug+"/") {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

func TestVerifyWholeBucket(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "drill", "--wait")
	found := answer[verdict](b, 0, "audit", "verify")
	if !found.OK || len(found.Chains) != 2 || found.Records < 10 || found.Bucket != auditBucketName {
		t.Errorf("%+v", found)
	}
	text, _ := b.mayfly(0, "audit", "verify", "--environment", "prod")
	b.contains(text, "prod--token", found.Chains[0].Head, "nothing missing, nothing altered")
}

func TestVerifyFindsAnAlteredRecord(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "drill", "--wait")
	key := b.records("prod--token")[2]
	out, err := b.s3().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(auditBucketName), Key: &key})
	b.must(err)
	body, err := io.ReadAll(out.Body)
	b.must(err)
	forged := bytes.Replace(body, []byte("drill"), []byte("DRILL"), 1)
	if bytes.Equal(forged, body) {
		t.Fatalf("nothing to forge in %s", body)
	}
	// Object Lock keeps the old version; it does not keep a new one from being put in front of it.
	_, err = b.s3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(auditBucketName), Key: &key, Body: bytes.NewReader(forged), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	b.must(err)
	text, _ := b.mayfly(1, "audit", "verify")
	b.contains(text, key+": ", "was altered", "not verified")
	if found := answer[verdict](b, 1, "audit", "verify"); found.OK {
		t.Error("ok, with an altered record")
	}
}

func TestVerifyFindsAHiddenRecord(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "drill", "--wait")
	key := b.records("prod--token")[1]
	_, err := b.s3().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(auditBucketName), Key: &key})
	b.must(err)
	text, _ := b.mayfly(1, "audit", "verify")
	b.contains(text, "was hidden by a delete marker")
}

// Nothing to verify is no proof of anything.
func TestVerifyOfNothing(t *testing.T) {
	b := account(t)
	text, _ := b.mayfly(1, "audit", "verify")
	b.contains(text, "nothing to verify")
	b.mayfly(3, "audit", "verify", "--audit-bucket", "elsewhere")
}

func TestAuditorsQuestions(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "laptop lost", "--id", "CHANGE-1", "--wait")
	all := answer[[]audit.Answer](b, 0, "audit", "query", "all", "prod/token")
	if len(all) != 1 {
		t.Fatalf("%d answers, want 1", len(all))
	}
	a := all[0]
	if a.Secret != "prod/token" || a.Owner != "payments" || a.LastRotated == "" {
		t.Errorf("when: %+v", a)
	}
	if a.Why == nil || a.Why.TriggerType != "manual" || a.Why.TriggerID != "CHANGE-1" || a.Why.TriggerSource != "cli" || a.Why.Reason != "laptop lost" || a.Why.Actor == "" {
		t.Errorf("why: %+v", a.Why)
	}
	if a.Workflow == nil || !strings.HasPrefix(a.Workflow.ExecutionARN, "arn:aws:states:us-east-1:000000000000:execution:mayfly-rotate:prod--token-") || a.Workflow.ContractCommit != "c0ffee" {
		t.Errorf("workflow: %+v", a.Workflow)
	}
	if a.Outcome == nil || a.Outcome.Outcome != "rotated" || a.Outcome.VersionTo == "" {
		t.Errorf("outcome: %+v", a.Outcome)
	}
	for question, line := range map[string]string{
		"last-rotated": "prod/token        payments  " + a.LastRotated, "why": "manual CHANGE-1, from cli, by arn:", "workflow": a.Workflow.ExecutionARN,
		"outcome": "rotated at " + a.LastRotated,
	} {
		text, _ := b.mayfly(0, "audit", "query", question)
		b.contains(text, line, "prod/signing-key", "never")
	}
	only := answer[[]audit.Answer](b, 0, "audit", "query", "why", "--environment", "prod")
	if i := slices.IndexFunc(only, func(a audit.Answer) bool { return a.Secret == "prod/token" }); len(only) != 2 || only[i].Why == nil || only[i].Workflow != nil || only[i].Outcome != nil {
		t.Errorf("asked why, got %+v", only)
	}
	_, complaint := b.mayfly(1, "audit", "query", "all", "prod/unknown")
	b.contains(complaint, "holds no record of what was asked for")
}
