package dynamodb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	local "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// A bench is a client and one table: partition key p (S), sort key s (N) where there is one.
type bench struct {
	*testing.T
	*dynamodb.Client
	table string
}

type attributes = map[string]types.AttributeValue

// connect runs the suite's DynamoDB, here or elsewhere.
func connect(t *testing.T) *dynamodb.Client {
	t.Helper()
	return dynamodb.NewFromConfig(stacktest.Serve(t, local.New(stack.NewClock())))
}

func simpleTable(t *testing.T) bench {
	return newBench(t, &dynamodb.CreateTableInput{
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: "S"}},
	})
}

func newBench(t *testing.T, in *dynamodb.CreateTableInput) bench {
	t.Helper()
	return createOn(t, connect(t), in)
}

func createOn(t *testing.T, client *dynamodb.Client, in *dynamodb.CreateTableInput) bench {
	t.Helper()
	name := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	in.TableName, in.BillingMode = &name, types.BillingModePayPerRequest
	if _, err := client.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	b := bench{t, client, name}
	if err := dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &name})
	})
	return b
}

// doc reads attributes in DynamoDB's JSON.
func doc(text string) attributes {
	m, err := attributevalue.UnmarshalMapJSON([]byte(text))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return m
}

// plain makes attributes comparable, sets in one order.
func plain(m attributes) any {
	if m == nil {
		return nil
	}
	b, err := attributevalue.MarshalMapJSON(m)
	if err != nil {
		panic(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	return sortSets(v)
}

func sortSets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if list, ok := inner.([]any); ok && (name == "SS" || name == "NS" || name == "BS") {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
			sortSets(inner)
		}
	case []any:
		for _, inner := range v {
			sortSets(inner)
		}
	}
	return v
}

func (b bench) same(got attributes, want string) {
	b.Helper()
	var wanted attributes
	if want != "" {
		wanted = doc(want)
	}
	if d := cmp.Diff(plain(wanted), plain(got)); d != "" {
		b.Errorf("attributes differ (-want +got):\n%s", d)
	}
}

func (b bench) put(text string) {
	b.Helper()
	if _, err := b.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(text)}); err != nil {
		b.Fatal(err)
	}
}

func (b bench) get(key string) attributes {
	b.Helper()
	out, err := b.GetItem(b.Context(), &dynamodb.GetItemInput{TableName: &b.table, Key: doc(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		b.Fatal(err)
	}
	return out.Item
}

// refused checks the code and a part of the message.
func (b bench) refused(err error, code, message string) {
	b.Helper()
	refused(b.T, err, code, message)
}

func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), message) {
		t.Errorf("error is %s: %s\nwant     %s: …%s…", e.ErrorCode(), e.ErrorMessage(), code, message)
	}
}

const validation = "ValidationException"

func TestItemRoundTrip(t *testing.T) {
	b := simpleTable(t)
	item := `{"p":{"S":"a"},"n":{"N":"1"},"b":{"B":"AAECAw=="},"t":{"BOOL":true},"f":{"BOOL":false},"z":{"NULL":true},
		"m":{"M":{"x":{"S":""},"y":{"M":{}}}},"l":{"L":[{"N":"2"},{"L":[]}]},"ss":{"SS":["b","a"]},"ns":{"NS":["1","2.5"]},"bs":{"BS":["AA==","AQ=="]}}`
	b.put(item)
	b.same(b.get(`{"p":{"S":"a"}}`), item)
	b.same(b.get(`{"p":{"S":"none"}}`), "")

	out, err := b.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &b.table, Key: doc(`{"p":{"S":"a"}}`),
		ProjectionExpression: aws.String("#n, m.y, l[1], l[0], absent.x"), ExpressionAttributeNames: map[string]string{"#n": "n"}, ReturnConsumedCapacity: "TOTAL"})
	if err != nil {
		t.Fatal(err)
	}
	b.same(out.Item, `{"n":{"N":"1"},"m":{"M":{"y":{"M":{}}}},"l":{"L":[{"N":"2"},{"L":[]}]}}`)
	if got := aws.ToFloat64(out.ConsumedCapacity.CapacityUnits); got != 0.5 {
		t.Errorf("an eventually consistent read of a small item took %v units, want 0.5", got)
	}
}

func TestNumbersAreNormalised(t *testing.T) {
	b := simpleTable(t)
	for given, want := range map[string]string{
		"007": "7", "-0": "0", "1.500": "1.5", "1e3": "1000", "1E-3": "0.001", "+5": "5", ".5": "0.5", "-12.340e1": "-123.4",
		"12345678901234567890123456789012345678":       "12345678901234567890123456789012345678",
		"9.9999999999999999999999999999999999999E+125": strings.Repeat("9", 38) + strings.Repeat("0", 88),
		"1E-130": "0." + strings.Repeat("0", 129) + "1",
	} {
		if _, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: attributes{"p": &types.AttributeValueMemberS{Value: "n"}, "n": &types.AttributeValueMemberN{Value: given}}}); err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got := b.get(`{"p":{"S":"n"}}`)["n"].(*types.AttributeValueMemberN).Value; got != want {
			t.Errorf("%s came back as %s, want %s", given, got, want)
		}
	}
	for given, message := range map[string]string{
		"abc": "cannot be converted to a numeric value: abc", "": "cannot be converted to a numeric value", "1e": "numeric value", "--1": "numeric value", "0x1": "numeric value",
		strings.Repeat("1", 39): "more than 38 significant digits", "1E126": "Number overflow", "-1E126": "Number overflow", "1E-131": "Number underflow",
	} {
		_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: attributes{"p": &types.AttributeValueMemberS{Value: "n"}, "n": &types.AttributeValueMemberN{Value: given}}})
		b.refused(err, validation, message)
	}
}

