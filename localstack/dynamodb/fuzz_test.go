package dynamodb

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Whatever the text, the parsers end with a result or a ValidationException, and what they accept can be evaluated.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{
		"a = :n AND NOT (b < :s OR c.d[0] BETWEEN :n AND :n)", "attribute_not_exists(#x) OR contains(l, :s) AND size(l) IN (:n)",
		"SET a = if_not_exists(a, :n) + :n, l = list_append(l, :l) REMOVE m.x, l[0] ADD n :n DELETE ss :ss", "a, m.x, l[1], #x",
		"SET l[9] = :n, l[3] = l[0] REMOVE l[1], l[2]", "begins_with(a, :s) and attribute_type(a, :s)", "((((a", "a[99999999999999999999]", "#", ":", "",
		strings.Repeat("(", 4000), strings.Repeat("NOT ", 1000) + "a = :n", strings.Repeat("size(", 800), "a" + strings.Repeat(".a", 2000),
	} {
		f.Add(seed)
	}
	n, _ := parseNumber("7")
	number, word := value{kind: kindNumber, number: n}, value{kind: kindString, text: "S"}
	list := value{kind: kindList, list: []value{number, word, number}}
	subject := item{
		"a": word, "n": number, "l": list, "ss": setOf(kindStringSet, []value{word}),
		"m": {kind: kindMap, fields: map[string]value{"x": number, "l": list}},
	}
	vs := values{":n": number, ":s": word, ":l": list, ":ss": subject["ss"]}
	names := map[string]string{"#x": "m"}
	f.Fuzz(func(t *testing.T, source string) {
		p := func() *placeholders {
			made, err := newPlaceholders(names, vs, expression{"ConditionExpression", &source})
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		before := subject.size()
		c, err := parse(expression{"ConditionExpression", &source}, p(), (*parser).condition)
		if validated(t, err) {
			c.holds(subject)
			c.holds(nil)
			heads(c)
			_, err = keyConditionOf(c, key{{"a", kindString}, {"n", kindNumber}})
			validated(t, err)
		}
		u, err := parse(expression{"UpdateExpression", &source}, p(), (*parser).update)
		if validated(t, err) {
			after, err := u.apply(subject)
			if validated(t, err) {
				selectionOf(u.paths()).of(after)
			}
		}
		paths, err := parse(expression{"ProjectionExpression", &source}, p(), (*parser).paths)
		if validated(t, err) {
			selectionOf(paths).of(subject)
		}
		if subject.size() != before {
			t.Fatalf("%q changed the item that it was applied to", source)
		}
	})
}

// validated says whether all was well; an error must be a ValidationException.
func validated(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if fault, ok := err.(*stack.Error); !ok || fault.Code != "ValidationException" {
		t.Fatalf("%T is no ValidationException: %v", err, err)
	}
	return false
}

// Whatever the JSON, reading it ends, and what is read writes and reads back as the same value.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{
		`{"S":"x"}`, `{"N":"-1.50e3"}`, `{"B":"AAE="}`, `{"BOOL":true}`, `{"NULL":true}`, `{"SS":["b","a"]}`, `{"NS":["1","1.5"]}`, `{"BS":["AA=="]}`,
		`{"M":{"a":{"L":[{"S":""},{"M":{}}]}}}`, `{"N":"1e99999999999999999999"}`, `{"S":"x","N":"1"}`, `{}`, `[]`, `{"S":1}`, `{"X":"x"}`, `{"L":null}`,
		strings.Repeat(`{"L":[`, 5000) + strings.Repeat(`]}`, 5000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := readValue(raw, 0)
		if err != nil {
			return
		}
		written, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s does not write: %v", raw, err)
		}
		again, err := readValue(written, 0)
		if err != nil || !equal(v, again) || v.size() != again.size() || v.nesting() > maxNesting {
			t.Fatalf("%s was written as %s and read back as %v, %v", raw, written, again, err)
		}
	})
}
