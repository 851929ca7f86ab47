package dynamodb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{{AttributeName: &partition, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange}}
}

// indexedTable has p (S) and s (N); global indexes "keys", "some" (with x) and "all" over g (S) and h (S); a local
// index "local" over p and h.
func indexedTable(t *testing.T) bench {
	in := &dynamodb.CreateTableInput{KeySchema: keySchema("p", "s"), LocalSecondaryIndexes: []types.LocalSecondaryIndex{
		{IndexName: aws.String("local"), KeySchema: keySchema("p", "h"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}},
	}}
	for _, a := range []string{"p", "g", "h"} {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &a, AttributeType: "S"})
	}
	in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String("s"), AttributeType: "N"})
	for name, p := range map[string]types.Projection{
		"keys": {ProjectionType: types.ProjectionTypeKeysOnly}, "all": {ProjectionType: types.ProjectionTypeAll},
		"some": {ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"x"}},
	} {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{IndexName: &name, KeySchema: keySchema("g", "h"), Projection: &p})
	}
	return newBench(t, in)
}

func TestQueryRanges(t *testing.T) {
	b := indexedTable(t)
	for _, n := range []string{"-10", "-9.5", "0", "1", "2", "10", "100"} {
		b.put(`{"p":{"S":"a"},"s":{"N":"` + n + `"}}`)
		b.put(`{"p":{"S":"b"},"s":{"N":"` + n + `"}}`)
	}
	for condition, want := range map[string]string{
		"p = :p": "-10 -9.5 0 1 2 10 100", "p = :p AND s = :one": "1", ":p = p and :one = s": "1", "p = :p AND s < :one": "-10 -9.5 0",
		"p = :p AND s <= :one": "-10 -9.5 0 1", "s > :one AND p = :p": "2 10 100", "p = :p AND s >= :ten": "10 100",
		"p = :p AND s BETWEEN :one AND :ten": "1 2 10", "(p = :p) AND (s = :ten)": "10", "p = :p AND :one < s": "2 10 100",
	} {
		for _, forward := range []bool{true, false} {
			values := `{":p":{"S":"a"}`
			for name, v := range map[string]string{":one": "1", ":ten": "10"} {
				if strings.Contains(condition, name) {
					values += `,"` + name + `":{"N":"` + v + `"}`
				}
			}
			out, err := b.Query(t.Context(), &dynamodb.QueryInput{TableName: &b.table, KeyConditionExpression: &condition, ScanIndexForward: &forward, ExpressionAttributeValues: doc(values + "}")})
			if err != nil {
				t.Errorf("%s: %v", condition, err)
				continue
			}
			var got []string
			for _, i := range out.Items {
				got = append(got, i["s"].(*types.AttributeValueMemberN).Value)
			}
			if !forward {
				slices.Reverse(got)
			}
			if strings.Join(got, " ") != want || int(out.Count) != len(out.Items) || out.LastEvaluatedKey != nil {
				t.Errorf("%s, forward %v: %v, count %d, next %v, want %s", condition, forward, got, out.Count, out.LastEvaluatedKey, want)
			}
		}
	}
}

