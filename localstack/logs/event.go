package logs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type inputEvent struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

type putLogEventsIn struct {
	LogGroupName  string       `json:"logGroupName"`
	LogStreamName string       `json:"logStreamName"`
	LogEvents     []inputEvent `json:"logEvents"`
	SequenceToken string       `json:"sequenceToken"` // accepted and ignored, as AWS does since 2023
}

type putLogEventsOut struct {
	NextSequenceToken string `json:"nextSequenceToken"`
}

// putLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
func (s *Service) putLogEvents(_ context.Context, _ *stack.Call, in *putLogEventsIn) (*putLogEventsOut, error) {
	if n := len(in.LogEvents); n < 1 || n > 10_000 {
		return nil, invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length between 1 and 10000")
	}
	size := 0
	for i, e := range in.LogEvents {
		if e.Message == "" {
			return nil, invalid("1 validation error detected: Value at 'logEvents.%d.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		}
		if i > 0 && e.Timestamp < in.LogEvents[i-1].Timestamp {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
		size += len(e.Message) + 26
	}
	if size > 1<<20 {
		return nil, invalid("Upload too large: %d bytes exceeds limit of 1048576", size)
	}
	s.mu.Lock()
	g, err := s.find(in.LogGroupName, "")
	if err == nil && g.streams[in.LogStreamName] == nil {
		err = noStream()
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	data := s.append(g, in.LogStreamName, in.LogEvents)
	token := fmt.Sprintf("%056d", s.seq)
	s.mu.Unlock()
	s.record(data)
	return &putLogEventsOut{token}, nil
}

// position is a place between events: they are ordered by timestamp, then by ingestion.
type position struct{ at, seq int64 }

func (e event) position() position { return position{e.at, e.seq} }

func (p position) before(q position) bool { return p.at < q.at || p.at == q.at && p.seq < q.seq }

// token writes a position as an opaque token of a kind ("f", "b" or "n").
func (p position) token(kind string) string { return fmt.Sprintf("%s/%020d/%020d", kind, p.at, p.seq) }

func readPosition(token, kinds string) (kind string, p position, err error) {
	kind, rest, _ := strings.Cut(token, "/")
	if n, scanErr := fmt.Sscanf(rest, "%d/%d", &p.at, &p.seq); n != 2 || scanErr != nil || !strings.Contains(kinds, kind) || kind == "" {
		return "", p, invalid("The specified nextToken is invalid.")
	}
	return kind, p, nil
}

func eventLimit(n int) (int, error) {
	if n == 0 {
		return 10_000, nil
	}
	if n < 1 || n > 10_000 {
		return 0, invalid("limit must be between 1 and 10000, is %d", n)
	}
	return n, nil
}

type getLogEventsIn struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	LogStreamName      string `json:"logStreamName"`
	StartTime          *int64 `json:"startTime"`
	EndTime            *int64 `json:"endTime"`
	NextToken          string `json:"nextToken"`
	Limit              int    `json:"limit"`
	StartFromHead      bool   `json:"startFromHead"`
	Unmask             bool   `json:"unmask"` // nothing is masked
}

type outputEvent struct {
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
}

type getLogEventsOut struct {
	Events            []outputEvent `json:"events"`
	NextForwardToken  string        `json:"nextForwardToken"`
	NextBackwardToken string        `json:"nextBackwardToken"`
}

// getLogEvents reads one stream, the newest page first unless told otherwise. At either end of the stream the token of
// that direction comes back unchanged.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
func (s *Service) getLogEvents(_ context.Context, _ *stack.Call, in *getLogEventsIn) (*getLogEventsOut, error) {
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	st, ok := g.streams[in.LogStreamName]
	if !ok {
		return nil, noStream()
	}
	var events []event
	for _, e := range g.kept(st.events, s.clock.Now()) {
		// The end is exclusive here, unlike in FilterLogEvents.
		if (in.StartTime == nil || e.at >= *in.StartTime) && (in.EndTime == nil || e.at < *in.EndTime) {
			events = append(events, e)
		}
	}
	from, to, at, err := window(events, in.NextToken, in.StartFromHead, limit)
	if err != nil {
		return nil, err
	}
	out := &getLogEventsOut{Events: []outputEvent{}, NextForwardToken: at.token("f"), NextBackwardToken: at.token("b")}
	for _, e := range events[from:to] {
		out.Events = append(out.Events, outputEvent{e.at, e.message, e.ingested.UnixMilli()})
	}
	if from < to {
		out.NextForwardToken = events[to-1].position().token("f")
		out.NextBackwardToken = events[from].position().token("b")
	}
	return out, nil
}

// window chooses the page [from, to) that a token or, without one, the direction means. A token is the position of an
// event that was seen: forward goes on after it, backward ends before it. at is where an empty page stands.
func window(events []event, token string, head bool, limit int) (from, to int, at position, err error) {
	if token == "" {
		if head {
			return 0, min(limit, len(events)), position{0, 0}, nil
		}
		return max(0, len(events)-limit), len(events), position{math.MaxInt64, math.MaxInt64}, nil
	}
	kind, p, err := readPosition(token, "fb")
	if err != nil {
		return 0, 0, p, err
	}
	if kind == "f" {
		from = sort.Search(len(events), func(i int) bool { return p.before(events[i].position()) })
		return from, min(from+limit, len(events)), p, nil
	}
	to = sort.Search(len(events), func(i int) bool { return !events[i].position().before(p) })
	return max(0, to-limit), to, p, nil
}

type filterLogEventsIn struct {
	LogGroupName        string   `json:"logGroupName"`
	LogGroupIdentifier  string   `json:"logGroupIdentifier"`
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           *int64   `json:"startTime"`
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	NextToken           string   `json:"nextToken"`
	Limit               int      `json:"limit"`
	Interleaved         bool     `json:"interleaved"` // always so, as in AWS since 2019
	Unmask              bool     `json:"unmask"`      // nothing is masked
}

type filteredEvent struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	EventID       string `json:"eventId"`
}

type filterLogEventsOut struct {
	Events             []filteredEvent `json:"events"`
	SearchedLogStreams []none          `json:"searchedLogStreams"` // always empty since 2020
	NextToken          string          `json:"nextToken,omitempty"`
}

// filterLogEvents searches the streams of a group, oldest event first.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
func (s *Service) filterLogEvents(_ context.Context, _ *stack.Call, in *filterLogEventsIn) (*filterLogEventsOut, error) {
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "" {
		return nil, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive")
	}
	matches, err := parsePattern(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	var after position
	if in.NextToken != "" {
		if _, after, err = readPosition(in.NextToken, "n"); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	for _, name := range in.LogStreamNames {
		if g.streams[name] == nil {
			return nil, noStream()
		}
	}
	var found []event
	for name, st := range g.streams {
		if len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, name) || !strings.HasPrefix(name, in.LogStreamNamePrefix) {
			continue
		}
		for _, e := range g.kept(st.events, s.clock.Now()) {
			if after.before(e.position()) && (in.StartTime == nil || e.at >= *in.StartTime) && (in.EndTime == nil || e.at <= *in.EndTime) && matches(e.message) {
				found = append(found, e)
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].position().before(found[j].position()) })
	out := &filterLogEventsOut{Events: []filteredEvent{}, SearchedLogStreams: []none{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = found[limit-1].position().token("n")
	}
	for _, e := range found {
		out.Events = append(out.Events, filteredEvent{e.stream, e.at, e.message, e.ingested.UnixMilli(), fmt.Sprintf("%056d", e.seq)})
	}
	return out, nil
}
