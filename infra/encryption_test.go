package infra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeyRotatesStaysAndIsUsedThroughNamedServicesOnly(t *testing.T) {
	made := synthesized()
	key := made.the(t, "AWS::KMS::Key", "Description", "Mayfly: registry, audit records, logs, dead letters, alarms")
	if key.Properties["EnableKeyRotation"] != true {
		t.Error("the key does not rotate")
	}
	if key.DeletionPolicy != "Retain" || key.UpdateReplacePolicy != "Retain" {
		t.Errorf("policies on deletion %q and replacement %q: without the key no audit record can be read", key.DeletionPolicy, key.UpdateReplacePolicy)
	}
	want := []string{
		`to {"AWS":"*"} kms:Encrypt kms:Decrypt kms:ReEncrypt* kms:GenerateDataKey* kms:CreateGrant kms:DescribeKey on *` +
			` if {"StringEquals":{"kms:CallerAccount":"000000000000","kms:ViaService":"dynamodb.us-east-1.amazonaws.com"}}`,
		`to {"AWS":"iam:root"} kms:* on *`,
		`to {"Service":"cloudwatch.amazonaws.com"} kms:Decrypt kms:GenerateDataKey on *` +
			` if {"ArnLike":{"aws:SourceArn":"cloudwatch:alarm:mayfly-*"},"StringEquals":{"aws:SourceAccount":"000000000000"}}`,
		`to {"Service":"events.amazonaws.com"} kms:Decrypt kms:GenerateDataKey on *`,
		`to {"Service":"logs.us-east-1.amazonaws.com"} kms:Encrypt kms:Decrypt kms:ReEncrypt* kms:GenerateDataKey* kms:DescribeKey on *` +
			` if {"ArnLike":{"kms:EncryptionContext:aws:logs:arn":["logs:log-group:/mayfly/audit","logs:log-group:/aws/vendedlogs/states/mayfly"]}}`,
	}
	if diff := cmp.Diff(want, made.statements(key.Properties["KeyPolicy"])); diff != "" {
		t.Errorf("key policy (- want, + template):\n%s", diff)
	}
}

func TestEverythingKeptIsUnderTheKey(t *testing.T) {
	made := synthesized()
	const key = "arn:aws:kms:us-east-1:000000000000:key/mayfly"
	kept := 0
	for id, r := range made {
		var got any
		switch r.Type {
		case "AWS::DynamoDB::Table":
			got = r.Properties["SSESpecification"].(map[string]any)["KMSMasterKeyId"]
		case "AWS::SQS::Queue", "AWS::SNS::Topic":
			got = r.Properties["KmsMasterKeyId"]
		case "AWS::Logs::LogGroup":
			got = r.Properties["KmsKeyId"]
		case "AWS::S3::Bucket":
			rule := r.Properties["BucketEncryption"].(map[string]any)["ServerSideEncryptionConfiguration"].([]any)[0].(map[string]any)
			got = rule["ServerSideEncryptionByDefault"].(map[string]any)["KMSMasterKeyID"]
		default:
			continue
		}
		kept++
		if made.text(got) != key {
			t.Errorf("%s (%s) is encrypted with %v", id, r.Type, got)
		}
	}
	if kept != 9 {
		t.Errorf("looked at %d resources, want 2 tables, 2 queues, 1 topic, 2 log groups, 2 buckets", kept)
	}
}
