package infra_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDispatchBucket(t *testing.T) {
	made := synthesized()
	const name = "mayfly-dispatch-000000000000-us-east-1"
	b := made.the(t, "AWS::S3::Bucket", "BucketName", name)
	for property, want := range map[string]string{
		"BucketEncryption": `{"ServerSideEncryptionConfiguration":[{"BucketKeyEnabled":true,"ServerSideEncryptionByDefault":` +
			`{"KMSMasterKeyID":"arn:aws:kms:us-east-1:000000000000:key/mayfly","SSEAlgorithm":"aws:kms"}}]}`,
		"LifecycleConfiguration": `{"Rules":[{"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1},"ExpirationInDays":7,"Id":"dispatch","Prefix":"dispatch/","Status":"Enabled"},` +
			`{"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1},"ExpirationInDays":7,"Id":"results","Prefix":"results/","Status":"Enabled"},` +
			`{"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1},"ExpirationInDays":90,"Id":"deliveries","Prefix":"deliveries/","Status":"Enabled"}]}`,
		"PublicAccessBlockConfiguration": `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,` +
			`"RestrictPublicBuckets":true}`,
		"OwnershipControls": `{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}`,
	} {
		if diff := cmp.Diff(want, made.text(b.Properties[property])); diff != "" {
			t.Errorf("%s (- want, + template):\n%s", property, diff)
		}
	}
	const everything = "s3:" + name + " s3:" + name + "/*"
	want := []string{
		`Deny to {"AWS":"*"} s3:* on ` + everything + ` if {"Bool":{"aws:SecureTransport":"false"}}`,
		`Deny to {"AWS":"*"} s3:* on ` + everything + ` if {"NumericLessThan":{"s3:TlsVersion":1.2}}`,
	}
	got := made.statements(made.the(t, "AWS::S3::BucketPolicy", "Bucket", name).Properties["PolicyDocument"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bucket policy (- want, + template):\n%s", diff)
	}
	variables := made.the(t, "AWS::Lambda::Function", "FunctionName", "mayfly-resolve-trigger").Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
	if got := made.text(variables["MAYFLY_DISPATCH_BUCKET"]); got != name {
		t.Errorf("resolve-trigger keeps lists in %s", got)
	}
}

// The role may watch the children of one Map, by its label.
func TestMapsHaveTheLabelsThatTheirRolesKnow(t *testing.T) {
	for file, label := range map[string]string{"respond.asl.json": "StartFleet", "inspect.asl.json": "InspectBatches"} {
		text, err := os.ReadFile(filepath.Join("..", "statemachines", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"Label": "`+label+`"`) {
			t.Errorf("%s has no Map with the label %s", file, label)
		}
	}
}
