package metrics

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type none struct{}

type metricDatum struct {
	MetricName      string
	Dimensions      []dimension
	Timestamp       *stack.Time
	Value           *float64
	Values, Counts  []float64
	StatisticValues *struct{ SampleCount, Sum, Minimum, Maximum float64 }
	// Known, and without effect here: units are kept nowhere and every datum keeps its own time.
	Unit              string
	StorageResolution int
}

type putMetricDataIn struct {
	Namespace  string
	MetricData []metricDatum
}

// putMetricData: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
func (s *Service) putMetricData(_ context.Context, _ *stack.Call, in *putMetricDataIn) (*none, error) {
	if in.Namespace == "" || strings.HasPrefix(in.Namespace, "AWS/") {
		return nil, invalid("The value %q for parameter Namespace is invalid.", in.Namespace)
	}
	if len(in.MetricData) > 1000 {
		return nil, invalid("The collection MetricData must not have a size greater than 1000.")
	}
	type entry struct {
		name string
		dims map[string]string
		sample
	}
	var entries []entry
	for _, d := range in.MetricData {
		if d.MetricName == "" || len(d.Dimensions) > 30 {
			return nil, invalid("a datum needs a MetricName and has at most 30 Dimensions")
		}
		samples, err := d.samples(s.clock.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range samples {
			entries = append(entries, entry{d.MetricName, toMap(d.Dimensions), v})
		}
	}
	// All or nothing: nothing is stored before everything was checked.
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.add(in.Namespace, e.name, e.dims, e.sample)
	}
	return &none{}, nil
}

func (d *metricDatum) samples(now time.Time) ([]sample, error) {
	if d.Timestamp != nil {
		now = d.Timestamp.Time
	}
	forms := 0
	for _, given := range []bool{d.Value != nil, len(d.Values) > 0, d.StatisticValues != nil} {
		if given {
			forms++
		}
	}
	if forms != 1 || len(d.Counts) > 0 && len(d.Counts) != len(d.Values) {
		return nil, &stack.Error{Code: "InvalidParameterCombinationException", Message: "At least one of the parameters must be specified, and only one: Value, Values (with Counts of the same size), StatisticValues, for " + d.MetricName}
	}
	if v := d.StatisticValues; v != nil {
		return []sample{{now, v.Sum, v.SampleCount, v.Minimum, v.Maximum}}, nil
	}
	if d.Value != nil {
		return []sample{{now, *d.Value, 1, *d.Value, *d.Value}}, nil
	}
	var out []sample
	for i, v := range d.Values {
		count := 1.0
		if len(d.Counts) > 0 {
			count = d.Counts[i]
		}
		out = append(out, sample{now, v * count, count, v, v})
	}
	return out, nil
}

type listMetricsIn struct {
	Namespace, MetricName string
	Dimensions            []dimension
	RecentlyActive        string
}

type listMetricsOut struct {
	Metrics []metricID
}

// listMetrics: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
func (s *Service) listMetrics(_ context.Context, _ *stack.Call, in *listMetricsIn) (*listMetricsOut, error) {
	if in.RecentlyActive != "" && in.RecentlyActive != "PT3H" {
		return nil, invalid("RecentlyActive must be PT3H, is %q", in.RecentlyActive)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, 0, len(s.series))
	for k, m := range s.series {
		if in.Namespace != "" && m.namespace != in.Namespace || in.MetricName != "" && m.name != in.MetricName || !m.has(in.Dimensions) {
			continue
		}
		if in.RecentlyActive != "" && m.newest().Before(s.clock.Now().Add(-3*time.Hour)) {
			continue
		}
		keys = append(keys, k)
	}
	sort.Strings(keys)
	out := &listMetricsOut{Metrics: []metricID{}}
	for _, k := range keys {
		m := s.series[k]
		out.Metrics = append(out.Metrics, metricID{m.namespace, m.name, fromMap(m.dims)})
	}
	return out, nil
}

// has says whether a metric has these dimensions among its own; a filter without value asks for the name only.
func (m *series) has(filters []dimension) bool {
	for _, f := range filters {
		v, ok := m.dims[f.Name]
		if !ok || f.Value != "" && f.Value != v {
			return false
		}
	}
	return true
}
