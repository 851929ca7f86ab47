package dynamodb

import (
	"maps"
	"slices"
)

// Limits of the batch operations.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
const (
	maxBatchGet   = 100
	maxBatchWrite = 25
	maxBatchSize  = 16 << 20 // bytes answered; what does not fit is left unprocessed
)

type batchGetItemInput struct {
	RequestItems           map[string]*keysAndAttributes
	ReturnConsumedCapacity string
}

type keysAndAttributes struct {
	Keys                     []item
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
	ConsistentRead           bool              `json:",omitempty"`
}

type batchGetItemOutput struct {
	Responses        map[string][]item
	UnprocessedKeys  map[string]*keysAndAttributes
	ConsumedCapacity []*capacity `json:",omitempty"`
}

func (s *Service) batchGetItem(in *batchGetItemInput) (*batchGetItemOutput, error) {
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	out := &batchGetItemOutput{Responses: map[string][]item{}, UnprocessedKeys: map[string]*keysAndAttributes{}}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		if err := s.getBatch(name, in, out, &size); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (in *batchGetItemInput) check() error {
	count := 0
	for name, r := range in.RequestItems {
		if r == nil || len(r.Keys) == 0 {
			return unmet("[]", "requestItems."+name+".member.keys", "Member must have length greater than or equal to 1")
		}
		count += len(r.Keys)
	}
	switch {
	case count == 0:
		return unmet("{}", "requestItems", "Member must have length greater than or equal to 1")
	case count > maxBatchGet:
		return invalid("Too many items requested for the BatchGetItem call")
	}
	return nil
}

func (s *Service) getBatch(name string, in *batchGetItemInput, out *batchGetItemOutput, size *int) error {
	r := in.RequestItems[name]
	kept, err := projecting{r.ProjectionExpression, r.ExpressionAttributeNames}.parse()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	out.Responses[name] = []item{}
	units := 0.0
	for n, k := range r.Keys {
		t, found, err := s.read(name, k)
		if err != nil {
			return err
		}
		canonical := t.key().canonical(k)
		if seen[canonical] {
			return invalid("Provided list of item keys contains duplicates")
		}
		seen[canonical] = true
		if *size += found.size(); *size > maxBatchSize {
			rest := *r
			rest.Keys = r.Keys[n:]
			out.UnprocessedKeys[name] = &rest
			break
		}
		units += readUnits(found.size(), r.ConsistentRead)
		if found != nil {
			out.Responses[name] = append(out.Responses[name], *answered(found, kept))
		}
	}
	if c := consumed(in.ReturnConsumedCapacity, name, units); c != nil {
		out.ConsumedCapacity = append(out.ConsumedCapacity, c)
	}
	return nil
}

type batchWriteItemInput struct {
	RequestItems                map[string][]writeRequest
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string // accepted; see returning
}

type writeRequest struct {
	PutRequest    *struct{ Item item } `json:",omitempty"`
	DeleteRequest *struct{ Key item }  `json:",omitempty"`
}

type batchWriteItemOutput struct {
	UnprocessedItems map[string][]writeRequest
	ConsumedCapacity []*capacity `json:",omitempty"`
}

// batchWriteItem checks everything before it writes anything, as AWS does; the writes themselves cannot fail here.
func (s *Service) batchWriteItem(in *batchWriteItemInput) (*batchWriteItemOutput, error) {
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	writes, err := s.batch(in)
	if err != nil {
		return nil, err
	}
	out := &batchWriteItemOutput{UnprocessedItems: map[string][]writeRequest{}}
	units := map[string]float64{}
	for _, w := range writes {
		before, after, err := w.decide()
		if err != nil {
			return nil, err
		}
		w.table.replace(before, after)
		units[w.tableName] += writeUnits(before, after)
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if c := consumed(in.ReturnConsumedCapacity, name, units[name]); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, c)
		}
	}
	return out, nil
}

func (s *Service) batch(in *batchWriteItemInput) ([]*write, error) {
	var writes []*write
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		for _, r := range in.RequestItems[name] {
			w, err := r.parse(name)
			if err != nil {
				return nil, err
			}
			if err := s.bound(w); err != nil {
				return nil, err
			}
			if seen[w.id()] {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			seen[w.id()] = true
			writes = append(writes, w)
		}
	}
	switch {
	case len(writes) == 0:
		return nil, unmet("{}", "requestItems", "Member must have length greater than or equal to 1")
	case len(writes) > maxBatchWrite:
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	return writes, nil
}

func (r writeRequest) parse(tableName string) (*write, error) {
	switch c := (conditional{TableName: tableName}); {
	case r.PutRequest != nil && r.DeleteRequest == nil:
		return (&putWrite{conditional: c, Item: r.PutRequest.Item}).parse()
	case r.DeleteRequest != nil && r.PutRequest == nil:
		return (&deleteWrite{conditional: c, Key: r.DeleteRequest.Key}).parse()
	}
	return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
}

// id names the item that a bound write is about.
func (w *write) id() string {
	return w.table.schema.TableName + "/" + w.table.key().canonical(w.key())
}
