package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// number accepts the strings that templates may hold in place of numbers.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(v)
	return err
}

type dimension struct {
	Name  string
	Value string `json:",omitempty"`
}

func toMap(dims []dimension) map[string]string {
	m := map[string]string{}
	for _, d := range dims {
		m[d.Name] = d.Value
	}
	return m
}

func fromMap(m map[string]string) []dimension {
	dims := make([]dimension, 0, len(m))
	for k, v := range m {
		dims = append(dims, dimension{k, v})
	}
	sort.Slice(dims, func(i, j int) bool { return dims[i].Name < dims[j].Name })
	return dims
}

type metricID struct {
	Namespace  string
	MetricName string
	Dimensions []dimension `json:",omitempty"`
}

// metricStat is one statistic of one metric. Period is in seconds.
type metricStat struct {
	Metric metricID
	Period number
	Stat   string
	Unit   string // data only: units are kept nowhere
}

// dataQuery is one entry of GetMetricData's queries and of an alarm's Metrics.
type dataQuery struct {
	ID         string `json:"Id"`
	MetricStat *metricStat
	Expression string
	Label      string
	ReturnData *flag
	Period     number
	AccountID  string `json:"AccountId"` // only this account is here
}

// flag accepts the strings that templates may hold in place of booleans.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	*f = flag(v)
	return err
}

func (q *dataQuery) returned() bool { return q.ReturnData == nil || bool(*q.ReturnData) }

// queries are the parsed entries of one request or alarm, which may refer to one another.
type queries struct {
	list        []dataQuery
	expressions map[string]expression // by id
}

