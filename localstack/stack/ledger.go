package stack

import (
	"slices"
	"time"
)

// maxLedger bounds the ledger of a stack that runs for days; the oldest half goes when it is full.
const maxLedger = 200_000

// LedgerEntry is one API call as the endpoint saw it.
type LedgerEntry struct {
	Service    string    `json:"service"`
	Operation  string    `json:"operation"`
	Principal  string    `json:"principal"`           // ARN of the caller
	Function   string    `json:"function,omitempty"`  // function whose process called
	Execution  string    `json:"execution,omitempty"` // execution on whose behalf it called
	At         time.Time `json:"at"`                  // the stack's clock when the call came in
	DurationMS float64   `json:"duration_ms"`         // real time, planned latency included
	Status     int       `json:"status"`              // HTTP status; 0 when the connection was dropped
	Error      string    `json:"error,omitempty"`     // error code; "Dropped" or "Killed" for planned faults
}

func (e *Endpoint) record(call *Call, reply Reply, took time.Duration) {
	code := reply.Code
	if code == "" {
		code = reply.Header.Get("X-Amzn-ErrorType")
	}
	entry := LedgerEntry{Service: call.Service, Operation: call.Operation, Principal: call.Caller.ARN, Function: call.Caller.Function,
		Execution: call.Caller.Execution, At: call.Time, DurationMS: float64(took.Microseconds()) / 1000, Status: reply.Status, Error: code}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.calls) >= maxLedger {
		e.calls = slices.Clone(e.calls[maxLedger/2:])
	}
	e.calls = append(e.calls, entry)
}

// Calls returns every call since the last reset, in the order in which they ended.
func (e *Endpoint) Calls() []LedgerEntry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls)
}

// ResetCalls empties the ledger.
func (e *Endpoint) ResetCalls() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = nil
}
