package pattern

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// conjunction is one way through the $or of a pattern: the tests of each path. Naming a path twice, outside and inside
// an $or, leaves the later tests, as in AWS.
type conjunction map[string]leaf

type leaf struct {
	path  []string
	tests []test
}

// parser reads a pattern token by token, so that an error can say where it is.
type parser struct {
	text string
	dec  *json.Decoder
}

// fail makes the error for the place that was just read.
func (p *parser) fail(format string, a ...any) error {
	before := p.text[:min(int(p.dec.InputOffset()), len(p.text))]
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n")
	return &Error{Reason: fmt.Sprintf(format, a...) + fmt.Sprintf("\n at [Source: (String)%q; line: %d, column: %d]", p.text, line, column)}
}

func (p *parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if err == io.EOF {
		return nil, p.fail("Unexpected end-of-input")
	}
	if err != nil {
		return nil, p.fail("Not valid JSON: %v", err)
	}
	return t, nil
}

func (p *parser) parse() ([]*node, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('{') {
		return nil, p.fail("Filter is not an object")
	}
	found, err := p.object([]conjunction{{}}, nil, false)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, p.fail("Unexpected text after the pattern")
	}
	var rules []*node
	for _, c := range found {
		rules = append(rules, c.tree())
	}
	return rules, nil
}

// tree puts the tests of each path where the path leads.
func (c conjunction) tree() *node {
	root := &node{children: map[string]*node{}}
	for _, key := range slices.Sorted(maps.Keys(c)) {
		l, at := c[key], root
		for i, step := range l.path {
			next, ok := at.children[step]
			if !ok {
				next = &node{}
				at.children[step] = next
			}
			if i < len(l.path)-1 && next.children == nil {
				next.children = map[string]*node{}
			}
			at = next
		}
		at.tests, at.path = l.tests, l.path
	}
	return root
}

// object reads members up to the closing brace into every conjunction, and returns the conjunctions, which an $or
// multiplies.
func (p *parser) object(into []conjunction, path []string, inOr bool) ([]conjunction, error) {
	empty := true
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		if t == json.Delim('}') {
			break
		}
		empty = false
		key := t.(string) // between members the decoder lets only strings through
		if key == "$or" {
			if into, err = p.or(into, path); err != nil {
				return nil, err
			}
			continue
		}
		if inOr && reserved(key) {
			return nil, p.fail("%s is Ruler reserved fieldName which cannot be used inside $or.", key)
		}
		below := append(slices.Clone(path), key)
		t, err = p.token()
		switch {
		case err != nil:
			return nil, err
		case t == json.Delim('{'):
			if into, err = p.object(into, below, inOr); err != nil {
				return nil, err
			}
		case t == json.Delim('['):
			tests, err := p.tests()
			if err != nil {
				return nil, err
			}
			for _, c := range into {
				c[strings.Join(below, "\x00")] = leaf{path: below, tests: tests}
			}
		default:
			return nil, p.fail("%q must be an object or an array", key)
		}
	}
	if empty {
		return nil, p.fail("Empty objects are not allowed")
	}
	return into, nil
}

// or reads the array of alternatives: each continues every conjunction so far.
func (p *parser) or(into []conjunction, path []string) ([]conjunction, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('[') {
		return nil, p.fail("It must be an Array followed with $or.")
	}
	var out []conjunction
	count := 0
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		if t == json.Delim(']') {
			break
		}
		if t != json.Delim('{') {
			return nil, p.fail("Only JSON object is allowed in array of $or relationship.")
		}
		count++
		var branch []conjunction
		for _, c := range into {
			branch = append(branch, maps.Clone(c))
		}
		if branch, err = p.object(branch, path, true); err != nil {
			return nil, err
		}
		out = append(out, branch...)
		if len(out) > maxCombinations {
			return nil, p.fail("Pattern has more than %d combinations of $or", maxCombinations)
		}
	}
	if count < 2 {
		return nil, p.fail("There must have at least 2 Objects in $or relationship.")
	}
	return out, nil
}

// reserved names cannot be fields inside $or: they are there by mistake.
func reserved(key string) bool {
	switch key {
	case "exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "anything-but", "exists", "cidr":
		return true
	}
	return false
}

// tests reads a leaf's array: values and match expressions.
func (p *parser) tests() ([]test, error) {
	var out []test
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case ']':
				if len(out) == 0 {
					return nil, p.fail("Empty arrays are not allowed")
				}
				return out, nil
			case '{':
				one, err := p.expression()
				if err != nil {
					return nil, err
				}
				out = append(out, one)
			default:
				return nil, p.fail("Match value must be String, number, true, false, or null")
			}
		default:
			out = append(out, test{accepts: equal(t)})
		}
	}
}

// expression reads {"operator": argument}.
func (p *parser) expression() (test, error) {
	t, err := p.token()
	if err != nil {
		return test{}, err
	}
	operator, ok := t.(string)
	if !ok {
		return test{}, p.fail("Match expression name not found")
	}
	var argument any
	if err := p.dec.Decode(&argument); err != nil {
		return test{}, p.fail("Not valid JSON: %v", err)
	}
	one, reason := makeTest(operator, argument)
	if reason != "" {
		return test{}, p.fail("%s", reason)
	}
	if t, err = p.token(); err != nil {
		return test{}, err
	}
	if t != json.Delim('}') {
		return test{}, p.fail("Only one key allowed in match expression")
	}
	return one, nil
}
