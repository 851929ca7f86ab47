package dynamodb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const key = `{"p":{"S":"a"}}`

func (b bench) update(expression, values string) (*dynamodb.UpdateItemOutput, error) {
	in := &dynamodb.UpdateItemInput{TableName: &b.table, Key: doc(key), UpdateExpression: &expression, ReturnValues: types.ReturnValueAllNew}
	if values != "" {
		in.ExpressionAttributeValues = doc(values)
	}
	return b.UpdateItem(b.Context(), in)
}

func TestUpdates(t *testing.T) {
	b := simpleTable(t)
	for _, c := range []struct{ before, expression, values, want string }{
		{``, "SET x = :v", `{":v":{"N":"1"}}`, `"x":{"N":"1"}`},
		{`"x":{"N":"1"}`, "set y = x, x = :v", `{":v":{"N":"2"}}`, `"x":{"N":"2"},"y":{"N":"1"}`},
		{`"x":{"N":"1"}`, "SET x = x + :v", `{":v":{"N":"0.5"}}`, `"x":{"N":"1.5"}`},
		{`"x":{"N":"1"}`, "SET x = :v - x", `{":v":{"N":"0.5"}}`, `"x":{"N":"-0.5"}`},
		{``, "SET x = if_not_exists(x, :v) + :v", `{":v":{"N":"2"}}`, `"x":{"N":"4"}`},
		{`"x":{"N":"1"}`, "SET x = if_not_exists(x, :v)", `{":v":{"N":"2"}}`, `"x":{"N":"1"}`},
		{`"y":{"N":"3"}`, "SET z = if_not_exists(x, if_not_exists(y, :v))", `{":v":{"N":"2"}}`, `"y":{"N":"3"},"z":{"N":"3"}`},
		{`"l":{"L":[{"N":"1"}]}`, "SET l = list_append(:v, l), m = list_append(l, :v)", `{":v":{"L":[{"N":"0"}]}}`, `"l":{"L":[{"N":"0"},{"N":"1"}]},"m":{"L":[{"N":"1"},{"N":"0"}]}`},
		{``, "SET l = list_append(if_not_exists(l, :e), :v)", `{":v":{"L":[{"N":"0"}]},":e":{"L":[]}}`, `"l":{"L":[{"N":"0"}]}`},
		{`"m":{"M":{"x":{"N":"1"}}}`, "SET m.y = :v, m.x = :v", `{":v":{"N":"2"}}`, `"m":{"M":{"x":{"N":"2"},"y":{"N":"2"}}}`},
		{`"l":{"L":[{"M":{"k":{"L":[{"N":"1"}]}}}]}`, "SET l[0].k[0] = :v", `{":v":{"N":"2"}}`, `"l":{"L":[{"M":{"k":{"L":[{"N":"2"}]}}}]}`},
		{`"l":{"L":[{"N":"0"}]}`, "SET l[9] = :a, l[4] = :b", `{":a":{"N":"9"},":b":{"N":"4"}}`, `"l":{"L":[{"N":"0"},{"N":"4"},{"N":"9"}]}`},
		{`"x":{"N":"1"},"y":{"N":"2"}`, "REMOVE x, absent", ``, `"y":{"N":"2"}`},
		{`"x":{"N":"1"}`, "REMOVE x SET y = x", ``, `"y":{"N":"1"}`},
		{`"l":{"L":[{"N":"2"},{"N":"3"},{"N":"4"},{"N":"5"},{"N":"6"},{"N":"7"}]}`, "REMOVE l[1] SET l[3] = :v", `{":v":{"N":"17"}}`, `"l":{"L":[{"N":"2"},{"N":"4"},{"N":"17"},{"N":"6"},{"N":"7"}]}`},
		{`"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"}]}`, "REMOVE l[0], l[2], l[7]", ``, `"l":{"L":[{"N":"1"}]}`},
		{`"l":{"L":[{"N":"0"}]}`, "REMOVE l[1] SET l[5] = :v", `{":v":{"N":"5"}}`, `"l":{"L":[{"N":"0"},{"N":"5"}]}`},
		{`"m":{"M":{"x":{"N":"1"}}}`, "REMOVE m.x, m.y", ``, `"m":{"M":{}}`},
		{``, "ADD x :v", `{":v":{"N":"-3"}}`, `"x":{"N":"-3"}`},
		{`"x":{"N":"1"}`, "ADD x :v", `{":v":{"N":"-3"}}`, `"x":{"N":"-2"}`},
		{`"s":{"SS":["a","b"]}`, "ADD s :v, t :v", `{":v":{"SS":["b","c"]}}`, `"s":{"SS":["a","b","c"]},"t":{"SS":["b","c"]}`},
		{`"m":{"M":{"n":{"N":"1"}}}`, "ADD m.n :v, m.o :v", `{":v":{"N":"1"}}`, `"m":{"M":{"n":{"N":"2"},"o":{"N":"1"}}}`},
		{`"s":{"NS":["1","2"]}`, "DELETE s :v", `{":v":{"NS":["2.0","3"]}}`, `"s":{"NS":["1"]}`},
		{`"s":{"NS":["1"]},"x":{"N":"1"}`, "DELETE s :v, u :v", `{":v":{"NS":["1"]}}`, `"x":{"N":"1"}`},
		{`"s":{"SS":["a"]},"x":{"N":"1"},"y":{"N":"1"}`, "DELETE s :a ADD x :b REMOVE y SET z = :b", `{":a":{"SS":["a"]},":b":{"N":"1"}}`, `"x":{"N":"2"},"z":{"N":"1"}`},
	} {
		t.Run(c.expression, func(t *testing.T) {
			b := bench{t, b.Client, b.table}
			if _, err := b.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &b.table, Key: doc(key)}); err != nil {
				t.Fatal(err)
			}
			withKey := func(rest string) string {
				if rest == "" {
					return key
				}
				return key[:len(key)-1] + "," + rest + "}"
			}
			if c.before != "" {
				b.put(withKey(c.before))
			}
			out, err := b.update(c.expression, c.values)
			if err != nil {
				t.Fatal(err)
			}
			b.same(out.Attributes, withKey(c.want))
			b.same(b.get(key), withKey(c.want))
		})
	}
}

