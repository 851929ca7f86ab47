package blastradius

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
)

// canon is a policy in canonical form: two that mean the same are the same in it. The order of statements and of values does
// not count, nor do Id, repetition, the case of actions and condition keys, or a single value written without a list;
// everything else does. A role that was deleted stands in the policy in force by its unique id, which is a difference, and
// rightly so. Statements are in the order of the text.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type canon struct {
	version    string
	statements []meaning
}

// meaning is what a statement says, in canonical form.
type meaning struct {
	sid        string
	elements   map[string]any                 // Effect, and Principal, Action, Resource and their opposites
	conditions map[string]map[string][]string // operator -> key, in lower case -> values
}

// text is the same for statements that mean the same. Maps marshal in the order of their keys.
func (m meaning) text() string {
	text, err := json.Marshal([]any{m.elements, m.conditions})
	if err != nil {
		panic("a statement is text, lists and maps of text, which always marshal: " + err.Error())
	}
	return string(text)
}

func readPolicy(document []byte) (canon, error) {
	p := canon{version: "2008-10-17"} // what IAM takes it for without one
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var policy map[string]any
	if err := d.Decode(&policy); err != nil {
		return p, err
	}
	if _, err := d.Token(); err != io.EOF {
		return p, fmt.Errorf("something follows the policy")
	}
	for name, v := range policy {
		switch name {
		case "Version":
			p.version, _ = v.(string)
		case "Id":
		case "Statement":
			for _, one := range listOf(v) {
				s, err := readStatement(one)
				if err != nil {
					return p, err
				}
				p.statements = append(p.statements, s)
			}
		default:
			return p, fmt.Errorf("%q is no element of a policy", name)
		}
	}
	return p, nil
}

func readStatement(v any) (meaning, error) {
	m := meaning{elements: map[string]any{}}
	s, ok := v.(map[string]any)
	if !ok {
		return m, fmt.Errorf("a statement is a %T and no object", v)
	}
	for name, v := range s {
		var err error
		switch name {
		case "Sid":
			m.sid, _ = v.(string)
		case "Effect":
			m.elements[name], _ = v.(string)
		case "Principal", "NotPrincipal":
			m.elements[name], err = canonicalPrincipal(v)
		case "Action", "NotAction":
			m.elements[name], err = scalars(v, strings.ToLower)
		case "Resource", "NotResource":
			m.elements[name], err = scalars(v, nil)
		case "Condition":
			m.conditions, err = canonicalConditions(v)
		default:
			err = fmt.Errorf("%q is no element of a statement", name)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// root is an account as IAM stores it when a policy names it by its number.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-accounts
var root = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):root$`) })

func canonicalPrincipal(v any) (map[string][]string, error) {
	if v == "*" {
		v = map[string]any{"AWS": "*"} // the two are one in the policy of a resource
	}
	kinds, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a principal is a %T", v)
	}
	out := map[string][]string{}
	for kind, names := range kinds {
		list, err := scalars(names, func(name string) string {
			if m := root().FindStringSubmatch(name); m != nil {
				return m[1]
			}
			return name
		})
		if err != nil {
			return nil, err
		}
		out[kind] = list
	}
	return out, nil
}

func canonicalConditions(v any) (map[string]map[string][]string, error) {
	operators, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a condition is a %T", v)
	}
	out := map[string]map[string][]string{}
	for operator, v := range operators {
		keys, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the condition %s is a %T", operator, v)
		}
		out[operator] = map[string][]string{}
		for key, values := range keys {
			list, err := scalars(values, nil)
			if err != nil {
				return nil, err
			}
			lower := strings.ToLower(key)
			if _, twice := out[operator][lower]; twice {
				return nil, fmt.Errorf("the condition %s has the key %s twice", operator, key)
			}
			out[operator][lower] = list
		}
	}
	return out, nil
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// scalars is a value or a list of them as sorted text without repetition.
func scalars(v any, as func(string) string) ([]string, error) {
	out := []string{}
	for _, one := range listOf(v) {
		switch one := one.(type) {
		case string, bool, json.Number:
			text := fmt.Sprint(one)
			if as != nil {
				text = as(text)
			}
			out = append(out, text)
		default:
			return nil, fmt.Errorf("a value is a %T", one)
		}
	}
	return distinct(out), nil
}
