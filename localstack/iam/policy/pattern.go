package policy

import (
	"fmt"
	"strings"
)

// A template is a value of a policy, read: characters, wildcards, and variables that a request fills.
type template []part

type part struct {
	text     string  // characters that stand for themselves
	wild     byte    // '*' or '?', or 0
	variable string  // condition key, in lower case, or ""
	fallback *string // what an unknown variable becomes, or nil
}

// parseTemplate reads a value. Without variables, ${…} is text; without wildcards, * and ? are.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func parseTemplate(value string, variables, wildcards bool) (template, error) {
	var t template
	for value != "" {
		switch {
		case variables && strings.HasPrefix(value, "${"):
			inside, rest, ok := strings.Cut(value[2:], "}")
			if !ok {
				return nil, fmt.Errorf("%q has a variable without an end", value)
			}
			p, err := parseVariable(inside)
			if err != nil {
				return nil, err
			}
			t, value = append(t, p), rest
		case wildcards && (value[0] == '*' || value[0] == '?'):
			t, value = append(t, part{wild: value[0]}), value[1:]
		default:
			end := 1 + strings.IndexAny(value[1:], "*?$")
			if end == 0 {
				end = len(value)
			}
			t, value = append(t, part{text: value[:end]}), value[end:]
		}
	}
	return t, nil
}

// parseVariable reads what stands between the braces: *, ? or $ for that very character, or a condition key with or
// without a default in single quotes.
func parseVariable(inside string) (part, error) {
	if inside == "*" || inside == "?" || inside == "$" {
		return part{text: inside}, nil
	}
	key, fallback, has := strings.Cut(inside, ",")
	key = strings.TrimSpace(key)
	if !known(key) {
		return part{}, fmt.Errorf("the variable ${%s} is not known here", inside)
	}
	p := part{variable: strings.ToLower(key)}
	if has {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return part{}, fmt.Errorf("the default of ${%s} must stand in single quotes", inside)
		}
		fallback = fallback[1 : len(fallback)-1]
		p.fallback = &fallback
	}
	return p, nil
}

// pattern is a template whose variables are filled.
type pattern []symbol

type symbol struct {
	char rune
	wild bool // char is '*' or '?' and stands for others
}

// fill puts a request's values in the place of variables. ok is false if one of them has no value: such a pattern is
// equal to nothing and like nothing. A key with several values has none as a variable.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
func (t template) fill(c Context) (p pattern, ok bool) {
	for _, x := range t {
		text := x.text
		switch {
		case x.wild != 0:
			p = append(p, symbol{rune(x.wild), true})
			continue
		case x.variable != "":
			values := c[x.variable]
			switch {
			case len(values) == 1:
				text = values[0]
			case x.fallback != nil:
				text = *x.fallback
			default:
				return nil, false
			}
		}
		for _, char := range text {
			p = append(p, symbol{char, false})
		}
	}
	return p, true
}

// matches compares a whole string with a pattern.
func (p pattern) matches(s string) bool {
	text := []rune(s)
	i, j := 0, 0
	star, from := -1, 0 // the last * and where its run ends at the moment
	for j < len(text) {
		switch {
		case i < len(p) && p[i] == symbol{'*', true}:
			star, from = i, j
			i++
		case i < len(p) && (p[i] == symbol{'?', true} || p[i] == symbol{text[j], false}):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == (symbol{'*', true}) {
		i++
	}
	return i == len(p)
}

// arnFields is how many parts an ARN has between colons; the last one may hold colons of its own.
const arnFields = 6

// fields splits a pattern at colons that stand for themselves, into six at most.
func (p pattern) fields() []pattern {
	var out []pattern
	begin := 0
	for i, s := range p {
		if s == (symbol{':', false}) && len(out) < arnFields-1 {
			out = append(out, p[begin:i])
			begin = i + 1
		}
	}
	return append(out, p[begin:])
}

// matchesARN compares field by field, so that a wildcard never reaches over a colon, except in the last field.
func (p pattern) matchesARN(arn string) bool {
	want, got := p.fields(), strings.SplitN(arn, ":", arnFields)
	if len(want) != arnFields || len(got) != arnFields {
		return false
	}
	for i := range want {
		if !want[i].matches(got[i]) {
			return false
		}
	}
	return true
}

// matchesResource compares a Resource element. An ARN with fewer than six fields is completed with wildcards.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
func (p pattern) matchesResource(resource string) bool {
	if len(p) == 1 && p[0] == (symbol{'*', true}) {
		return true
	}
	want := p.fields()
	for len(want) < arnFields {
		want = append(want, pattern{{'*', true}})
	}
	got := strings.SplitN(resource, ":", arnFields)
	if len(got) != arnFields {
		return false
	}
	for i := range want {
		if !want[i].matches(got[i]) {
			return false
		}
	}
	return true
}
