package authorization_test

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func (w *world) tableCalls() map[string]call {
	const table, index = "arn:aws:dynamodb:us-east-1:000000000000:table/table", "arn:aws:dynamodb:us-east-1:000000000000:table/table/index/other"
	name := aws.String("table")
	key := map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: "a"}}
	other := map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: "b"}}
	third := map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: "c"}}
	fourth := map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: "d"}}
	values := map[string]dbtypes.AttributeValue{":v": &dbtypes.AttributeValueMemberS{Value: "a"}}
	do := func(f func(ctx context.Context, c *dynamodb.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, dynamodb.NewFromConfig(cfg)) }
	}
	return map[string]call{
		"GetItem": {[]grant{{"dynamodb:GetItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: key})
			return err
		})},
		"GetItem by ARN": {[]grant{{"dynamodb:GetItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(table), Key: key})
			return err
		})},
		"PutItem": {[]grant{{"dynamodb:PutItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: key})
			return err
		})},
		"UpdateItem": {[]grant{{"dynamodb:UpdateItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: name, Key: key})
			return err
		})},
		"DeleteItem": {[]grant{{"dynamodb:DeleteItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: key})
			return err
		})},
		"Query of the table": {[]grant{{"dynamodb:Query", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.Query(ctx, &dynamodb.QueryInput{TableName: name, KeyConditionExpression: aws.String("pk = :v"), ExpressionAttributeValues: values})
			return err
		})},
		"Query of an index": {[]grant{{"dynamodb:Query", index}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.Query(ctx, &dynamodb.QueryInput{TableName: name, IndexName: aws.String("other"), KeyConditionExpression: aws.String("other = :v"), ExpressionAttributeValues: values})
			return err
		})},
		"Scan": {[]grant{{"dynamodb:Scan", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.Scan(ctx, &dynamodb.ScanInput{TableName: name})
			return err
		})},
		"BatchGetItem": {[]grant{{"dynamodb:BatchGetItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]dbtypes.KeysAndAttributes{"table": {Keys: []map[string]dbtypes.AttributeValue{key}}}})
			return err
		})},
		"BatchWriteItem": {[]grant{{"dynamodb:BatchWriteItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]dbtypes.WriteRequest{"table": {{PutRequest: &dbtypes.PutRequest{Item: key}}}}})
			return err
		})},
		"TransactGetItems": {[]grant{{"dynamodb:GetItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: []dbtypes.TransactGetItem{{Get: &dbtypes.Get{TableName: name, Key: key}}}})
			return err
		})},
		"TransactWriteItems": {[]grant{{"dynamodb:PutItem", table}, {"dynamodb:UpdateItem", table}, {"dynamodb:DeleteItem", table}, {"dynamodb:ConditionCheckItem", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []dbtypes.TransactWriteItem{
				{Put: &dbtypes.Put{TableName: name, Item: key}},
				{Update: &dbtypes.Update{TableName: name, Key: other, UpdateExpression: aws.String("SET x = :v"), ExpressionAttributeValues: values}},
				{Delete: &dbtypes.Delete{TableName: name, Key: third}},
				{ConditionCheck: &dbtypes.ConditionCheck{TableName: name, Key: fourth, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
			}})
			return err
		})},
		"DescribeTable": {[]grant{{"dynamodb:DescribeTable", table}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
			return err
		})},
		"ListTables": {[]grant{{"dynamodb:ListTables", "*"}}, do(func(ctx context.Context, c *dynamodb.Client) error {
			_, err := c.ListTables(ctx, &dynamodb.ListTablesInput{})
			return err
		})},
	}
}

