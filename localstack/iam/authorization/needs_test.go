package authorization_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
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
	for name, keyID := range map[string]*string{"prod/plain": nil, "prod/changing": nil, "prod/keyed": aws.String(key.Att["Arn"])} {
		_, err := root.CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, KmsKeyId: keyID, SecretString: aws.String("v"), ClientRequestToken: aws.String(stored)})
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

const stored = "the-version-that-is-there-already" // of each secret

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
	const changing = "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/changing-??????"
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
		"PutSecretValue again with a key": {append(on(keyed, "PutSecretValue"), grant{"kms:GenerateDataKey", key}, grant{"kms:Decrypt", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: keyedID, SecretString: aws.String("v"), ClientRequestToken: aws.String(stored)})
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
		"UpdateSecret to a key": {append(on(changing, "UpdateSecret"), grant{"kms:GenerateDataKey", key}, grant{"kms:Decrypt", key}), do(func(ctx context.Context, c *secretsmanager.Client) error {
			_, err := c.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("prod/changing"), KmsKeyId: &key})
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
