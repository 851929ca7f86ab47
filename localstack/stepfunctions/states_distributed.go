package stepfunctions

import (
	"context"
	"sync"
	"sync/atomic"
)

// distribute runs a distributed Map: each item is a child execution with its own history.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
// Without a ResultWriter the output is the array of the children's outputs; those of children that failed and were
// tolerated are left out (an inference: the page does not say).
func (t *thread) distribute(s *state, sc *scope, items []any, workers int) (any, error) {
	count, err := numberFrom(s.each.countFrom, sc, float64(s.each.count), "ToleratedFailureCountPath")
	if err != nil {
		return nil, err
	}
	share, err := numberFrom(s.each.shareFrom, sc, s.each.share, "ToleratedFailurePercentagePath")
	if err != nil {
		return nil, err
	}
	x := t.x
	run := resourceARN("mapRun", x.machine.name+"/"+s.label+":"+x.service.newID())
	t.record("MapStateStarted", details{"length": len(items)})
	t.record("MapRunStarted", details{"mapRunArn": run})
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	var (
		next    atomic.Int64
		mu      sync.Mutex
		failed  int
		outputs = make([]*execution, len(items))
		broken  firstFault // a fault of the Map itself, such as an ItemSelector that does not apply
	)
	t.share(workers, func(int) {
		for i := int(next.Add(1)) - 1; i < len(items) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
			input, _, err := s.item(sc, i, items[i])
			if err != nil {
				broken.set(err)
				cancel(errSibling)
				return
			}
			line := t.fork(ctx)
			child := x.service.launchItem(line, s, run, input)
			if child == nil || line.await(child) != nil {
				return
			}
			outputs[i] = child
			if child.status == "SUCCEEDED" {
				continue
			}
			mu.Lock()
			failed++
			exceeded := exceeds(failed, len(items), count, share)
			mu.Unlock()
			if exceeded {
				broken.set(faultf(errToleratedExceeded, "The specified tolerated failure threshold was exceeded"))
				cancel(errSibling)
			}
		}
	})
	if context.Cause(t.ctx) == nil {
		if broken.err == nil {
			t.record("MapRunSucceeded", nil)
		} else {
			t.record("MapRunFailed", broken.err.(*fault).details())
		}
	}
	results := []any{}
	for _, child := range outputs {
		if child != nil && child.status == "SUCCEEDED" {
			v, _ := decode([]byte(child.output)) // it was encoded here
			results = append(results, v)
		}
	}
	return t.joined("Map", results, &broken)
}

// exceeds says whether more items failed than either threshold allows; without any, none may fail.
func exceeds(failed, items int, count, share float64) bool {
	if count == 0 && share == 0 {
		return failed > 0
	}
	return (count > 0 && float64(failed) > count) || (share > 0 && float64(failed)*100 > share*float64(items))
}

// launchItem starts the child execution of one item; nil when the local stack is closing.
func (s *Service) launchItem(line *thread, st *state, run string, input any) *execution {
	parent, id, kind := line.x, s.newID(), "execution"
	m := *parent.machine
	m.name += "/" + st.label
	m.arn += "/" + st.label
	if m.express = st.branches[0].express; m.express {
		kind = "express"
	}
	child := &execution{
		service: s, machine: &m, parsed: st.branches[0], name: id, mapRun: run,
		arn: resourceARN(kind, m.name+":"+id), input: encode(input), data: input,
		ended: []func(){func() { parent.count(1) }},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil
	}
	s.launch(child)
	return child
}
