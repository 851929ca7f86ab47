package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// The tables of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: 0 is a
// datapoint within the threshold, X one that breaches, - a missing one, the newest last. "retain" keeps the state.
func TestMissingData(t *testing.T) {
	const retain = "retain"
	for _, c := range []struct {
		points                                   string
		needed                                   number
		missing, ignore, breaching, notBreaching string
	}{
		{"0 - X - X", 3, isOK, isOK, isOK, isOK},
		{"- - - - 0", 3, isOK, isOK, isOK, isOK},
		{"- - - - -", 3, insufficient, retain, inAlarm, isOK},
		{"0 X X - X", 3, inAlarm, inAlarm, inAlarm, inAlarm},
		{"- - X - -", 3, inAlarm, retain, inAlarm, isOK},
		{"0 - X - X", 2, inAlarm, inAlarm, inAlarm, inAlarm},
		{"0 0 X 0 X", 2, inAlarm, inAlarm, inAlarm, inAlarm},
		{"0 - X - -", 2, isOK, isOK, inAlarm, isOK},
		{"- - - - 0", 2, isOK, isOK, inAlarm, isOK},
		{"- - - X -", 2, inAlarm, retain, inAlarm, isOK},
	} {
		for treat, want := range map[string]string{"missing": c.missing, "ignore": c.ignore, "breaching": c.breaching, "notBreaching": c.notBreaching} {
			s := New(stack.NewClock(), nil)
			at := time.Unix(600, 0).UTC()
			for i, p := range strings.Fields(c.points) {
				if value, ok := map[string]float64{"0": 0, "X": 1}[p]; ok {
					s.Add("n", "m", nil, value, at.Add(time.Duration(i-5)*time.Minute))
				}
			}
			a := &alarm{state: retain, alarmProperties: alarmProperties{
				Namespace: "n", MetricName: "m", Statistic: "Sum", Period: 60, EvaluationPeriods: 3, DatapointsToAlarm: c.needed,
				Threshold: 1, ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: treat,
			}}
			if err := a.prepare(); err != nil {
				t.Fatal(err)
			}
			if got, _ := s.assess(a, at); got != want {
				t.Errorf("%s, %v of 3, %s: got %s, want %s", c.points, c.needed, treat, got, want)
			}
		}
	}
}