func TestQueryRefused(t *testing.T) {
	b := indexedTable(t)
	values := map[string]string{":p": `{"S":"a"}`, ":n": `{"N":"1"}`}
	for _, c := range []struct {
		index, condition, filter, message string
	}{
		{"", "s = :n", "", "Query condition missed key schema element: p"},
		{"", "p = :p AND x = :n", "", "Query condition missed key schema element: s"},
		{"", "p > :p", "", "Query key condition not supported"},
		{"", "p = :p OR s = :n", "", "Invalid operator used in KeyConditionExpression: OR"},
		{"", "NOT p = :p", "", "Invalid operator used in KeyConditionExpression: NOT"},
		{"", "p = :p AND s <> :n", "", "Invalid operator used in KeyConditionExpression: <>"},
		{"", "p = :p AND s IN (:n)", "", "Invalid operator used in KeyConditionExpression: IN"},
		{"", "p = :p AND s > :n AND s < :n", "", "KeyConditionExpressions must only contain one condition per key"},
		{"", "p = :n", "", "Condition parameter type does not match schema type"},
		{"", "p = :p AND attribute_exists(s)", "", "Invalid operator used in KeyConditionExpression: attribute_exists"},
		{"", "p.x = :p", "", "KeyConditionExpressions cannot have conditions on nested attributes"},
		{"", "p = :p", "s > :n", "Filter Expression can only contain non-primary key attributes: Primary key attribute: s"},
		{"none", "p = :p", "", "The table does not have the specified index: none"},
	} {
		in := &dynamodb.QueryInput{TableName: &b.table, KeyConditionExpression: &c.condition, ExpressionAttributeValues: attributes{}}
		for name, v := range values {
			if strings.Contains(c.condition+c.filter, name) {
				in.ExpressionAttributeValues[name] = doc(`{"v":` + v + `}`)["v"]
			}
		}
		if c.index != "" {
			in.IndexName = &c.index
		}
		if c.filter != "" {
			in.FilterExpression = &c.filter
		}
		_, err := b.Query(t.Context(), in)
		t.Run(c.condition+c.filter, func(t *testing.T) { refused(t, err, validation, c.message) })
	}
	global := func(change func(*dynamodb.QueryInput)) error {
		in := &dynamodb.QueryInput{TableName: &b.table, IndexName: aws.String("keys"), KeyConditionExpression: aws.String("g = :p"), ExpressionAttributeValues: doc(`{":p":{"S":"a"}}`)}
		change(in)
		_, err := b.Query(t.Context(), in)
		return err
	}
	b.refused(global(func(in *dynamodb.QueryInput) { in.ConsistentRead = aws.Bool(true) }), validation, "Consistent reads are not supported on global secondary indexes")
	b.refused(global(func(in *dynamodb.QueryInput) { in.Select = types.SelectAllAttributes }), validation, "Select type ALL_ATTRIBUTES is not supported for global secondary index keys because its projection type is not ALL")
	b.refused(global(func(in *dynamodb.QueryInput) { in.ProjectionExpression = aws.String("x") }), validation, "Global secondary index keys does not project [x]")
	b.refused(global(func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(0) }), validation, "Member must have value greater than or equal to 1")
	b.refused(global(func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = doc(key) }), validation, "The provided starting key is invalid")
}

