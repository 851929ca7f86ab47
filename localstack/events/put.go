package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// maxEntries and maxSize bound one PutEvents request.
// Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
const (
	maxEntries = 10
	maxSize    = 1 << 20
)

type putEventsInput struct {
	Entries    []entry
	EndpointId string
}

type entry struct {
	Time         *stack.Time
	Source       string
	Resources    []string
	DetailType   string
	Detail       string
	EventBusName string
	TraceHeader  string // X-Ray's: nothing here traces
}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []putResult
}

type putResult struct {
	EventId      string `json:",omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// envelope is an event as rules see it.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

func (s *Service) putEvents(_ context.Context, call *stack.Call, in *putEventsInput) (*putEventsOutput, error) {
	if in.EndpointId != "" {
		return nil, fail("ValidationException", "The local stack has no global endpoints, such as %s.", in.EndpointId)
	}
	if len(in.Entries) < 1 || len(in.Entries) > maxEntries {
		return nil, fail("ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", maxEntries)
	}
	size := 0
	for _, e := range in.Entries {
		size += e.size()
	}
	if size > maxSize {
		return nil, fail("ValidationException", "Total size of the entries in the request is over the limit.")
	}
	out := &putEventsOutput{}
	for _, e := range in.Entries {
		id, err := s.putEntry(e, s.RootPlaysAWS && call.Caller.Role == "")
		if e, failed := awsError(err); failed {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, putResult{ErrorCode: e.Code, ErrorMessage: e.Message})
			continue
		} else if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, putResult{EventId: id})
	}
	return out, nil
}

// size counts an entry as AWS does.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
func (e entry) size() int {
	size := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		size += 14
	}
	for _, r := range e.Resources {
		size += len(r)
	}
	return size
}

// putEntry puts one entry. Sources that begin with "aws." belong to AWS's own services.
func (s *Service) putEntry(e entry, playsAWS bool) (id string, err error) {
	invalid := func(parameter string) error {
		return fail("InvalidArgument", "Parameter %s is not valid. Reason: %s is a required argument.", parameter, parameter)
	}
	switch {
	case e.Source == "":
		return "", invalid("Source")
	case e.DetailType == "":
		return "", invalid("DetailType")
	case e.Detail == "":
		return "", invalid("Detail")
	case strings.HasPrefix(e.Source, "aws.") && !playsAWS:
		return "", fail("NotAuthorizedForSourceException", "Not authorized for the source.")
	}
	var detail map[string]json.RawMessage
	if json.Unmarshal([]byte(e.Detail), &detail) != nil || detail == nil {
		return "", fail("MalformedDetail", "Detail is malformed.")
	}
	now := s.clock.Now()
	at := now
	if e.Time != nil {
		at = e.Time.Time
	}
	event := envelope{
		Version: "0", ID: name.UUID(), DetailType: e.DetailType, Source: e.Source, Account: stack.Account,
		Time: timestamp(at), Region: stack.Region, Resources: append([]string{}, e.Resources...), Detail: json.RawMessage(e.Detail),
	}
	text, err := transform.Encode(event)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(e.EventBusName)
	if err != nil {
		return event.ID, nil // AWS takes an event for a bus that is not there, and drops it
	}
	return event.ID, s.match(b, text, event.ID, now)
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Put puts a whole event on a bus ("" is the default one), on behalf of an AWS service or of another bus. What the
// envelope lacks of version, id, account, time, region and resources is filled in.
func (s *Service) Put(_ context.Context, busNameOrARN string, event []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		return fail("ValidationException", "an event must be a JSON object: %v", err)
	}
	now := s.clock.Now()
	for k, v := range map[string]any{
		"version": "0", "id": name.UUID(), "account": stack.Account, "time": timestamp(now), "region": stack.Region, "resources": []string{},
	} {
		if _, ok := members[k]; !ok {
			members[k], _ = json.Marshal(v) // strings and an empty list always marshal
		}
	}
	for _, k := range []string{"source", "detail-type", "detail"} {
		if _, ok := members[k]; !ok {
			return fail("ValidationException", "an event must have %s", k)
		}
	}
	var id string
	if err := json.Unmarshal(members["id"], &id); err != nil {
		return fail("ValidationException", "the event's id must be a string")
	}
	text, err := transform.Encode(members)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(busNameOrARN)
	if err != nil {
		return err
	}
	return s.match(b, text, id, now)
}

// Inject is the control route by which tests and the command line play an AWS service: POST an event's whole envelope,
// source "aws.guardduty" and all, which PutEvents rightly refuses. The query parameter bus names another bus than the
// default one.
func (s *Service) Inject() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST an event's envelope", http.StatusMethodNotAllowed)
			return
		}
		event, err := io.ReadAll(io.LimitReader(r.Body, maxSize))
		if err == nil {
			err = s.Put(r.Context(), r.URL.Query().Get("bus"), event)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// match hands the event to the targets of every enabled rule whose pattern it matches. The caller holds the mutex.
func (s *Service) match(b *bus, event []byte, id string, now time.Time) error {
	reads := onlyReads(event)
	for _, r := range b.rules {
		if r.pattern == nil || !r.enabled() || reads && r.State != allManagement {
			continue
		}
		ok, err := r.pattern.Match(event)
		if err != nil {
			return fail("ValidationException", "%v", err)
		}
		if ok {
			s.deliver(r, event, id, now)
		}
	}
	return nil
}

// onlyReads tells whether an event is CloudTrail's of a call that reads: those come to rules only that ask for them.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
func onlyReads(event []byte) bool {
	if !bytes.Contains(event, []byte("AWS API Call via CloudTrail")) {
		return false
	}
	var e struct {
		DetailType string `json:"detail-type"`
		Detail     struct {
			EventName string `json:"eventName"`
			ReadOnly  bool   `json:"readOnly"`
		} `json:"detail"`
	}
	if json.Unmarshal(event, &e) != nil || e.DetailType != "AWS API Call via CloudTrail" || !e.Detail.ReadOnly {
		return false
	}
	return slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(verb string) bool { return strings.HasPrefix(e.Detail.EventName, verb) })
}

// deliver sends the event to every target of the rule. The caller holds the mutex; the rule and its targets may change
// while the event is under way, which then still goes where they said.
func (s *Service) deliver(r *rule, event []byte, id string, now time.Time) {
	at := *r
	for _, t := range r.targets {
		job := delivery.Job{
			ID: id, TargetARN: t.Arn, RoleARN: t.RoleArn, MaxAttempts: 185, MaxAge: 24 * time.Hour,
			Payload: func(int) ([]byte, error) { return t.input(event, &at, now) },
			Dead: func(attributes map[string]string) string {
				attributes["RULE_ARN"] = at.arn()
				return string(event)
			},
		}
		if p := t.RetryPolicy; p != nil {
			if p.MaximumRetryAttempts != nil {
				job.MaxAttempts = *p.MaximumRetryAttempts
			}
			if p.MaximumEventAgeInSeconds != nil {
				job.MaxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
			}
		}
		if t.DeadLetterConfig != nil {
			job.DeadLetterARN = t.DeadLetterConfig.Arn
		}
		s.deliverer.Deliver(job)
	}
}

// input is what the target gets of the event.
func (t *target) input(event []byte, r *rule, ingested time.Time) ([]byte, error) {
	switch {
	case t.Input != "":
		return []byte(t.Input), nil
	case t.InputTransformer != nil:
		return t.InputTransformer.Apply(event, transform.Rule{ARN: r.arn(), Name: r.Name}, ingested)
	case t.InputPath != "":
		path, err := transform.ParsePath(t.InputPath)
		if err != nil {
			return nil, err
		}
		root, err := transform.Decode(event)
		if err != nil {
			return nil, err
		}
		v, ok := transform.Find(root, path)
		if !ok {
			return nil, fmt.Errorf("the event has nothing at InputPath %s", t.InputPath)
		}
		return transform.Encode(v)
	}
	return event, nil
}
