// Package property reads the properties of a CloudFormation resource strictly, and knows the scalars that templates
// write in more than one way.
package property

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Decode reads r's properties into v. A property that v does not know is an error that names the resource, so that no
// setting of a template is passed over in silence.
func Decode(r stack.Resource, v any) error {
	if len(r.Properties) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s (%s): properties: %w", r.LogicalID, r.Type, err)
	}
	return nil
}

// Int is a whole number, written as a number or as a string: "60".
type Int int

// UnmarshalJSON reads both forms.
func (i *Int) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(unquoted(b))
	if err != nil {
		return fmt.Errorf("%s is not a whole number", b)
	}
	*i = Int(n)
	return nil
}

// Bool is true or false, written as such or as a string: "true".
type Bool bool

// UnmarshalJSON reads both forms.
func (v *Bool) UnmarshalJSON(b []byte) error {
	switch unquoted(b) {
	case "true":
		*v = true
	case "false":
		*v = false
	default:
		return fmt.Errorf("%s is neither true nor false", b)
	}
	return nil
}

// Document is a JSON document, written as JSON or as a string that holds it.
type Document json.RawMessage

// UnmarshalJSON reads both forms.
func (d *Document) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		b = []byte(s)
	}
	if !json.Valid(b) {
		return fmt.Errorf("%.40q is not a JSON document", b)
	}
	*d = append((*d)[:0], b...)
	return nil
}

func unquoted(b []byte) string {
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	return string(b)
}
