package stepfunctions

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// retrier is one entry of Retry: https://states-language.net/spec.html#errors
type retrier struct {
	errors   []string
	interval time.Duration
	attempts int
	rate     float64
	most     time.Duration // 0 for no limit
	jitter   bool
}

// catcher is one entry of Catch.
type catcher struct {
	errors []string
	result target
	next   string
}

// delay is how long to wait before a retry that follows the given number of retries by this retrier.
func (r retrier) delay(done int, random func() float64) time.Duration {
	d := float64(r.interval) * math.Pow(r.rate, float64(done))
	if r.most > 0 {
		d = min(d, float64(r.most))
	}
	// A year is further than any test lets the clock run, and far below what a Duration holds.
	d = min(d, float64(365*24*time.Hour))
	if r.jitter {
		d *= random() // FULL: anything from nothing to the whole delay
	}
	return time.Duration(d)
}

// catches says whether a fault of a state matches names of ErrorEquals:
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-error-representation
//
//   - States.Runtime always fails the execution, whatever the names say.
//   - States.ALL does not match States.DataLimitExceeded.
//   - States.TaskFailed matches everything that States.ALL does, except timeouts.
//   - A missed heartbeat is a timeout too: States.Timeout matches it.
//   - States.BranchFailed matches what a Parallel state's branch failed with.
func (s *state) catches(names []string, f *fault) bool {
	if f.name == errRuntime {
		return false
	}
	timeout := f.name == errTimeout || f.name == errHeartbeat
	for _, name := range names {
		switch {
		case name == f.name,
			name == errAll && f.name != errDataLimit,
			name == errTaskFailed && f.name != errDataLimit && !timeout,
			name == errTimeout && timeout,
			name == errBranchFailed && s.kind == "Parallel" && f.name != errDataLimit:
			return true
		}
	}
	return false
}

func (p *parser) retriers(f *fields) []retrier {
	var raw []map[string]json.RawMessage
	f.decode("Retry", &raw)
	var list []retrier
	for i, r := range raw {
		f := p.fields(fmt.Sprintf("%s/Retry[%d]", f.at, i), r)
		x := retrier{
			errors: p.errorNames(f, i == len(raw)-1), interval: time.Duration(f.whole("IntervalSeconds", 1, 1)) * time.Second,
			attempts: f.whole("MaxAttempts", 0, 3), rate: 2,
			most: f.seconds("MaxDelaySeconds"),
		}
		if f.has("BackoffRate") {
			var ok bool
			if x.rate, ok = number(f.value("BackoffRate")); !ok || x.rate < 1 {
				p.problem(f.at, "BackoffRate must be a number of at least 1.0")
			}
		}
		if f.has("JitterStrategy") {
			strategy := f.text("JitterStrategy")
			if x.jitter = strategy == "FULL"; !x.jitter && strategy != "NONE" {
				p.problem(f.at, "JitterStrategy must be FULL or NONE")
			}
		}
		f.finish()
		list = append(list, x)
	}
	return list
}

func (p *parser) catchers(f *fields) []catcher {
	var raw []map[string]json.RawMessage
	f.decode("Catch", &raw)
	var list []catcher
	for i, r := range raw {
		f := p.fields(fmt.Sprintf("%s/Catch[%d]", f.at, i), r)
		c := catcher{errors: p.errorNames(f, i == len(raw)-1), result: f.target("ResultPath"), next: f.text("Next")}
		if c.next == "" {
			p.problem(f.at, "a catcher needs a Next")
		}
		f.finish()
		list = append(list, c)
	}
	return list
}

// errorNames reads ErrorEquals. States.ALL stands alone and last.
func (p *parser) errorNames(f *fields, last bool) []string {
	var names []string
	f.decode("ErrorEquals", &names)
	if len(names) == 0 {
		p.problem(f.at, "ErrorEquals needs at least one error name")
	}
	if slices.Contains(names, errAll) && (len(names) > 1 || !last) {
		p.problem(f.at, "States.ALL must be the only name of the last entry")
	}
	return names
}
