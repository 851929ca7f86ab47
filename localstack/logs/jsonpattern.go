package logs

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// JSON patterns: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/matching-terms-json-log-events.html
//
//	{ $.schema = "mayfly.audit.v1" && ($.outcome = failed* || $.attempt > 3) && $.error NOT EXISTS }
//
// Numbers compare with numbers; a string matches with * as a wildcard; a comparison with a property that is not there
// is false, != included (AWS's page does not say).

// condition is a JSON pattern, or part of one, applied to a decoded message.
type condition func(doc any) bool

func parseJSONPattern(text string) (predicate, error) {
	inner, ok := strings.CutSuffix(text[1:], "}")
	if !ok {
		return nil, badPattern("a JSON pattern ends with }")
	}
	p := &parser{rest: inner}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.rest != "" {
		return nil, badPattern("unexpected " + strconv.Quote(p.rest))
	}
	return func(message string) bool {
		var doc map[string]any
		return json.Unmarshal([]byte(message), &doc) == nil && c(doc)
	}, nil
}

type parser struct{ rest string }

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take consumes a token if it comes next.
func (p *parser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) or() (condition, error) {
	left, err := p.and()
	for err == nil && p.take("||") {
		var right condition
		if right, err = p.and(); err == nil {
			l := left
			left = func(doc any) bool { return l(doc) || right(doc) }
		}
	}
	return left, err
}

func (p *parser) and() (condition, error) {
	left, err := p.operand()
	for err == nil && p.take("&&") {
		var right condition
		if right, err = p.operand(); err == nil {
			l := left
			left = func(doc any) bool { return l(doc) && right(doc) }
		}
	}
	return left, err
}

func (p *parser) operand() (condition, error) {
	if p.take("(") {
		c, err := p.or()
		if err == nil && !p.take(")") {
			err = badPattern("a parenthesis does not close")
		}
		return c, err
	}
	sel, err := p.selector()
	if err != nil {
		return nil, err
	}
	switch {
	case p.take("IS NULL"):
		return func(doc any) bool { v, ok := sel.in(doc); return ok && v == nil }, nil
	case p.take("IS TRUE"):
		return func(doc any) bool { v, _ := sel.in(doc); return v == true }, nil
	case p.take("IS FALSE"):
		return func(doc any) bool { v, _ := sel.in(doc); return v == false }, nil
	case p.take("NOT EXISTS"):
		return func(doc any) bool { _, ok := sel.in(doc); return !ok }, nil
	case p.take("EXISTS"):
		return func(doc any) bool { _, ok := sel.in(doc); return ok }, nil
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if p.take(op) {
			return p.comparison(sel, op)
		}
	}
	return nil, badPattern("no operator at " + strconv.Quote(p.rest))
}

func (p *parser) comparison(sel selector, op string) (condition, error) {
	p.space()
	if strings.HasPrefix(p.rest, `"`) {
		text, rest, err := cutQuoted(p.rest)
		if err != nil {
			return nil, err
		}
		p.rest = rest
		return stringCondition(sel, op, wildcard(text))
	}
	if strings.HasPrefix(p.rest, "%") {
		expression, rest, _ := strings.Cut(p.rest[1:], "%")
		re, err := regexp.Compile(expression)
		if err != nil {
			return nil, badPattern(err.Error())
		}
		p.rest = rest
		return stringCondition(sel, op, re)
	}
	end := strings.IndexAny(p.rest, " \t\r\n)&|")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if word == "" {
		return nil, badPattern("nothing to compare with after " + op)
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return numberCondition(sel, op, n), nil
	}
	return stringCondition(sel, op, wildcard(word))
}

// wildcard makes an expression of a string in which * stands for anything.
func wildcard(text string) *regexp.Regexp {
	parts := strings.Split(text, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
}

func stringCondition(sel selector, op string, re *regexp.Regexp) (condition, error) {
	if op != "=" && op != "!=" {
		return nil, badPattern("strings compare with = and != only, not " + op)
	}
	return func(doc any) bool {
		v, ok := sel.in(doc)
		return ok && re.MatchString(literal(v)) == (op == "=")
	}, nil
}

// literal is how a value looks to a string comparison.
func literal(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v) // v was decoded from JSON
	return string(b)
}

func numberCondition(sel selector, op string, want float64) condition {
	return func(doc any) bool {
		v, ok := sel.in(doc)
		n, isNumber := v.(float64)
		if !ok || !isNumber {
			return ok && op == "!="
		}
		switch op {
		case "=":
			return n == want
		case "!=":
			return n != want
		case "<":
			return n < want
		case "<=":
			return n <= want
		case ">":
			return n > want
		}
		return n >= want
	}
}

// selector is a path such as $.a.b[0]: names and indexes.
type selector []any

func (s selector) in(doc any) (any, bool) {
	for _, step := range s {
		switch step := step.(type) {
		case string:
			object, _ := doc.(map[string]any)
			v, ok := object[step]
			if !ok {
				return nil, false
			}
			doc = v
		case int:
			list, _ := doc.([]any)
			if step >= len(list) {
				return nil, false
			}
			doc = list[step]
		}
	}
	return doc, true
}

func (p *parser) selector() (selector, error) {
	p.space()
	m := selectorSyntax().FindString(p.rest)
	if m == "" {
		return nil, badPattern("no property selector ($.name) at " + strconv.Quote(p.rest))
	}
	p.rest = p.rest[len(m):]
	return parseSelector(m), nil
}

func selectorSyntax() *regexp.Regexp {
	return regexp.MustCompile(`^\$(\.[A-Za-z0-9_@:-]+|\[[0-9]{1,6}\])+`)
}

func parseSelector(text string) selector {
	var s selector
	for _, m := range regexp.MustCompile(`\.([A-Za-z0-9_@:-]+)|\[([0-9]+)\]`).FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			s = append(s, m[1])
			continue
		}
		i, _ := strconv.Atoi(m[2]) // at most six digits, see selectorSyntax
		s = append(s, i)
	}
	return s
}
