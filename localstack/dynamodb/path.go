package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A path is where an attribute lies in an item: a name, then names of map members and indexes of list elements.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html
type path []step

type step struct {
	name  string // "" for an index
	index int
}

func (s step) isIndex() bool { return s.name == "" }

func (s step) String() string {
	if s.isIndex() {
		return fmt.Sprintf("[%d]", s.index)
	}
	return s.name
}

func (p path) String() string { return spaced(p) }

// in finds what lies at the path.
func (p path) in(i item) (value, bool) {
	at, ok := i[p[0].name]
	for _, s := range p[1:] {
		if !ok {
			return value{}, false
		}
		at, ok = at.child(s)
	}
	return at, ok
}

func (v value) child(s step) (value, bool) {
	if !s.isIndex() {
		f, ok := v.fields[s.name]
		return f, ok
	}
	if v.kind != kindList || s.index >= len(v.list) {
		return value{}, false
	}
	return v.list[s.index], true
}

func badPath() error {
	return invalid("The document path provided in the update expression is invalid for update")
}

// put stores a value at the path of an item that belongs to the caller; nested documents are copied, not changed. A
// list index beyond the end appends.
func (p path) put(i item, v value) error {
	if len(p) == 1 {
		i[p[0].name] = v
		return nil
	}
	root, ok := i[p[0].name]
	if !ok {
		return badPath()
	}
	changed, err := root.with(p[1:], v)
	if err != nil {
		return err
	}
	i[p[0].name] = changed
	return nil
}

// with is a copy of the value that has v at the rest of a path.
func (v value) with(rest path, leaf value) (value, error) {
	if len(rest) == 0 {
		return leaf, nil
	}
	s := rest[0]
	old, exists := v.child(s)
	if !exists && len(rest) > 1 || s.isIndex() && v.kind != kindList || !s.isIndex() && v.kind != kindMap {
		return value{}, badPath()
	}
	child, err := old.with(rest[1:], leaf)
	if err != nil {
		return value{}, err
	}
	switch {
	case !s.isIndex():
		v.fields = maps.Clone(v.fields)
		v.fields[s.name] = child
	case exists:
		v.list = slices.Clone(v.list)
		v.list[s.index] = child
	default:
		v.list = append(slices.Clone(v.list), child)
	}
	return v, nil
}

// removable says whether there is something at the path; a missing parent is an error.
func (p path) removable(i item) (bool, error) {
	if len(p) == 1 {
		_, ok := i[p[0].name]
		return ok, nil
	}
	last := p[len(p)-1]
	holder, ok := p[:len(p)-1].in(i)
	if !ok || last.isIndex() && holder.kind != kindList || !last.isIndex() && holder.kind != kindMap {
		return false, badPath()
	}
	_, ok = holder.child(last)
	return ok, nil
}

// remove takes away what lies at the path, if anything does.
func (p path) remove(i item) error {
	if there, err := p.removable(i); err != nil || !there {
		return err
	}
	if len(p) == 1 {
		delete(i, p[0].name)
		return nil
	}
	parent, last := p[:len(p)-1], p[len(p)-1]
	holder, _ := parent.in(i)
	if last.isIndex() {
		holder.list = slices.Delete(slices.Clone(holder.list), last.index, last.index+1)
	} else {
		holder.fields = maps.Clone(holder.fields)
		delete(holder.fields, last.name)
	}
	return parent.put(i, holder)
}

// compare orders paths so that indexes of one list ascend.
func (p path) compare(q path) int {
	return slices.CompareFunc(p, q, func(s, t step) int {
		if c := strings.Compare(s.name, t.name); c != 0 {
			return c
		}
		return s.index - t.index
	})
}

// distinct refuses paths of which one contains another, or that disagree on what a parent is.
func distinct(paths []path) error {
	for i, p := range paths {
		for _, q := range paths[:i] {
			if err := apart(q, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func apart(one, two path) error {
	for i := range min(len(one), len(two)) {
		if one[i].isIndex() != two[i].isIndex() {
			return invalid("Two document paths conflict with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", one, two)
		}
		if one[i] != two[i] {
			return nil
		}
	}
	return invalid("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", one, two)
}

// A selection is a tree of paths: what a projection keeps of a document.
type selection struct {
	whole    bool
	children map[step]*selection
}

func selectionOf(paths []path) *selection {
	root := &selection{children: map[step]*selection{}}
	for _, p := range paths {
		at := root
		for _, s := range p {
			next, ok := at.children[s]
			if !ok {
				next = &selection{children: map[step]*selection{}}
				at.children[s] = next
			}
			at = next
		}
		at.whole = true
	}
	return root
}

// of keeps the selected parts; list elements move together, in their order.
func (s *selection) of(i item) item {
	kept, _ := s.from(value{kind: kindMap, fields: i})
	if kept.fields == nil {
		return item{}
	}
	return kept.fields
}

func (s *selection) from(v value) (value, bool) {
	if s.whole {
		return v, true
	}
	kept := value{kind: v.kind}
	steps := slices.SortedFunc(maps.Keys(s.children), func(a, b step) int { return path{a}.compare(path{b}) })
	for _, at := range steps {
		child, ok := v.child(at)
		if !ok {
			continue
		}
		part, ok := s.children[at].from(child)
		switch {
		case !ok:
		case at.isIndex():
			kept.list = append(kept.list, part)
		case kept.fields == nil:
			kept.fields = map[string]value{at.name: part}
		default:
			kept.fields[at.name] = part
		}
	}
	return kept, kept.list != nil || kept.fields != nil
}
