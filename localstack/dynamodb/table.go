package dynamodb

import (
	"strconv"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// A table is its items, in the order of the primary key and of each secondary index. The service's mutex guards it.
type table struct {
	schema    schema
	created   time.Time
	main      *index
	secondary []*index

	protected  bool // DeletionProtectionEnabled
	recovery   time.Time
	ttl        string // attribute, "" while time to live is off
	nextSweep  time.Time
	streamView string
	encryption *encryptionDescription // nil for DynamoDB's own key
	resource   string                 // logical id in the template that made the table, "" for CreateTable
}

func newTable(s schema, now time.Time) (*table, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	primary := s.key(s.KeySchema)
	t := &table{schema: s, created: now}
	t.main = &index{key: primary, primary: primary, projection: projection{ProjectionType: "ALL"}}
	for _, d := range s.GlobalSecondaryIndexes {
		t.secondary = append(t.secondary, &index{name: d.IndexName, key: s.key(d.KeySchema), primary: primary, projection: d.Projection})
	}
	for _, d := range s.LocalSecondaryIndexes {
		t.secondary = append(t.secondary, &index{name: d.IndexName, key: s.key(d.KeySchema), primary: primary, projection: d.Projection, local: true})
	}
	return t, nil
}

func (t *table) key() key { return t.main.key }

func tableARN(name string) string {
	return "arn:aws:dynamodb:" + stack.Region + ":" + stack.Account + ":table/" + name
}

func (t *table) arn() string { return tableARN(t.schema.TableName) }

func (t *table) streamARN() string {
	return t.arn() + "/stream/" + t.streamLabel()
}

func (t *table) streamLabel() string { return t.created.Format("2006-01-02T15:04:05.000") }

// get finds the item with the key attributes of k, or nil.
func (t *table) get(k item) item {
	_, found := t.main.find(t.main.entry(k))
	return found
}

// replace is the one way by which items change; after is nil for a deletion.
func (t *table) replace(before, after item) {
	t.main.replace(before, after)
	for _, x := range t.secondary {
		x.replace(before, after)
	}
}

// index finds what a Query or Scan reads; no name is the table itself.
func (t *table) index(name string) (*index, error) {
	if name == "" {
		return t.main, nil
	}
	for _, x := range t.secondary {
		if x.name == name {
			return x, nil
		}
	}
	return nil, invalid("The table does not have the specified index: %s", name)
}

// storable checks a whole item against keys, indexes and limits. tooLarge is the message for an item above 400 KB,
// which differs between writes.
func (t *table) storable(i item, tooLarge string) error {
	if err := t.key().carriedBy(i); err != nil {
		return err
	}
	for _, x := range t.secondary {
		for n, a := range x.key {
			v, ok := i[a.name]
			if !ok || t.key().has(a.name) {
				continue
			}
			if v.kind != a.kind {
				return invalidParameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", a.name, a.kind, v.kind, x.name)
			}
			if v.kind != kindNumber && v.text == "" {
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", longKind(v.kind), x.name, a.name)
			}
			if err := keySize(v, n); err != nil {
				return err
			}
		}
	}
	if i.size() > maxItemSize {
		return invalid("%s", tooLarge)
	}
	for _, v := range i {
		if v.nesting() > maxNesting {
			return invalid("Nesting Levels have exceeded supported limits")
		}
	}
	return nil
}

// DynamoDB deletes an expired item "within a few days" and leaves it readable until then; an expiry more than five
// years ago is not believed. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
const (
	ttlDelay   = 48 * time.Hour
	ttlDistant = 5 * 365 * 24 * time.Hour
	ttlSweep   = time.Minute
)

// sweep deletes what expired long enough ago; at most once a minute, since it looks at every item.
func (t *table) sweep(now time.Time) {
	if t.ttl == "" || now.Before(t.nextSweep) {
		return
	}
	t.nextSweep = now.Add(ttlSweep)
	var expired []item
	for _, e := range t.main.entries {
		v := e.item[t.ttl]
		seconds, err := strconv.ParseFloat(v.number.String(), 64)
		if v.kind != kindNumber || err != nil {
			continue
		}
		// Compared as seconds: a far-off expiry would overflow a duration.
		age := float64(now.Unix()) - seconds
		if age >= ttlDelay.Seconds() && age < ttlDistant.Seconds() {
			expired = append(expired, e.item)
		}
	}
	for _, i := range expired {
		t.replace(i, nil)
	}
}
