package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Named is a policy document with the name under which decisions speak of it.
type Named struct {
	Name     string // of an inline policy, or the ARN of a managed one or of the resource that has the policy
	Document Document
}

// Document is a policy document.
type Document struct {
	Version   string
	ID        string `json:"Id"`
	Statement Statements
}

// Statement is one statement of a policy. Exactly one of Action and NotAction is set; Principal and Resource depend on
// the Kind of the policy.
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

// Principal maps a kind ("AWS", "Service", "Federated", "CanonicalUser") to names; everybody is {"*": ["*"]}.
type Principal map[string]Strings

// Kind is what a policy hangs on.
type Kind string

// The kinds of policies, in the words of the messages that speak of them.
const (
	Identity Kind = "identity-based policy"
	Boundary Kind = "permissions boundary"
	Session  Kind = "session policy"
	Resource Kind = "resource-based policy"
	Trust    Kind = "role trust policy"
)

// Parse reads a policy document strictly. It is an error if the document says something twice, has an element that the
// grammar does not know, or has something that a policy of its kind may not have; or if a condition has an operator, a
// key, a value or a variable that Evaluate would not understand.
func Parse(document []byte, kind Kind) (Document, error) {
	var d Document
	err := unique(json.NewDecoder(bytes.NewReader(document)))
	if err == nil {
		err = decode(document, &d)
	}
	if err == nil {
		err = d.check(kind)
	}
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", kind, err)
	}
	return d, nil
}

// decode reads one JSON value and refuses what the type does not know.
func decode(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end of the document")
	}
	return nil
}

// unique reads one JSON value and refuses a name that an object has twice: encoding/json would keep the last one only,
// and half of a condition would be lost. Names are compared as encoding/json and IAM compare them, without regard to case.
func unique(dec *json.Decoder) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			name := strings.ToLower(t.(string)) // a decoder gives nothing else in the place of a name
			if seen[name] {
				return fmt.Errorf("%q stands twice in one object", t)
			}
			seen[name] = true
		}
		if err := unique(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
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
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // a number keeps its digits
	if err := dec.Decode(&raw); err != nil {
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
		case bool, json.Number:
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
