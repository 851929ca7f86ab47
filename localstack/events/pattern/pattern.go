// Package pattern matches events against EventBridge event patterns.
//
// It knows the operators of rules on an event bus: exact values, null, "", prefix and suffix (each also ignoring case),
// equals-ignore-case, wildcard, anything-but (of values, prefix, suffix, equals-ignore-case, wildcard), numeric, cidr,
// exists and $or. Patterns are checked like AWS checks them, with its reasons.
//
// Sources:
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
//   - https://github.com/aws/event-ruler (README: arrays of objects, exists only on leaves, $or)
//
// Left out: a dot in a key is a character like any other, where Ruler takes "a.b" for a path.
package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxCombinations is how many sub-rules the $or of a pattern may multiply to.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-complex-example-or
const maxCombinations = 1000

// Pattern is a checked event pattern. It is safe for concurrent use.
type Pattern struct {
	rules []*node // the pattern matches if one of them does
}

// node is a conjunction over the members of one object: every child must match. A leaf has tests instead. (It has both
// when the pattern wants a field to be a value here and an object there, which an array can be at once.)
type node struct {
	children map[string]*node
	tests    []test
	path     []string // of a leaf, for exists: false
}

// Error says why a pattern is invalid, in AWS's words.
type Error struct{ Reason string }

func (e *Error) Error() string { return "Event pattern is not valid. Reason: " + e.Reason }

// Parse checks a pattern. The error is an *Error.
func Parse(text string) (*Pattern, error) {
	p := &parser{text: text, dec: json.NewDecoder(strings.NewReader(text))}
	p.dec.UseNumber()
	rules, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &Pattern{rules: rules}, nil
}

// Match reports whether an event, a JSON object, matches. Other text than a JSON object is an error.
func (p *Pattern) Match(event []byte) (bool, error) {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return false, fmt.Errorf("event is not a JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return false, fmt.Errorf("event is more than one JSON value")
	}
	for _, rule := range p.rules {
		if rule.matches(root, root) {
			return true, nil
		}
	}
	return false, nil
}

// matches compares the node with a value of the event. Absent values are passed as absence.
func (n *node) matches(root map[string]any, value any) bool {
	return (n.tests == nil || n.leafMatches(root, value)) && (n.children == nil || n.objectMatches(root, value))
}

// objectMatches wants every child to match. An array where the pattern wants an object is crossed out: one element must
// match the whole subtree, so that two fields are never taken from different elements.
func (n *node) objectMatches(root map[string]any, value any) bool {
	member := func(string) any { return absence{} }
	switch v := value.(type) {
	case map[string]any:
		member = func(key string) any {
			if m, ok := v[key]; ok {
				return m
			}
			return absence{}
		}
	case []any:
		objects := false
		for _, element := range v {
			switch element.(type) {
			case map[string]any, []any:
				objects = true
				if n.objectMatches(root, element) {
					return true
				}
			}
		}
		if objects {
			return false
		}
	}
	// Where there is no object, whatever the pattern says of its members it says of absent ones.
	for key, child := range n.children {
		if !child.matches(root, member(key)) {
			return false
		}
	}
	return true
}

// absence stands for a member that the event does not have.
type absence struct{}

// leafMatches wants one test to accept the value, or any element of it if it is an array.
func (n *node) leafMatches(root map[string]any, value any) bool {
	for _, t := range n.tests {
		if t.exists != nil {
			// Whether a field exists is asked of the whole event, also when another element of an array is looked at.
			if *t.exists == hasLeaf(root, n.path) {
				if !*t.exists || anyScalar(value, func(any) bool { return true }) {
					return true
				}
			}
			continue
		}
		if anyScalar(value, t.accepts) {
			return true
		}
	}
	return false
}

// anyScalar reports whether f holds for the scalar, or for any scalar of an array, however deep.
func anyScalar(value any, f func(any) bool) bool {
	switch v := value.(type) {
	case map[string]any, absence:
		return false
	case []any:
		for _, element := range v {
			if anyScalar(element, f) {
				return true
			}
		}
		return false
	}
	return f(value)
}

// hasLeaf reports whether the path leads to a scalar, through any element of the arrays on the way.
func hasLeaf(value any, path []string) bool {
	if elements, ok := value.([]any); ok {
		for _, e := range elements {
			if hasLeaf(e, path) {
				return true
			}
		}
		return false
	}
	object, isObject := value.(map[string]any)
	if len(path) == 0 {
		return !isObject
	}
	member, ok := object[path[0]]
	return ok && hasLeaf(member, path[1:])
}
