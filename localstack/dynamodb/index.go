package dynamodb

import (
	"hash/fnv"
	"slices"
	"sort"
	"strings"
)

// An index holds entries in order: by a hash of the partition key, so that a scan gives partitions in no useful order
// as in DynamoDB, then by sort key, then, where index keys may repeat, by primary key. The table itself is an index
// over its primary key.
type index struct {
	name       string
	key        key
	primary    key // the table's
	local      bool
	projection projection
	entries    []*entry
}

type entry struct {
	hash      uint64
	partition string
	sort      value
	primary   string
	item      item
}

func (x *index) entry(i item) *entry {
	e := &entry{partition: i[x.key[0].name].canonical(), primary: x.primary.canonical(i), item: i}
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.partition)) // a hash never fails
	e.hash = h.Sum64()
	if len(x.key) > 1 {
		e.sort = i[x.key[1].name]
	}
	return e
}

func (e *entry) compare(f *entry) int {
	if c := e.comparePartition(f); c != 0 {
		return c
	}
	if c := compareScalars(e.sort, f.sort); c != 0 {
		return c
	}
	return strings.Compare(e.primary, f.primary)
}

func (e *entry) comparePartition(f *entry) int {
	switch {
	case e.hash < f.hash:
		return -1
	case e.hash > f.hash:
		return 1
	}
	return strings.Compare(e.partition, f.partition)
}

// find gives the item of an entry's key and the place where it is or belongs.
func (x *index) find(e *entry) (int, item) {
	at, ok := slices.BinarySearchFunc(x.entries, e, (*entry).compare)
	if !ok {
		return at, nil
	}
	return at, x.entries[at].item
}

// replace takes the old item out and puts the new one in; either may be nil or lack the index's key.
func (x *index) replace(before, after item) {
	if before != nil && x.key.in(before) {
		if at, found := x.find(x.entry(before)); found != nil {
			x.entries = slices.Delete(x.entries, at, at+1)
		}
	}
	if after != nil && x.key.in(after) {
		e := x.entry(after)
		at, _ := x.find(e)
		x.entries = slices.Insert(x.entries, at, e)
	}
}

// within gives the entries of one partition whose sort key lies in a range.
func (x *index) within(partition value, r sortRange) []*entry {
	wanted := x.entry(item{x.key[0].name: partition})
	rank := func(e *entry) int {
		if c := e.comparePartition(wanted); c != 0 {
			return c
		}
		return r.rank(e.sort)
	}
	from := sort.Search(len(x.entries), func(i int) bool { return rank(x.entries[i]) >= 0 })
	to := sort.Search(len(x.entries), func(i int) bool { return rank(x.entries[i]) > 0 })
	return x.entries[from:to]
}

// projected is what the index holds of an item.
func (x *index) projected(i item) item {
	if x.projection.ProjectionType == "ALL" {
		return i
	}
	kept := item{}
	for name, v := range i {
		if x.projects(name) {
			kept[name] = v
		}
	}
	return kept
}

func (x *index) projects(attribute string) bool {
	return x.projection.ProjectionType == "ALL" || x.key.has(attribute) || x.primary.has(attribute) ||
		slices.Contains(x.projection.NonKeyAttributes, attribute)
}

// startKey is the attributes that mark an entry's place: the index's key and the table's.
func (x *index) startKey() key {
	k := slices.Clone(x.key)
	for _, a := range x.primary {
		if !k.has(a.name) {
			k = append(k, a)
		}
	}
	return k
}
