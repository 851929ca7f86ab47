package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources makes the CloudFormation types of CloudWatch Logs.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::Logs::LogGroup":     s.makeLogGroup,
		"AWS::Logs::LogStream":    s.makeLogStream,
		"AWS::Logs::MetricFilter": s.makeMetricFilter,
		// Who may write to a log group from another service: nothing here delivers logs by itself.
		"AWS::Logs::ResourcePolicy": stack.NoEffect,
		// A saved query of Logs Insights, which is not here.
		"AWS::Logs::QueryDefinition": stack.NoEffect,
	}
}

// number accepts the strings that templates may hold in place of numbers.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(v)
	return err
}

func properties(r stack.Resource, into any) error {
	if len(r.Properties) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	return nil
}

func (s *Service) makeLogGroup(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		LogGroupName    string
		RetentionInDays number
		KmsKeyID        string `json:"KmsKeyId"`
		// Known, and without effect here: everything is kept in one class, and nothing deletes groups.
		LogGroupClass, Tags, DeletionProtectionEnabled json.RawMessage
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.LogGroupName == "" {
		p.LogGroupName = "local-" + r.LogicalID
	}
	if p.RetentionInDays != 0 {
		if err := checkRetention(int(p.RetentionInDays)); err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
		}
	}
	if err := checkGroupName(p.LogGroupName); err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.groups[p.LogGroupName]; ok {
		return stack.Made{}, fmt.Errorf("%s: log group %s already exists", r.LogicalID, p.LogGroupName)
	}
	g := s.newGroup(p.LogGroupName)
	g.retention, g.kms = int(p.RetentionInDays), p.KmsKeyID
	return stack.Made{Ref: g.name, Att: map[string]string{"Arn": g.arn() + ":*"}}, nil
}

func (s *Service) makeLogStream(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct{ LogGroupName, LogStreamName string }
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.LogStreamName == "" {
		p.LogStreamName = "local-" + r.LogicalID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(p.LogGroupName, "")
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	g.stream(p.LogStreamName, s.clock.Now())
	return stack.Made{Ref: p.LogStreamName}, nil
}

// transformation is one MetricTransformation of a template.
type transformation struct {
	MetricName, MetricNamespace, MetricValue string
	DefaultValue                             *number
	Dimensions                               []struct{ Key, Value string }
	Unit                                     string // data only: nothing here reads units
}

// metricFilter makes data of the events of its group.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
type metricFilter struct {
	matches         predicate
	transformations []transformation
	reported        int64 // the minute since 1970 for which there is a datum already
}

type datum struct {
	namespace, name string
	dims            map[string]string
	value           float64
	at              time.Time
}

func (s *Service) makeMetricFilter(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		FilterName, FilterPattern, LogGroupName string
		MetricTransformations                   []transformation
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	matches, err := parsePattern(p.FilterPattern)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	for _, t := range p.MetricTransformations {
		if err := t.check(); err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
		}
	}
	if p.FilterName == "" {
		p.FilterName = "local-" + r.LogicalID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(p.LogGroupName, "")
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: log group %q: %w", r.LogicalID, p.LogGroupName, err)
	}
	g.filters[p.FilterName] = &metricFilter{matches: matches, transformations: p.MetricTransformations}
	return stack.Made{Ref: p.FilterName}, nil
}

func (t *transformation) check() error {
	if t.MetricName == "" || t.MetricNamespace == "" {
		return fmt.Errorf("a metric transformation needs MetricName and MetricNamespace")
	}
	values := []string{}
	if strings.HasPrefix(t.MetricValue, "$") {
		values = append(values, t.MetricValue)
	} else if _, err := strconv.ParseFloat(t.MetricValue, 64); err != nil {
		return fmt.Errorf("metric value %q of %s is neither a number nor a selector", t.MetricValue, t.MetricName)
	}
	for _, d := range t.Dimensions {
		values = append(values, d.Value)
	}
	for _, v := range values {
		if selectorSyntax().FindString(v) != v || v == "" {
			return fmt.Errorf("%q of %s is not a selector ($.name)", v, t.MetricName)
		}
	}
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-logs-metricfilter-metrictransformation.html
	if t.DefaultValue != nil && len(t.Dimensions) > 0 {
		return fmt.Errorf("%s has a default value and dimensions; CloudWatch Logs allows one of them", t.MetricName)
	}
	return nil
}

// evaluate gives the data that an event makes. A default value is reported once per minute in which events came in and
// none has matched so far; AWS reports it at the minute's end.
func (f *metricFilter) evaluate(e event) []datum {
	matched, minute := f.matches(e.message), e.ingested.Unix()/60
	var data []datum
	for _, t := range f.transformations {
		if matched {
			if d, ok := t.datum(e); ok {
				data = append(data, d)
			}
		} else if t.DefaultValue != nil && f.reported != minute {
			data = append(data, datum{namespace: t.MetricNamespace, name: t.MetricName, value: float64(*t.DefaultValue), at: e.ingested})
		}
	}
	if len(data) > 0 {
		f.reported = minute
	}
	return data
}

func (t *transformation) datum(e event) (datum, bool) {
	d := datum{namespace: t.MetricNamespace, name: t.MetricName, dims: map[string]string{}, at: e.ingested}
	var doc any
	_ = json.Unmarshal([]byte(e.message), &doc) // a message that is no JSON has no properties to select
	value := t.MetricValue
	if strings.HasPrefix(value, "$") {
		v, ok := parseSelector(value).in(doc)
		if !ok {
			return d, false
		}
		value = literal(v)
	}
	var err error
	if d.value, err = strconv.ParseFloat(value, 64); err != nil {
		return d, false
	}
	for _, dim := range t.Dimensions {
		v, ok := parseSelector(dim.Value).in(doc)
		if !ok {
			return d, false
		}
		d.dims[dim.Key] = literal(v)
	}
	return d, true
}
