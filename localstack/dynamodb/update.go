package dynamodb

import (
	"maps"
	"slices"
	"strings"
)

// An update is a parsed UpdateExpression.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
type update struct {
	sets    []assignment
	removes []path
	adds    []setChange
	deletes []setChange
}

// An assignment is one action of SET: a path and what it is set to.
type assignment struct {
	path  path
	value source
}

// A setChange is one action of ADD or DELETE.
type setChange struct {
	path  path
	value value
}

// A source is the right side of SET, computed from the item as it was before the update.
type source interface{ from(item) (value, error) }

type (
	ifNotExists struct {
		path     path
		fallback source
	}
	listAppend struct{ first, second source }
	arithmetic struct {
		operator    string
		left, right source
	}
)

func wrongOperand() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

func (a attribute) from(i item) (value, error) {
	v, ok := a.path.in(i)
	if !ok {
		return value{}, invalid("The provided expression refers to an attribute that does not exist in the item")
	}
	return v, nil
}

func (l literal) from(item) (value, error) { return l.value, nil }

func (f ifNotExists) from(i item) (value, error) {
	if v, ok := f.path.in(i); ok {
		return v, nil
	}
	return f.fallback.from(i)
}

func (f listAppend) from(i item) (value, error) {
	first, err := f.first.from(i)
	if err != nil {
		return value{}, err
	}
	second, err := f.second.from(i)
	if err != nil {
		return value{}, err
	}
	if first.kind != kindList || second.kind != kindList {
		return value{}, wrongOperand()
	}
	return value{kind: kindList, list: slices.Concat(first.list, second.list)}, nil
}

func (a arithmetic) from(i item) (value, error) {
	left, err := a.left.from(i)
	if err != nil {
		return value{}, err
	}
	right, err := a.right.from(i)
	if err != nil {
		return value{}, err
	}
	if left.kind != kindNumber || right.kind != kindNumber {
		return value{}, wrongOperand()
	}
	if a.operator == "-" {
		right.number = right.number.negated()
	}
	sum, err := left.number.plus(right.number)
	return value{kind: kindNumber, number: sum}, err
}

// paths of all actions.
func (u *update) paths() []path {
	var list []path
	for _, s := range u.sets {
		list = append(list, s.path)
	}
	list = append(list, u.removes...)
	for _, c := range slices.Concat(u.adds, u.deletes) {
		list = append(list, c.path)
	}
	return list
}

// onlyTakes says that the update can but take away; such an update does not create an item that was not there.
func (u *update) onlyTakes() bool { return len(u.sets)+len(u.adds) == 0 }

