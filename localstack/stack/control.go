package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// control registers the API by which tests and benchmarks steer the stack. Bodies and answers are JSON; a field that a
// body's route does not know is an error.
func (e *Endpoint) control() {
	e.mux.HandleFunc("GET /_local/ready", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]bool{"ready": true}) })
	e.mux.HandleFunc("GET /_local/clock", func(w http.ResponseWriter, _ *http.Request) { answer(w, e.clockState()) })
	e.mux.HandleFunc("POST /_local/clock", control(e.postClock))
	e.mux.HandleFunc("GET /_local/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, e.listFaults()) })
	e.mux.HandleFunc("POST /_local/faults", control(func(f *Fault) (any, error) { return f, e.AddFault(*f) }))
	e.mux.HandleFunc("DELETE /_local/faults", func(w http.ResponseWriter, _ *http.Request) { e.ClearFaults(); answer(w, struct{}{}) })
	e.mux.HandleFunc("POST /_local/latency", control(e.postLatency))
	e.mux.HandleFunc("POST /_local/quotas", control(e.postQuotas))
	e.mux.HandleFunc("DELETE /_local/quotas", func(w http.ResponseWriter, _ *http.Request) { e.ClearQuotas(); answer(w, struct{}{}) })
	e.mux.HandleFunc("GET /_local/calls", func(w http.ResponseWriter, _ *http.Request) {
		calls := e.Calls()
		if calls == nil {
			calls = []LedgerEntry{}
		}
		answer(w, map[string][]LedgerEntry{"calls": calls})
	})
	e.mux.HandleFunc("DELETE /_local/calls", func(w http.ResponseWriter, _ *http.Request) { e.ResetCalls(); answer(w, struct{}{}) })
}

// control makes a handler of a function with a typed body.
func control[In any](f func(*In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := new(In)
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		dec.DisallowUnknownFields()
		err := dec.Decode(in)
		var out any
		if err == nil {
			out, err = f(in)
		}
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err)})
			return
		}
		answer(w, out)
	}
}

func answer(w http.ResponseWriter, out any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a client that hung up has no use for the error
}

type clockState struct {
	Now           time.Time  `json:"now"`
	OffsetSeconds float64    `json:"offset_seconds"`
	Next          *time.Time `json:"next"` // the earliest timer; null when nothing waits
	Auto          bool       `json:"auto"`
}

func (e *Endpoint) clockState() clockState {
	s := clockState{Now: e.clock.Now(), OffsetSeconds: e.clock.Offset().Seconds()}
	if next, ok := e.clock.Next(); ok {
		s.Next = &next
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Auto = e.auto != nil
	return s
}

type clockChange struct {
	Advance string `json:"advance"` // duration, such as "24h"
	Auto    *bool  `json:"auto"`
}

func (e *Endpoint) postClock(in *clockChange) (any, error) {
	if in.Advance != "" {
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			return nil, fmt.Errorf(`advance is %q, want a duration that is not negative, such as "24h"`, in.Advance)
		}
		e.clock.Advance(d)
	}
	if in.Auto != nil {
		e.SetAuto(*in.Auto)
	}
	return e.clockState(), nil
}

func (e *Endpoint) listFaults() any {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []fault{}
	for _, f := range e.faults {
		out = append(out, *f)
	}
	return map[string][]fault{"faults": out}
}

type latencyChange struct {
	Service   string  `json:"service"`   // "" for every service
	Operation string  `json:"operation"` // "" for every operation
	MS        float64 `json:"ms"`        // 0 takes it back
}

func (e *Endpoint) postLatency(in *latencyChange) (any, error) {
	if in.MS < 0 {
		return nil, fmt.Errorf("ms is %v, want at least 0", in.MS)
	}
	e.SetLatency(in.Service, in.Operation, time.Duration(in.MS*float64(time.Millisecond)))
	return in, nil
}

type quotaChange struct {
	Quota
	AWS bool `json:"aws"` // true: all the quotas that AWS documents, for the services that this stack has
}

func (e *Endpoint) postQuotas(in *quotaChange) (any, error) {
	if !in.AWS {
		return in.Quota, e.SetQuota(in.Quota)
	}
	for _, q := range AWSQuotas() {
		if _, ok := e.services[q.Service]; !ok {
			continue
		}
		if err := e.SetQuota(q); err != nil {
			return nil, err
		}
	}
	return AWSQuotas(), nil
}

// SetAuto makes the clock jump to the next timer whenever the stack is idle, until it is switched off again.
func (e *Endpoint) SetAuto(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.auto != nil {
		e.auto()
		e.auto = nil
	}
	if on {
		ctx, cancel := context.WithCancel(context.Background())
		e.auto = cancel
		go e.jump(ctx)
	}
}

// jump polls for idleness. Several looks in a row must agree, so that the gap between a timer's end and the work that
// it starts is not mistaken for idleness.
func (e *Endpoint) jump(ctx context.Context) {
	const looks = 5
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e.Idle == nil || e.inFlight.Load() > 0 || !e.Idle() {
			quiet = 0
			continue
		}
		if quiet++; quiet < looks {
			continue
		}
		quiet = 0
		if next, ok := e.clock.Next(); ok {
			e.clock.Advance(next.Sub(e.clock.Now()))
		}
	}
}
