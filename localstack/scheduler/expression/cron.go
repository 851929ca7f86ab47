package expression

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cron has AWS's six fields: minutes, hours, day of month, month, day of week (1 is Sunday), year.
type cron struct {
	zone                         *time.Location
	minutes, hours, months, year set
	day                          func(time.Time) bool
}

// set is the values of one field; nil is every value.
type set map[int]bool

func (s set) has(v int) bool { return s == nil || s[v] }

func (c cron) Once() bool { return false }

// Next looks forward from t, by the month, the day and the minute, up to the last year that AWS takes.
func (c cron) Next(t time.Time) (time.Time, bool) {
	local := t.In(c.zone).Truncate(time.Minute).Add(time.Minute)
	for local.Year() <= 2199 {
		switch {
		case !c.year.has(local.Year()):
			local = time.Date(local.Year()+1, 1, 1, 0, 0, 0, 0, c.zone)
		case !c.months.has(int(local.Month())):
			local = time.Date(local.Year(), local.Month()+1, 1, 0, 0, 0, 0, c.zone)
		case !c.day(local):
			local = later(local, time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, c.zone))
		case !c.hours.has(local.Hour()):
			local = later(local, time.Date(local.Year(), local.Month(), local.Day(), local.Hour()+1, 0, 0, 0, c.zone))
		case !c.minutes.has(local.Minute()):
			local = local.Add(time.Minute)
		default:
			return local.UTC(), true
		}
	}
	return time.Time{}, false
}

// later is next, unless a change to daylight saving time made it no later than now: then an hour on.
func later(now, next time.Time) time.Time {
	if next.After(now) {
		return next
	}
	return now.Add(time.Hour).Truncate(time.Hour)
}

func parseCron(text string, zone *time.Location) (Expression, error) {
	fields := strings.Fields(text)
	if len(fields) != 6 {
		return nil, fmt.Errorf("cron(%s): there are six fields, minutes hours day-of-month month day-of-week year, not %d", text, len(fields))
	}
	c := cron{zone: zone}
	months := strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
	for _, f := range []struct {
		into      *set
		name      string
		text      string
		low, high int
		names     []string
	}{
		{&c.minutes, "minutes", fields[0], 0, 59, nil},
		{&c.hours, "hours", fields[1], 0, 23, nil},
		{&c.months, "month", fields[3], 1, 12, months},
		{&c.year, "year", fields[5], 1970, 2199, nil},
	} {
		s, err := parseField(f.text, f.low, f.high, f.names)
		if err != nil {
			return nil, fmt.Errorf("cron(%s): %s: %w", text, f.name, err)
		}
		*f.into = s
	}
	day, err := parseDays(fields[2], fields[4])
	if err != nil {
		return nil, fmt.Errorf("cron(%s): %w", text, err)
	}
	c.day = day
	return c, nil
}

// parseDays reads the two day fields, of which one must be "?".
func parseDays(ofMonth, ofWeek string) (func(time.Time) bool, error) {
	switch {
	case (ofMonth == "?") == (ofWeek == "?"):
		return nil, fmt.Errorf("one of day-of-month and day-of-week must be ?, the other not")
	case ofWeek == "?":
		return parseDayOfMonth(ofMonth)
	}
	return parseDayOfWeek(ofWeek)
}

func parseDayOfMonth(text string) (func(time.Time) bool, error) {
	if text == "L" {
		return func(t time.Time) bool { return t.AddDate(0, 0, 1).Day() == 1 }, nil
	}
	if number, ok := strings.CutSuffix(text, "W"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 31 {
			return nil, fmt.Errorf("day-of-month: %q is not a day and W", text)
		}
		return func(t time.Time) bool { return t.Day() == nearestWeekday(t, n) }, nil
	}
	s, err := parseField(text, 1, 31, nil)
	if err != nil {
		return nil, fmt.Errorf("day-of-month: %w", err)
	}
	return func(t time.Time) bool { return s.has(t.Day()) }, nil
}

// nearestWeekday is the day, of t's month, of the weekday nearest to day n; it does not leave the month. It is 0 if the
// month has no day n.
func nearestWeekday(t time.Time, n int) int {
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if n > last {
		return 0
	}
	switch time.Date(t.Year(), t.Month(), n, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if n == 1 {
			return 3
		}
		return n - 1
	case time.Sunday:
		if n == last {
			return n - 2
		}
		return n + 1
	}
	return n
}

func parseDayOfWeek(text string) (func(time.Time) bool, error) {
	days := strings.Fields("SUN MON TUE WED THU FRI SAT")
	number := func(t time.Time) int { return int(t.Weekday()) + 1 }
	if day, nth, ok := strings.Cut(text, "#"); ok {
		d, err := parseValue(day, 1, 7, days)
		n, err2 := strconv.Atoi(nth)
		if err != nil || err2 != nil || n < 1 || n > 5 {
			return nil, fmt.Errorf("day-of-week: %q is not a day, # and 1 to 5", text)
		}
		return func(t time.Time) bool { return number(t) == d && (t.Day()-1)/7+1 == n }, nil
	}
	if day, ok := strings.CutSuffix(text, "L"); ok {
		if day == "" {
			return func(t time.Time) bool { return t.Weekday() == time.Saturday }, nil
		}
		d, err := parseValue(day, 1, 7, days)
		if err != nil {
			return nil, fmt.Errorf("day-of-week: %w", err)
		}
		return func(t time.Time) bool { return number(t) == d && t.AddDate(0, 0, 7).Month() != t.Month() }, nil
	}
	s, err := parseField(text, 1, 7, days)
	if err != nil {
		return nil, fmt.Errorf("day-of-week: %w", err)
	}
	return func(t time.Time) bool { return s.has(number(t)) }, nil
}

// parseField reads *, values, ranges, lists and steps: 1,2 or MON-FRI or 0/15 or 10-20/2.
func parseField(text string, low, high int, names []string) (set, error) {
	if text == "*" {
		return nil, nil
	}
	s := set{}
	for _, part := range strings.Split(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%q has no positive number after the /", part)
			}
			step = n
		}
		from, to := low, high
		if span != "*" {
			first, last, isRange := strings.Cut(span, "-")
			var err error
			if from, err = parseValue(first, low, high, names); err != nil {
				return nil, err
			}
			switch {
			case isRange:
				if to, err = parseValue(last, low, high, names); err != nil {
					return nil, err
				}
			case !stepped:
				to = from
			}
		}
		if from > to {
			return nil, fmt.Errorf("%q ends before it begins", part)
		}
		for v := from; v <= to; v += step {
			s[v] = true
		}
	}
	return s, nil
}

func parseValue(text string, low, high int, names []string) (int, error) {
	for i, name := range names {
		if strings.EqualFold(name, text) {
			return low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not from %d to %d", text, low, high)
	}
	return n, nil
}
