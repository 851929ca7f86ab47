package dynamodb_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const subject = `{"p":{"S":"a"},"n":{"N":"10"},"str":{"S":"hello"},"bin":{"B":"aGVsbG8="},"yes":{"BOOL":true},"nil":{"NULL":true},
	"m":{"M":{"x":{"N":"1"},"deep":{"L":[{"S":"zero"},{"M":{"k":{"S":"v"}}}]}}},"l":{"L":[{"N":"1"},{"S":"two"}]},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]}}`

// given are the values that the conditions below may use.
var given = map[string]string{
	":ten": `{"N":"10.0"}`, ":one": `{"N":"1"}`, ":two": `{"N":"2"}`, ":nine": `{"N":"9"}`, ":eleven": `{"N":"11"}`, ":hello": `{"S":"hello"}`,
	":hel": `{"S":"hel"}`, ":ell": `{"S":"ell"}`, ":tenText": `{"S":"10"}`, ":a": `{"S":"a"}`, ":v": `{"S":"v"}`, ":N": `{"S":"N"}`, ":L": `{"S":"L"}`,
	":ba": `{"SS":["b","a"]}`, ":true": `{"BOOL":true}`, ":two_": `{"S":"two"}`, ":five": `{"N":"5"}`, ":bytes": `{"B":"aGVsbG8="}`, ":bad": `{"S":"Q"}`,
	":list": `{"L":[]}`,
}

// with gives the values that an expression mentions.
func with(expression string) attributes {
	values := ""
	for name, v := range given {
		for _, word := range strings.FieldsFunc(expression, func(r rune) bool { return strings.ContainsRune(" (),=<>+-", r) }) {
			if word == name && !strings.Contains(values, `"`+name+`":`) {
				values += `,"` + name + `":` + v
			}
		}
	}
	if values == "" {
		return nil
	}
	return doc("{" + values[1:] + "}")
}

func TestConditions(t *testing.T) {
	b := simpleTable(t)
	b.put(subject)
	for expression, want := range map[string]bool{
		"n = :ten": true, "n <> :ten": false, "n < :eleven": true, "n <= :nine": false, "n > :nine": true, "n >= :ten": true,
		"n = :tenText": false, "n <> :tenText": true, "n < :tenText": false, ":nine < n": true,
		"ss = :ba": true, "yes = :true": true, "bin = :bytes": true, "str = bin": false,
		"absent = :ten": false, "absent <> :ten": true, "absent = gone": false, "absent <> gone": true, "absent < :ten": false,
		"n BETWEEN :nine AND :eleven": true, "n between :ten and :ten": true, "n BETWEEN :one AND :nine": false, "absent BETWEEN :one AND :nine": false,
		"n IN (:one, :ten)": true, "n IN (:one)": false, "n in (str, absent)": false,
		"attribute_exists(m.x)": true, "attribute_exists(m.y)": false, "attribute_not_exists(l[2])": true, "attribute_exists(l[1])": true,
		"attribute_exists(m.deep[1].k)": true, "m.deep[1].k = :v": true, "attribute_exists(str.x)": false, "attribute_exists(n[0])": false,
		"attribute_type(n, :N)": true, "attribute_type(l, :L)": true, "attribute_type(str, :N)": false, "attribute_type(absent, :N)": false,
		"begins_with(str, :hel)": true, "begins_with(str, :ell)": false, "begins_with(n, :hel)": false, "begins_with(absent, :hel)": false,
		"contains(str, :ell)": true, "contains(ss, :a)": true, "contains(ns, :two)": true, "contains(ns, :five)": false, "contains(l, :two_)": true, "contains(n, :ten)": false,
		"size(str) = :five": true, "size(l) = :two": true, "size(m) > :one": true, "size(n) = :two": false, "size(bin) >= :five": true, "size(absent) < :five": false,
		"NOT n = :ten": false, "NOT n = :one AND str = :hello": true, "n = :one AND str = :a OR yes = :true": true,
		"n = :one AND (str = :a OR yes = :true)": false, "NOT (n = :one OR str = :a)": true, "not not n = :ten": true,
		"attribute_not_exists(absent) Or n = :one": true,
	} {
		_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(subject), ConditionExpression: &expression, ExpressionAttributeValues: with(expression)})
		if want && err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if !want {
			t.Run(expression, func(t *testing.T) {
				refused(t, err, "ConditionalCheckFailedException", "The conditional request failed")
			})
		}
	}
}

