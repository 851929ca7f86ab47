package stepfunctions

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"sync/atomic"

	"encoding/json"
)

// branches reads the branches of a Parallel state.
func (p *parser) branches(f *fields) []*machine {
	var raw []map[string]json.RawMessage
	f.decode("Branches", &raw)
	if len(raw) == 0 {
		p.problem(f.at, "Branches needs at least one branch")
	}
	var list []*machine
	for _, r := range raw {
		b := p.fields(f.at+"/Branches", r)
		list = append(list, p.scope(b))
		b.finish()
	}
	return list
}

// parallel runs every branch with the same input and gives their outputs in order. The first fault ends the others.
func (t *thread) parallel(s *state, input any) (any, error) {
	t.record("ParallelStateStarted", nil)
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	outputs := make([]any, len(s.branches))
	var first firstFault
	t.share(len(s.branches), func(i int) {
		var err error
		if outputs[i], err = t.fork(ctx).run(s.branches[i], input); err != nil {
			first.set(err)
			cancel(errSibling)
		}
	})
	return t.joined("Parallel", outputs, &first)
}

// firstFault keeps the first error that is not just the end of somebody else's.
type firstFault struct {
	mu  sync.Mutex
	err error
}

func (f *firstFault) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && !errors.Is(err, errSibling) {
		f.err = err
	}
}

// joined is the end of a Parallel or Map state.
func (t *thread) joined(kind string, outputs []any, first *firstFault) (any, error) {
	if err := context.Cause(t.ctx); err != nil {
		return nil, err
	}
	if first.err != nil {
		t.record(kind+"StateFailed", nil)
		return nil, first.err
	}
	t.record(kind+"StateSucceeded", nil)
	return outputs, nil
}

// each is what a Map state runs over: https://docs.aws.amazon.com/step-functions/latest/dg/state-map.html
type each struct {
	items     *path    // nil for the whole input
	selector  template // ItemSelector; nil for the item itself
	most      int      // MaxConcurrency; 0 for no limit
	mostFrom  *path
	count     int // ToleratedFailureCount
	countFrom *path
	share     float64 // ToleratedFailurePercentage
	shareFrom *path
	reader    *reader // nil if the items are in the input
	writer    *writer // nil if the results are the output
}

// An inline Map runs up to 40 iterations at once, a distributed one up to 10,000 children:
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const (
	inlineConcurrency      = 40
	distributedConcurrency = 10000
)

var labelPattern = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// mapState reads a Map state. Only a distributed one tolerates failures.
func (p *parser) mapState(f *fields, s *state) {
	s.each = each{
		items: f.path("ItemsPath"), selector: f.template("ItemSelector"),
		most: f.whole("MaxConcurrency", 0, 0), mostFrom: f.path("MaxConcurrencyPath"),
	}
	var raw map[string]json.RawMessage
	f.decode("ItemProcessor", &raw)
	if raw == nil {
		p.problem(f.at, "a Map state needs an ItemProcessor")
		return
	}
	b := p.fields(f.at+"/ItemProcessor", raw)
	m := p.scope(b)
	var config map[string]json.RawMessage
	b.decode("ProcessorConfig", &config)
	b.finish()
	c := p.fields(f.at+"/ItemProcessor/ProcessorConfig", config)
	switch mode := c.text("Mode"); mode {
	case "", "INLINE":
	case "DISTRIBUTED":
		m.distributed = true
		kind := c.text("ExecutionType")
		if m.express = kind == "EXPRESS"; !m.express && kind != "STANDARD" {
			p.problem(f.at, "ExecutionType of a distributed Map must be STANDARD or EXPRESS")
		}
		p.distributed(f, s)
	default:
		p.problem(f.at, "the Mode of a Map is INLINE or DISTRIBUTED, not %q", mode)
	}
	c.finish()
	s.branches = []*machine{m}
}