func TestUpdatesRefused(t *testing.T) {
	b := simpleTable(t)
	before := `{"p":{"S":"a"},"n":{"N":"1"},"str":{"S":"x"},"l":{"L":[]},"m":{"M":{}},"big":{"N":"99999999999999999999999999999999999999"}}`
	b.put(before)
	one, text := `{":v":{"N":"1"}}`, `{":v":{"S":"x"}}`
	for _, c := range []struct{ expression, values, message string }{
		{"", "", "Invalid UpdateExpression: The expression can not be empty;"},
		{"SET p = :v", text, "Cannot update attribute p. This attribute is part of the key"},
		{"REMOVE p", "", "Cannot update attribute p. This attribute is part of the key"},
		{"SET x = absent", "", "The provided expression refers to an attribute that does not exist in the item"},
		{"SET x = :v, y = x", one, "refers to an attribute that does not exist in the item"},
		{"SET n = n + str", "", "An operand in the update expression has an incorrect data type"},
		{"SET n = n + :v", text, "Incorrect operand type for operator or function; operator or function: +, operand type: S"},
		{"SET n = :v + :v + :v", one, `Syntax error; token: "+"`},
		{"SET l = list_append(l, str)", "", "An operand in the update expression has an incorrect data type"},
		{"SET l = list_append(l, :v)", text, "operator or function: list_append, operand type: S"},
		{"SET l = list_append(l)", "", "Incorrect number of operands for operator or function; operator or function: list_append, number of operands: 1"},
		{"SET l = list_append(list_append(l, l), l)", "", "The function is not allowed to be used this way in an expression; function: list_append"},
		{"SET n = if_not_exists(:v, :v)", one, "Operator or function requires a document path; operator or function: if_not_exists"},
		{"SET n = frob(n)", "", "Invalid function name; function: frob"},
		{"SET n = :v SET str = :v", one, `The "SET" section can only be used once in an update expression;`},
		{"SET x = :v, x.y = :v", one, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x, y]"},
		{"SET x = :v REMOVE x", one, "Two document paths overlap with each other"},
		{"SET x.y = :v, x[0] = :v", one, "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [x, y], path two: [x, [0]]"},
		{"SET absent.x = :v", one, "The document path provided in the update expression is invalid for update"},
		{"SET n.x = :v", one, "The document path provided in the update expression is invalid for update"},
		{"SET m[0] = :v", one, "The document path provided in the update expression is invalid for update"},
		{"REMOVE absent.x", "", "The document path provided in the update expression is invalid for update"},
		{"REMOVE l.x", "", "The document path provided in the update expression is invalid for update"},
		{"ADD str :v", one, "An operand in the update expression has an incorrect data type"},
		{"ADD n :v", text, "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"},
		{"DELETE n :v", one, "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER"},
		{"ADD big :v", `{":v":{"N":"0.1"}}`, "more than 38 significant digits"},
		{"HELLO x = :v", one, `Syntax error; token: "HELLO"`},
		{"SET x = :v,", one, `Syntax error; token: "<EOF>"`},
		{"SET :v = x", one, `Syntax error; token: ":v"`},
		{"SET ttl = :v", one, "Attribute name is a reserved keyword; reserved keyword: ttl"},
	} {
		_, err := b.update(c.expression, c.values)
		t.Run(c.expression, func(t *testing.T) { refused(t, err, validation, c.message) })
	}
	b.same(b.get(key), before)
}