func TestConditionsRefused(t *testing.T) {
	b := simpleTable(t)
	for expression, message := range map[string]string{
		"":                               "Invalid ConditionExpression: The expression can not be empty;",
		"  ":                             "The expression can not be empty;",
		"n =":                            `Syntax error; token: "<EOF>", near: "="`,
		"n = = :ten":                     `Syntax error; token: "=", near: "= = :ten"`,
		"n ! :ten":                       `Syntax error; token: "!"`,
		"_n = :ten":                      `Syntax error; token: "_"`,
		"n = :ten AND":                   `Syntax error; token: "<EOF>"`,
		"n = :ten str = :hello":          `Syntax error; token: "str"`,
		"n = 5":                          `Syntax error; token: "5"`,
		"l[n] = :one":                    `Syntax error; token: "n"`,
		"n":                              `Syntax error; token: "<EOF>"`,
		"n = :undefined":                 "An expression attribute value used in expression is not defined; attribute value: :undefined",
		"#n = :ten":                      "An expression attribute name used in the document path is not defined; attribute name: #n",
		"status = :ten":                  "Attribute name is a reserved keyword; reserved keyword: status",
		"m.Name = :ten":                  "Attribute name is a reserved keyword; reserved keyword: Name",
		"((n = :ten))":                   "The expression has redundant parentheses;",
		"n = n":                          "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [n]",
		"frob(n)":                        "Invalid function name; function: frob",
		"attribute_exists(:ten)":         "Operator or function requires a document path; operator or function: attribute_exists",
		"attribute_exists(n, str)":       "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
		"begins_with(str, :ten)":         "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
		"attribute_type(n, :bad)":        "Invalid attribute type name found; type: Q",
		"n < :true":                      "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
		"n BETWEEN :ten AND :nine":       "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:10}, upper bound operand: AttributeValue: {N:9}",
		"size(n)":                        "The function is not allowed to be used this way in an expression; function: size",
		"begins_with(str, :hel) = :true": "The function is not allowed to be used this way in an expression; function: begins_with",
		"if_not_exists(n, :ten) = :ten":  "Invalid function name; function: if_not_exists",
		"size(:ten) = :ten":              "Incorrect operand type for operator or function; operator or function: size, operand type: N",
		strings.Repeat("n = :ten OR ", 400) + "n = :ten": "Expression size has exceeded the maximum allowed size",
	} {
		_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(subject), ConditionExpression: &expression, ExpressionAttributeValues: with(expression)})
		t.Run(expression[:min(len(expression), 40)], func(t *testing.T) { refused(t, err, validation, message) })
	}
}

func TestPlaceholdersRefused(t *testing.T) {
	b := simpleTable(t)
	exists := aws.String("attribute_exists(p)")
	for name, c := range map[string]struct {
		condition *string
		names     map[string]string
		values    attributes
		message   string
	}{
		"unused name":       {exists, map[string]string{"#b": "b", "#a": "a"}, nil, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}"},
		"unused value":      {exists, nil, doc(`{":a":{"S":"x"}}`), "Value provided in ExpressionAttributeValues unused in expressions: keys: {:a}"},
		"names alone":       {nil, map[string]string{"#a": "a"}, nil, "ExpressionAttributeNames can only be specified when using expressions"},
		"values alone":      {nil, nil, doc(`{":a":{"S":"x"}}`), "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"},
		"bad name":          {exists, map[string]string{"a": "a"}, nil, `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		"bad value":         {exists, nil, doc(`{":":{"S":"x"}}`), `ExpressionAttributeValues contains invalid key: Syntax error; key: ":"`},
		"no names":          {exists, map[string]string{}, nil, "ExpressionAttributeNames must not be empty"},
		"no values":         {exists, nil, attributes{}, "ExpressionAttributeValues must not be empty"},
		"value not a value": {exists, nil, doc(`{":a":{"SS":[]}}`), "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An string set  may not be empty for key :a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &b.table, Item: doc(`{"p":{"S":"a"}}`),
				ConditionExpression: c.condition, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values})
			refused(t, err, validation, c.message)
		})
	}
}