func (w *world) objectCalls() map[string]call {
	const bucket, object, keyed, new, none = "arn:aws:s3:::plain", "arn:aws:s3:::plain/audit/1.json", "arn:aws:s3:::keyed/audit/1.json", "arn:aws:s3:::plain/audit/new", "arn:aws:s3:::plain/audit/none"
	key := w.made["Key"].Att["Arn"]
	until := w.Clock.Now().Add(24 * time.Hour)
	do := func(f func(ctx context.Context, c *s3.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error {
			return f(ctx, s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }))
		}
	}
	get := func(bucket, key string, checksum s3types.ChecksumMode) func(context.Context, aws.Config) error {
		return do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: checksum})
			return err
		})
	}
	head := func(bucket, key string, checksum s3types.ChecksumMode) func(context.Context, aws.Config) error {
		return do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: checksum})
			return err
		})
	}
	put := func(in s3.PutObjectInput) func(context.Context, aws.Config) error {
		return do(func(ctx context.Context, c *s3.Client) error {
			in := in
			in.Body = strings.NewReader("{}")
			_, err := c.PutObject(ctx, &in)
			return err
		})
	}
	return map[string]call{
		"GetObject":                    {[]grant{{"s3:GetObject", object}}, get("plain", "audit/1.json", "")},
		"GetObject with a key":         {[]grant{{"s3:GetObject", keyed}, {"kms:Decrypt", key}}, get("keyed", "audit/1.json", "")},
		"GetObject of nothing":         {[]grant{{"s3:GetObject", none}, {"s3:ListBucket", bucket}}, get("plain", "audit/none", "")},
		"HeadObject":                   {[]grant{{"s3:GetObject", object}}, head("plain", "audit/1.json", "")},
		"HeadObject with a key":        {[]grant{{"s3:GetObject", keyed}}, head("keyed", "audit/1.json", "")},
		"HeadObject with its checksum": {[]grant{{"s3:GetObject", keyed}, {"kms:Decrypt", key}}, head("keyed", "audit/1.json", s3types.ChecksumModeEnabled)},
		"PutObject":                    {[]grant{{"s3:PutObject", new}}, put(s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/new"), IfNoneMatch: aws.String("*")})},
		"PutObject with a retention": {[]grant{{"s3:PutObject", new}, {"s3:PutObjectRetention", new}}, put(s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/new"),
			ObjectLockMode: s3types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until})},
		"PutObject with a hold": {[]grant{{"s3:PutObject", new}, {"s3:PutObjectLegalHold", new}}, put(s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/new"),
			ObjectLockLegalHoldStatus: s3types.ObjectLockLegalHoldStatusOn})},
		"PutObject over what it knows":     {[]grant{{"s3:PutObject", new}, {"s3:GetObject", new}}, put(s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/new"), IfMatch: aws.String(`"x"`)})},
		"PutObject with the bucket's key":  {[]grant{{"s3:PutObject", "arn:aws:s3:::keyed/n"}, {"kms:GenerateDataKey", key}}, put(s3.PutObjectInput{Bucket: aws.String("keyed"), Key: aws.String("n")})},
		"PutObject with the request's key": {[]grant{{"s3:PutObject", new}, {"kms:GenerateDataKey", key}}, put(s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/new"), ServerSideEncryption: s3types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &key})},
		"ListObjectsV2": {[]grant{{"s3:ListBucket", bucket}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("plain"), Prefix: aws.String("audit/")})
			return err
		})},
		"ListObjectVersions": {[]grant{{"s3:ListBucketVersions", bucket}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String("plain")})
			return err
		})},
		"HeadBucket": {[]grant{{"s3:ListBucket", bucket}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("plain")})
			return err
		})},
		"ListBuckets": {[]grant{{"s3:ListAllMyBuckets", "*"}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
			return err
		})},
		"DeleteObject": {[]grant{{"s3:DeleteObject", none}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/none")})
			return err
		})},
		"DeleteObject of a version": {[]grant{{"s3:DeleteObjectVersion", none}, {"s3:BypassGovernanceRetention", none}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("plain"), Key: aws.String("audit/none"), VersionId: aws.String("v"), BypassGovernanceRetention: aws.Bool(true)})
			return err
		})},
		"DeleteObjects": {[]grant{{"s3:DeleteObject", none}, {"s3:DeleteObjectVersion", new}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("plain"), Delete: &s3types.Delete{Objects: []s3types.ObjectIdentifier{{Key: aws.String("audit/none")}, {Key: aws.String("audit/new"), VersionId: aws.String("v")}}}})
			return err
		})},
		"PutObjectRetention": {[]grant{{"s3:PutObjectRetention", none}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: aws.String("plain"), Key: aws.String("audit/none"), Retention: &s3types.ObjectLockRetention{Mode: s3types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until}})
			return err
		})},
		"GetObjectRetention": {[]grant{{"s3:GetObjectRetention", object}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: aws.String("plain"), Key: aws.String("audit/1.json")})
			return err
		})},
		"GetObjectLockConfiguration": {[]grant{{"s3:GetBucketObjectLockConfiguration", bucket}}, do(func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: aws.String("plain")})
			return err
		})},
	}
}

func (w *world) keyCalls() map[string]call {
	key, mac := w.made["Key"].Att["Arn"], w.made["Mac"].Att["Arn"]
	do := func(f func(ctx context.Context, c *kms.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, kms.NewFromConfig(cfg)) }
	}
	sealed, err := kms.NewFromConfig(w.Config).Encrypt(w.t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]call{
		"Encrypt": {[]grant{{"kms:Encrypt", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
			return err
		})},
		"Decrypt": {[]grant{{"kms:Decrypt", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
			return err
		})},
		"GenerateDataKey": {[]grant{{"kms:GenerateDataKey", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256})
			return err
		})},
		"GenerateMac": {[]grant{{"kms:GenerateMac", mac}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: &mac, Message: []byte("x"), MacAlgorithm: kmstypes.MacAlgorithmSpecHmacSha256})
			return err
		})},
		"CreateGrant": {[]grant{{"kms:CreateGrant", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.CreateGrant(ctx, &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::000000000000:root"), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}})
			return err
		})},
		"ListGrants": {[]grant{{"kms:ListGrants", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.ListGrants(ctx, &kms.ListGrantsInput{KeyId: &key})
			return err
		})},
		"RevokeGrant": {[]grant{{"kms:RevokeGrant", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: aws.String("none")})
			return err
		})},
		"DescribeKey": {[]grant{{"kms:DescribeKey", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			return err
		})},
	}
}