func TestAnUpdateThatOnlyRemovesCreatesNothing(t *testing.T) {
	b := simpleTable(t)
	for _, expression := range []string{"REMOVE x", "REMOVE x.y"} {
		if _, err := b.update(expression, ""); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
	b.same(b.get(key), "")
	// Without any expression the item comes to be, with its key only.
	if _, err := b.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &b.table, Key: doc(key)}); err != nil {
		t.Fatal(err)
	}
	b.same(b.get(key), key)
}

func TestReturnValuesOfUpdate(t *testing.T) {
	b := simpleTable(t)
	for mode, want := range map[types.ReturnValue]string{
		types.ReturnValueNone: ``, types.ReturnValueAllOld: `{"p":{"S":"a"},"x":{"N":"1"},"y":{"N":"1"},"m":{"M":{"i":{"N":"1"},"j":{"N":"1"}}}}`,
		types.ReturnValueUpdatedOld: `{"x":{"N":"1"},"m":{"M":{"i":{"N":"1"}}}}`, types.ReturnValueUpdatedNew: `{"x":{"N":"2"},"m":{"M":{"i":{"N":"2"}}},"z":{"N":"2"}}`,
		types.ReturnValueAllNew: `{"p":{"S":"a"},"x":{"N":"2"},"y":{"N":"1"},"z":{"N":"2"},"m":{"M":{"i":{"N":"2"},"j":{"N":"1"}}}}`,
	} {
		b.put(`{"p":{"S":"a"},"x":{"N":"1"},"y":{"N":"1"},"m":{"M":{"i":{"N":"1"},"j":{"N":"1"}}}}`)
		out, err := b.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &b.table, Key: doc(key), ReturnValues: mode,
			UpdateExpression: aws.String("SET x = :v, m.i = :v, z = :v"), ExpressionAttributeValues: doc(`{":v":{"N":"2"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(string(mode), func(t *testing.T) { bench{t, b.Client, b.table}.same(out.Attributes, want) })
	}
}

// The lease of a run: one holder at a time, a fence number that only grows.
func TestLease(t *testing.T) {
	b := simpleTable(t)
	acquire := func(holder, now, until string) (*dynamodb.UpdateItemOutput, error) {
		return b.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &b.table, Key: doc(key), ReturnValues: types.ReturnValueUpdatedNew,
			UpdateExpression: aws.String("SET holder = :h, #u = :u ADD fence :one"), ConditionExpression: aws.String("attribute_not_exists(holder) OR #u < :now OR holder = :h"),
			ExpressionAttributeNames:  map[string]string{"#u": "until"},
			ExpressionAttributeValues: doc(`{":h":{"S":"` + holder + `"},":now":{"N":"` + now + `"},":u":{"N":"` + until + `"},":one":{"N":"1"}}`)})
	}
	out, err := acquire("first", "100", "200")
	if err != nil {
		t.Fatal(err)
	}
	b.same(out.Attributes, `{"holder":{"S":"first"},"until":{"N":"200"},"fence":{"N":"1"}}`)
	_, err = acquire("second", "200", "300")
	b.refused(err, "ConditionalCheckFailedException", "The conditional request failed")
	if out, err = acquire("second", "201", "300"); err != nil {
		t.Fatal(err)
	}
	b.same(out.Attributes, `{"holder":{"S":"second"},"until":{"N":"300"},"fence":{"N":"2"}}`)
}
