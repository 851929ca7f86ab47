package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources makes the CloudFormation types of CloudWatch.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::CloudWatch::Alarm": s.makeAlarm,
		// A page for the console, which is not here.
		"AWS::CloudWatch::Dashboard": stack.NoEffect,
	}
}

// alarmProperties is AWS::CloudWatch::Alarm.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html
type alarmProperties struct {
	AlarmName, AlarmDescription                      string
	ActionsEnabled                                   *flag
	AlarmActions, OKActions, InsufficientDataActions []string
	Namespace, MetricName                            string
	Dimensions                                       []dimension
	Statistic, ExtendedStatistic                     string
	Period, EvaluationPeriods, DatapointsToAlarm     number
	Threshold                                        number
	ComparisonOperator, TreatMissingData             string
	Metrics                                          []dataQuery
	Unit, EvaluateLowSampleCountPercentile           string          // data only
	Tags                                             json.RawMessage // data only
}

func (s *Service) makeAlarm(_ context.Context, r stack.Resource) (stack.Made, error) {
	a := &alarm{state: insufficient, reason: "Unchecked: Initial alarm creation", configured: s.clock.Now()}
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a.alarmProperties); err != nil {
		return stack.Made{}, fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	if a.AlarmName == "" {
		a.AlarmName = "local-" + r.LogicalID
	}
	if err := a.prepare(); err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	a.updated = a.configured
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.alarms[a.AlarmName]; ok {
		return stack.Made{}, fmt.Errorf("%s: alarm %s already exists", r.LogicalID, a.AlarmName)
	}
	s.alarms[a.AlarmName] = a
	return stack.Made{Ref: a.AlarmName, Att: map[string]string{"Arn": a.arn()}}, nil
}

// prepare checks the properties and works out what is compared with the threshold.
func (a *alarm) prepare() error {
	if a.EvaluationPeriods < 1 || a.DatapointsToAlarm > a.EvaluationPeriods {
		return fmt.Errorf("EvaluationPeriods is %v and DatapointsToAlarm %v", a.EvaluationPeriods, a.DatapointsToAlarm)
	}
	if !slices.Contains([]string{"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"}, a.ComparisonOperator) {
		return fmt.Errorf("the local stack has no ComparisonOperator %q", a.ComparisonOperator)
	}
	if !slices.Contains([]string{"", "missing", "ignore", "breaching", "notBreaching"}, a.TreatMissingData) {
		return fmt.Errorf("TreatMissingData is %q", a.TreatMissingData)
	}
	for _, action := range slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions) {
		if !strings.HasPrefix(action, "arn:aws:sns:") {
			return fmt.Errorf("alarm action %q is not an SNS topic, and the local stack has no others", action)
		}
	}
	list := a.Metrics
	if len(list) == 0 {
		stat := a.Statistic
		if stat == "" {
			stat = a.ExtendedStatistic
		}
		list = []dataQuery{{ID: "m", MetricStat: &metricStat{Metric: metricID{a.Namespace, a.MetricName, a.Dimensions}, Period: a.Period, Stat: stat}}}
	}
	var err error
	if a.queries, err = newQueries(list); err != nil {
		return err
	}
	returned := 0
	for _, q := range list {
		if q.returned() {
			a.watched = q.ID
			returned++
		}
	}
	if a.period = a.queries.period(); a.period < 10*time.Second || returned != 1 {
		return fmt.Errorf("exactly one of Metrics must return data and there must be a metric among them; %d return data", returned)
	}
	return nil
}

type describeAlarmsIn struct {
	AlarmNames      []string
	AlarmNamePrefix string
	AlarmTypes      []string
	StateValue      string
	ActionPrefix    string
	MaxRecords      int
	NextToken       string
}

// metricAlarm leaves out what an alarm does not have, as AWS does.
type metricAlarm struct {
	AlarmName                          string
	AlarmArn                           string
	AlarmDescription                   string `json:",omitempty"`
	AlarmConfigurationUpdatedTimestamp stack.Time
	ActionsEnabled                     bool
	OKActions                          []string
	AlarmActions                       []string
	InsufficientDataActions            []string
	StateValue                         string
	StateReason                        string
	StateUpdatedTimestamp              stack.Time
	MetricName                         string `json:",omitempty"`
	Namespace                          string `json:",omitempty"`
	Statistic                          string `json:",omitempty"`
	ExtendedStatistic                  string `json:",omitempty"`
	Dimensions                         []dimension
	Period                             int `json:",omitempty"`
	EvaluationPeriods                  int
	DatapointsToAlarm                  int `json:",omitempty"`
	Threshold                          float64
	ComparisonOperator                 string
	TreatMissingData                   string           `json:",omitempty"`
	Metrics                            []dataQueryShown `json:",omitempty"`
}

