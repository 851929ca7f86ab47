package dynamodb

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// A kind is the type descriptor that stands before a value on the wire.
type kind string

const (
	kindString    kind = "S"
	kindNumber    kind = "N"
	kindBinary    kind = "B"
	kindBool      kind = "BOOL"
	kindNull      kind = "NULL"
	kindMap       kind = "M"
	kindList      kind = "L"
	kindStringSet kind = "SS"
	kindNumberSet kind = "NS"
	kindBinarySet kind = "BS"
)

// elementOf is what the members of a set are.
var elementOf = map[kind]kind{kindStringSet: kindString, kindNumberSet: kindNumber, kindBinarySet: kindBinary}

// A value is one typed attribute value. Values are never changed once made: an update builds new ones, so that items,
// indexes and answers may share them.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
type value struct {
	kind   kind
	text   string // S: the text; B: the raw bytes
	number number
	truth  bool
	fields map[string]value // M
	list   []value          // L: the elements; sets: the members, sorted and distinct
}

// An item is the attributes of one row. Nil means that there is no item.
type item map[string]value

// maxNesting is how deep lists and maps go into each other.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const maxNesting = 32

// UnmarshalJSON reads the wire form, such as {"N": "12"}. What breaks the rules of values is a ValidationException.
func (v *value) UnmarshalJSON(raw []byte) error {
	read, err := readValue(raw, 0)
	if err != nil {
		return err
	}
	*v = read
	return nil
}

func readValue(raw []byte, depth int) (value, error) {
	var wire map[string]json.RawMessage
	if err := json.Unmarshal(raw, &wire); err != nil {
		return value{}, fmt.Errorf("an AttributeValue must be an object: %w", err)
	}
	switch {
	case depth > maxNesting:
		return value{}, invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
	case len(wire) == 0:
		return value{}, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case len(wire) > 1:
		return value{}, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for k, content := range wire {
		return readKind(kind(k), content, depth)
	}
	return value{}, nil
}

func readKind(k kind, raw json.RawMessage, depth int) (value, error) {
	v := value{kind: k}
	switch k {
	case kindString, kindNumber, kindBinary:
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return v, fmt.Errorf("%s: %w", k, err)
		}
		return readScalar(k, s)
	case kindBool:
		return v, json.Unmarshal(raw, &v.truth)
	case kindNull:
		if err := json.Unmarshal(raw, &v.truth); err != nil {
			return v, err
		}
		if !v.truth {
			return v, invalidParameter("Null attribute value types must have the value of true")
		}
		return v, nil
	case kindStringSet, kindNumberSet, kindBinarySet:
		return readSet(k, raw)
	case kindList:
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return v, fmt.Errorf("L: %w", err)
		}
		for _, e := range elements {
			element, err := readValue(e, depth+1)
			if err != nil {
				return v, err
			}
			v.list = append(v.list, element)
		}
		return v, nil
	case kindMap:
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return v, fmt.Errorf("M: %w", err)
		}
		v.fields = make(map[string]value, len(members))
		for name, m := range members {
			member, err := readValue(m, depth+1)
			if err != nil {
				return v, err
			}
			v.fields[name] = member
		}
		return v, nil
	}
	return v, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

func readScalar(k kind, s string) (value, error) {
	switch k {
	case kindNumber:
		n, err := parseNumber(s)
		if err != nil {
			return value{}, err
		}
		return value{kind: k, number: n}, nil
	case kindBinary:
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return value{}, fmt.Errorf("B: %w", err)
		}
		s = string(raw)
	}
	return value{kind: k, text: s}, nil
}

func readSet(k kind, raw json.RawMessage) (value, error) {
	var members []string
	if err := json.Unmarshal(raw, &members); err != nil {
		return value{}, fmt.Errorf("%s: %w", k, err)
	}
	if len(members) == 0 {
		// The wording, blanks included, is DynamoDB's.
		names := map[kind]string{kindStringSet: "An string set  may not be empty", kindNumberSet: "An number set  may not be empty", kindBinarySet: "Binary sets should not be empty"}
		return value{}, invalidParameter("%s", names[k])
	}
	list := make([]value, 0, len(members))
	for _, m := range members {
		member, err := readScalar(elementOf[k], m)
		if err != nil {
			return value{}, err
		}
		list = append(list, member)
	}
	set := setOf(k, list)
	if len(set.list) < len(members) {
		if k == kindNumberSet {
			return value{}, invalid("Input collection contains duplicates")
		}
		return value{}, invalidParameter("Input collection %s contains duplicates.", spaced(members))
	}
	return set, nil
}

