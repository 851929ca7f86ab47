// Package logs is Amazon CloudWatch Logs as far as functions, the audit log and its readers need it, over AWS JSON 1.1.
//
// Operations: CreateLogGroup, CreateLogStream, DescribeLogGroups, DescribeLogStreams, PutLogEvents, GetLogEvents,
// FilterLogEvents (filter patterns: see parsePattern), PutRetentionPolicy, TagResource. Metric filters come from
// templates and are evaluated on every event.
//
// Differences from AWS, all because callers' clocks stay behind when the stack's clock is advanced: an event is accepted
// at whatever age, retention counts from ingestion, and a metric filter's data carry the time of ingestion.
//
// Left out: Insights queries, subscription filters, sequence tokens (AWS ignores them too), data protection.
//
// Pages: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
package logs

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Recorder takes the data of metric filters. It is called without any lock held.
type Recorder interface {
	Add(namespace, name string, dims map[string]string, value float64, at time.Time)
}

// Service holds every log group in memory.
type Service struct {
	stack.JSON
	clock   *stack.Clock
	metrics Recorder

	mu     sync.Mutex
	groups map[string]*group
	seq    int64
}

type group struct {
	name      string
	created   time.Time
	retention int // days, 0 for ever
	kms       string
	tags      map[string]string
	streams   map[string]*logStream
	filters   map[string]*metricFilter
}

type logStream struct {
	name    string
	created time.Time
	events  []event // by at, then seq
	latest  time.Time
}

// event is one log event. seq numbers all events of the service in order of ingestion.
type event struct {
	seq      int64
	at       int64 // milliseconds since 1970, as the sender says
	ingested time.Time
	stream   string
	message  string
}

// New makes a service without log groups. Metric filters send their data to metrics; if nil, they count nothing.
func New(clock *stack.Clock, metrics Recorder) *Service {
	s := &Service{clock: clock, metrics: metrics, groups: map[string]*group{}}
	s.JSON = stack.JSON{Signing: "logs", Target: "Logs_20140328", Version: "1.1", Ops: map[string]stack.Op{
		"CreateLogGroup":     stack.Handle(s.createLogGroup),
		"CreateLogStream":    stack.Handle(s.createLogStream),
		"DescribeLogGroups":  stack.Handle(s.describeLogGroups),
		"DescribeLogStreams": stack.Handle(s.describeLogStreams),
		"PutLogEvents":       stack.Handle(s.putLogEvents),
		"GetLogEvents":       stack.Handle(s.getLogEvents),
		"FilterLogEvents":    stack.Handle(s.filterLogEvents),
		"PutRetentionPolicy": stack.Handle(s.putRetentionPolicy),
		"TagResource":        stack.Handle(s.tagResource),
	}}
	return s
}

// Put appends one line to a stream, as the log agent of a service would. A group or stream that is not there is made.
func (s *Service) Put(group, stream string, at time.Time, line string) {
	s.mu.Lock()
	g, ok := s.groups[group]
	if !ok {
		g = s.newGroup(group)
	}
	data := s.append(g, stream, []inputEvent{{at.UnixMilli(), line}})
	s.mu.Unlock()
	s.record(data)
}

// Line is one log event as it lies in a group.
type Line struct {
	Stream string
	Time   time.Time
	Text   string
}

// Lines lists all events of a group in order of ingestion, retention notwithstanding, for tests that look for what must
// not be there. A group that does not exist has none.
func (s *Service) Lines(group string) []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[group]
	if !ok {
		return nil
	}
	var all []event
	for _, st := range g.streams {
		all = append(all, st.events...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].seq < all[j].seq })
	lines := make([]Line, 0, len(all))
	for _, e := range all {
		lines = append(lines, Line{e.stream, time.UnixMilli(e.at).UTC(), e.message})
	}
	return lines
}

// Groups lists the names of all log groups.
func (s *Service) Groups() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.groups))
	for name := range s.groups {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (s *Service) newGroup(name string) *group {
	g := &group{name: name, created: s.clock.Now(), tags: map[string]string{}, streams: map[string]*logStream{}, filters: map[string]*metricFilter{}}
	s.groups[name] = g
	return g
}

func (g *group) stream(name string, now time.Time) *logStream {
	st, ok := g.streams[name]
	if !ok {
		st = &logStream{name: name, created: now}
		g.streams[name] = st
	}
	return st
}

// append stores events and returns what the group's metric filters make of them; s.mu is held.
func (s *Service) append(g *group, stream string, in []inputEvent) []datum {
	now := s.clock.Now()
	st := g.stream(stream, now)
	var data []datum
	for _, i := range in {
		s.seq++
		e := event{seq: s.seq, at: i.Timestamp, ingested: now, stream: stream, message: i.Message}
		at := sort.Search(len(st.events), func(n int) bool { return st.events[n].at > e.at })
		st.events = append(st.events, event{})
		copy(st.events[at+1:], st.events[at:])
		st.events[at] = e
		st.latest = now
		for _, f := range g.filters {
			data = append(data, f.evaluate(e)...)
		}
	}
	return data
}

func (s *Service) record(data []datum) {
	if s.metrics == nil {
		return
	}
	for _, d := range data {
		s.metrics.Add(d.namespace, d.name, d.dims, d.value, d.at)
	}
}

// kept leaves out what retention has expired.
func (g *group) kept(events []event, now time.Time) []event {
	if g.retention == 0 {
		return events
	}
	oldest := now.AddDate(0, 0, -g.retention)
	kept := make([]event, 0, len(events))
	for _, e := range events {
		if e.ingested.After(oldest) {
			kept = append(kept, e)
		}
	}
	return kept
}

func (g *group) arn() string {
	return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", stack.Region, stack.Account, g.name)
}

// find resolves a group by name or, where an operation takes identifiers, by ARN; s.mu is held.
func (s *Service) find(name, identifier string) (*group, error) {
	if (name == "") == (identifier == "") {
		return nil, invalid("Exactly one of logGroupName and logGroupIdentifier must be given")
	}
	if identifier != "" {
		name = strings.TrimSuffix(identifier, ":*")
		if _, after, ok := strings.Cut(name, ":log-group:"); ok {
			name = after
		}
	}
	if g, ok := s.groups[name]; ok {
		return g, nil
	}
	return nil, &stack.Error{Code: "ResourceNotFoundException", Message: "The specified log group does not exist."}
}

func noStream() error {
	return &stack.Error{Code: "ResourceNotFoundException", Message: "The specified log stream does not exist."}
}

func invalid(format string, args ...any) error {
	return &stack.Error{Code: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
func checkGroupName(name string) error {
	if !regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`).MatchString(name) {
		return invalid("1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+", name)
	}
	return nil
}
