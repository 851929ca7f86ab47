package dynamodb

import "maps"

// A write is one checked change of one item: what PutItem, UpdateItem, DeleteItem and the members of a transaction
// have in common. It is parsed without a table, then bound to one, then decided and at last committed.
type write struct {
	tableName  string
	table      *table
	key        func() item // key attributes, valid once bound
	bind       func(*table) error
	condition  condition
	returnsOld bool // on a failed condition
	change     func(before item) (item, error)
	touched    []path // of an update
}

// conditional is the part of a request that says under which condition to write.
type conditional struct {
	TableName                           string
	ConditionExpression                 *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           values
	ReturnValuesOnConditionCheckFailure string
}

type (
	putWrite struct {
		conditional
		Item item
	}
	deleteWrite struct {
		conditional
		Key item
	}
	updateWrite struct {
		conditional
		Key              item
		UpdateExpression *string
	}
)

func (c conditional) expression() expression {
	return expression{"ConditionExpression", c.ConditionExpression}
}

// start reads the parts that all writes have. updates is the expression of an update,
// zero for other writes.
func (c conditional) start(updates expression) (*write, *update, error) {
	if err := oneOf(c.ReturnValuesOnConditionCheckFailure, "returnValuesOnConditionCheckFailure", "ALL_OLD", "NONE"); err != nil {
		return nil, nil, err
	}
	taking := []expression{c.expression()}
	if updates.parameter != "" {
		taking = []expression{updates, c.expression()}
	}
	p, err := newPlaceholders(c.ExpressionAttributeNames, c.ExpressionAttributeValues, taking...)
	if err != nil {
		return nil, nil, err
	}
	u, err := parse(updates, p, (*parser).update)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := parse(c.expression(), p, (*parser).condition)
	if err != nil {
		return nil, nil, err
	}
	w := &write{tableName: c.TableName, condition: parsed, returnsOld: c.ReturnValuesOnConditionCheckFailure == "ALL_OLD"}
	return w, u, p.allUsed()
}

func (p *putWrite) parse() (*write, error) {
	w, _, err := p.start(expression{})
	if err != nil {
		return nil, err
	}
	if p.Item == nil {
		return nil, required("Item")
	}
	w.bind = func(t *table) error { return t.storable(p.Item, "Item size has exceeded the maximum allowed size") }
	w.key = func() item { return w.table.key().of(p.Item) }
	w.change = func(item) (item, error) { return p.Item, nil }
	return w, nil
}

func (d *deleteWrite) parse() (*write, error) {
	w, _, err := d.start(expression{})
	if err != nil {
		return nil, err
	}
	if d.Key == nil {
		return nil, required("Key")
	}
	w.bind = func(t *table) error { return t.key().matches(d.Key) }
	w.key = func() item { return d.Key }
	w.change = func(item) (item, error) { return nil, nil }
	return w, nil
}

// parseCheck reads a ConditionCheck, which has the members of a deletion and changes nothing.
func (d *deleteWrite) parseCheck() (*write, error) {
	if d.ConditionExpression == nil {
		return nil, unmet("null", "transactItems.member.conditionCheck.conditionExpression", "Member must not be null")
	}
	w, err := d.parse()
	if err != nil {
		return nil, err
	}
	w.change = func(before item) (item, error) { return before, nil }
	return w, nil
}

func (d *updateWrite) parse() (*write, error) {
	w, u, err := d.start(expression{"UpdateExpression", d.UpdateExpression})
	if err != nil {
		return nil, err
	}
	if d.Key == nil {
		return nil, required("Key")
	}
	if u != nil {
		w.touched = u.paths()
	}
	w.bind = func(t *table) error {
		for _, p := range w.touched {
			if t.key().has(p[0].name) {
				return invalidParameter("Cannot update attribute %s. This attribute is part of the key", p[0].name)
			}
		}
		return t.key().matches(d.Key)
	}
	w.key = func() item { return d.Key }
	w.change = func(before item) (item, error) {
		if before == nil && u != nil && u.onlyTakes() {
			return nil, nil
		}
		return w.updated(before, d.Key, u)
	}
	return w, nil
}

func (w *write) updated(before, key item, u *update) (item, error) {
	if before == nil {
		before = maps.Clone(key)
	}
	if u == nil {
		return before, nil
	}
	after, err := u.apply(before)
	if err != nil {
		return nil, err
	}
	return after, w.table.storable(after, "Item size to update has exceeded the maximum allowed size")
}

func required(member string) error {
	return invalid("The parameter '%s' is required but was not present in the request", member)
}

// bound finds the write's table and checks the write against it.
func (s *Service) bound(w *write) error {
	t, err := s.table(w.tableName)
	if err != nil {
		return err
	}
	w.table = t
	return w.bind(t)
}

// decide computes the item after the write and changes nothing yet. Before is nil where there is no item, after where
// there will be none.
func (w *write) decide() (before, after item, err error) {
	before = w.table.get(w.key())
	if w.condition != nil && !w.condition.holds(before) {
		if w.returnsOld {
			return before, nil, conditionalCheckFailed(before)
		}
		return before, nil, conditionalCheckFailed(nil)
	}
	after, err = w.change(before)
	return before, after, err
}

// perform carries a single write out.
func (s *Service) perform(w *write) (before, after item, err error) {
	if err := s.bound(w); err != nil {
		return nil, nil, err
	}
	if before, after, err = w.decide(); err != nil {
		return nil, nil, err
	}
	w.table.replace(before, after)
	return before, after, nil
}
