package stepfunctions

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// maxEvents is how many events an execution's history holds:
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const maxEvents = 25000

// details are the members of an event that its type has.
type details map[string]any

// event is one entry of a history: https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
type event struct {
	id, previous int64
	at           time.Time
	kind         string
	key          string // of the details: "stateEnteredEventDetails"; "" if the type has none
	details      details
}

// MarshalJSON writes the event as the API shows it.
func (e event) MarshalJSON() ([]byte, error) {
	out := map[string]any{"id": e.id, "previousEventId": e.previous, "timestamp": stack.Time{Time: e.at}, "type": e.kind}
	if e.key != "" {
		out[e.key] = e.details
	}
	return json.Marshal(out)
}

// withoutData is the event without what goes in and out.
func (e event) withoutData() event {
	stripped := details{}
	for k, v := range e.details {
		switch k {
		case "input", "output", "inputDetails", "outputDetails", "parameters":
		default:
			stripped[k] = v
		}
	}
	e.details = stripped
	return e
}

var notTruncated = map[string]bool{"truncated": false}

// record adds an event after the thread's last one. When the history is full but for the one event that ends it, the
// execution is made to end.
func (t *thread) record(kind string, d details) {
	x := t.x
	x.mu.Lock()
	full := len(x.events) >= maxEvents-1
	if !full {
		t.last = x.append(t.last, kind, d)
	}
	x.mu.Unlock()
	if full {
		x.cancel(errOutOfHistory)
	}
}

// append adds an event; x.mu is held.
func (x *execution) append(previous int64, kind string, d details) int64 {
	e := event{id: int64(len(x.events)) + 1, previous: previous, at: x.service.clock.Now(), kind: kind}
	if d != nil {
		e.key, e.details = detailsKey(kind), d
	}
	x.events = append(x.events, e)
	return e.id
}

// packedEvent is an event as a packed history holds it.
type packedEvent struct {
	ID, Previous int64
	At           time.Time
	Kind         string
	Details      details
}

// pack keeps the history of an execution that has ended compressed: a fleet leaves tens of thousands, each ten times as
// large as that.
func (x *execution) pack() {
	x.mu.Lock()
	defer x.mu.Unlock()
	var b bytes.Buffer
	w, ok := x.service.packers.Get().(*flate.Writer)
	if !ok {
		w, _ = flate.NewWriter(nil, flate.BestSpeed) // only an unknown level is an error
	}
	w.Reset(&b)
	enc := json.NewEncoder(w)
	for _, e := range x.events {
		// Details hold what decode made of JSON, and a buffer never fails.
		if err := enc.Encode(packedEvent{e.id, e.previous, e.at, e.kind, e.details}); err != nil {
			panic(fmt.Sprintf("stepfunctions: a history that is no JSON: %v", err))
		}
	}
	_ = w.Close()
	x.service.packers.Put(w)
	x.packed, x.events = b.Bytes(), nil
}

// history is every event so far; x.mu is held.
func (x *execution) history() ([]event, error) {
	if x.packed == nil {
		return x.events, nil
	}
	var events []event
	for dec := json.NewDecoder(flate.NewReader(bytes.NewReader(x.packed))); ; {
		var e packedEvent
		switch err := dec.Decode(&e); err {
		case nil:
		case io.EOF:
			return events, nil
		default:
			return nil, fmt.Errorf("the history of %s cannot be read: %w", x.arn, err)
		}
		key := ""
		if e.Details != nil {
			key = detailsKey(e.Kind)
		}
		events = append(events, event{e.ID, e.Previous, e.At, e.Kind, key, e.Details})
	}
}

// detailsKey is the name of the member that holds the details of a type of event.
func detailsKey(kind string) string {
	for suffix, key := range map[string]string{"StateEntered": "stateEnteredEventDetails", "StateExited": "stateExitedEventDetails"} {
		if len(kind) > len(suffix) && kind[len(kind)-len(suffix):] == suffix {
			return key
		}
	}
	name := []rune(kind)
	name[0] = unicode.ToLower(name[0])
	return string(name) + "EventDetails"
}

type getHistoryInput struct {
	ExecutionArn         string
	MaxResults           int
	ReverseOrder         bool
	NextToken            string
	IncludeExecutionData *bool
}

type getHistoryOutput struct {
	Events    []event `json:"events"`
	NextToken string  `json:"nextToken,omitempty"`
}

// getHistory is GetExecutionHistory. A token is the id of the event with which the page begins.
func (s *Service) getHistory(_ context.Context, _ *stack.Call, in *getHistoryInput) (*getHistoryOutput, error) {
	x, err := s.find(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	if x.machine.express {
		return nil, &stack.Error{Code: "InvalidArn", Message: fmt.Sprintf("Invalid Arn: 'Resource type not valid in this context: express': '%s'", in.ExecutionArn)}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	events, err := x.history()
	if err != nil {
		return nil, err
	}
	id, step := 1, 1
	if in.ReverseOrder {
		id, step = len(events), -1
	}
	id, size, err := page(in.NextToken, in.MaxResults, id)
	if err != nil {
		return nil, err
	}
	out := &getHistoryOutput{Events: []event{}}
	for ; id >= 1 && id <= len(events) && len(out.Events) < size; id += step {
		e := events[id-1]
		if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
			e = e.withoutData()
		}
		out.Events = append(out.Events, e)
	}
	if id >= 1 && id <= len(events) {
		out.NextToken = strconv.Itoa(id)
	}
	return out, nil
}

// page reads a page token, a number, or takes the number of the first page; 100 entries by default, 1000 at most.
func page(token string, size, first int) (from, count int, err error) {
	if from = first; token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 1 {
			return 0, 0, &stack.Error{Code: "InvalidToken", Message: fmt.Sprintf("Invalid Token: '%s'", token)}
		}
	}
	if size < 0 || size > 1000 {
		return 0, 0, &stack.Error{Code: "ValidationException", Message: "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000"}
	}
	if size == 0 {
		size = 100
	}
	return from, size, nil
}
