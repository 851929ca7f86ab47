package stack

import (
	"fmt"
	"net/http"
)

// Fault is one planned failure.
type Fault struct {
	Service   string `json:"service"`   // signing name; "" matches every service
	Operation string `json:"operation"` // "" matches every operation
	Function  string `json:"function"`  // only calls of this function's processes; "" matches everybody
	Principal string `json:"principal"` // only calls of this ARN; "" matches everybody
	Count     int    `json:"count"`     // how many calls it hits; 0 means 1, -1 all of them
	Skip      int    `json:"skip"`      // how many matching calls it lets pass first
	// Mode is "fail" (an error is answered), "drop" (the connection closes without an answer) or "kill" (the calling
	// function's process is killed). "" means "fail".
	Mode string `json:"mode"`
	// When is "before" the operation took effect or "after" it did. "" means "before".
	When    string `json:"when"`
	Status  int    `json:"status"`  // of mode "fail"; 0 means 500, or 400 when a code is given
	Code    string `json:"code"`    // of mode "fail"; "" means InternalFailure
	Message string `json:"message"` // of mode "fail"
}

type fault struct {
	Fault
	Hits int `json:"hits"` // how many calls it has hit
	seen int // how many matching calls it has seen
}

// AddFault plans a failure, after those that are planned already.
func (e *Endpoint) AddFault(f Fault) error {
	if f.Count == 0 {
		f.Count = 1
	}
	if f.Mode == "" {
		f.Mode = "fail"
	}
	if f.When == "" {
		f.When = "before"
	}
	if f.Status == 0 && f.Code == "" {
		f.Status = http.StatusInternalServerError
	}
	if f.Code == "" {
		f.Code = "InternalFailure"
	}
	if f.Message == "" {
		f.Message = "planned fault"
	}
	if f.Mode != "fail" && f.Mode != "drop" && f.Mode != "kill" {
		return fmt.Errorf(`fault: mode is %q, want "fail", "drop" or "kill"`, f.Mode)
	}
	if f.When != "before" && f.When != "after" {
		return fmt.Errorf(`fault: when is %q, want "before" or "after"`, f.When)
	}
	if _, ok := e.services[f.Service]; !ok && f.Service != "" {
		return fmt.Errorf("fault: the local stack has no service %q", f.Service)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, &fault{Fault: f})
	return nil
}

// ClearFaults takes every planned failure back.
func (e *Endpoint) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// takeFault counts a call against the faults of one side of the operation and returns the first that hits it.
func (e *Endpoint) takeFault(call *Call, when string) *Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.faults {
		if f.When != when || !f.matches(call) || (f.Count >= 0 && f.Hits >= f.Count) {
			continue
		}
		if f.seen++; f.seen <= f.Skip {
			continue
		}
		f.Hits++
		hit := f.Fault
		return &hit
	}
	return nil
}

func (f *Fault) matches(call *Call) bool {
	return (f.Service == "" || f.Service == call.Service) &&
		(f.Operation == "" || f.Operation == call.Operation) &&
		(f.Function == "" || f.Function == call.Caller.Function) &&
		(f.Principal == "" || f.Principal == call.Caller.ARN)
}

// strike carries a fault out.
func (e *Endpoint) strike(f *Fault, service Service, call *Call) (reply Reply, dropped bool) {
	switch f.Mode {
	case "kill":
		if e.Kill != nil {
			e.Kill(call.Caller)
		}
		return Reply{Code: "Killed"}, true
	case "drop":
		return Reply{Code: "Dropped"}, true
	default:
		return failure(service, call.Request, &Error{Code: f.Code, Message: f.Message, Status: f.Status}), false
	}
}
