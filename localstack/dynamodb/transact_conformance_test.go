package dynamodb_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	local "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func (b bench) transact(token string, items ...types.TransactWriteItem) error {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items}
	if token != "" {
		in.ClientRequestToken = &token
	}
	_, err := b.TransactWriteItems(b.Context(), in)
	return err
}

func (b bench) putting(text, condition string) types.TransactWriteItem {
	p := &types.Put{TableName: &b.table, Item: doc(text), ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
	if condition != "" {
		p.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Put: p}
}

func (b bench) checking(key, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &b.table, Key: doc(key), ConditionExpression: &condition}}
}

func (b bench) counting(key string) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: &b.table, Key: doc(key), UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: doc(`{":one":{"N":"1"}}`)}}
}

func id(p string) string { return `{"p":{"S":"` + p + `"}}` }

func reasons(t *testing.T, err error) []types.CancellationReason {
	t.Helper()
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		t.Fatalf("error is %v, want TransactionCanceledException", err)
	}
	return canceled.CancellationReasons
}

func TestTransactionCommits(t *testing.T) {
	b := simpleTable(t)
	other := createOn(t, b.Client, &dynamodb.CreateTableInput{KeySchema: keySchema("p", "s"), AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: "S"}, {AttributeName: aws.String("s"), AttributeType: "N"}}})
	b.put(id("gone"))
	err := b.transact("", b.putting(id("new"), "attribute_not_exists(p)"), b.counting(id("counter")), b.checking(id("nothing"), "attribute_not_exists(p)"),
		types.TransactWriteItem{Delete: &types.Delete{TableName: &b.table, Key: doc(id("gone"))}}, other.putting(`{"p":{"S":"x"},"s":{"N":"1"}}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	b.same(b.get(id("new")), id("new"))
	b.same(b.get(id("counter")), `{"p":{"S":"counter"},"n":{"N":"1"}}`)
	b.same(b.get(id("gone")), "")
	b.same(b.get(id("nothing")), "")
	got, err := b.TransactGetItems(t.Context(), &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: &b.table, Key: doc(id("counter")), ProjectionExpression: aws.String("n")}},
		{Get: &types.Get{TableName: &b.table, Key: doc(id("nothing"))}},
		{Get: &types.Get{TableName: &other.table, Key: doc(`{"p":{"S":"x"},"s":{"N":"1.0"}}`)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.same(got.Responses[0].Item, `{"n":{"N":"1"}}`)
	b.same(got.Responses[1].Item, "")
	b.same(got.Responses[2].Item, `{"p":{"S":"x"},"s":{"N":"1"}}`)
}

func TestTransactionCancels(t *testing.T) {
	b := simpleTable(t)
	b.put(`{"p":{"S":"a"},"x":{"N":"1"}}`)
	err := b.transact("", b.putting(id("new"), ""), b.putting(id("a"), "attribute_not_exists(p)"), b.checking(id("b"), "attribute_exists(p)"))
	b.refused(err, "TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed, ConditionalCheckFailed]")
	got := reasons(t, err)
	if *got[0].Code != "None" || got[0].Message != nil || *got[1].Code != "ConditionalCheckFailed" || aws.ToString(got[1].Message) != "The conditional request failed" {
		t.Errorf("reasons %+v", got)
	}
	b.same(got[1].Item, `{"p":{"S":"a"},"x":{"N":"1"}}`)
	b.same(got[2].Item, "") // not asked for
	b.same(b.get(id("new")), "")

	// What does not fit the table cancels too, the first such write only, before any condition is looked at.
	err = b.transact("", b.putting(`{"p":{"N":"7"}}`, ""), b.putting(`{"p":{"N":"8"}}`, ""), b.checking(id("b"), "attribute_exists(p)"))
	got = reasons(t, err)
	if *got[0].Code != "ValidationError" || !strings.Contains(*got[0].Message, "Type mismatch for key p expected: S actual: N") || *got[1].Code != "None" || *got[2].Code != "None" {
		t.Errorf("reasons %+v", got)
	}
	// So does an update that an item's values make impossible.
	wrong := types.TransactWriteItem{Update: &types.Update{TableName: &b.table, Key: doc(id("a")), UpdateExpression: aws.String("SET x = y")}}
	if got = reasons(t, b.transact("", b.counting(id("c")), wrong)); *got[1].Code != "ValidationError" {
		t.Errorf("reasons %+v", got)
	}
	b.same(b.get(id("c")), "")
}

func TestTransactionsRefused(t *testing.T) {
	b := simpleTable(t)
	b.refused(b.transact("", b.putting(id("a"), ""), b.checking(id("a"), "attribute_exists(p)")), validation, "Transaction request cannot include multiple operations on one item")
	b.refused(b.transact("", []types.TransactWriteItem{}...), validation, "transactItems")
	var many, large []types.TransactWriteItem
	for n := range 101 {
		many = append(many, b.putting(id(fmt.Sprint(n)), ""))
	}
	b.refused(b.transact("", many...), validation, "Member must have length less than or equal to 100")
	if err := b.transact("", many[:100]...); err != nil {
		t.Error(err)
	}
	for n := range 42 {
		large = append(large, b.putting(fmt.Sprintf(`{"p":{"S":"large-%d"},"x":{"S":"%s"}}`, n, strings.Repeat("x", 100_000)), ""))
	}
	b.refused(b.transact("", large...), validation, "size cannot exceed")
	b.refused(b.transact(strings.Repeat("t", 37), many[0]), validation, "clientRequestToken")
	b.refused(b.transact("", b.putting(id("a"), "hello!")), validation, "Invalid ConditionExpression: Syntax error")
	b.refused(b.transact("", types.TransactWriteItem{}), validation, "TransactItems can only contain one of Check, Put, Update or Delete")
	elsewhere := bench{t, b.Client, "no-such-table"}
	b.refused(b.transact("", elsewhere.putting(id("a"), "")), "ResourceNotFoundException", "Requested resource not found")
}

func TestTransactionTokens(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	client := dynamodb.NewFromConfig(stacktest.Start(t, clock, local.New(clock)).Config)
	b := createOn(t, client, &dynamodb.CreateTableInput{KeySchema: keySchema("p", "s")[:1], AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: "S"}}})
	count := func(want string) {
		t.Helper()
		b.same(b.get(id("c")), `{"p":{"S":"c"},"n":{"N":"`+want+`"}}`)
	}
	for range 2 {
		if err := b.transact("token", b.counting(id("c"))); err != nil {
			t.Fatal(err)
		}
	}
	count("1")
	b.refused(b.transact("token", b.counting(id("d"))), "IdempotentParameterMismatchException", "idempotent token")
	clock.Advance(9 * time.Minute)
	if err := b.transact("token", b.counting(id("c"))); err != nil {
		t.Fatal(err)
	}
	count("1")
	clock.Advance(2 * time.Minute)
	if err := b.transact("token", b.counting(id("c"))); err != nil {
		t.Fatal(err)
	}
	count("2")
	// A cancelled transaction leaves no token behind.
	if err := b.transact("again", b.putting(id("x"), "attribute_exists(p)")); err == nil {
		t.Error("a false condition was passed over")
	}
	b.put(id("x"))
	if err := b.transact("again", b.putting(id("x"), "attribute_exists(p)")); err != nil {
		t.Error(err)
	}
}

// Of many writers that each expect the version they read, exactly one wins each version.
func TestConcurrentWritersNeverShareAVersion(t *testing.T) {
	b := simpleTable(t)
	var group sync.WaitGroup
	won := make([]int, 8)
	for w := range won {
		group.Go(func() {
			for version := range 20 {
				err := b.transact("", types.TransactWriteItem{Update: &types.Update{TableName: &b.table, Key: doc(id("c")), UpdateExpression: aws.String("SET n = :next"),
					ConditionExpression:       aws.String("attribute_not_exists(n) AND :was = :zero OR n = :was"),
					ExpressionAttributeValues: doc(fmt.Sprintf(`{":was":{"N":"%d"},":next":{"N":"%d"},":zero":{"N":"0"}}`, version, version+1))}})
				if err == nil {
					won[w]++
				}
			}
		})
	}
	group.Wait()
	total := 0
	for _, n := range won {
		total += n
	}
	if total != 20 {
		t.Errorf("%d writes won over 20 versions: %v", total, won)
	}
	b.same(b.get(id("c")), `{"p":{"S":"c"},"n":{"N":"20"}}`)
}

func TestBatches(t *testing.T) {
	b := simpleTable(t)
	putting := func(p string) types.WriteRequest {
		return types.WriteRequest{PutRequest: &types.PutRequest{Item: doc(id(p))}}
	}
	write := func(requests ...types.WriteRequest) error {
		out, err := b.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{b.table: requests}})
		if err == nil && len(out.UnprocessedItems) > 0 {
			t.Errorf("unprocessed %v", out.UnprocessedItems)
		}
		return err
	}
	if err := write(putting("a"), putting("b"), types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: doc(id("c"))}}); err != nil {
		t.Fatal(err)
	}
	out, err := b.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{b.table: {Keys: []map[string]types.AttributeValue{doc(id("a")), doc(id("b")), doc(id("c"))}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range out.Responses[b.table] {
		got = append(got, i["p"].(*types.AttributeValueMemberS).Value)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a", "b"}) || len(out.UnprocessedKeys) > 0 {
		t.Errorf("got %v, unprocessed %v", got, out.UnprocessedKeys)
	}
	b.refused(write(putting("d"), putting("d")), validation, "Provided list of item keys contains duplicates")
	b.same(b.get(id("d")), "")
	var many []types.WriteRequest
	for n := range 26 {
		many = append(many, putting(fmt.Sprint(n)))
	}
	b.refused(write(many...), validation, "")
	_, err = b.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{b.table: {Keys: []map[string]types.AttributeValue{doc(id("a")), doc(id("a"))}}}})
	b.refused(err, validation, "Provided list of item keys contains duplicates")
}

func TestBatchGetLeavesWhatIsTooMuch(t *testing.T) {
	b := simpleTable(t)
	var keys []map[string]types.AttributeValue
	for n := range 45 {
		b.put(fmt.Sprintf(`{"p":{"S":"%d"},"x":{"S":"%s"}}`, n, strings.Repeat("x", 400_000)))
		keys = append(keys, doc(id(fmt.Sprint(n))))
	}
	seen := 0
	for rounds := 0; len(keys) > 0; rounds++ {
		out, err := b.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{b.table: {Keys: keys}}})
		if err != nil {
			t.Fatal(err)
		}
		if rounds == 0 && len(out.UnprocessedKeys[b.table].Keys) == 0 {
			t.Error("18 MB came in one answer, want at most 16")
		}
		seen += len(out.Responses[b.table])
		keys = out.UnprocessedKeys[b.table].Keys
	}
	if seen != 45 {
		t.Errorf("%d items in all, want 45", seen)
	}
}

func TestTimeToLive(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	client := dynamodb.NewFromConfig(stacktest.Start(t, clock, local.New(clock)).Config)
	b := createOn(t, client, &dynamodb.CreateTableInput{KeySchema: keySchema("p", "s")[:1], AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: "S"}}})
	set := func(enabled bool, attribute string) error {
		_, err := b.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: &b.table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &enabled}})
		return err
	}
	b.refused(set(false, "expires"), validation, "TimeToLive is already disabled")
	if err := set(true, "expires"); err != nil {
		t.Fatal(err)
	}
	b.refused(set(true, "expires"), validation, "TimeToLive is already enabled")
	b.refused(set(false, "other"), validation, "TimeToLive is active on a different AttributeName: current AttributeName is expires")
	d, err := b.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &b.table})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.TimeToLiveDescription; got.TimeToLiveStatus != types.TimeToLiveStatusEnabled || aws.ToString(got.AttributeName) != "expires" {
		t.Errorf("description %+v", got)
	}

	hour := clock.Now().Add(time.Hour).Unix()
	b.put(fmt.Sprintf(`{"p":{"S":"short"},"expires":{"N":"%d"}}`, hour))
	b.put(fmt.Sprintf(`{"p":{"S":"text"},"expires":{"S":"%d"}}`, hour))
	b.put(`{"p":{"S":"ancient"},"expires":{"N":"12"}}`)
	b.put(`{"p":{"S":"huge"},"expires":{"N":"1E+100"}}`)
	exist := func(want ...string) {
		t.Helper()
		var got []string
		for _, p := range []string{"short", "text", "ancient", "huge"} {
			if b.get(id(p)) != nil {
				got = append(got, p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("there are %v, want %v", got, want)
		}
	}
	clock.Advance(24 * time.Hour)
	exist("short", "text", "ancient", "huge") // expired, and still readable
	clock.Advance(25 * time.Hour)
	exist("text", "ancient", "huge")
}
