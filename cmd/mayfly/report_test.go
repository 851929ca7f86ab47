package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/report"
)

func (b *bench) reported(code int, more ...string) report.Report {
	b.Helper()
	return answer[report.Report](b, code, append([]string{"report", "--contracts", b.dir}, more...)...)
}

func TestReport(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "laptop lost", "--wait")
	r := b.reported(0)
	if len(r.Secrets) != 2 || len(r.Findings) != 0 || !r.Audit.OK || r.Account != "000000000000" || r.Region != "us-east-1" || r.Audit.Bucket != auditBucketName {
		t.Fatalf("%+v", r)
	}
	token := r.Secrets[slices.IndexFunc(r.Secrets, func(s report.Secret) bool { return s.Secret == "prod/token" })]
	if len(token.Runs) != 1 || token.Runs[0].Outcome != "rotated" || !strings.HasPrefix(token.Runs[0].Reason, "laptop lost") || len(token.Runs[0].Proofs) != 1 ||
		token.Runs[0].Proofs[0].Outcome != "no_target" || token.Life.State != report.Fresh || token.Commit != "c0ffee" || token.Readers[0].Name != "billing" || token.Sentence == "" {
		t.Errorf("%+v", token)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	said, _ := b.mayfly(0, "report", "--contracts", b.dir, "--out", page)
	b.contains(said, page+": 2 secret(s), 0 finding(s)")
	text, err := os.ReadFile(page)
	b.must(err)
	b.contains(string(text), "Nothing needs attention.", "laptop lost", "Verified.")
	stdout, _ := b.mayfly(0, "report", "--contracts", b.dir, "--out", "-")
	b.contains(stdout, "<!DOCTYPE html>", "</html>\n")
	for _, value := range []string{b.value("prod/token"), b.value("prod/signing-key")} {
		if strings.Contains(stdout, value) {
			t.Error("a value is on the page")
		}
	}
	if r := b.reported(0, "--runs", "0"); len(r.Secrets[0].Runs)+len(r.Secrets[1].Runs) != 0 {
		t.Errorf("--runs 0: %+v", r.Secrets)
	}
	if r := b.reported(1, "--environment", "staging"); len(r.Secrets) != 0 || r.Findings[0].Code != report.NothingRecorded {
		t.Errorf("of an environment that is none: %+v", r)
	}
}

// What is wrong is exit code 1, and the page is written all the same.
func TestReportFinds(t *testing.T) {
	b := applied(t)
	b.mayfly(0, "rotate", "prod/token", "--reason", "drill", "--wait")
	sm := secretsmanager.NewFromConfig(b.Config)
	_, err := sm.TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: aws.String("prod/token"),
		Tags: []types.Tag{{Key: aws.String("mayfly:expires-at"), Value: aws.String("2020-01-01T00:00:00Z")}}})
	b.must(err)
	_, err = sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("prod/signing-key"), RecoveryWindowInDays: aws.Int64(7)})
	b.must(err)
	key := b.records("prod--token")[1]
	_, err = b.s3().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(auditBucketName), Key: &key})
	b.must(err)
	b.write("new.yaml", contractText("new", "24h"))
	b.write("services/other.yaml", billing) // of another name: lint complains
	page := filepath.Join(t.TempDir(), "page.html")
	r := b.reported(1, "--out", page)
	var found []string
	for _, f := range r.Findings {
		found = append(found, f.Secret+" "+f.Code)
	}
	want := []string{"prod/token ChainBroken", "prod/token Expired", "prod/signing-key Missing", "prod/new NotInForce", " ContractsInvalid"}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	text, err := os.ReadFile(page)
	b.must(err)
	b.contains(string(text), "Needs attention", key, "was hidden by a delete marker")
	said, _ := b.mayfly(1, "report", "--contracts", b.dir, "--out", page)
	b.contains(said, "prod/signing-key: it is not in Secrets Manager", "all: lint finds", "3 secret(s), 5 finding(s)")
}

func TestReportThatCannotRun(t *testing.T) {
	b := applied(t)
	b.mayfly(2, "report", "--contracts", b.dir, "--json", "--out", "-")
	b.mayfly(2, "report", "--contracts", b.dir, "--runs", "-1")
	b.mayfly(3, "report", "--contracts", filepath.Join(b.dir, "nowhere"))
	_, complaint := b.mayfly(3, "report", "--contracts", b.dir, "--out", filepath.Join(b.dir, "nowhere", "page.html"))
	b.contains(complaint, "cannot write the page", "name a file in a folder that exists")
	_, complaint = b.mayfly(3, "report", "--contracts", b.dir, "--audit-bucket", "elsewhere")
	b.contains(complaint, "NoSuchBucket")
	_, complaint = b.mayfly(3, "report", "--contracts", b.dir, "--contracts-table", "elsewhere")
	b.contains(complaint, "cannot list the contracts in force")
}
