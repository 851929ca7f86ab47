package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// States of an alarm.
const (
	inAlarm      = "ALARM"
	isOK         = "OK"
	insufficient = "INSUFFICIENT_DATA"
)

// alarm is a metric alarm and what was last seen of it.
type alarm struct {
	alarmProperties
	queries *queries
	watched string // id of the query that is compared with the threshold
	period  time.Duration

	configured time.Time
	state      string
	reason     string
	updated    time.Time // the state's last change
	evaluated  time.Time // up to here every minute was looked at
}

func (a *alarm) arn() string {
	return fmt.Sprintf("arn:aws:cloudwatch:%s:%s:alarm:%s", stack.Region, stack.Account, a.AlarmName)
}

// step is how often an alarm is evaluated: every minute, or every ten seconds if its period is shorter than a minute.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
func (a *alarm) step() time.Duration {
	if a.period < time.Minute {
		return 10 * time.Second
	}
	return time.Minute
}

// span is the evaluation range: two periods more than are evaluated, as in the tables of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
func (a *alarm) span() int { return int(a.EvaluationPeriods) + 2 }

// notice is an alarm action to carry out.
type notice struct{ topic, subject, message string }

// Evaluate brings every alarm up to date with the clock and carries out the actions of those that changed, in the
// background and in order.
func (s *Service) Evaluate() {
	s.mu.Lock()
	notices := s.evaluate()
	s.mu.Unlock()
	s.notify(notices)
}

func (s *Service) notify(notices []notice) {
	if len(notices) == 0 || s.publish == nil {
		return
	}
	go func() {
		for _, n := range notices {
			// A topic that is gone or refuses is not the alarm's business: CloudWatch only notes it in the history.
			_ = s.publish(context.Background(), n.topic, n.subject, n.message)
		}
	}()
}

// evaluate is Evaluate with s.mu held.
func (s *Service) evaluate() []notice {
	names := make([]string, 0, len(s.alarms))
	for name := range s.alarms {
		names = append(names, name)
	}
	sort.Strings(names)
	var notices []notice
	now := s.clock.Now()
	for _, name := range names {
		notices = append(notices, s.catchUp(s.alarms[name], now)...)
	}
	return notices
}

// catchUp evaluates an alarm at every step since it was last evaluated, so that an alarm that came and went while the
// clock was moved still tells. Once the data are all behind the evaluation range, no later step can differ.
func (s *Service) catchUp(a *alarm, now time.Time) []notice {
	last := now.Truncate(a.step())
	from := a.evaluated.Add(a.step())
	if a.evaluated.IsZero() {
		from = last
	}
	var notices []notice
	for t := from; !t.After(last); t = t.Add(a.step()) {
		state, reason := s.assess(a, t)
		notices = append(notices, a.become(state, reason, t)...)
		if s.newest(a).Before(t.Add(-time.Duration(a.span()) * a.period)) {
			break
		}
	}
	if last.After(a.evaluated) {
		a.evaluated = last
	}
	return notices
}

// newest is the time of the newest datum of all metrics that an alarm looks at.
func (s *Service) newest(a *alarm) time.Time {
	var newest time.Time
	for _, q := range a.queries.list {
		if q.MetricStat == nil {
			continue
		}
		m := q.MetricStat.Metric
		if at := s.series[key(m.Namespace, m.MetricName, toMap(m.Dimensions))].newest(); at.After(newest) {
			newest = at
		}
	}
	return newest
}