// distributed reads what only a distributed Map has.
func (p *parser) distributed(f *fields, s *state) {
	s.each.reader, s.each.writer = p.itemReader(f), p.resultWriter(f)
	if s.each.reader != nil && s.each.items != nil {
		p.problem(f.at, "ItemsPath beside an ItemReader is not supported")
	}
	m := f.text("Label")
	if m == "" {
		m = labelPattern.ReplaceAllString(s.name, "")
	}
	if len(m) > 40 {
		m = m[:40]
	}
	s.label = m
	s.each.count, s.each.countFrom = f.whole("ToleratedFailureCount", 0, 0), f.path("ToleratedFailureCountPath")
	s.each.shareFrom = f.path("ToleratedFailurePercentagePath")
	if f.has("ToleratedFailurePercentage") {
		var ok bool
		if s.each.share, ok = number(f.value("ToleratedFailurePercentage")); !ok || s.each.share < 0 || s.each.share > 100 {
			p.problem(f.at, "ToleratedFailurePercentage is a number from 0 to 100")
		}
	}
}

// mapOver runs a Map state.
func (t *thread) mapOver(s *state, sc *scope) (any, error) {
	most, err := numberFrom(s.each.mostFrom, sc, float64(s.each.most), "MaxConcurrencyPath")
	if err != nil {
		return nil, err
	}
	if s.branches[0].distributed {
		return t.distribute(s, sc, most)
	}
	items, err := s.items(sc)
	if err != nil {
		return nil, err
	}
	t.record("MapStateStarted", details{"length": len(items)})
	return t.iterate(s, sc, items, concurrency(most, inlineConcurrency, len(items)))
}

// items are the array in the state's input.
func (s *state) items(sc *scope) ([]any, error) {
	var from any = sc.input
	if s.each.items != nil {
		var err error
		if from, err = s.each.items.must(sc, "ItemsPath"); err != nil {
			return nil, err
		}
	}
	items, ok := from.([]any)
	if !ok {
		return nil, faultf(errRuntime, "The items of the Map state '%s' are %s, not an array.", s.name, kindOf(from))
	}
	return items, nil
}

func concurrency(asked float64, most, items int) int {
	if asked > 0 && int(asked) < most {
		most = int(asked)
	}
	return min(most, items)
}

// numberFrom is a number that is not negative, from a path if there is one.
func numberFrom(from *path, sc *scope, otherwise float64, field string) (float64, error) {
	if from == nil {
		return otherwise, nil
	}
	v, err := from.must(sc, field)
	if err != nil {
		return 0, err
	}
	n, ok := number(v)
	if !ok || n < 0 {
		return 0, faultf(errRuntime, "The path '%s' of the field '%s' does not name a number of at least 0.", from.text, field)
	}
	return n, nil
}

// item is what one iteration begins with.
func (s *state) item(sc *scope, i int, value any) (input any, item map[string]any, err error) {
	item = map[string]any{"Index": int64(i), "Value": value}
	if s.each.selector == nil {
		return value, item, nil
	}
	context := map[string]any{"Map": map[string]any{"Item": item}}
	for k, v := range sc.context {
		if k != "Map" {
			context[k] = v
		}
	}
	input, err = s.each.selector.eval(&scope{input: sc.input, context: context, service: sc.service})
	return input, item, err
}

// iterate runs the iterations of an inline Map, as many at once as allowed. The first fault ends the others.
func (t *thread) iterate(s *state, sc *scope, items []any, workers int) (any, error) {
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	outputs := make([]any, len(items))
	var first firstFault
	var next atomic.Int64
	t.share(workers, func(int) {
		for i := int(next.Add(1)) - 1; i < len(items) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
			line := t.fork(ctx)
			what := details{"name": s.name, "index": i}
			line.record("MapIterationStarted", what)
			input, item, err := s.item(sc, i, items[i])
			if err == nil {
				line.item = item
				outputs[i], err = line.run(s.branches[0], input)
			}
			switch {
			case err == nil:
				line.record("MapIterationSucceeded", what)
			case isFault(err):
				line.record("MapIterationFailed", what)
			default:
				line.record("MapIterationAborted", what)
			}
			if err != nil {
				first.set(err)
				cancel(errSibling)
			}
		}
	})
	return t.joined("Map", outputs, &first)
}
