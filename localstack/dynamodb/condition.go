package dynamodb

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A condition is a parsed condition or filter: it holds for an item or does not. What does not exist, or is of
// another type, makes a comparison false (and <> true), never an error.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
type condition interface{ holds(item) bool }

// An operand yields a value, or none.
type operand interface{ of(item) (value, bool) }

type (
	attribute struct{ path path }
	literal   struct{ value value }
	sizeOf    struct{ inner operand }
)

func (a attribute) of(i item) (value, bool) { return a.path.in(i) }
func (l literal) of(item) (value, bool)     { return l.value, true }

// of is the length: characters of S, bytes of B, members of a set, list or map. Other types have none.
func (s sizeOf) of(i item) (value, bool) {
	v, ok := s.inner.of(i)
	if !ok {
		return value{}, false
	}
	switch v.kind {
	case kindString:
		return intValue(utf8.RuneCountInString(v.text)), true
	case kindBinary:
		return intValue(len(v.text)), true
	case kindMap:
		return intValue(len(v.fields)), true
	case kindList, kindStringSet, kindNumberSet, kindBinarySet:
		return intValue(len(v.list)), true
	}
	return value{}, false
}

type (
	allOf      struct{ left, right condition }
	anyOf      struct{ left, right condition }
	not        struct{ inner condition }
	comparison struct {
		operator    string
		left, right operand
	}
	between struct{ operand, low, high operand }
	among   struct {
		operand operand
		list    []operand
	}
	exists struct{ path path }
	typeIs struct {
		operand operand
		kind    kind
	}
	beginsWith struct{ operand, prefix operand }
	contains   struct{ operand, part operand }
)

func (c allOf) holds(i item) bool  { return c.left.holds(i) && c.right.holds(i) }
func (c anyOf) holds(i item) bool  { return c.left.holds(i) || c.right.holds(i) }
func (c not) holds(i item) bool    { return !c.inner.holds(i) }
func (c exists) holds(i item) bool { _, ok := c.path.in(i); return ok }

func (c comparison) holds(i item) bool {
	l, okL := c.left.of(i)
	r, okR := c.right.of(i)
	switch {
	case c.operator == "<>":
		return !okL || !okR || !equal(l, r)
	case !okL || !okR:
		return false
	case c.operator == "=":
		return equal(l, r)
	}
	return ordered(l, r) && inOrder(c.operator, compareScalars(l, r))
}

func inOrder(operator string, order int) bool {
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return order == 0
}

func (c between) holds(i item) bool {
	return comparison{">=", c.operand, c.low}.holds(i) && comparison{"<=", c.operand, c.high}.holds(i)
}

func (c among) holds(i item) bool {
	return slices.ContainsFunc(c.list, func(o operand) bool { return comparison{"=", c.operand, o}.holds(i) })
}

func (c typeIs) holds(i item) bool {
	v, ok := c.operand.of(i)
	return ok && v.kind == c.kind
}

func (c beginsWith) holds(i item) bool {
	v, okV := c.operand.of(i)
	prefix, okP := c.prefix.of(i)
	return okV && okP && hasPrefix(v, prefix)
}

func hasPrefix(v, prefix value) bool {
	return v.kind == prefix.kind && (v.kind == kindString || v.kind == kindBinary) && strings.HasPrefix(v.text, prefix.text)
}

func (c contains) holds(i item) bool {
	v, okV := c.operand.of(i)
	part, okP := c.part.of(i)
	if !okV || !okP {
		return false
	}
	switch v.kind {
	case kindString, kindBinary:
		return v.kind == part.kind && strings.Contains(v.text, part.text)
	case kindList, kindStringSet, kindNumberSet, kindBinarySet:
		return slices.ContainsFunc(v.list, func(e value) bool { return equal(e, part) })
	}
	return false
}

func intValue(n int) value {
	count, _ := parseNumber(strconv.Itoa(n)) // an int always fits
	return value{kind: kindNumber, number: count}
}

// heads lists the top-level attributes that a condition looks at; none for no condition.
func heads(c condition) []string {
	switch c := c.(type) {
	case allOf:
		return append(heads(c.left), heads(c.right)...)
	case anyOf:
		return append(heads(c.left), heads(c.right)...)
	case not:
		return heads(c.inner)
	case comparison:
		return operandHeads(c.left, c.right)
	case between:
		return operandHeads(c.operand, c.low, c.high)
	case among:
		return operandHeads(append(slices.Clone(c.list), c.operand)...)
	case exists:
		return []string{c.path[0].name}
	case typeIs:
		return operandHeads(c.operand)
	case beginsWith:
		return operandHeads(c.operand, c.prefix)
	case contains:
		return operandHeads(c.operand, c.part)
	}
	return nil
}

func operandHeads(operands ...operand) []string {
	var list []string
	for _, o := range operands {
		switch o := o.(type) {
		case attribute:
			list = append(list, o.path[0].name)
		case sizeOf:
			list = append(list, operandHeads(o.inner)...)
		}
	}
	return list
}