func TestItemsRefused(t *testing.T) {
	b := simpleTable(t)
	for name, c := range map[string]struct{ item, message string }{
		"no key":           {`{"x":{"S":"a"}}`, "Missing the key p in the item"},
		"key type":         {`{"p":{"N":"1"}}`, "Type mismatch for key p expected: S actual: N"},
		"empty key":        {`{"p":{"S":""}}`, "cannot contain an empty string value. Key: p"},
		"long key":         {`{"p":{"S":"` + strings.Repeat("x", 2049) + `"}}`, "2048 bytes"},
		"empty set":        {`{"p":{"S":"a"},"x":{"SS":[]}}`, "string set  may not be empty"},
		"duplicate string": {`{"p":{"S":"a"},"x":{"SS":["a","a"]}}`, "Input collection [a, a] contains duplicates."},
		"duplicate number": {`{"p":{"S":"a"},"x":{"NS":["1","1.0"]}}`, "Input collection contains duplicates"},
		"null false":       {`{"p":{"S":"a"},"x":{"NULL":false}}`, "must have the value of true"},
		"too large":        {`{"p":{"S":"a"},"x":{"S":"` + strings.Repeat("x", 400*1024) + `"}}`, "Item size has exceeded the maximum allowed size"},
		"too deep":         {`{"p":{"S":"a"},"x":` + strings.Repeat(`{"L":[`, 33) + strings.Repeat(`]}`, 33) + `}`, "Nesting Levels have exceeded supported limits"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(c.item)})
			refused(t, err, validation, c.message)
		})
	}
	_, err := b.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &b.table, Key: doc(`{"p":{"S":"a"},"q":{"S":"b"}}`)})
	b.refused(err, validation, "The provided key element does not match the schema")
	_, err = b.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("no-such-table"), Key: doc(`{"p":{"S":"a"}}`)})
	b.refused(err, "ResourceNotFoundException", "Requested resource not found")
}

func TestReturnValuesOfPutAndDelete(t *testing.T) {
	b := simpleTable(t)
	put := func(text string) attributes {
		out, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(text), ReturnValues: types.ReturnValueAllOld})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes
	}
	b.same(put(`{"p":{"S":"a"},"x":{"N":"1"}}`), "")
	b.same(put(`{"p":{"S":"a"},"y":{"N":"2"}}`), `{"p":{"S":"a"},"x":{"N":"1"}}`)
	for _, want := range []string{`{"p":{"S":"a"},"y":{"N":"2"}}`, ""} {
		out, err := b.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &b.table, Key: doc(`{"p":{"S":"a"}}`), ReturnValues: types.ReturnValueAllOld})
		if err != nil {
			t.Fatal(err)
		}
		b.same(out.Attributes, want)
	}
	_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(`{"p":{"S":"a"}}`), ReturnValues: types.ReturnValueAllNew})
	b.refused(err, validation, "ReturnValues can only be ALL_OLD or NONE")
}

func TestFailedConditionReturnsTheItemOnRequest(t *testing.T) {
	b := simpleTable(t)
	b.put(`{"p":{"S":"a"},"x":{"N":"1"}}`)
	for _, mode := range []types.ReturnValuesOnConditionCheckFailure{"", types.ReturnValuesOnConditionCheckFailureAllOld} {
		_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(`{"p":{"S":"a"}}`),
			ConditionExpression: aws.String("attribute_not_exists(p)"), ReturnValuesOnConditionCheckFailure: mode})
		b.refused(err, "ConditionalCheckFailedException", "The conditional request failed")
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) {
			t.Fatalf("%T is not ConditionalCheckFailedException", err)
		}
		if mode == "" {
			b.same(failed.Item, "")
		} else {
			b.same(failed.Item, `{"p":{"S":"a"},"x":{"N":"1"}}`)
		}
	}
	b.same(b.get(`{"p":{"S":"a"}}`), `{"p":{"S":"a"},"x":{"N":"1"}}`)
}

func TestTables(t *testing.T) {
	b := simpleTable(t)
	_, err := b.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: &b.table, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: "S"}}})
	b.refused(err, "ResourceInUseException", "Table already exists: "+b.table)
	d, err := b.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &b.table})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Table; got.TableStatus != types.TableStatusActive || !strings.HasSuffix(*got.TableArn, ":table/"+b.table) || got.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
		t.Errorf("description %+v", got)
	}
	list, err := b.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(list.TableNames, b.table) {
		t.Errorf("%s is not listed in %v", b.table, list.TableNames)
	}
	// An ARN is as good as a name.
	if _, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: d.Table.TableArn, Item: doc(`{"p":{"S":"by arn"}}`)}); err != nil {
		t.Error(err)
	}
	_, err = b.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("no-such-table")})
	b.refused(err, "ResourceNotFoundException", "Requested resource not found: Table: no-such-table not found")
	if _, err := b.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &b.table}); err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableNotExistsWaiter(b.Client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &b.table}, time.Minute); err != nil {
		t.Error(err)
	}
}
