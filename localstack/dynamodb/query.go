package dynamodb

import (
	"slices"
)

// maxPage is how much data one Query or Scan looks at, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
const maxPage = 1 << 20

// A search is what Query and Scan have in common.
type search struct {
	TableName                 string
	IndexName                 string
	FilterExpression          *string
	ProjectionExpression      *string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues values
	ExclusiveStartKey         item
	Limit                     *int
	Select                    string
	ConsistentRead            bool
	ReturnConsumedCapacity    string
}

type queryInput struct {
	search
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

type scanInput struct{ search }

type searchOutput struct {
	Items            *[]item `json:",omitempty"` // absent for Select COUNT
	Count            int
	ScannedCount     int
	LastEvaluatedKey item      `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// A plan is a search ready to run.
type plan struct {
	in      *search
	table   *table
	index   *index
	filter  condition
	kept    *selection // nil for all
	full    bool       // a local index answers attributes that it does not hold
	forward bool
}

func (s *Service) query(in *queryInput) (*searchOutput, error) {
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	p, keys, err := s.plan(&in.search, expression{"KeyConditionExpression", in.KeyConditionExpression})
	if err != nil {
		return nil, err
	}
	p.forward = in.ScanIndexForward == nil || *in.ScanIndexForward
	where, err := keyConditionOf(keys, p.index.key)
	if err != nil {
		return nil, err
	}
	if filtered := p.filterHeads(p.index.key); filtered != "" {
		return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", filtered)
	}
	entries := p.index.within(where.partition, where.sort)
	if start := in.ExclusiveStartKey; start != nil {
		e := p.index.entry(start)
		if e.partition != where.partition.canonical() {
			return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
		if where.sort.rank(e.sort) != 0 {
			return nil, invalid("The provided starting key does not match the range key predicate")
		}
	}
	return p.run(entries), nil
}

func (s *Service) scan(in *scanInput) (*searchOutput, error) {
	p, _, err := s.plan(&in.search, expression{})
	if err != nil {
		return nil, err
	}
	p.forward = true
	return p.run(p.index.entries), nil
}

// plan checks a search; keys is the zero expression for a scan.
func (s *Service) plan(in *search, keys expression) (*plan, condition, error) {
	if err := in.check(); err != nil {
		return nil, nil, err
	}
	filter := expression{"FilterExpression", in.FilterExpression}
	projection := expression{"ProjectionExpression", in.ProjectionExpression}
	taking := []expression{projection, filter}
	if keys.given() {
		taking = append(taking, keys)
	}
	names, err := newPlaceholders(in.ExpressionAttributeNames, in.ExpressionAttributeValues, taking...)
	if err != nil {
		return nil, nil, err
	}
	where, err := parse(keys, names, (*parser).condition)
	if err != nil {
		return nil, nil, err
	}
	p := &plan{in: in}
	if p.filter, err = parse(filter, names, (*parser).condition); err != nil {
		return nil, nil, err
	}
	paths, err := parse(projection, names, (*parser).paths)
	if err != nil {
		return nil, nil, err
	}
	if err := names.allUsed(); err != nil {
		return nil, nil, err
	}
	if paths != nil {
		p.kept = selectionOf(paths)
	}
	if p.table, err = s.table(in.TableName); err != nil {
		return nil, nil, err
	}
	return p, where, p.choose(paths)
}

func (in *search) check() error {
	if err := oneOf(in.Select, "select", "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"); err != nil {
		return err
	}
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return err
	}
	if in.Limit != nil && *in.Limit < 1 {
		return unmet(*in.Limit, "limit", "Member must have value greater than or equal to 1")
	}
	projects := in.ProjectionExpression != nil
	switch {
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == "":
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case in.Select == "SPECIFIC_ATTRIBUTES" && !projects:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case in.Select == "COUNT" && projects:
		return invalid("Cannot specify the ProjectionExpression when choosing to get only the Count")
	case projects && (in.Select == "ALL_ATTRIBUTES" || in.Select == "ALL_PROJECTED_ATTRIBUTES"):
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	}
	return nil
}

// choose picks the index and checks what depends on it.
func (p *plan) choose(paths []path) (err error) {
	in := p.in
	if p.index, err = p.table.index(in.IndexName); err != nil {
		return err
	}
	global := p.index != p.table.main && !p.index.local
	if global && in.ConsistentRead {
		return invalid("Consistent reads are not supported on global secondary indexes")
	}
	if global && in.Select == "ALL_ATTRIBUTES" && p.index.projection.ProjectionType != "ALL" {
		return invalidParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", in.IndexName)
	}
	for _, path := range paths {
		if !p.index.projects(path[0].name) {
			if global {
				return invalidParameter("Global secondary index %s does not project [%s]", in.IndexName, path[0].name)
			}
			p.full = true
		}
	}
	p.full = p.full || in.Select == "ALL_ATTRIBUTES"
	if in.ExclusiveStartKey != nil {
		if k := p.index.startKey(); len(in.ExclusiveStartKey) != len(k) || !k.in(in.ExclusiveStartKey) {
			return invalid("The provided starting key is invalid")
		}
	}
	return nil
}

// filterHeads gives a key attribute that the filter looks at, which a query's may not, or "".
func (p *plan) filterHeads(k key) string {
	for _, head := range heads(p.filter) {
		if k.has(head) {
			return head
		}
	}
	return ""
}

// run looks at entries from the start key on, until the page is full.
func (p *plan) run(entries []*entry) *searchOutput {
	out := &searchOutput{}
	items := []item{}
	size := 0
	for e, last := range p.after(entries) {
		seen := e.item
		if !p.full {
			seen = p.index.projected(e.item)
		}
		size += seen.size()
		out.ScannedCount++
		if p.filter == nil || p.filter.holds(seen) {
			out.Count++
			items = append(items, *answered(seen, p.kept))
		}
		// A limit that was reached gives a start key even where nothing follows; a full page only if something does.
		if p.in.Limit != nil && out.ScannedCount == *p.in.Limit || size >= maxPage && !last {
			out.LastEvaluatedKey = p.index.startKey().of(e.item)
			break
		}
	}
	if p.in.Select != "COUNT" {
		out.Items = &items
	}
	out.ConsumedCapacity = consumed(p.in.ReturnConsumedCapacity, p.table.schema.TableName, readUnits(size, p.in.ConsistentRead))
	return out
}

// after gives, in the direction of the search, the entries behind the start key, and whether each is the last.
func (p *plan) after(entries []*entry) func(yield func(*entry, bool) bool) {
	from, to := 0, len(entries)
	if p.in.ExclusiveStartKey != nil {
		start := p.index.entry(p.in.ExclusiveStartKey)
		at, found := slices.BinarySearchFunc(entries, start, (*entry).compare)
		switch {
		case !p.forward:
			to = at
		case found:
			from = at + 1
		default:
			from = at
		}
	}
	return func(yield func(*entry, bool) bool) {
		for n := range to - from {
			at := from + n
			if !p.forward {
				at = to - 1 - n
			}
			if !yield(entries[at], n == to-from-1) {
				return
			}
		}
	}
}
