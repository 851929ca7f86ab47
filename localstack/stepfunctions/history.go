package stepfunctions

import (
	"context"
	"encoding/json"
	"fmt"
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
	id, step := 1, 1
	if in.ReverseOrder {
		id, step = len(x.events), -1
	}
	id, size, err := page(in.NextToken, in.MaxResults, id)
	if err != nil {
		return nil, err
	}
	out := &getHistoryOutput{Events: []event{}}
	for ; id >= 1 && id <= len(x.events) && len(out.Events) < size; id += step {
		e := x.events[id-1]
		if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
			e = e.withoutData()
		}
		out.Events = append(out.Events, e)
	}
	if id >= 1 && id <= len(x.events) {
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
