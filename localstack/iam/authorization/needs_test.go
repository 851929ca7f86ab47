package authorization_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedtypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// call is one API call and all that its caller needs. Whether it succeeds beyond that is not of interest here.
type call struct {
	needs []grant
	do    func(ctx context.Context, cfg aws.Config) error
}

// furnish makes one resource of each kind.
func (w *world) furnish() {
	w.t.Helper()
	root := secretsmanager.NewFromConfig(w.Config)
	key := w.make("AWS::KMS::Key", "Key", `{"KeyPolicy":`+handedOver+`}`)
	w.make("AWS::KMS::Key", "Mac", `{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC","KeyPolicy":`+handedOver+`}`)
	for name, keyID := range map[string]*string{"prod/plain": nil, "prod/keyed": aws.String(key.Att["Arn"])} {
		_, err := root.CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, KmsKeyId: keyID, SecretString: aws.String("v")})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.make("AWS::DynamoDB::Table", "Table", `{"TableName":"table","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"other","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"GlobalSecondaryIndexes":[{"IndexName":"other","KeySchema":[{"AttributeName":"other","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`)
	w.make("AWS::S3::Bucket", "Bucket", `{"BucketName":"plain","ObjectLockEnabled":true}`)
	w.make("AWS::S3::Bucket", "Keyed", `{"BucketName":"keyed","BucketEncryption":{"ServerSideEncryptionConfiguration":[
		{"BucketKeyEnabled":true,"ServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"`+key.Att["Arn"]+`"}}]}}`)
	buckets := s3.NewFromConfig(w.Config, func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{"plain", "keyed"} {
		_, err := buckets.PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("audit/1.json"), Body: strings.NewReader("{}")})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