// setOf sorts the members and drops duplicates.
func setOf(k kind, members []value) value {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, compareScalars)
	return value{kind: k, list: slices.CompactFunc(sorted, equal)}
}

// MarshalJSON writes the wire form.
func (v value) MarshalJSON() ([]byte, error) { return json.Marshal(map[kind]any{v.kind: v.content()}) }

func (v value) content() any {
	switch v.kind {
	case kindString:
		return v.text
	case kindNumber:
		return v.number.String()
	case kindBinary:
		return []byte(v.text)
	case kindBool, kindNull:
		return v.truth
	case kindMap:
		return v.fields
	case kindList:
		if v.list == nil {
			return []value{}
		}
		return v.list
	}
	members := make([]any, len(v.list))
	for i, m := range v.list {
		members[i] = m.content()
	}
	return members
}

// canonical writes a key attribute so that equal keys, and only they, give equal text.
func (v value) canonical() string {
	if v.kind == kindNumber {
		return "N" + v.number.String()
	}
	return string(v.kind) + v.text
}

// size in bytes as it counts towards the item size limit and the capacity.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (v value) size() int {
	switch v.kind {
	case kindString, kindBinary:
		return len(v.text)
	case kindNumber:
		return v.number.size()
	case kindMap:
		return 3 + len(v.fields) + item(v.fields).size()
	case kindList:
		size := 3 + len(v.list)
		for _, e := range v.list {
			size += e.size()
		}
		return size
	case kindStringSet, kindNumberSet, kindBinarySet:
		size := 0
		for _, m := range v.list {
			size += m.size()
		}
		return size
	}
	return 1
}

// nesting is how many lists and maps lie inside each other.
func (v value) nesting() int {
	deepest := 0
	for _, e := range v.list {
		deepest = max(deepest, e.nesting())
	}
	for _, f := range v.fields {
		deepest = max(deepest, f.nesting())
	}
	if v.kind == kindList || v.kind == kindMap {
		deepest++
	}
	return deepest
}

func (i item) size() int {
	size := 0
	for name, v := range i {
		size += len(name) + v.size()
	}
	return size
}

// maxItemSize in bytes, names included.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const maxItemSize = 400 * 1024

// compareScalars orders two values of one kind, S, N or B: text and bytes by their bytes, numbers by their value.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
func compareScalars(a, b value) int {
	if a.kind == kindNumber {
		return a.number.compare(b.number)
	}
	return bytes.Compare([]byte(a.text), []byte(b.text))
}

// ordered says whether two values can be compared with <: both are S, both N, or both B.
func ordered(a, b value) bool {
	return a.kind == b.kind && (a.kind == kindString || a.kind == kindNumber || a.kind == kindBinary)
}

// equal compares values of any kind; other kinds are never equal, sets know no order.
func equal(a, b value) bool {
	if a.kind != b.kind || a.text != b.text || a.number != b.number || a.truth != b.truth ||
		len(a.list) != len(b.list) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.list {
		if !equal(a.list[i], b.list[i]) {
			return false
		}
	}
	for name, f := range a.fields {
		other, ok := b.fields[name]
		if !ok || !equal(f, other) {
			return false
		}
	}
	return true
}

// values are ExpressionAttributeValues: as an item's, but errors name the placeholder.
type values map[string]value

func (vs *values) UnmarshalJSON(raw []byte) error {
	var wire map[string]json.RawMessage
	if err := json.Unmarshal(raw, &wire); err != nil {
		return fmt.Errorf("ExpressionAttributeValues: %w", err)
	}
	if wire == nil {
		return nil
	}
	*vs = make(values, len(wire))
	for name, content := range wire {
		v, err := readValue(content, 0)
		if e, ok := err.(*stack.Error); ok {
			return invalid("ExpressionAttributeValues contains invalid value: %s for key %s", e.Message, name)
		} else if err != nil {
			return err
		}
		(*vs)[name] = v
	}
	return nil
}