// assess gives the state at time t. Real data are used first; missing ones are filled in only where the evaluation range
// has fewer real ones than are to be evaluated.
func (s *Service) assess(a *alarm, t time.Time) (state, reason string) {
	want, breaching := int(a.EvaluationPeriods), 0
	var values []float64
	for i := 0; i < a.span() && len(values) < want; i++ {
		to := t.Add(-time.Duration(i) * a.period)
		if v, ok := s.value(a.queries, a.watched, to.Add(-a.period), to, 0); ok {
			values = append(values, v)
			if a.breaches(v) {
				breaching++
			}
		}
	}
	missing := want - len(values)
	reason = fmt.Sprintf("Threshold Crossed: %d of the last %d datapoints %v %s %v (minimum %d datapoints for ALARM, %d missing datapoints treated as %s).",
		breaching, want, values, a.ComparisonOperator, float64(a.Threshold), a.needed(), missing, a.missing())
	switch {
	case missing == 0 || a.missing() == "notBreaching":
		return choose(breaching >= a.needed()), reason
	case a.missing() == "breaching":
		return choose(breaching+missing >= a.needed()), reason
	case a.missing() == "ignore":
		if breaching >= a.needed() || breaching < len(values) {
			return choose(breaching >= a.needed()), reason
		}
		return a.state, a.reason
	case len(values) == 0:
		return insufficient, fmt.Sprintf("Insufficient Data: %d datapoints were unknown.", want)
	}
	// "missing": what there is decides, however little it is.
	return choose(breaching >= min(a.needed(), len(values))), reason
}

func choose(alarming bool) string {
	if alarming {
		return inAlarm
	}
	return isOK
}

func (a *alarm) needed() int {
	if a.DatapointsToAlarm > 0 {
		return int(a.DatapointsToAlarm)
	}
	return int(a.EvaluationPeriods)
}

func (a *alarm) missing() string {
	if a.TreatMissingData == "" {
		return "missing"
	}
	return a.TreatMissingData
}

func (a *alarm) breaches(v float64) bool {
	switch a.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold":
		return v >= float64(a.Threshold)
	case "GreaterThanThreshold":
		return v > float64(a.Threshold)
	case "LessThanThreshold":
		return v < float64(a.Threshold)
	}
	return v <= float64(a.Threshold) // LessThanOrEqualToThreshold, the last that makeAlarm lets in
}

// become changes an alarm's state and returns the actions that this calls for.
func (a *alarm) become(state, reason string, at time.Time) []notice {
	if state == a.state {
		return nil
	}
	old := a.state
	a.state, a.reason, a.updated = state, reason, at
	if a.ActionsEnabled != nil && !bool(*a.ActionsEnabled) {
		return nil
	}
	topics := map[string][]string{inAlarm: a.AlarmActions, isOK: a.OKActions, insufficient: a.InsufficientDataActions}[state]
	var notices []notice
	for _, topic := range topics {
		notices = append(notices, notice{topic, fmt.Sprintf("%s: %q in US East (N. Virginia)", state, a.AlarmName), a.message(old)})
	}
	return notices
}

// message is what CloudWatch sends to a topic.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
func (a *alarm) message(old string) string {
	b, _ := json.Marshal(map[string]any{ // strings, numbers and lists of them always have a JSON form
		"AlarmName": a.AlarmName, "AlarmDescription": a.AlarmDescription, "AWSAccountId": stack.Account,
		"AlarmConfigurationUpdatedTimestamp": a.configured.Format("2006-01-02T15:04:05.000-0700"),
		"NewStateValue":                      a.state, "NewStateReason": a.reason, "OldStateValue": old,
		"StateChangeTime": a.updated.Format("2006-01-02T15:04:05.000-0700"), "Region": "US East (N. Virginia)", "AlarmArn": a.arn(),
		"OKActions": a.OKActions, "AlarmActions": a.AlarmActions, "InsufficientDataActions": a.InsufficientDataActions,
		"Trigger": map[string]any{
			"MetricName": a.MetricName, "Namespace": a.Namespace, "StatisticType": "Statistic", "Statistic": strings.ToUpper(a.Statistic),
			"Period": a.period.Seconds(), "EvaluationPeriods": int(a.EvaluationPeriods), "DatapointsToAlarm": a.needed(),
			"ComparisonOperator": a.ComparisonOperator, "Threshold": float64(a.Threshold), "TreatMissingData": a.missing(),
			"Dimensions": a.Dimensions,
		},
	})
	return string(b)
}
