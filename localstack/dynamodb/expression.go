package dynamodb

import (
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// placeholders are what the expressions of one request may refer to, and what they did refer to.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
type placeholders struct {
	names       map[string]string
	values      values
	unusedNames map[string]bool
	unusedValue map[string]bool
}

// An expression is the source of one expression parameter; nil source means that the request has none.
type expression struct {
	parameter string // "ConditionExpression"
	source    *string
}

func (e expression) given() bool { return e.source != nil }

// newPlaceholders checks that what is given is well formed and that there is an expression to use it. taking are the
// expressions of the request; a projection can use names only.
func newPlaceholders(names map[string]string, vs values, taking ...expression) (*placeholders, error) {
	if err := used(names, vs, taking); err != nil {
		return nil, err
	}
	p := &placeholders{names: names, values: vs, unusedNames: map[string]bool{}, unusedValue: map[string]bool{}}
	if names != nil && len(names) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !wellFormed('#', name) {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", name)
		}
		if names[name] == "" {
			return nil, invalid("ExpressionAttributeNames contains invalid value: Attribute name must not be empty for key %s", name)
		}
		p.unusedNames[name] = true
	}
	if vs != nil && len(vs) == 0 {
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		if !wellFormed(':', name) {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", name)
		}
		p.unusedValue[name] = true
	}
	return p, nil
}

func used(names map[string]string, vs values, taking []expression) error {
	var absent []string
	anyExpression, anyTakesValues := false, false
	for _, e := range taking {
		anyExpression = anyExpression || e.given()
		if e.parameter == "ProjectionExpression" {
			continue
		}
		anyTakesValues = anyTakesValues || e.given()
		absent = append(absent, e.parameter)
	}
	if names != nil && !anyExpression {
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if vs != nil && !anyTakesValues && len(absent) > 0 {
		verb := " is null"
		if len(absent) > 1 {
			verb = " are null"
		}
		return invalid("ExpressionAttributeValues can only be specified when using expressions: %s", strings.Join(absent, " and ")+verb)
	}
	return nil
}

func wellFormed(sigil byte, placeholder string) bool {
	if len(placeholder) < 2 || placeholder[0] != sigil {
		return false
	}
	for i := 1; i < len(placeholder); i++ {
		if !isWord(placeholder[i]) {
			return false
		}
	}
	return true
}

// allUsed is called after the last expression of the request has been parsed.
func (p *placeholders) allUsed() error {
	if len(p.unusedNames) > 0 {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", joined(p.unusedNames))
	}
	if len(p.unusedValue) > 0 {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", joined(p.unusedValue))
	}
	return nil
}

func joined(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

// parse runs a grammar over an expression; the expression must end where the grammar does. Without an expression the
// result is zero.
func parse[T any](e expression, p *placeholders, grammar func(*parser) (T, error)) (T, error) {
	var none T
	if !e.given() {
		return none, nil
	}
	parsed, err := parseSource(*e.source, p, grammar)
	if fault, ok := err.(*stack.Error); ok {
		return none, invalid("Invalid %s: %s", e.parameter, fault.Message)
	}
	return parsed, err
}

func parseSource[T any](source string, p *placeholders, grammar func(*parser) (T, error)) (T, error) {
	var none T
	if strings.Trim(source, " \t\r\n") == "" {
		return none, invalid("The expression can not be empty;")
	}
	if len(source) > maxExpression {
		return none, invalid("Expression size has exceeded the maximum allowed size; expression size: %d", len(source))
	}
	tokens, err := scan(source)
	if err != nil {
		return none, err
	}
	run := &parser{text: source, tokens: tokens, placeholders: p}
	parsed, err := grammar(run)
	if err != nil {
		return none, err
	}
	if run.peek().kind != tokenEnd {
		return none, run.unexpected()
	}
	return parsed, nil
}
