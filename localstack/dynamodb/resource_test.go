package dynamodb_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	local "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// As CDK's Table synthesizes it.
const tableTemplate = `{
	"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}, {"AttributeName": "due", "AttributeType": "N"}],
	"BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": "true",
	"GlobalSecondaryIndexes": [{"IndexName": "due", "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}], "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["owner"]}}],
	"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
	"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 35},
	"SSESpecification": {"SSEEnabled": true}, "TableName": "mayfly-contracts", "Tags": [{"Key": "app", "Value": "mayfly"}],
	"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}, "StreamSpecification": {"StreamViewType": "NEW_IMAGE"}
}`

func provide(t *testing.T, kind, properties string) (*dynamodb.Client, stack.Made, error) {
	t.Helper()
	stacktest.Local(t)
	service := local.New(stack.NewClock())
	made, err := service.Resources()[kind](t.Context(), stack.Resource{LogicalID: "Contracts", Type: kind, Properties: json.RawMessage(properties)})
	return dynamodb.NewFromConfig(stacktest.Serve(t, service)), made, err
}

func TestTableFromTemplate(t *testing.T) {
	client, made, err := provide(t, "AWS::DynamoDB::Table", tableTemplate)
	if err != nil {
		t.Fatal(err)
	}
	if made.Ref != "mayfly-contracts" || made.Att["Arn"] != "arn:aws:dynamodb:us-east-1:000000000000:table/mayfly-contracts" || !strings.HasPrefix(made.Att["StreamArn"], made.Att["Arn"]+"/stream/") {
		t.Errorf("made %+v", made)
	}
	d, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &made.Ref})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Table; !*got.DeletionProtectionEnabled || len(got.GlobalSecondaryIndexes) != 1 || got.SSEDescription.Status != types.SSEStatusEnabled || *got.LatestStreamArn != made.Att["StreamArn"] {
		t.Errorf("description %+v", got)
	}
	ttl, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &made.Ref})
	if err != nil || aws.ToString(ttl.TimeToLiveDescription.AttributeName) != "expires" {
		t.Errorf("time to live %+v, %v", ttl, err)
	}
	backups, err := client.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: &made.Ref})
	if err != nil || backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled {
		t.Errorf("backups %+v, %v", backups, err)
	}
	_, err = client.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &made.Ref})
	refused(t, err, validation, "currently protected against deletion")
}

func TestGlobalTableFromTemplate(t *testing.T) {
	replicas := `"Replicas": [{"Region": "us-east-1", "DeletionProtectionEnabled": true, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}, "Tags": []}]`
	global := `{"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "SSESpecification": {"SSEEnabled": false}, ` + replicas + `}`
	client, made, err := provide(t, "AWS::DynamoDB::GlobalTable", global)
	if err != nil {
		t.Fatal(err)
	}
	if made.Ref != "Contracts" || made.Att["TableId"] == "" {
		t.Errorf("made %+v; without a name the logical id is the name", made)
	}
	d, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &made.Ref})
	if err != nil || !*d.Table.DeletionProtectionEnabled {
		t.Errorf("description %+v, %v", d, err)
	}
	_, _, err = provide(t, "AWS::DynamoDB::GlobalTable", strings.Replace(global, "us-east-1", "eu-west-1", 1))
	if err == nil || !strings.Contains(err.Error(), "one Region") {
		t.Errorf("a replica elsewhere: %v", err)
	}
}

func TestTemplatesRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, message string }{
		"unknown property":  {`"TableName"`, `"TableNames"`, `unknown field "TableNames"`},
		"unknown below":     {`"SSEEnabled"`, `"SSEEnable"`, `unknown field "SSEEnable"`},
		"unused attribute":  {`{"AttributeName": "due", "KeyType": "RANGE"}`, `{"AttributeName": "pk", "KeyType": "RANGE"}`, "does not exactly match number of attributes"},
		"undefined in key":  {`"AttributeName": "due", "AttributeType"`, `"AttributeName": "dues", "AttributeType"`, "not defined in AttributeDefinitions"},
		"provisioned twice": {`"BillingMode"`, `"ProvisionedThroughput": {"ReadCapacityUnits": "5", "WriteCapacityUnits": 5}, "BillingMode"`, "Neither ReadCapacityUnits nor WriteCapacityUnits"},
		"no throughput":     {`"BillingMode": "PAY_PER_REQUEST",`, ``, "must both be specified"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := provide(t, "AWS::DynamoDB::Table", strings.Replace(tableTemplate, c.from, c.to, 1))
			if err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error is %v, want …%s…", err, c.message)
			}
		})
	}
}

func TestTemplateChangesATableInPlace(t *testing.T) {
	stacktest.Local(t)
	service := local.New(stack.NewClock())
	deploy := func(logicalID, properties string) error {
		_, err := service.Resources()["AWS::DynamoDB::Table"](t.Context(), stack.Resource{LogicalID: logicalID, Type: "AWS::DynamoDB::Table", Properties: json.RawMessage(properties)})
		return err
	}
	if err := deploy("Contracts", tableTemplate); err != nil {
		t.Fatal(err)
	}
	b := bench{t, dynamodb.NewFromConfig(stacktest.Serve(t, service)), "mayfly-contracts"}
	b.put(`{"pk":{"S":"a"},"sk":{"S":"b"},"due":{"N":"1"}}`)
	changed := strings.Replace(strings.Replace(tableTemplate, `"IndexName": "due"`, `"IndexName": "later"`, 1), `"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true},`, "", 1)
	if err := deploy("Contracts", changed); err != nil {
		t.Fatal(err)
	}
	out, err := b.Query(t.Context(), &dynamodb.QueryInput{TableName: &b.table, IndexName: aws.String("later"), KeyConditionExpression: aws.String("sk = :s"), ExpressionAttributeValues: doc(`{":s":{"S":"b"}}`)})
	if err != nil || out.Count != 1 {
		t.Errorf("the new index: %+v, %v", out, err)
	}
	ttl, err := b.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &b.table})
	if err != nil || ttl.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusDisabled {
		t.Errorf("time to live %+v, %v", ttl, err)
	}
	if err := deploy("Other", changed); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("another resource of the same name: %v", err)
	}
	swapped := strings.NewReplacer(`"AttributeName": "pk", "KeyType": "HASH"`, `"AttributeName": "sk", "KeyType": "HASH"`, `"AttributeName": "sk", "KeyType": "RANGE"`, `"AttributeName": "pk", "KeyType": "RANGE"`).Replace(tableTemplate)
	if err := deploy("Contracts", swapped); err == nil || !strings.Contains(err.Error(), "cannot change in place") {
		t.Errorf("another key: %v", err)
	}
	if b.get(`{"pk":{"S":"a"},"sk":{"S":"b"}}`) == nil {
		t.Error("the item is gone")
	}
}