// apply makes the item after the update from the one before, which it leaves alone. Every action sees the item as it
// was before: values are computed first, and a list index means the element that had it.
func (u *update) apply(old item) (item, error) {
	changed := maps.Clone(old)
	sets := make([]setChange, 0, len(u.sets))
	for _, s := range u.sets {
		v, err := s.value.from(old)
		if err != nil {
			return nil, err
		}
		sets = append(sets, setChange{s.path, v})
	}
	// Elements beyond the end of a list are appended in the order of their indexes.
	slices.SortFunc(sets, func(a, b setChange) int { return a.path.compare(b.path) })
	for _, s := range sets {
		if err := s.path.put(changed, s.value); err != nil {
			return nil, err
		}
	}
	for _, c := range u.adds {
		if err := c.add(old, changed); err != nil {
			return nil, err
		}
	}
	removes := slices.Clone(u.removes)
	for _, c := range u.deletes {
		left, err := c.without(old)
		if err != nil {
			return nil, err
		}
		if len(left.list) == 0 { // an empty set cannot be
			removes = append(removes, c.path)
		} else if err := c.path.put(changed, left); err != nil {
			return nil, err
		}
	}
	// Removals come last and from the end of each list, so that no index moves before it was used.
	slices.SortFunc(removes, func(a, b path) int { return b.compare(a) })
	for _, p := range removes {
		there, err := p.removable(old)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		if err := p.remove(changed); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

func (c setChange) add(old, changed item) error {
	was, ok := c.path.in(old)
	switch {
	case !ok:
		return c.path.put(changed, c.value)
	case was.kind != c.value.kind:
		return wrongOperand()
	case was.kind == kindNumber:
		sum, err := was.number.plus(c.value.number)
		if err != nil {
			return err
		}
		return c.path.put(changed, value{kind: kindNumber, number: sum})
	}
	return c.path.put(changed, setOf(was.kind, slices.Concat(was.list, c.value.list)))
}

// without is the set at the path less the members to delete; no members if there is no set.
func (c setChange) without(old item) (value, error) {
	was, ok := c.path.in(old)
	if !ok {
		return value{}, nil
	}
	if was.kind != c.value.kind {
		return value{}, wrongOperand()
	}
	left := value{kind: was.kind}
	for _, m := range was.list {
		if !slices.ContainsFunc(c.value.list, func(taken value) bool { return equal(m, taken) }) {
			left.list = append(left.list, m)
		}
	}
	return left, nil
}

// update is the grammar of UpdateExpression: SET, REMOVE, ADD and DELETE sections, each at most once, in any order.
func (p *parser) update() (*update, error) {
	u := &update{}
	seen := map[string]bool{}
	for {
		section := strings.ToUpper(p.peek().text)
		read, ok := map[string]func(*update) error{"SET": p.assignment, "REMOVE": p.removal, "ADD": p.addition, "DELETE": p.deletion}[section]
		if !ok || p.peek().kind != tokenName {
			return nil, p.unexpected()
		}
		if seen[section] {
			return nil, invalid("The %q section can only be used once in an update expression;", section)
		}
		seen[section] = true
		p.at++
		for {
			if err := read(u); err != nil {
				return nil, err
			}
			if !p.symbol(",") {
				break
			}
		}
		if p.peek().kind == tokenEnd {
			return u, distinct(u.paths())
		}
	}
}

func (p *parser) removal(u *update) error {
	at, err := p.path()
	u.removes = append(u.removes, at)
	return err
}

func (p *parser) addition(u *update) error {
	c, err := p.setChange("ADD")
	u.adds = append(u.adds, c)
	return err
}

func (p *parser) deletion(u *update) error {
	c, err := p.setChange("DELETE")
	u.deletes = append(u.deletes, c)
	return err
}

func (p *parser) setChange(section string) (setChange, error) {
	at, err := p.path()
	if err != nil {
		return setChange{}, err
	}
	v, err := p.value()
	if err != nil {
		return setChange{}, err
	}
	_, isSet := elementOf[v.kind]
	if !isSet && (section != "ADD" || v.kind != kindNumber) {
		long := map[kind]string{kindString: "STRING", kindNumber: "NUMBER", kindBinary: "BINARY", kindNull: "NULL", kindBool: "BOOLEAN", kindList: "LIST", kindMap: "MAP"}
		return setChange{}, invalid("Incorrect operand type for operator or function; operator: %s, operand type: %s", section, long[v.kind])
	}
	return setChange{at, v}, nil
}

func (p *parser) assignment(u *update) error {
	at, err := p.path()
	if err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	v, err := p.source()
	if err != nil {
		return err
	}
	for _, operator := range []string{"+", "-"} {
		if !p.symbol(operator) {
			continue
		}
		right, err := p.source()
		if err != nil {
			return err
		}
		for _, side := range []source{v, right} {
			if l, ok := side.(literal); ok && l.value.kind != kindNumber {
				return operandType(operator, l.value.kind)
			}
		}
		v = arithmetic{operator, v, right}
		break
	}
	u.sets = append(u.sets, assignment{at, v})
	return nil
}

// source reads a path, a value or a function.
func (p *parser) source() (source, error) {
	name, isCall := p.call()
	if !isCall && p.peek().kind == tokenValueHolder {
		v, err := p.value()
		return literal{v}, err
	} else if !isCall {
		at, err := p.path()
		return attribute{at}, err
	}
	if name != "if_not_exists" && name != "list_append" {
		return nil, unknownFunction(name)
	}
	args, err := arguments(p, p.source)
	if err != nil {
		return nil, err
	}
	if len(args) != 2 {
		return nil, operandCount(name, len(args))
	}
	if name == "if_not_exists" {
		a, ok := args[0].(attribute)
		if !ok {
			return nil, needsPath(name)
		}
		return ifNotExists{a.path, args[1]}, nil
	}
	for _, a := range args {
		if l, ok := a.(literal); ok && l.value.kind != kindList {
			return nil, operandType(name, l.value.kind)
		}
		// AWS reads a list_append within a list_append and then refuses it.
		if _, ok := a.(listAppend); ok {
			return nil, misusedFunction(name)
		}
	}
	return listAppend{args[0], args[1]}, nil
}
