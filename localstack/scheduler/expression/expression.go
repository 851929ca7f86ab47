// Package expression reads schedule expressions: rate(5 minutes), cron(0 9 ? * MON-FRI *) and at(2026-11-20T13:00:00),
// as EventBridge Scheduler and EventBridge rules take them.
//
// Sources:
//   - https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
package expression

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Expression says when something is due.
type Expression interface {
	// Next is the first due time after t, or false if there is none any more.
	Next(t time.Time) (time.Time, bool)
	// Once says that there is one due time at most.
	Once() bool
}

var form = regexp.MustCompile(`^(rate|cron|at)\((.*)\)$`)

// Parse reads an expression. Cron fields and at() times are in the time zone; rates know none.
func Parse(text string, zone *time.Location) (Expression, error) {
	m := form.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is not of the form rate(...), cron(...) or at(...)", text)
	}
	switch m[1] {
	case "rate":
		return parseRate(m[2])
	case "cron":
		return parseCron(m[2], zone)
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", m[2], zone)
	if err != nil {
		return nil, fmt.Errorf("at(%s): write yyyy-mm-ddThh:mm:ss", m[2])
	}
	return at(t), nil
}

type at time.Time

func (a at) Once() bool { return true }

func (a at) Next(t time.Time) (time.Time, bool) { return time.Time(a), time.Time(a).After(t) }

// Rate is a regular pause, counted from the time asked about.
type Rate time.Duration

// Once is false.
func (r Rate) Once() bool { return false }

// Next is the time after one pause.
func (r Rate) Next(t time.Time) (time.Time, bool) { return t.Add(time.Duration(r)), true }

func parseRate(text string) (Expression, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("rate(%s): the value must be a positive number", text)
	}
	singular := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	d, ok := singular[strings.TrimSuffix(unit, "s")]
	if !ok {
		return nil, fmt.Errorf("rate(%s): the unit must be minutes, hours or days", text)
	}
	if n == 1 && strings.HasSuffix(unit, "s") || n > 1 && !strings.HasSuffix(unit, "s") {
		return nil, fmt.Errorf("rate(%s): the unit is singular for 1 and plural otherwise", text)
	}
	return Rate(time.Duration(n) * d), nil
}
