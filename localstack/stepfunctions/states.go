package stepfunctions

import (
	"context"
	"errors"
	"maps"
	"time"
)

// run takes data through the states of a machine or branch to its end.
func (t *thread) run(m *machine, data any) (any, error) {
	for name := m.startAt; ; {
		if err := context.Cause(t.ctx); err != nil {
			return nil, err
		}
		out, next, err := t.step(m.states[name], data)
		if err != nil || next == "" {
			return out, err
		}
		name, data = next, out
	}
}

// step runs one state: it returns the state's output and the next state, "" at the end.
func (t *thread) step(s *state, raw any) (out any, next string, err error) {
	sc := t.enter(s, raw)
	next = s.next
	switch s.kind {
	case "Task", "Parallel", "Map":
		out, next, err = t.attempt(s, raw, sc)
	case "Pass":
		out, err = t.pass(s, raw, sc)
	case "Fail":
		err = t.fail(s, sc)
	default:
		if sc.input, err = s.input.apply(sc); err != nil {
			return nil, "", err
		}
		switch s.kind {
		case "Choice":
			next, err = t.choose(s, sc)
		case "Wait":
			err = t.wait(s, sc)
		}
		if err == nil {
			out, err = s.output.apply(sc)
		}
	}
	if err == nil {
		err = t.exit(s, out)
	}
	return out, next, err
}

// enter records that a state begins and makes the scope for its paths.
func (t *thread) enter(s *state, raw any) *scope {
	x := t.x
	x.mu.Lock()
	x.transitions++
	x.mu.Unlock()
	t.record(s.kind+"StateEntered", details{"name": s.name, "input": encode(raw), "inputDetails": notTruncated})
	return &scope{input: raw, service: x.service, context: t.contextObject(s)}
}

// contextObject is what $$ names: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
func (t *thread) contextObject(s *state) map[string]any {
	x := t.x
	c := map[string]any{
		"Execution": map[string]any{
			"Id": x.arn, "Name": x.name, "Input": x.data, "RoleArn": x.machine.role,
			"StartTime": x.started.Format(millis), "RedriveCount": int64(0),
		},
		"StateMachine": map[string]any{"Id": x.machine.arn, "Name": x.machine.name},
		"State": map[string]any{
			"Name": s.name, "EnteredTime": x.service.clock.Now().Format(millis), "RetryCount": int64(0),
		},
	}
	if t.item != nil {
		c["Map"] = map[string]any{"Item": t.item}
	}
	return c
}

// millis is how the context object writes times.
const millis = "2006-01-02T15:04:05.000Z"

// exit records a state's output, if it is small enough.
func (t *thread) exit(s *state, out any) error {
	text := encode(out)
	if len(text) > maxData {
		return tooMuch(s)
	}
	t.record(s.kind+"StateExited", details{"name": s.name, "output": text, "outputDetails": notTruncated})
	return nil
}

func tooMuch(s *state) *fault {
	return faultf(errDataLimit, "The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", s.name)
}

// attempt runs a Task, Parallel or Map state, again as Retry says; what is left of a fault goes to Catch.
func (t *thread) attempt(s *state, raw any, sc *scope) (out any, next string, err error) {
	retries := make([]int, len(s.retry)) // each retrier counts its own
	for total := int64(1); ; total++ {
		out, err = t.once(s, raw, sc)
		var f *fault
		if !errors.As(err, &f) {
			return out, s.next, err // done, or ended from outside
		}
		r := s.retrierFor(f)
		if r < 0 || retries[r] >= s.retry[r].attempts {
			return t.caught(s, raw, f)
		}
		delay := s.retry[r].delay(retries[r], t.x.service.random)
		if err := t.sleep(t.x.service.clock.Now().Add(delay)); err != nil {
			return nil, "", err
		}
		retries[r]++
		// A new object: the one of the last attempt may be part of what that attempt passed on.
		state := maps.Clone(sc.context["State"].(map[string]any))
		state["RetryCount"] = total
		sc.context["State"] = state
		t.x.mu.Lock()
		t.x.transitions++
		t.x.mu.Unlock()
	}
}

// retrierFor is the first retrier that matches; -1 if there is none. One that is used up is not passed over.
func (s *state) retrierFor(f *fault) int {
	for i, r := range s.retry {
		if s.catches(r.errors, f) {
			return i
		}
	}
	return -1
}

// caught takes a fault to the first catcher that matches it.
func (t *thread) caught(s *state, raw any, f *fault) (any, string, error) {
	for _, c := range s.catch {
		if s.catches(c.errors, f) {
			out, err := c.result.put(raw, map[string]any{"Error": f.name, "Cause": f.cause})
			return out, c.next, err
		}
	}
	return nil, "", f
}

