// Package credential is the value of a secret while a function holds it: parsed, composed, and unable to print itself.
package credential

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Value is one version's value. It prints as "[value]" with every verb, and does not marshal, so that no log line, error
// or state can hold it by accident; Reveal is the one way out.
type Value struct {
	text   string
	fields map[string]string // members, where the value is a JSON object
}

// Members of a JSON value, as AWS's own database secrets name them:
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
const (
	engine   = "engine"
	host     = "host"
	port     = "port"
	dbname   = "dbname"
	username = "username"
	password = "password"
)

// Parse reads a value as Secrets Manager holds it. Text that is not a JSON object is a value without members.
func Parse(text string) Value {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return Value{text: text}
	}
	v := Value{text: text, fields: make(map[string]string, len(members))}
	for name, raw := range members {
		// A number stays as it is written: as a float, a port or an id would come back as 1e+06.
		member := string(raw)
		if json.Unmarshal(raw, &member) != nil {
			member = string(raw)
		}
		v.fields[name] = member
	}
	return v
}

// Reveal gives the text, for Secrets Manager and the target alone.
func (v Value) Reveal() string { return v.text }

// IsZero tells a value that was never set.
func (v Value) IsZero() bool { return v.text == "" }

// User is the login name in the value, "" if it has none.
func (v Value) User() string { return v.fields[username] }

// Password is the password in the value, for the target alone.
func (v Value) Password() string { return v.fields[password] }

// Unknown lists members that a value composed from this target would not have: what a rotation would silently drop. A value
// composed without a target has none.
func (v Value) Unknown(t *contract.Target) []string {
	known := map[string]string{}
	if t != nil {
		known = members(t, "", "")
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(v.fields)) {
		if _, ok := known[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// String hides the value.
func (v Value) String() string { return "[value]" }

// GoString hides the value from %#v.
func (v Value) GoString() string { return "[value]" }

// Format hides the value from every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[value]") }

// MarshalJSON refuses: a value has no business in state, logs or records.
func (v Value) MarshalJSON() ([]byte, error) {
	return nil, fault.New(fault.Internal, "a secret value was about to be written out")
}

// Compose makes a new value for one login of the target: 32 random bytes from rand (256 bits), written in 43 letters,
// digits, '-' and '_' so that no system needs to quote it. A nil target makes a value that is just the random text.
func Compose(t *contract.Target, user string, rand io.Reader) (Value, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(rand, b); err != nil {
		return Value{}, fault.Wrap(err, fault.Internal, "no randomness")
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	if t == nil {
		return Value{text: secret}, nil
	}
	fields := members(t, user, secret)
	text, err := json.Marshal(fields)
	if err != nil {
		return Value{}, fault.Wrap(err, fault.Internal, "compose a value")
	}
	return Value{text: string(text), fields: fields}, nil
}

func members(t *contract.Target, user, secret string) map[string]string {
	fields := maps.Clone(t.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	fields[engine], fields[host], fields[port], fields[dbname] = contract.Postgres, t.Host, fmt.Sprint(t.Port), t.Database
	fields[username], fields[password] = user, secret
	return fields
}
