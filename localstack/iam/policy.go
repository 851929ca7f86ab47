package iam

import (
	"encoding/json"
	"fmt"
)

// Document is a policy document, parsed.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type Document struct {
	Version   string
	ID        string `json:"Id"`
	Statement Statements
}

// Statement is one statement of a policy. Exactly one of Action and NotAction is set, and in policies of roles exactly
// one of Resource and NotResource.
type Statement struct {
	Sid          string
	Effect       string // "Allow" or "Deny"
	Principal    Principal
	NotPrincipal Principal
	Action       Strings
	NotAction    Strings
	Resource     Strings
	NotResource  Strings
	Condition    map[string]map[string]Strings // operator -> condition key -> values
}

// Statements is a list of statements; the grammar also allows a single one without a list.
type Statements []Statement

// Strings is a list of strings; the grammar also allows a single one without a list, and in conditions booleans and
// numbers.
type Strings []string

// Principal maps a kind ("AWS", "Service", "Federated") to names; everybody is {"*": ["*"]}.
type Principal map[string]Strings

// Parse reads a policy document strictly: an element that the grammar does not know is an error.
func Parse(document []byte) (Document, error) {
	var d Document
	if err := decode(document, &d); err != nil {
		return Document{}, fmt.Errorf("policy document: %w", err)
	}
	if len(d.Statement) == 0 {
		return Document{}, fmt.Errorf("policy document: no Statement")
	}
	for i, s := range d.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return Document{}, fmt.Errorf("policy document: statement %d: Effect is %q", i, s.Effect)
		}
		if (len(s.Action) == 0) == (len(s.NotAction) == 0) {
			return Document{}, fmt.Errorf("policy document: statement %d: want either Action or NotAction", i)
		}
		if len(s.Resource) > 0 && len(s.NotResource) > 0 {
			return Document{}, fmt.Errorf("policy document: statement %d: want Resource or NotResource, not both", i)
		}
	}
	return d, nil
}

// UnmarshalJSON reads a list or a single statement.
func (s *Statements) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var one Statement
		err := decode(b, &one)
		*s = Statements{one}
		return err
	}
	return decode(b, (*[]Statement)(s))
}

// UnmarshalJSON reads a list or a single value.
func (s *Strings) UnmarshalJSON(b []byte) error {
	var raw any
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	list, isList := raw.([]any)
	if !isList {
		list = []any{raw}
	}
	*s = Strings{}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			*s = append(*s, item)
		case bool, float64:
			*s = append(*s, fmt.Sprint(item))
		default:
			return fmt.Errorf("%T where a string belongs", item)
		}
	}
	return nil
}

// UnmarshalJSON reads "*" or a map.
func (p *Principal) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = Principal{"*": {"*"}}
		return nil
	}
	return decode(b, (*map[string]Strings)(p))
}