// once is one attempt at a state, with its input and output processing.
func (t *thread) once(s *state, raw any, sc *scope) (any, error) {
	sc.input = raw
	input, err := s.input.apply(sc)
	if err != nil {
		return nil, err
	}
	sc.input = input
	var result any
	switch s.kind {
	case "Task":
		result, err = t.task(s, sc)
	case "Parallel":
		if sc.input, err = s.parameterise(sc); err == nil {
			result, err = t.parallel(s, sc.input)
		}
	default:
		result, err = t.mapOver(s, sc)
	}
	if err != nil {
		return nil, err
	}
	return s.combine(raw, result, sc)
}

// parameterise applies Parameters.
func (s *state) parameterise(sc *scope) (any, error) {
	if s.parameters == nil {
		return sc.input, nil
	}
	v, err := s.parameters.eval(sc)
	if err == nil && len(encode(v)) > maxData {
		err = faultf(errDataLimit, "The input of the state '%s' exceeds the maximum number of bytes service limit.", s.name)
	}
	return v, err
}

// combine applies ResultSelector, ResultPath and OutputPath.
func (s *state) combine(raw, result any, sc *scope) (any, error) {
	sc = &scope{input: result, context: sc.context, service: sc.service}
	var err error
	if s.selector != nil {
		if result, err = s.selector.eval(sc); err != nil {
			return nil, err
		}
	}
	if sc.input, err = s.result.put(raw, result); err != nil {
		return nil, err
	}
	return s.output.apply(sc)
}

func (t *thread) pass(s *state, raw any, sc *scope) (any, error) {
	var err error
	if sc.input, err = s.input.apply(sc); err != nil {
		return nil, err
	}
	result, err := s.parameterise(sc)
	if err != nil {
		return nil, err
	}
	if s.pass {
		result = s.literal
	}
	return s.combine(raw, result, sc)
}

// fail makes the fault of a Fail state.
func (t *thread) fail(s *state, sc *scope) error {
	f := &fault{s.errorName, s.cause}
	for source, into := range map[*template]*string{&s.errorTemplate: &f.name, &s.causeSource: &f.cause} {
		if *source == nil {
			continue
		}
		v, err := (*source).eval(sc)
		if err != nil {
			return faultf(errRuntime, "%v", err)
		}
		text, ok := v.(string)
		if !ok {
			return faultf(errRuntime, "ErrorPath and CausePath of the state '%s' must give strings, not %s", s.name, kindOf(v))
		}
		*into = text
	}
	return f
}

func (t *thread) choose(s *state, sc *scope) (string, error) {
	for _, c := range s.rules {
		if ok, err := c.rule.test(sc); err != nil || ok {
			return c.next, err
		}
	}
	if s.other == "" {
		return "", faultf(errNoChoice, "Failed to transition out of the state '%s': no choice matched and there is no Default.", s.name)
	}
	return s.other, nil
}

// wait is what a Wait state waits for; exactly one is set.
type wait struct {
	seconds     time.Duration
	fixed       bool // seconds is set
	secondsFrom *path
	until       time.Time
	untilFrom   *path
}

func (p *parser) wait(f *fields) wait {
	w := wait{fixed: f.has("Seconds"), secondsFrom: f.path("SecondsPath"), untilFrom: f.path("TimestampPath")}
	set := 0
	for _, name := range []string{"Seconds", "SecondsPath", "Timestamp", "TimestampPath"} {
		if f.has(name) {
			set++
		}
	}
	if set != 1 {
		p.problem(f.at, "a Wait state has exactly one of Seconds, SecondsPath, Timestamp and TimestampPath")
	}
	w.seconds = time.Duration(f.whole("Seconds", 0, 0)) * time.Second
	if f.has("Timestamp") {
		var ok bool
		if w.until, ok = timestamp(f.value("Timestamp")); !ok {
			p.problem(f.at, "Timestamp must be an RFC 3339 time, such as 2026-08-18T17:33:00Z")
		}
	}
	return w
}

func (t *thread) wait(s *state, sc *scope) error {
	w, now := s.wait, t.x.service.clock.Now()
	switch {
	case w.fixed:
		return t.sleep(now.Add(w.seconds))
	case w.secondsFrom != nil:
		v, err := w.secondsFrom.must(sc, "SecondsPath")
		if err != nil {
			return err
		}
		n, ok := v.(int64)
		if !ok || n < 0 || n > 99999999 {
			return faultf(errRuntime, "The SecondsPath parameter of the state '%s' does not name a whole number from 0 to 99999999.", s.name)
		}
		return t.sleep(now.Add(time.Duration(n) * time.Second))
	case w.untilFrom != nil:
		v, err := w.untilFrom.must(sc, "TimestampPath")
		if err != nil {
			return err
		}
		at, ok := timestamp(v)
		if !ok {
			return faultf(errRuntime, "The TimestampPath parameter of the state '%s' does not name an RFC 3339 time.", s.name)
		}
		return t.sleep(at)
	}
	return t.sleep(w.until)
}
