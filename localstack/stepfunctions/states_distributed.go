package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
)

// distribute runs a distributed Map: each item is a child execution with its own name and history.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
// Without a ResultWriter the output is the array of the children's outputs; those of children that failed and were
// tolerated are left out (an inference: the page does not say).
func (t *thread) distribute(s *state, sc *scope, most float64) (any, error) {
	count, err := numberFrom(s.each.countFrom, sc, float64(s.each.count), "ToleratedFailureCountPath")
	if err != nil {
		return nil, err
	}
	share, err := numberFrom(s.each.shareFrom, sc, s.each.share, "ToleratedFailurePercentagePath")
	if err != nil {
		return nil, err
	}
	var list items
	if s.each.reader == nil {
		if list.values, err = s.items(sc); err != nil {
			return nil, err
		}
	}
	// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
	if err := t.authorize(t.ctx, "states:StartExecution", t.x.machine.arn); err != nil {
		return nil, faultf(errPermissions, "%v", err)
	}
	run := t.x.service.openMapRun(t.x, s.label, int(most), count, share)
	t.record("MapStateStarted", details{"length": list.len()})
	t.record("MapRunStarted", details{"mapRunArn": run.arn})
	output, err := t.mapRun(s, sc, run, list)
	status, ended := "SUCCEEDED", t.x.service.clock.Now()
	switch {
	case context.Cause(t.ctx) != nil:
		run.close("ABORTED", ended)
		return nil, context.Cause(t.ctx)
	case err != nil:
		status = "FAILED"
		var f *fault
		errors.As(err, &f)
		t.record("MapRunFailed", f.details())
		t.record("MapStateFailed", nil)
	default:
		t.record("MapRunSucceeded", nil)
		t.record("MapStateSucceeded", nil)
	}
	run.close(status, ended)
	return output, err
}

// mapRun reads the items, runs the children and writes their results.
func (t *thread) mapRun(s *state, sc *scope, run *mapRun, list items) (any, error) {
	var to destination
	var err error
	if s.each.reader != nil {
		if list, err = t.readItems(s, sc); err != nil {
			return nil, err
		}
	}
	if s.each.writer != nil {
		if to, err = s.each.writer.destination(sc, run); err != nil {
			return nil, err
		}
	}
	run.mu.Lock()
	run.items.Total, run.items.Pending = list.len(), list.len()
	run.mu.Unlock()
	children, err := t.children(s, sc, run, list)
	if context.Cause(t.ctx) != nil {
		return nil, context.Cause(t.ctx)
	}
	if s.each.writer != nil {
		out, failed := t.writeResults(run, to, children)
		if err == nil {
			err = failed
		}
		return out, err
	}
	if err != nil {
		return nil, err
	}
	results := []any{}
	for _, child := range children {
		if child != nil && child.status == "SUCCEEDED" {
			v, _ := decode([]byte(child.output)) // it was encoded here
			results = append(results, v)
		}
	}
	return results, nil
}

// children runs one child execution per item, as many at once as allowed, in the order of the items. A child that was not
// started is nil.
func (t *thread) children(s *state, sc *scope, run *mapRun, list items) ([]*execution, error) {
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	var (
		next     atomic.Int64
		children = make([]*execution, list.len())
		broken   firstFault // of the Map itself: an ItemSelector that does not apply, or too many failures
	)
	stop := func(err error) {
		broken.set(err)
		cancel(errSibling)
	}
	m := t.x.childMachine(s)
	t.share(concurrency(float64(run.most), distributedConcurrency, list.len()), func(int) {
		for i := int(next.Add(1)) - 1; i < list.len() && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
			value, err := list.at(i)
			var input any
			if err == nil {
				input, _, err = s.item(sc, i, value)
			}
			if err != nil {
				stop(err)
				return
			}
			line := t.fork(ctx)
			child := t.x.service.launchItem(line, s, m, run, input)
			if child == nil {
				return
			}
			run.began()
			err = line.await(child)
			children[i] = child
			if exceeded := run.ended(child.status); exceeded {
				stop(faultf(errToleratedExceeded, "The specified tolerated failure threshold was exceeded"))
			}
			if err != nil {
				return
			}
		}
	})
	return children, broken.err
}

// items are what a distributed Map runs over: values of its input, or the texts of a list from S3, which is decoded item
// by item, because such a list may be long.
type items struct {
	values []any
	texts  []json.RawMessage
}

func (l items) len() int { return len(l.values) + len(l.texts) }

func (l items) at(i int) (any, error) {
	if l.texts == nil {
		return l.values[i], nil
	}
	return decode(l.texts[i])
}

// childMachine is what the children of a distributed Map run as.
func (x *execution) childMachine(s *state) *stateMachine {
	m := *x.machine
	m.name += "/" + s.label
	m.arn += "/" + s.label
	m.express = s.branches[0].express
	return &m
}

// launchItem starts the child execution of one item; nil when the local stack is closing.
func (s *Service) launchItem(line *thread, st *state, m *stateMachine, run *mapRun, input any) *execution {
	parent, id, kind := line.x, s.newID(), "execution"
	if m.express {
		kind = "express"
	}
	child := &execution{
		service: s, machine: m, parsed: st.branches[0], name: id, mapRun: run.arn,
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
