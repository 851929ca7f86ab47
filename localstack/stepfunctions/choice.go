package stepfunctions

import (
	"encoding/json"
	"sort"
	"strings"
	"time"
)

// rule is one condition of a Choice state: https://states-language.net/spec.html#choice-state
type rule interface {
	test(sc *scope) (bool, error)
}

type (
	and        []rule
	or         []rule
	not        struct{ rule rule }
	comparison struct {
		variable *path
		compare  func(a, b any) bool
		operand  any   // a value, or
		from     *path // where it comes from, for the operators that end in Path
	}
	presence struct {
		variable *path
		want     bool
	}
)

func (r and) test(sc *scope) (bool, error) {
	for _, inner := range r {
		if ok, err := inner.test(sc); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (r or) test(sc *scope) (bool, error) {
	for _, inner := range r {
		if ok, err := inner.test(sc); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func (r not) test(sc *scope) (bool, error) {
	ok, err := r.rule.test(sc)
	return !ok && err == nil, err
}

func (r presence) test(sc *scope) (bool, error) {
	_, ok := r.variable.get(sc)
	return ok == r.want, nil
}

// test compares. A variable that names nothing fails the execution, and a value of another type is simply no match:
// https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html
func (r comparison) test(sc *scope) (bool, error) {
	v, ok := r.variable.get(sc)
	if !ok {
		return false, faultf(errRuntime, "Invalid path '%s': The choice state's condition path references an invalid value.", r.variable.text)
	}
	operand := r.operand
	if r.from != nil {
		if operand, ok = r.from.get(sc); !ok {
			return false, faultf(errRuntime, "Invalid path '%s': The choice state's condition path references an invalid value.", r.from.text)
		}
	}
	return r.compare(v, operand), nil
}

// number takes either kind of number as a float64, which is exact for what is compared in practice (below 2^53).
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// timestamp reads an RFC 3339 time as the Amazon States Language wants it: with an upper case T, and Z or an offset.
func timestamp(v any) (time.Time, bool) {
	s, ok := v.(string)
	if !ok || strings.ContainsAny(s, "tz ") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// ordered makes the five comparisons of a type out of its order; false from compare means another type.
func ordered(into map[string]func(a, b any) bool, kind string, compare func(a, b any) (int, bool)) {
	for suffix, holds := range map[string]func(c int) bool{
		"Equals":            func(c int) bool { return c == 0 },
		"LessThan":          func(c int) bool { return c < 0 },
		"GreaterThan":       func(c int) bool { return c > 0 },
		"LessThanEquals":    func(c int) bool { return c <= 0 },
		"GreaterThanEquals": func(c int) bool { return c >= 0 },
	} {
		into[kind+suffix] = func(a, b any) bool {
			c, ok := compare(a, b)
			return ok && holds(c)
		}
	}
}

// comparisons are the operators that compare with a value of a type; each but StringMatches also exists with Path.
func comparisons() map[string]func(a, b any) bool {
	all := map[string]func(a, b any) bool{
		"BooleanEquals": func(a, b any) bool {
			x, ok1 := a.(bool)
			y, ok2 := b.(bool)
			return ok1 && ok2 && x == y
		},
		"StringMatches": func(a, b any) bool {
			s, ok := a.(string)
			pattern, _ := b.(string)
			return ok && matches(s, pattern)
		},
	}
	ordered(all, "String", func(a, b any) (int, bool) {
		x, ok1 := a.(string)
		y, ok2 := b.(string)
		return strings.Compare(x, y), ok1 && ok2
	})
	ordered(all, "Numeric", func(a, b any) (int, bool) {
		x, ok1 := number(a)
		y, ok2 := number(b)
		switch {
		case x < y:
			return -1, ok1 && ok2
		case x > y:
			return 1, ok1 && ok2
		}
		return 0, ok1 && ok2
	})
	ordered(all, "Timestamp", func(a, b any) (int, bool) {
		x, ok1 := timestamp(a)
		y, ok2 := timestamp(b)
		return x.Compare(y), ok1 && ok2
	})
	return all
}

// typeTests are the operators that ask for a type; their operand says whether the answer should be yes.
var typeTests = map[string]func(v any) bool{
	"IsNull":      func(v any) bool { return v == nil },
	"IsString":    func(v any) bool { _, ok := v.(string); return ok },
	"IsNumeric":   func(v any) bool { _, ok := number(v); return ok },
	"IsBoolean":   func(v any) bool { _, ok := v.(bool); return ok },
	"IsTimestamp": func(v any) bool { _, ok := timestamp(v); return ok },
}

// matches is StringMatches: * stands for any characters, \* and \\ for the characters themselves.
func matches(s, pattern string) bool {
	if pattern == "" {
		return s == ""
	}
	switch {
	case pattern[0] == '*':
		for i := 0; i <= len(s); i++ {
			if matches(s[i:], pattern[1:]) {
				return true
			}
		}
		return false
	case pattern[0] == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return s != "" && s[0] == pattern[0] && matches(s[1:], pattern[1:])
}

// rule reads a condition. Top level rules have a Next beside it, nested ones have not.
func (p *parser) rule(at string, raw map[string]json.RawMessage) rule {
	f := p.fields(at, raw)
	f.seen["Next"] = true // read by whoever reads the rule
	defer f.finish()
	var operator string
	for _, k := range sortedKeys(raw) {
		if k == "Variable" || k == "Next" || k == "Comment" {
			continue
		}
		if operator != "" {
			p.problem(at, "a rule has one operator, this has %s and %s", operator, k)
			return nil
		}
		operator = k
	}
	switch operator {
	case "":
		p.problem(at, "a rule needs an operator")
		return nil
	case "And", "Or":
		var inner []map[string]json.RawMessage
		f.decode(operator, &inner)
		var rules []rule
		for _, r := range inner {
			rules = append(rules, p.nested(at+"/"+operator, r))
		}
		if len(rules) == 0 {
			p.problem(at, "%s needs at least one rule", operator)
		}
		if operator == "And" {
			return and(rules)
		}
		return or(rules)
	case "Not":
		var inner map[string]json.RawMessage
		f.decode(operator, &inner)
		return not{p.nested(at+"/Not", inner)}
	}
	return p.compare(f, at, operator)
}

func (p *parser) nested(at string, raw map[string]json.RawMessage) rule {
	if _, ok := raw["Next"]; ok {
		p.problem(at, "a nested rule has no Next")
	}
	return p.rule(at, raw)
}

func (p *parser) compare(f *fields, at, operator string) rule {
	variable := f.path("Variable")
	if variable == nil {
		p.problem(at, "a comparison needs a Variable")
		return nil
	}
	if operator == "IsPresent" {
		return presence{variable, f.flag(operator)}
	}
	if is, ok := typeTests[operator]; ok {
		return comparison{variable: variable, operand: f.flag(operator), compare: func(v, want any) bool { return is(v) == want }}
	}
	base, fromPath := strings.CutSuffix(operator, "Path")
	compare, ok := comparisons()[base]
	if !ok || (fromPath && base == "StringMatches") {
		p.problem(at, "the operator %s is not supported", operator)
		return nil
	}
	if fromPath {
		return comparison{variable: variable, from: f.path(operator), compare: compare}
	}
	operand := f.value(operator)
	var fits bool
	switch {
	case strings.HasPrefix(base, "String"):
		_, fits = operand.(string)
	case strings.HasPrefix(base, "Numeric"):
		_, fits = number(operand)
	case strings.HasPrefix(base, "Boolean"):
		_, fits = operand.(bool)
	default:
		_, fits = timestamp(operand)
	}
	if !fits {
		p.problem(at, "%s does not compare with %s", operator, kindOf(operand))
	}
	return comparison{variable: variable, operand: operand, compare: compare}
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
