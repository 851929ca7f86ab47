package dynamodb

// returning is the part of PutItem, UpdateItem and DeleteItem that says what to answer.
type returning struct {
	ReturnValues                string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string // accepted; only tables with local indexes have any, and ours are not metered
}

func (r returning) check() error {
	if err := oneOf(r.ReturnValues, "returnValues", "ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"); err != nil {
		return err
	}
	if err := oneOf(r.ReturnItemCollectionMetrics, "returnItemCollectionMetrics", "SIZE", "NONE"); err != nil {
		return err
	}
	return checkCapacity(r.ReturnConsumedCapacity)
}

// checkOld is for operations that can answer the old item only.
func (r returning) checkOld() error {
	if err := r.check(); err != nil {
		return err
	}
	if r.ReturnValues != "" && r.ReturnValues != "NONE" && r.ReturnValues != "ALL_OLD" {
		return invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	return nil
}

type writeOutput struct {
	Attributes       item      `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

func (r returning) output(w *write, before, after item) *writeOutput {
	out := &writeOutput{ConsumedCapacity: consumed(r.ReturnConsumedCapacity, w.table.schema.TableName, writeUnits(before, after))}
	switch r.ReturnValues {
	case "ALL_OLD":
		out.Attributes = before
	case "ALL_NEW":
		out.Attributes = after
	case "UPDATED_OLD":
		out.Attributes = selectionOf(w.touched).of(before)
	case "UPDATED_NEW":
		out.Attributes = selectionOf(w.touched).of(after)
	}
	return out
}

type putItemInput struct {
	putWrite
	returning
}

func (s *Service) putItem(in *putItemInput) (*writeOutput, error) {
	if err := in.checkOld(); err != nil {
		return nil, err
	}
	w, err := in.parse()
	if err != nil {
		return nil, err
	}
	before, after, err := s.perform(w)
	if err != nil {
		return nil, err
	}
	return in.output(w, before, after), nil
}

type deleteItemInput struct {
	deleteWrite
	returning
}

func (s *Service) deleteItem(in *deleteItemInput) (*writeOutput, error) {
	if err := in.checkOld(); err != nil {
		return nil, err
	}
	w, err := in.parse()
	if err != nil {
		return nil, err
	}
	before, after, err := s.perform(w)
	if err != nil {
		return nil, err
	}
	return in.output(w, before, after), nil
}

type updateItemInput struct {
	updateWrite
	returning
}

func (s *Service) updateItem(in *updateItemInput) (*writeOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	w, err := in.parse()
	if err != nil {
		return nil, err
	}
	before, after, err := s.perform(w)
	if err != nil {
		return nil, err
	}
	return in.output(w, before, after), nil
}

// projecting is the part of reads that says which attributes to answer.
type projecting struct {
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

func (p projecting) expression() expression {
	return expression{"ProjectionExpression", p.ProjectionExpression}
}

// parse gives what to keep of each item, nil for all.
func (p projecting) parse() (*selection, error) {
	names, err := newPlaceholders(p.ExpressionAttributeNames, nil, p.expression())
	if err != nil {
		return nil, err
	}
	paths, err := parse(p.expression(), names, (*parser).paths)
	if err != nil || paths == nil {
		return nil, err
	}
	return selectionOf(paths), names.allUsed()
}

type getItemInput struct {
	projecting
	TableName              string
	Key                    item
	ConsistentRead         bool
	ReturnConsumedCapacity string
}

// An itemOutput has no Item, rather than an empty one, when there is none.
type itemOutput struct {
	Item             *item     `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

func (s *Service) getItem(in *getItemInput) (*itemOutput, error) {
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	kept, err := in.parse()
	if err != nil {
		return nil, err
	}
	t, found, err := s.read(in.TableName, in.Key)
	if err != nil {
		return nil, err
	}
	return &itemOutput{
		Item:             answered(found, kept),
		ConsumedCapacity: consumed(in.ReturnConsumedCapacity, t.schema.TableName, readUnits(found.size(), in.ConsistentRead)),
	}, nil
}

// read finds an item. With a table but an error, the key does not fit the table.
func (s *Service) read(tableName string, k item) (*table, item, error) {
	t, err := s.table(tableName)
	if err != nil {
		return nil, nil, err
	}
	if k == nil {
		return nil, nil, required("Key")
	}
	if err := t.key().matches(k); err != nil {
		return t, nil, err
	}
	return t, t.get(k), nil
}

func answered(found item, kept *selection) *item {
	if found == nil {
		return nil
	}
	if kept != nil {
		found = kept.of(found)
	}
	return &found
}