func newQueries(list []dataQuery) (*queries, error) {
	q := &queries{list: list, expressions: map[string]expression{}}
	ids := map[string]bool{}
	for _, e := range list {
		if !regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`).MatchString(e.ID) || ids[e.ID] {
			return nil, invalid("Id %q is not unique, or does not begin with a lowercase letter followed by letters, digits and underscores", e.ID)
		}
		ids[e.ID] = true
		if (e.MetricStat == nil) == (e.Expression == "") {
			return nil, invalid("Query %s must have either MetricStat or Expression", e.ID)
		}
		if e.AccountID != "" && e.AccountID != stack.Account {
			return nil, invalid("Query %s asks for account %s; the local stack has one account", e.ID, e.AccountID)
		}
		if e.MetricStat != nil {
			if err := checkStatistic(e.MetricStat.Stat); err != nil {
				return nil, err
			}
			if err := checkPeriod(e.MetricStat.Period); err != nil {
				return nil, err
			}
			continue
		}
		x, used, err := parseExpression(e.Expression)
		if err != nil {
			return nil, invalid("%s: %v", e.ID, err)
		}
		for _, id := range used {
			if id == e.ID || !slices.ContainsFunc(list, func(o dataQuery) bool { return o.ID == id }) {
				return nil, invalid("Expression %s uses %q, which no other query has as its Id", e.ID, id)
			}
		}
		q.expressions[e.ID] = x
	}
	return q, nil
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
func checkPeriod(p number) error {
	if p == 10 || p == 20 || p == 30 || p > 0 && int(p)%60 == 0 {
		return nil
	}
	return invalid("The parameter Period must be 10, 20, 30 or a multiple of 60, is %v", p)
}

// period is the longest of the metrics' periods: the one at which an expression over them has values.
func (q *queries) period() time.Duration {
	longest := number(0)
	for _, e := range q.list {
		if e.MetricStat != nil {
			longest = max(longest, e.MetricStat.Period)
		}
	}
	return time.Duration(longest) * time.Second
}

// value computes one entry over the window [from, to); s.mu is held. depth bounds expressions that refer to each other
// in a circle.
func (s *Service) value(q *queries, id string, from, to time.Time, depth int) (float64, bool) {
	if depth > len(q.list) {
		return 0, false
	}
	for _, e := range q.list {
		if e.ID != id {
			continue
		}
		if e.MetricStat != nil {
			m := e.MetricStat.Metric
			return aggregate(s.series[key(m.Namespace, m.MetricName, toMap(m.Dimensions))].between(from, to), e.MetricStat.Stat)
		}
		return q.expressions[id](func(other string) (float64, bool) { return s.value(q, other, from, to, depth+1) })
	}
	return 0, false
}

type getMetricDataIn struct {
	MetricDataQueries  []dataQuery
	StartTime, EndTime stack.Time
	ScanBy             string
	MaxDatapoints      int
	LabelOptions       *struct{ Timezone string } // labels here hold no times
}

type metricDataResult struct {
	ID         string `json:"Id"`
	Label      string
	Timestamps []stack.Time
	Values     []float64
	StatusCode string
}

type getMetricDataOut struct {
	MetricDataResults []metricDataResult
	Messages          []string
}

// getMetricData: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
func (s *Service) getMetricData(_ context.Context, _ *stack.Call, in *getMetricDataIn) (*getMetricDataOut, error) {
	q, err := newQueries(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	if len(q.list) == 0 || !in.StartTime.Before(in.EndTime.Time) {
		return nil, invalid("MetricDataQueries must not be empty and StartTime must be before EndTime")
	}
	if in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending" {
		return nil, invalid("ScanBy is %q", in.ScanBy)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &getMetricDataOut{MetricDataResults: []metricDataResult{}, Messages: []string{}}
	for _, e := range q.list {
		if !e.returned() {
			continue
		}
		r := metricDataResult{ID: e.ID, Label: e.Label, Timestamps: []stack.Time{}, Values: []float64{}, StatusCode: "Complete"}
		period := q.period()
		if e.MetricStat != nil {
			period = time.Duration(e.MetricStat.Period) * time.Second
		}
		if r.Label == "" {
			r.Label = e.label()
		}
		if period == 0 {
			return nil, invalid("Query %s uses no metric", e.ID)
		}
		for t := in.StartTime.Truncate(period); t.Before(in.EndTime.Time); t = t.Add(period) {
			if v, ok := s.value(q, e.ID, t, t.Add(period), 0); ok {
				r.Timestamps, r.Values = append(r.Timestamps, stack.Time{Time: t}), append(r.Values, v)
			}
		}
		// The newest come first unless asked otherwise.
		if in.ScanBy != "TimestampAscending" {
			for i, j := 0, len(r.Values)-1; i < j; i, j = i+1, j-1 {
				r.Values[i], r.Values[j] = r.Values[j], r.Values[i]
				r.Timestamps[i], r.Timestamps[j] = r.Timestamps[j], r.Timestamps[i]
			}
		}
		if in.MaxDatapoints > 0 && len(r.Values) > in.MaxDatapoints {
			return nil, invalid("%d datapoints are more than MaxDatapoints, and the local stack does not page", len(r.Values))
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	return out, nil
}

func (q *dataQuery) label() string {
	if q.MetricStat != nil {
		return q.MetricStat.Metric.MetricName
	}
	return q.ID
}

type getMetricStatisticsIn struct {
	Namespace, MetricName string
	Dimensions            []dimension
	StartTime, EndTime    stack.Time
	Period                number
	Statistics            []string
	ExtendedStatistics    []string
	Unit                  string
}

type datapoint struct {
	Timestamp          stack.Time
	SampleCount        *float64           `json:",omitempty"`
	Average            *float64           `json:",omitempty"`
	Sum                *float64           `json:",omitempty"`
	Minimum            *float64           `json:",omitempty"`
	Maximum            *float64           `json:",omitempty"`
	ExtendedStatistics map[string]float64 `json:",omitempty"`
	Unit               string
}

type getMetricStatisticsOut struct {
	Label      string
	Datapoints []datapoint
}

// getMetricStatistics: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
func (s *Service) getMetricStatistics(_ context.Context, _ *stack.Call, in *getMetricStatisticsIn) (*getMetricStatisticsOut, error) {
	if err := checkPeriod(in.Period); err != nil {
		return nil, err
	}
	period := time.Duration(in.Period) * time.Second
	if n := in.EndTime.Sub(in.StartTime.Time) / period; n > 1440 {
		return nil, &stack.Error{Code: "InvalidParameterCombinationException", Message: "You have requested up to " + strconv.Itoa(int(n)) + " datapoints, which exceeds the limit of 1,440."}
	}
	wanted := append(append([]string{}, in.Statistics...), in.ExtendedStatistics...)
	if len(wanted) == 0 {
		return nil, &stack.Error{Code: "MissingRequiredParameterException", Message: "Must specify either Statistics or ExtendedStatistics"}
	}
	for _, name := range wanted {
		if err := checkStatistic(name); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &getMetricStatisticsOut{Label: in.MetricName, Datapoints: []datapoint{}}
	m := s.series[key(in.Namespace, in.MetricName, toMap(in.Dimensions))]
	for t := in.StartTime.Truncate(period); t.Before(in.EndTime.Time); t = t.Add(period) {
		samples := m.between(t, t.Add(period))
		if len(samples) == 0 {
			continue
		}
		d := datapoint{Timestamp: stack.Time{Time: t}, Unit: "None", ExtendedStatistics: map[string]float64{}}
		for _, name := range wanted {
			if v, ok := aggregate(samples, name); ok {
				d.set(name, v)
			}
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	return out, nil
}

func (d *datapoint) set(name string, v float64) {
	switch name {
	case "SampleCount":
		d.SampleCount = &v
	case "Average":
		d.Average = &v
	case "Sum":
		d.Sum = &v
	case "Minimum":
		d.Minimum = &v
	case "Maximum":
		d.Maximum = &v
	default:
		d.ExtendedStatistics[name] = v
	}
}

// serveJSON inflates what the CLI compressed (it does so with large PutMetricData bodies) before the protocol's own part.
func (s *Service) serveJSON(ctx context.Context, call *stack.Call) stack.Reply {
	if call.Request.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(bytes.NewReader(call.Body))
		if err == nil {
			call.Body, err = io.ReadAll(zr)
		}
		if err != nil {
			return s.json.Fail(&stack.Error{Code: "SerializationException", Message: "the body says gzip: " + err.Error()})
		}
	}
	return s.json.Serve(ctx, call)
}
