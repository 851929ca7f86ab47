package dynamodb

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
)

// The members of CreateTable that say what a table is; CloudFormation spells them the same.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
type schema struct {
	TableName              string                `json:",omitempty"`
	KeySchema              []keyElement          `json:",omitempty"`
	AttributeDefinitions   []attributeDefinition `json:",omitempty"`
	BillingMode            string                `json:",omitempty"`
	ProvisionedThroughput  *throughput           `json:",omitempty"`
	GlobalSecondaryIndexes []indexDefinition     `json:",omitempty"`
	LocalSecondaryIndexes  []indexDefinition     `json:",omitempty"`
}

type keyElement struct{ AttributeName, KeyType string }

type attributeDefinition struct {
	AttributeName string
	AttributeType kind
}

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits json.Number }

type indexDefinition struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            projection
	ProvisionedThroughput *throughput `json:",omitempty"`

	// Known to CloudFormation, without effect here: nothing limits throughput or watches contributors.
	OnDemandThroughput               json.RawMessage `json:",omitempty"`
	WarmThroughput                   json.RawMessage `json:",omitempty"`
	ContributorInsightsSpecification json.RawMessage `json:",omitempty"`
	WriteProvisionedThroughputSettings,
	WriteOnDemandThroughputSettings json.RawMessage `json:",omitempty"`
}

type projection struct {
	ProjectionType   string
	NonKeyAttributes []string `json:",omitempty"`
}

// A keyAttribute is one attribute of a key and its type.
type keyAttribute struct {
	name string
	kind kind
}

// A key is the attributes of a primary or index key: the partition key and, maybe, the sort key.
type key []keyAttribute

func (k key) has(name string) bool {
	return slices.ContainsFunc(k, func(a keyAttribute) bool { return a.name == name })
}

// of keeps the key's attributes of an item.
func (k key) of(i item) item {
	kept := item{}
	for _, a := range k {
		kept[a.name] = i[a.name]
	}
	return kept
}

// in says whether an item has every attribute of the key; an index holds only such items.
func (k key) in(i item) bool {
	return !slices.ContainsFunc(k, func(a keyAttribute) bool { return i[a.name].kind != a.kind })
}

// canonical text of the key of an item: equal for equal keys only.
func (k key) canonical(i item) string {
	s := ""
	for _, a := range k {
		s += strconv.Quote(i[a.name].canonical())
	}
	return s
}

// matches checks the Key of a request: these attributes, these types, nothing else.
func (k key) matches(given item) error {
	if len(given) != len(k) || !k.in(given) {
		return invalid("The provided key element does not match the schema")
	}
	for n, a := range k {
		if v := given[a.name]; v.kind != kindNumber && v.text == "" {
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", longKind(v.kind), a.name)
		}
		if err := keySize(given[a.name], n); err != nil {
			return err
		}
	}
	return nil
}

func longKind(k kind) string {
	if k == kindBinary {
		return "binary"
	}
	return "string"
}

// keySize limits a partition key (position 0) to 2048 bytes and a sort key to 1024; the messages are DynamoDB's.
func keySize(v value, position int) error {
	switch {
	case position == 0 && len(v.text) > 2048:
		return invalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
	case position > 0 && len(v.text) > 1024:
		return invalidParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

// carriedBy checks the key attributes of a whole item.
func (k key) carriedBy(i item) error {
	for _, a := range k {
		v, ok := i[a.name]
		switch {
		case !ok:
			return invalidParameter("Missing the key %s in the item", a.name)
		case v.kind != a.kind:
			return invalidParameter("Type mismatch for key %s expected: %s actual: %s", a.name, a.kind, v.kind)
		}
	}
	return k.matches(k.of(i))
}

var tableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// check refuses a schema that AWS would refuse.
func (s *schema) check() error {
	if !tableName.MatchString(s.TableName) {
		return unmet(s.TableName, "tableName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have a length of 3 to 255")
	}
	if err := oneOf(s.BillingMode, "billingMode", "PROVISIONED", "PAY_PER_REQUEST"); err != nil {
		return err
	}
	switch onDemand := s.BillingMode == "PAY_PER_REQUEST"; {
	case onDemand && s.ProvisionedThroughput != nil:
		return invalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case !onDemand && s.ProvisionedThroughput == nil:
		return invalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	return s.checkKeys()
}

func (s *schema) checkKeys() error {
	used := map[string]bool{}
	if err := s.checkKey(s.KeySchema, used); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, d := range slices.Concat(s.GlobalSecondaryIndexes, s.LocalSecondaryIndexes) {
		if names[d.IndexName] || d.IndexName == "" {
			return invalidParameter("Duplicate index name: %s", d.IndexName)
		}
		names[d.IndexName] = true
		if err := s.checkKey(d.KeySchema, used); err != nil {
			return err
		}
		p := d.Projection
		if err := oneOf(p.ProjectionType, "projection.projectionType", "ALL", "INCLUDE", "KEYS_ONLY"); err != nil {
			return err
		}
		if p.ProjectionType == "" {
			return invalidParameter("Unknown ProjectionType: null")
		}
		if (p.ProjectionType == "INCLUDE") != (len(p.NonKeyAttributes) > 0) {
			return invalidParameter("ProjectionType is %s, and NonKeyAttributes is %s", p.ProjectionType, spaced(p.NonKeyAttributes))
		}
	}
	for _, d := range s.LocalSecondaryIndexes {
		if len(d.KeySchema) != 2 || d.KeySchema[0] != s.KeySchema[0] {
			return invalidParameter("Index KeySchema does not have the table's partition key for index: %s", d.IndexName)
		}
	}
	if len(used) != len(s.AttributeDefinitions) {
		return invalidParameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return nil
}

func (s *schema) checkKey(elements []keyElement, used map[string]bool) error {
	want := []string{"HASH", "RANGE"}
	if len(elements) < 1 || len(elements) > 2 {
		return unmet(spaced(elements), "keySchema", "Member must have length less than or equal to 2 and greater than or equal to 1")
	}
	for i, e := range elements {
		if e.KeyType != want[i] {
			return invalid("Invalid KeySchema: element %d is of type %s, want %s", i+1, e.KeyType, want[i])
		}
		switch k := s.kindOf(e.AttributeName); k {
		case kindString, kindNumber, kindBinary:
		case "":
			return invalidParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: %s", e.AttributeName, spaced(s.AttributeDefinitions))
		default:
			return unmet(k, "attributeDefinitions.member.attributeType", "Member must satisfy enum value set: [B, N, S]")
		}
		used[e.AttributeName] = true
	}
	return nil
}

func (s *schema) kindOf(attribute string) kind {
	for _, d := range s.AttributeDefinitions {
		if d.AttributeName == attribute {
			return d.AttributeType
		}
	}
	return ""
}

func (s *schema) key(elements []keyElement) key {
	var k key
	for _, e := range elements {
		k = append(k, keyAttribute{e.AttributeName, s.kindOf(e.AttributeName)})
	}
	return k
}
