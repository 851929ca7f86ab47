package logs

import (
	"context"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// none is the output of operations that answer nothing.
type none struct{}

type createLogGroupIn struct {
	LogGroupName              string            `json:"logGroupName"`
	KmsKeyID                  string            `json:"kmsKeyId"`
	Tags                      map[string]string `json:"tags"`
	LogGroupClass             string            `json:"logGroupClass"`             // data only
	DeletionProtectionEnabled bool              `json:"deletionProtectionEnabled"` // nothing here deletes groups
}

func (s *Service) createLogGroup(_ context.Context, _ *stack.Call, in *createLogGroupIn) (*none, error) {
	if err := checkGroupName(in.LogGroupName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.groups[in.LogGroupName]; ok {
		return nil, &stack.Error{Code: "ResourceAlreadyExistsException", Message: "The specified log group already exists"}
	}
	g := s.newGroup(in.LogGroupName)
	g.kms = in.KmsKeyID
	for k, v := range in.Tags {
		g.tags[k] = v
	}
	return &none{}, nil
}

type createLogStreamIn struct {
	LogGroupName  string `json:"logGroupName"`
	LogStreamName string `json:"logStreamName"`
}

func (s *Service) createLogStream(_ context.Context, _ *stack.Call, in *createLogStreamIn) (*none, error) {
	if in.LogStreamName == "" || len(in.LogStreamName) > 512 || strings.ContainsAny(in.LogStreamName, ":*") {
		return nil, invalid("1 validation error detected: Value '%s' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*", in.LogStreamName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.LogGroupName, "")
	if err != nil {
		return nil, err
	}
	if _, ok := g.streams[in.LogStreamName]; ok {
		return nil, &stack.Error{Code: "ResourceAlreadyExistsException", Message: "The specified log stream already exists"}
	}
	g.stream(in.LogStreamName, s.clock.Now())
	return &none{}, nil
}

type describeLogGroupsIn struct {
	LogGroupNamePrefix  string `json:"logGroupNamePrefix"`
	LogGroupNamePattern string `json:"logGroupNamePattern"`
	NextToken           string `json:"nextToken"`
	Limit               int    `json:"limit"`
}

type logGroupOut struct {
	LogGroupName      string `json:"logGroupName"`
	CreationTime      int64  `json:"creationTime"`
	RetentionInDays   int    `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	Arn               string `json:"arn"`
	LogGroupArn       string `json:"logGroupArn"`
	StoredBytes       int    `json:"storedBytes"`
	KmsKeyID          string `json:"kmsKeyId,omitempty"`
	LogGroupClass     string `json:"logGroupClass"`
}

type describeLogGroupsOut struct {
	LogGroups []logGroupOut `json:"logGroups"`
	NextToken string        `json:"nextToken,omitempty"`
}

func (s *Service) describeLogGroups(_ context.Context, _ *stack.Call, in *describeLogGroupsIn) (*describeLogGroupsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, invalid("logGroupNamePrefix and logGroupNamePattern are mutually exclusive")
	}
	var names []string
	for name := range s.groups {
		if strings.HasPrefix(name, in.LogGroupNamePrefix) && strings.Contains(strings.ToLower(name), strings.ToLower(in.LogGroupNamePattern)) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	page, next, err := pageOf(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &describeLogGroupsOut{LogGroups: []logGroupOut{}, NextToken: next}
	for _, name := range page {
		g := s.groups[name]
		bytes := 0
		for _, st := range g.streams {
			bytes += st.bytes()
		}
		out.LogGroups = append(out.LogGroups, logGroupOut{
			LogGroupName: name, CreationTime: g.created.UnixMilli(), RetentionInDays: g.retention, MetricFilterCount: len(g.filters),
			Arn: g.arn() + ":*", LogGroupArn: g.arn(), StoredBytes: bytes, KmsKeyID: g.kms, LogGroupClass: "STANDARD",
		})
	}
	return out, nil
}

// bytes counts as AWS bills: the message and 26 bytes per event.
func (st *logStream) bytes() int {
	n := 0
	for _, e := range st.events {
		n += len(e.message) + 26
	}
	return n
}

// pageOf cuts one page out of a list of unique names; the token is the name that the next page starts with.
func pageOf(names []string, token string, limit int) (page []string, next string, err error) {
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 50 {
		return nil, "", invalid("limit must be between 1 and 50, is %d", limit)
	}
	from := 0
	if token != "" {
		if from = slices.Index(names, token); from < 0 {
			return nil, "", invalid("The specified nextToken is invalid.")
		}
	}
	to := min(from+limit, len(names))
	if to < len(names) {
		next = names[to]
	}
	return names[from:to], next, nil
}

type describeLogStreamsIn struct {
	LogGroupName        string `json:"logGroupName"`
	LogGroupIdentifier  string `json:"logGroupIdentifier"`
	LogStreamNamePrefix string `json:"logStreamNamePrefix"`
	OrderBy             string `json:"orderBy"`
	Descending          bool   `json:"descending"`
	NextToken           string `json:"nextToken"`
	Limit               int    `json:"limit"`
}

type logStreamOut struct {
	LogStreamName       string `json:"logStreamName"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp int64  `json:"firstEventTimestamp,omitempty"`
	LastEventTimestamp  int64  `json:"lastEventTimestamp,omitempty"`
	LastIngestionTime   int64  `json:"lastIngestionTime,omitempty"`
	Arn                 string `json:"arn"`
	StoredBytes         int    `json:"storedBytes"`
}

type describeLogStreamsOut struct {
	LogStreams []logStreamOut `json:"logStreams"`
	NextToken  string         `json:"nextToken,omitempty"`
}

func (s *Service) describeLogStreams(_ context.Context, _ *stack.Call, in *describeLogStreamsIn) (*describeLogStreamsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if in.OrderBy != "" && in.OrderBy != "LogStreamName" && in.OrderBy != "LastEventTime" {
		return nil, invalid("orderBy must be LogStreamName or LastEventTime, is %q", in.OrderBy)
	}
	if in.OrderBy == "LastEventTime" && in.LogStreamNamePrefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	var names []string
	for name := range g.streams {
		if strings.HasPrefix(name, in.LogStreamNamePrefix) {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		if in.Descending {
			i, j = j, i
		}
		a, b := g.streams[names[i]], g.streams[names[j]]
		if in.OrderBy == "LastEventTime" && a.last() != b.last() {
			return a.last() < b.last()
		}
		return a.name < b.name
	})
	page, next, err := pageOf(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &describeLogStreamsOut{LogStreams: []logStreamOut{}, NextToken: next}
	for _, name := range page {
		st := g.streams[name]
		o := logStreamOut{LogStreamName: name, CreationTime: st.created.UnixMilli(), LastEventTimestamp: st.last(), Arn: g.arn() + ":log-stream:" + name, StoredBytes: st.bytes()}
		if len(st.events) > 0 {
			o.FirstEventTimestamp, o.LastIngestionTime = st.events[0].at, st.latest.UnixMilli()
		}
		out.LogStreams = append(out.LogStreams, o)
	}
	return out, nil
}

// last is the timestamp of the newest event, 0 without events.
func (st *logStream) last() int64 {
	if len(st.events) == 0 {
		return 0
	}
	return st.events[len(st.events)-1].at
}

type putRetentionPolicyIn struct {
	LogGroupName    string `json:"logGroupName"`
	RetentionInDays int    `json:"retentionInDays"`
}

func (s *Service) putRetentionPolicy(_ context.Context, _ *stack.Call, in *putRetentionPolicyIn) (*none, error) {
	if err := checkRetention(in.RetentionInDays); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.LogGroupName, "")
	if err != nil {
		return nil, err
	}
	g.retention = in.RetentionInDays
	return &none{}, nil
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func checkRetention(days int) error {
	if !slices.Contains([]int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}, days) {
		return invalid("%d is not a retention period that CloudWatch Logs offers", days)
	}
	return nil
}

type tagResourceIn struct {
	ResourceArn string            `json:"resourceArn"`
	Tags        map[string]string `json:"tags"`
}

func (s *Service) tagResource(_ context.Context, _ *stack.Call, in *tagResourceIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, _ := path.Match("arn:aws:logs:*:*:log-group:*", strings.ReplaceAll(in.ResourceArn, "/", "_")); !ok {
		return nil, invalid("%q is not the ARN of a log group", in.ResourceArn)
	}
	g, err := s.find("", in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for k, v := range in.Tags {
		g.tags[k] = v
	}
	return &none{}, nil
}
