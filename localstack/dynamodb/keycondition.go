package dynamodb

import (
	"fmt"
	"strings"
)

// A keyCondition is a KeyConditionExpression: one partition and, maybe, a range of sort keys.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
type keyCondition struct {
	partition value
	sort      sortRange
}

// A sortRange is an interval of sort keys; without an operator it is all of them.
type sortRange struct {
	operator  string // "", "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"
	low, high value  // high is BETWEEN's
}

// rank is -1, 0 or +1 as a sort key lies before, in or after the range.
func (r sortRange) rank(v value) int {
	if r.operator == "" {
		return 0
	}
	order := compareScalars(v, r.low)
	switch r.operator {
	case "BETWEEN":
		if order >= 0 {
			order = max(compareScalars(v, r.high), 0)
		}
		return order
	case "begins_with":
		if hasPrefix(v, r.low) {
			return 0
		}
		return order
	}
	if inOrder(r.operator, order) {
		return 0
	}
	// What is not in the range lies on the side where the operator does not look.
	if strings.HasPrefix(r.operator, ">") {
		return -1
	}
	if strings.HasPrefix(r.operator, "<") {
		return 1
	}
	return order
}

// keyConditionOf makes sense of a parsed condition against the key of a table or index.
func keyConditionOf(c condition, k key) (keyCondition, error) {
	found := map[string]sortRange{}
	if err := collect(c, found); err != nil {
		return keyCondition{}, err
	}
	for name := range found {
		if !k.has(name) {
			missing := k[0].name
			if _, ok := found[missing]; ok && len(k) > 1 {
				missing = k[1].name
			}
			return keyCondition{}, invalid("Query condition missed key schema element: %s", missing)
		}
	}
	partition, ok := found[k[0].name]
	if !ok {
		return keyCondition{}, invalid("Query condition missed key schema element: %s", k[0].name)
	}
	if partition.operator != "=" {
		return keyCondition{}, invalid("Query key condition not supported")
	}
	result := keyCondition{partition: partition.low}
	if len(k) > 1 {
		result.sort = found[k[1].name]
	}
	for _, a := range k {
		r := found[a.name]
		if r.operator != "" && (r.low.kind != a.kind || r.operator == "BETWEEN" && r.high.kind != a.kind) {
			return keyCondition{}, invalidParameter("Condition parameter type does not match schema type")
		}
		if r.operator != "" && r.low.kind != kindNumber && r.low.text == "" && r.operator != "begins_with" {
			return keyCondition{}, invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", longKind(a.kind), a.name)
		}
	}
	return result, nil
}

// collect gathers the conditions that AND joins, by attribute.
func collect(c condition, found map[string]sortRange) error {
	switch c := c.(type) {
	case allOf:
		if err := collect(c.left, found); err != nil {
			return err
		}
		return collect(c.right, found)
	case comparison:
		if c.operator == "<>" {
			return notForKeys("<>")
		}
		if _, swapped := c.left.(literal); swapped {
			mirrored := map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
			c.left, c.right, c.operator = c.right, c.left, mirrored[c.operator]
		}
		return note(found, c.operator, c.left, c.right)
	case between:
		return note(found, "BETWEEN", c.operand, c.low, c.high)
	case beginsWith:
		return note(found, "begins_with", c.operand, c.prefix)
	case anyOf:
		return notForKeys("OR")
	case not:
		if _, ok := c.inner.(exists); ok {
			return notForKeys("attribute_not_exists")
		}
		return notForKeys("NOT")
	case among:
		return notForKeys("IN")
	case exists:
		return notForKeys("attribute_exists")
	case typeIs:
		return notForKeys("attribute_type")
	case contains:
		return notForKeys("contains")
	}
	return fmt.Errorf("key condition of unknown kind %T", c)
}

func notForKeys(operator string) error {
	return invalid("Invalid operator used in KeyConditionExpression: %s", operator)
}

func note(found map[string]sortRange, operator string, subject operand, bounds ...operand) error {
	a, ok := subject.(attribute)
	if !ok {
		if _, nested := subject.(sizeOf); nested {
			return invalid("KeyConditionExpressions cannot contain nested operations")
		}
		return invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	if len(a.path) > 1 {
		return invalid("KeyConditionExpressions cannot have conditions on nested attributes")
	}
	r := sortRange{operator: operator}
	for i, b := range bounds {
		l, ok := b.(literal)
		if !ok {
			return invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		}
		if i == 0 {
			r.low = l.value
		} else {
			r.high = l.value
		}
	}
	name := a.path[0].name
	if _, twice := found[name]; twice {
		return invalid("KeyConditionExpressions must only contain one condition per key")
	}
	found[name] = r
	return nil
}