func TestSecondaryIndexes(t *testing.T) {
	b := indexedTable(t)
	b.put(`{"p":{"S":"a"},"s":{"N":"1"},"g":{"S":"G"},"h":{"S":"2"},"x":{"N":"1"},"y":{"N":"1"}}`)
	b.put(`{"p":{"S":"a"},"s":{"N":"2"},"g":{"S":"G"},"h":{"S":"10"},"x":{"N":"2"}}`)
	b.put(`{"p":{"S":"b"},"s":{"N":"1"},"g":{"S":"G"},"h":{"S":"2"}}`) // the same index key as the first
	b.put(`{"p":{"S":"a"},"s":{"N":"3"},"g":{"S":"G"}}`)               // not in the global indexes, nor the local one
	b.put(`{"p":{"S":"a"},"s":{"N":"4"},"h":{"S":"3"}}`)               // in the local one only
	query := func(index, partition, prefix string, change func(*dynamodb.QueryInput)) *dynamodb.QueryOutput {
		t.Helper()
		in := &dynamodb.QueryInput{TableName: &b.table, IndexName: &index, KeyConditionExpression: aws.String(partition + " = :p AND begins_with(h, :h)"),
			ExpressionAttributeValues: doc(`{":p":{"S":"` + map[string]string{"g": "G", "p": "a"}[partition] + `"},":h":{"S":"` + prefix + `"}}`)}
		if change != nil {
			change(in)
		}
		out, err := b.Query(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := query("all", "g", "", nil); got.Count != 3 {
		t.Errorf("the index holds %d items, want 3: it is sparse", got.Count)
	}
	b.same(query("keys", "g", "1", nil).Items[0], `{"p":{"S":"a"},"s":{"N":"2"},"g":{"S":"G"},"h":{"S":"10"}}`)
	b.same(query("some", "g", "1", nil).Items[0], `{"p":{"S":"a"},"s":{"N":"2"},"g":{"S":"G"},"h":{"S":"10"},"x":{"N":"2"}}`)
	b.same(query("all", "g", "1", nil).Items[0], `{"p":{"S":"a"},"s":{"N":"2"},"g":{"S":"G"},"h":{"S":"10"},"x":{"N":"2"}}`)
	if got := query("local", "p", "", nil); got.Count != 3 || len(got.Items[2]) != 3 {
		t.Errorf("local index: %d items, last %v", got.Count, plain(got.Items[2]))
	}
	full := query("local", "p", "2", func(in *dynamodb.QueryInput) { in.Select = types.SelectAllAttributes })
	b.same(full.Items[0], `{"p":{"S":"a"},"s":{"N":"1"},"g":{"S":"G"},"h":{"S":"2"},"x":{"N":"1"},"y":{"N":"1"}}`)
	count := query("all", "g", "", func(in *dynamodb.QueryInput) { in.Select = types.SelectCount })
	if count.Count != 3 || count.Items != nil {
		t.Errorf("Select COUNT answered %d and items %v", count.Count, count.Items)
	}

	// An update moves the item in its indexes; removing an index key takes it out.
	for _, expression := range []string{"SET h = :v", "REMOVE g"} {
		in := &dynamodb.UpdateItemInput{TableName: &b.table, Key: doc(`{"p":{"S":"b"},"s":{"N":"1"}}`), UpdateExpression: &expression}
		if strings.Contains(expression, ":v") {
			in.ExpressionAttributeValues = doc(`{":v":{"S":"99"}}`)
		}
		if _, err := b.UpdateItem(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		want := map[string]int32{"SET h = :v": 1, "REMOVE g": 0}[expression]
		if got := query("all", "g", "99", nil); got.Count != want {
			t.Errorf("after %s the index holds %d items there, want %d", expression, got.Count, want)
		}
	}
	_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(`{"p":{"S":"a"},"s":{"N":"9"},"g":{"N":"1"}}`)})
	b.refused(err, validation, "Type mismatch for Index Key g Expected: S Actual: N IndexName:")
}

func TestPages(t *testing.T) {
	b := indexedTable(t)
	for n := range 10 {
		b.put(fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"%d"},"g":{"S":"G"},"h":{"S":"%d"}}`, n, n/5))
	}
	for _, forward := range []bool{true, false} {
		for _, index := range []*string{nil, aws.String("all")} {
			in := &dynamodb.QueryInput{TableName: &b.table, Limit: aws.Int32(4), ScanIndexForward: &forward, IndexName: index, KeyConditionExpression: aws.String("p = :p"),
				FilterExpression: aws.String("x <> :p"), ExpressionAttributeValues: doc(`{":p":{"S":"a"}}`)}
			if index != nil {
				in.KeyConditionExpression, in.FilterExpression, in.ExpressionAttributeValues = aws.String("g = :g"), nil, doc(`{":g":{"S":"G"}}`)
			}
			seen, sizes := map[string]bool{}, []int32{}
			pages := dynamodb.NewQueryPaginator(b.Client, in)
			for pages.HasMorePages() {
				out, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, out.Count)
				for _, i := range out.Items {
					seen[i["s"].(*types.AttributeValueMemberN).Value] = true
				}
			}
			if len(seen) != 10 || !slices.Equal(sizes, []int32{4, 4, 2}) {
				t.Errorf("forward %v, index %v: pages of %v, %d items, want 4 4 2 and 10", forward, aws.ToString(index), sizes, len(seen))
			}
		}
	}
	// A limit counts what was looked at, not what the filter let through, and gives a start key even at the end.
	out, err := b.Query(t.Context(), &dynamodb.QueryInput{TableName: &b.table, Limit: aws.Int32(10), KeyConditionExpression: aws.String("p = :p"),
		FilterExpression: aws.String("h = :p"), ExpressionAttributeValues: doc(`{":p":{"S":"a"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 0 || out.ScannedCount != 10 || out.LastEvaluatedKey == nil {
		t.Errorf("count %d, scanned %d, next %v; want 0, 10 and a key", out.Count, out.ScannedCount, out.LastEvaluatedKey)
	}
}

func TestScanPagesAtOneMegabyte(t *testing.T) {
	b := simpleTable(t)
	for n := range 7 {
		b.put(fmt.Sprintf(`{"p":{"S":"%d"},"x":{"S":"%s"}}`, n, strings.Repeat("x", 300_000)))
	}
	var sizes []int32
	pages := dynamodb.NewScanPaginator(b.Client, &dynamodb.ScanInput{TableName: &b.table, ProjectionExpression: aws.String("p")})
	seen := map[string]bool{}
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, out.Count)
		for _, i := range out.Items {
			seen[i["p"].(*types.AttributeValueMemberS).Value] = true
		}
	}
	if len(seen) != 7 || len(sizes) < 2 || slices.Max(sizes) > 4 {
		t.Errorf("pages of %v with %d items in all, want 7 in pages of about a megabyte", sizes, len(seen))
	}
	out, err := b.Scan(t.Context(), &dynamodb.ScanInput{TableName: &b.table, FilterExpression: aws.String("p > :v"), ExpressionAttributeValues: doc(`{":v":{"S":"9"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 0 || out.ScannedCount == 0 {
		t.Errorf("count %d of %d scanned, want 0 of some", out.Count, out.ScannedCount)
	}
}
