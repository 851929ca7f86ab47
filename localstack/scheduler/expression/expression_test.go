package expression_test

import (
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/scheduler/expression"
)

func TestNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, c := range []struct{ text, zone, after, want string }{
		{"rate(1 minute)", "UTC", "2026-03-01 10:00:30", "2026-03-01 10:01:30"},
		{"rate(15 minutes)", "UTC", "2026-03-01 10:00:00", "2026-03-01 10:15:00"},
		{"rate(2 hours)", "UTC", "2026-03-01 10:00:00", "2026-03-01 12:00:00"},
		{"rate(7 days)", "UTC", "2026-03-01 10:00:00", "2026-03-08 10:00:00"},
		{"at(2026-11-20T13:00:00)", "UTC", "2026-03-01 10:00:00", "2026-11-20 13:00:00"},
		{"at(2026-11-20T13:00:00)", "Europe/Lisbon", "2026-03-01 10:00:00", "2026-11-20 13:00:00"},
		{"at(2026-07-20T13:00:00)", "America/New_York", "2026-03-01 10:00:00", "2026-07-20 17:00:00"},
		{"at(2026-11-20T13:00:00)", "UTC", "2026-11-20 13:00:00", ""},
		{"cron(0 9 * * ? *)", "UTC", "2026-03-01 09:00:00", "2026-03-02 09:00:00"},
		{"cron(0 9 * * ? *)", "UTC", "2026-03-01 08:59:59", "2026-03-01 09:00:00"},
		{"cron(0/15 * * * ? *)", "UTC", "2026-03-01 10:16:00", "2026-03-01 10:30:00"},
		{"cron(5,35 14 * * ? *)", "UTC", "2026-03-01 14:05:00", "2026-03-01 14:35:00"},
		{"cron(0 10-12/2 * * ? *)", "UTC", "2026-03-01 10:00:00", "2026-03-01 12:00:00"},
		{"cron(15 10 ? * MON-FRI *)", "UTC", "2026-03-06 11:00:00", "2026-03-09 10:15:00"}, // Friday -> Monday
		{"cron(0 8 ? * 1 *)", "UTC", "2026-03-02 00:00:00", "2026-03-08 08:00:00"},         // 1 is Sunday
		{"cron(0 8 1 * ? *)", "UTC", "2026-03-01 08:00:00", "2026-04-01 08:00:00"},
		{"cron(0 8 31 * ? *)", "UTC", "2026-03-31 08:00:00", "2026-05-31 08:00:00"},
		{"cron(0 8 L * ? *)", "UTC", "2026-02-01 00:00:00", "2026-02-28 08:00:00"},
		{"cron(0 8 1W * ? *)", "UTC", "2026-08-01 00:00:00", "2026-08-03 08:00:00"},  // the 1st is a Saturday
		{"cron(0 8 31W * ? *)", "UTC", "2026-05-01 00:00:00", "2026-05-29 08:00:00"}, // the 31st is a Sunday
		{"cron(0 8 ? * TUE#3 *)", "UTC", "2026-03-01 00:00:00", "2026-03-17 08:00:00"},
		{"cron(0 8 ? * 6L *)", "UTC", "2026-03-01 00:00:00", "2026-03-27 08:00:00"}, // last Friday
		{"cron(0 8 ? * L *)", "UTC", "2026-03-01 00:00:00", "2026-03-07 08:00:00"},  // Saturday
		{"cron(0 0 29 FEB ? *)", "UTC", "2026-03-01 00:00:00", "2028-02-29 00:00:00"},
		{"cron(0 0 1 1 ? 2030/5)", "UTC", "2031-01-01 00:00:00", "2035-01-01 00:00:00"},
		{"cron(0 0 1 1 ? 2020)", "UTC", "2026-01-01 00:00:00", ""},
		{"cron(30 2 * * ? *)", "America/New_York", "2026-03-07 08:00:00", "2026-03-09 06:30:00"}, // 2:30 on the 8th does not exist
		{"cron(0 9 * * ? *)", "America/New_York", "2026-10-31 14:00:00", "2026-11-01 14:00:00"},  // back to standard time
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		e, err := expression.Parse(c.text, zone)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		after, err := time.Parse(layout, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if next, ok := e.Next(after); ok {
			got = next.UTC().Format(layout)
		}
		if got != c.want {
			t.Errorf("%s in %s after %s: %q, want %q", c.text, c.zone, c.after, got, c.want)
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, text := range []string{
		"", "15 minutes", "rate(15)", "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(5 weeks)", "rate(5 minutess)", "at(tomorrow)", "at(2026-13-01T00:00:00)",
		"cron(0 9 * * ?)", "cron(0 9 * * * *)", "cron(0 9 ? * ? *)", "cron(60 9 * * ? *)", "cron(0 24 * * ? *)", "cron(0 9 32 * ? *)",
		"cron(0 9 * 13 ? *)", "cron(0 9 ? * 8 *)", "cron(0 9 ? * FOO *)", "cron(0 9 ? * MON#6 *)", "cron(0/0 9 * * ? *)", "cron(9-5 9 * * ? *)", "cron(0 9 40W * ? *)",
	} {
		if _, err := expression.Parse(text, time.UTC); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