const handedOver = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}]}`

// TestEveryCallNeedsExactlyThis makes each call as a role that has all that it needs, which must not be denied, and once
// for each of them as a role that has all but that one, which must.
func TestEveryCallNeedsExactlyThis(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	for name, c := range merge(w.secretCalls(), w.tableCalls(), w.objectCalls(), w.keyCalls(), w.executionCalls(), w.messageCalls(), w.observationCalls(), w.identityCalls()) {
		t.Run(name, func(t *testing.T) {
			if err := c.do(t.Context(), w.as(w.role(document()))); !isDenied(err) {
				t.Errorf("without anything: %v", err)
			}
			for i, n := range c.needs {
				rest := append(append([]grant{}, c.needs[:i]...), c.needs[i+1:]...)
				if err := c.do(t.Context(), w.as(w.role(document(rest...)))); !isDenied(err) {
					t.Errorf("without %v: %v", n, err)
				}
				elsewhere := append(append([]grant{}, rest...), grant{n.action, "arn:aws:nowhere:us-east-1:000000000000:else"})
				if err := c.do(t.Context(), w.as(w.role(document(elsewhere...)))); !isDenied(err) {
					t.Errorf("with %s elsewhere: %v", n.action, err)
				}
			}
			if err := c.do(t.Context(), w.as(w.role(document(c.needs...)))); isDenied(err) {
				t.Errorf("with all of it: %v", err)
			}
		})
	}
}

func merge(tables ...map[string]call) map[string]call {
	all := map[string]call{}
	for _, t := range tables {
		for name, c := range t {
			all[name] = c
		}
	}
	return all
}

func (w *world) secretCalls() map[string]call {
	const plain, keyed, fresh = "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/plain-??????", "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/keyed-??????", "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/fresh"
	key := w.made["Key"].Att["Arn"]
	id, keyedID := aws.String("prod/plain"), aws.String("prod/keyed")
	do := func(f func(ctx context.Context, c *secretsmanager.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, secretsmanager.NewFromConfig(cfg)) }
	}
	on := func(resource string, actions ...string) []grant {
		var out []grant
		for _, a := range actions {
			out = append(out, grant{"secretsmanager:" + a, resource})
		}
		return out
	}
	return map[string]call{
		"GetSecretValue": {on(plain, "GetSecretValue"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
			return err
		})},
		"GetSecretValue with a key": {append(on(keyed, "GetSecretValue"), grant{"kms:Decrypt", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: keyedID})
			return err
		})},
		"BatchGetSecretValue": {append(on("*", "BatchGetSecretValue"), append(on(plain, "GetSecretValue"), append(on(keyed, "GetSecretValue"), grant{"kms:Decrypt", key})...)...), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"prod/plain", "prod/keyed"}})
			return err
		})},
		"PutSecretValue": {on(plain, "PutSecretValue"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: aws.String("w")})
			return err
		})},
		"PutSecretValue with a key": {append(on(keyed, "PutSecretValue"), grant{"kms:GenerateDataKey", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: keyedID, SecretString: aws.String("w")})
			return err
		})},
		"CreateSecret": {on(fresh, "CreateSecret"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("prod/fresh")})
			return err
		})},
		"CreateSecret with tags and a key": {append(on(fresh, "CreateSecret", "TagResource"), grant{"kms:GenerateDataKey", key}, grant{"kms:Decrypt", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("prod/fresh"), SecretString: aws.String("v"), KmsKeyId: &key,
				Tags: []smtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			return err
		})},
		"UpdateSecret": {on(plain, "UpdateSecret"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: id, Description: aws.String("d")})
			return err
		})},
		"UpdateSecret with a key": {append(on(keyed, "UpdateSecret"), grant{"kms:GenerateDataKey", key}, grant{"kms:Decrypt", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: keyedID, SecretString: aws.String("x")})
			return err
		})},
		"DescribeSecret": {on(plain, "DescribeSecret"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: id})
			return err
		})},
		"ListSecretVersionIds": {on(plain, "ListSecretVersionIds"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: id})
			return err
		})},
		"UpdateSecretVersionStage": {on(plain, "UpdateSecretVersionStage"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{SecretId: id, VersionStage: aws.String("x")})
			return err
		})},
		"TagResource": {on(plain, "TagResource"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: id, Tags: []smtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			return err
		})},
		"UntagResource": {on(plain, "UntagResource"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: id, TagKeys: []string{"a"}})
			return err
		})},
		"PutResourcePolicy": {on(plain, "PutResourcePolicy"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: id, ResourcePolicy: aws.String(handedOver)})
			return err
		})},
		"DeleteResourcePolicy": {on(plain, "DeleteResourcePolicy"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: id})
			return err
		})},
		"ListSecrets": {on("*", "ListSecrets"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
			return err
		})},
		"GetRandomPassword": {on("*", "GetRandomPassword"), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.GetRandomPassword(ctx, &secretsmanager.GetRandomPasswordInput{})
			return err
		})},
	}
}

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
		"DescribeKey": {[]grant{{"kms:DescribeKey", key}}, do(func(ctx context.Context, c *kms.Client) error {
			_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			return err
		})},
	}
}

func (w *world) executionCalls() map[string]call {
	const machine, execution, function, role = "arn:aws:states:us-east-1:000000000000:stateMachine:m", "arn:aws:states:us-east-1:000000000000:execution:m:x", "arn:aws:lambda:us-east-1:000000000000:function:f", "arn:aws:iam::000000000000:role/r"
	states := func(f func(ctx context.Context, c *sfn.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, sfn.NewFromConfig(cfg)) }
	}
	return map[string]call{
		"StartExecution": {[]grant{{"states:StartExecution", machine}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(machine)})
			return err
		})},
		"DescribeExecution": {[]grant{{"states:DescribeExecution", execution}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
			return err
		})},
		"StopExecution": {[]grant{{"states:StopExecution", execution}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: aws.String(execution)})
			return err
		})},
		"ListExecutions": {[]grant{{"states:ListExecutions", machine}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(machine)})
			return err
		})},
		"ListStateMachines": {[]grant{{"states:ListStateMachines", "*"}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
			return err
		})},
		"SendTaskSuccess": {[]grant{{"states:SendTaskSuccess", "*"}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String("t"), Output: aws.String("{}")})
			return err
		})},
		"CreateStateMachine": {[]grant{{"states:CreateStateMachine", "arn:aws:states:us-east-1:000000000000:stateMachine:n"}, {"iam:PassRole", role}}, states(func(ctx context.Context, c *sfn.Client) error {
			_, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("n"), RoleArn: aws.String(role), Definition: aws.String("{}")})
			return err
		})},
		"Invoke": {[]grant{{"lambda:InvokeFunction", function}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		}},
		"Invoke by ARN and qualifier": {[]grant{{"lambda:InvokeFunction", function + ":live"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(function), Qualifier: aws.String("live")})
			return err
		}},
		"UpdateFunctionConfiguration": {[]grant{{"lambda:UpdateFunctionConfiguration", function}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := lambda.NewFromConfig(cfg).UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("f"), Timeout: aws.Int32(3)})
			return err
		}},
		"CreateSchedule": {[]grant{{"scheduler:CreateSchedule", "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := scheduler.NewFromConfig(cfg).CreateSchedule(ctx, &scheduler.CreateScheduleInput{Name: aws.String("s"), ScheduleExpression: aws.String("rate(1 hour)"),
				FlexibleTimeWindow: &schedtypes.FlexibleTimeWindow{Mode: schedtypes.FlexibleTimeWindowModeOff}, Target: &schedtypes.Target{Arn: aws.String(machine), RoleArn: aws.String(role)}})
			return err
		}},
		"GetSchedule": {[]grant{{"scheduler:GetSchedule", "arn:aws:scheduler:us-east-1:000000000000:schedule/g/s"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := scheduler.NewFromConfig(cfg).GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s"), GroupName: aws.String("g")})
			return err
		}},
	}
}

func (w *world) messageCalls() map[string]call {
	const queue, topic, bus = "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sns:us-east-1:000000000000:t", "arn:aws:events:us-east-1:000000000000:event-bus/default"
	const role, rule = "arn:aws:iam::000000000000:role/r", "arn:aws:events:us-east-1:000000000000:rule/r"
	url := aws.String("http://127.0.0.1/000000000000/q")
	return map[string]call{
		"SendMessage": {[]grant{{"sqs:SendMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("m")})
			return err
		}},
		"SendMessageBatch": {[]grant{{"sqs:SendMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: aws.String("i"), MessageBody: aws.String("m")}}})
			return err
		}},
		"ReceiveMessage": {[]grant{{"sqs:ReceiveMessage", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url})
			return err
		}},
		"GetQueueUrl": {[]grant{{"sqs:GetQueueUrl", queue}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
			return err
		}},
		"ListQueues": {[]grant{{"sqs:ListQueues", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{})
			return err
		}},
		"Publish": {[]grant{{"sns:Publish", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Publish(ctx, &sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String("m")})
			return err
		}},
		"Subscribe": {[]grant{{"sns:Subscribe", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(topic), Protocol: aws.String("sqs"), Endpoint: aws.String(queue)})
			return err
		}},
		"Unsubscribe": {[]grant{{"sns:Unsubscribe", topic}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sns.NewFromConfig(cfg).Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(topic + ":id")})
			return err
		}},
		"PutEvents": {[]grant{{"events:PutEvents", bus}, {"events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/b"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
				{Source: aws.String("s"), DetailType: aws.String("d"), Detail: aws.String("{}")},
				{Source: aws.String("s"), DetailType: aws.String("d"), Detail: aws.String("{}"), EventBusName: aws.String("b")}}})
			return err
		}},
		"PutRule": {[]grant{{"events:PutRule", rule}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), RoleArn: aws.String(role), EventPattern: aws.String(`{"source":["s"]}`)})
			return err
		}},
		"PutTargets": {[]grant{{"events:PutTargets", "arn:aws:events:us-east-1:000000000000:rule/b/r"}, {"iam:PassRole", role}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := eventbridge.NewFromConfig(cfg).PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), EventBusName: aws.String("b"), Targets: []ebtypes.Target{{Id: aws.String("i"), Arn: aws.String(queue), RoleArn: aws.String(role)}}})
			return err
		}},
	}
}

func (w *world) observationCalls() map[string]call {
	group := "arn:aws:logs:us-east-1:000000000000:log-group:/mayfly/audit:"
	do := func(f func(ctx context.Context, c *cloudwatchlogs.Client) error) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error { return f(ctx, cloudwatchlogs.NewFromConfig(cfg)) }
	}
	name, stream := aws.String("/mayfly/audit"), aws.String("s")
	return map[string]call{
		"CreateLogStream": {[]grant{{"logs:CreateLogStream", group + "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: name, LogStreamName: stream})
			return err
		})},
		"PutLogEvents": {[]grant{{"logs:PutLogEvents", group + "log-stream:s"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: name, LogStreamName: stream, LogEvents: []logtypes.InputLogEvent{{Message: aws.String("m"), Timestamp: aws.Int64(w.Clock.Now().UnixMilli())}}})
			return err
		})},
		"FilterLogEvents": {[]grant{{"logs:FilterLogEvents", group + "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: name})
			return err
		})},
		"DescribeLogGroups": {[]grant{{"logs:DescribeLogGroups", "*"}}, do(func(ctx context.Context, c *cloudwatchlogs.Client) error {
			_, err := c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{})
			return err
		})},
		"PutMetricData": {[]grant{{"cloudwatch:PutMetricData", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}})
			return err
		}},
		"SetAlarmState": {[]grant{{"cloudwatch:SetAlarmState", "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: cwtypes.StateValueOk, StateReason: aws.String("r")})
			return err
		}},
		"ListMetrics": {[]grant{{"cloudwatch:ListMetrics", "*"}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := cloudwatch.NewFromConfig(cfg).ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
			return err
		}},
	}
}

func (w *world) identityCalls() map[string]call {
	target := w.role(document())
	full := "arn:aws:iam::000000000000:role/" + target
	return map[string]call{
		"GetRole": {[]grant{{"iam:GetRole", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: &target})
			return err
		}},
		"AssumeRole": {[]grant{{"sts:AssumeRole", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &full, RoleSessionName: aws.String("me")})
			return err
		}},
		"AssumeRole with tags": {[]grant{{"sts:AssumeRole", full}, {"sts:TagSession", full}}, func(ctx context.Context, cfg aws.Config) error {
			_, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &full, RoleSessionName: aws.String("me"), Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("x")}}})
			return err
		}},
	}
}