type dataQueryShown struct {
	ID         string `json:"Id"`
	Expression string `json:",omitempty"`
	Label      string `json:",omitempty"`
	ReturnData bool
	MetricStat *metricStatShown `json:",omitempty"`
}

type metricStatShown struct {
	Metric metricID
	Period int
	Stat   string
}

type describeAlarmsOut struct {
	MetricAlarms    []metricAlarm
	CompositeAlarms []none
	NextToken       string `json:",omitempty"`
}

// describeAlarms evaluates all alarms first.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
func (s *Service) describeAlarms(_ context.Context, _ *stack.Call, in *describeAlarmsIn) (*describeAlarmsOut, error) {
	if len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "" {
		return nil, &stack.Error{Code: "InvalidParameterCombinationException", Message: "AlarmNamePrefix and AlarmNames cannot both be specified"}
	}
	limit := in.MaxRecords
	if limit == 0 {
		limit = 50
	}
	s.Evaluate()
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, a := range s.alarms {
		if s.asked(a, in) && name >= in.NextToken {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := &describeAlarmsOut{MetricAlarms: []metricAlarm{}, CompositeAlarms: []none{}}
	if len(names) > limit {
		out.NextToken = names[limit]
		names = names[:limit]
	}
	for _, name := range names {
		out.MetricAlarms = append(out.MetricAlarms, s.alarms[name].shown())
	}
	return out, nil
}

func (s *Service) asked(a *alarm, in *describeAlarmsIn) bool {
	if len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, a.AlarmName) || len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, "MetricAlarm") {
		return false
	}
	if !strings.HasPrefix(a.AlarmName, in.AlarmNamePrefix) || in.StateValue != "" && in.StateValue != a.state {
		return false
	}
	return in.ActionPrefix == "" || slices.ContainsFunc(a.AlarmActions, func(action string) bool { return strings.HasPrefix(action, in.ActionPrefix) })
}

func (a *alarm) shown() metricAlarm {
	m := metricAlarm{
		AlarmName: a.AlarmName, AlarmArn: a.arn(), AlarmDescription: a.AlarmDescription, AlarmConfigurationUpdatedTimestamp: stack.Time{Time: a.configured},
		ActionsEnabled: a.ActionsEnabled == nil || bool(*a.ActionsEnabled),
		OKActions:      slices.Concat([]string{}, a.OKActions), AlarmActions: slices.Concat([]string{}, a.AlarmActions), InsufficientDataActions: slices.Concat([]string{}, a.InsufficientDataActions),
		StateValue: a.state, StateReason: a.reason, StateUpdatedTimestamp: stack.Time{Time: a.updated},
		MetricName: a.MetricName, Namespace: a.Namespace, Statistic: a.Statistic, ExtendedStatistic: a.ExtendedStatistic, Dimensions: slices.Concat([]dimension{}, a.Dimensions),
		Period: int(a.Period), EvaluationPeriods: int(a.EvaluationPeriods), DatapointsToAlarm: int(a.DatapointsToAlarm),
		Threshold: float64(a.Threshold), ComparisonOperator: a.ComparisonOperator, TreatMissingData: a.TreatMissingData,
	}
	for _, q := range a.Metrics {
		shown := dataQueryShown{ID: q.ID, Expression: q.Expression, Label: q.Label, ReturnData: q.returned()}
		if q.MetricStat != nil {
			shown.MetricStat = &metricStatShown{q.MetricStat.Metric, int(q.MetricStat.Period), q.MetricStat.Stat}
		}
		m.Metrics = append(m.Metrics, shown)
	}
	return m
}

type setAlarmStateIn struct {
	AlarmName, StateValue, StateReason string
	StateReasonData                    string // data for the console only
}

// setAlarmState lasts until the next evaluation that finds otherwise.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
func (s *Service) setAlarmState(_ context.Context, _ *stack.Call, in *setAlarmStateIn) (*none, error) {
	if !slices.Contains([]string{inAlarm, isOK, insufficient}, in.StateValue) {
		return nil, invalid("StateValue is %q", in.StateValue)
	}
	s.mu.Lock()
	a, ok := s.alarms[in.AlarmName]
	if !ok {
		s.mu.Unlock()
		return nil, &stack.Error{Code: "ResourceNotFound", Status: 404, Message: "The alarm " + in.AlarmName + " does not exist"}
	}
	notices := a.become(in.StateValue, in.StateReason, s.clock.Now())
	if a.evaluated.IsZero() {
		a.evaluated = s.clock.Now().Truncate(a.step())
	}
	s.mu.Unlock()
	s.notify(notices)
	return &none{}, nil
}
