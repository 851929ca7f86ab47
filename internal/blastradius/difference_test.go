package blastradius_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
)

// A rotation later, with other dates and versions, the policy means the same.
func TestRotationsMakeNoDifference(t *testing.T) {
	w, later := newWorld(), options()
	services := w.bundle().Services
	later.Current, later.Before, later.OverlapEnds, later.ExpiresAt = "newer", "new", time.Time{}, expiry.AddDate(0, 0, 1)
	first, second := compiled(t, *w.api, services, options()), compiled(t, *w.api, services, later)
	if string(first) == string(second) || len(blastradius.Differences(string(first), second)) > 0 {
		t.Error(blastradius.Differences(string(first), second))
	}
	born := options()
	born.Current, born.Before = "", ""
	if found := blastradius.Differences(string(compiled(t, *w.api, services, born)), second); len(found) > 0 {
		t.Error("before the first version", found)
	}
}

// What somebody did to a policy is said, by the statement and the role.
func TestDifferencesSayWhatIsOther(t *testing.T) {
	w := newWorld()
	want := string(compiled(t, *w.api, w.bundle().Services, options()))
	declared := `"` + arn("prod-billing") + `"`
	for name, c := range map[string]struct {
		inForce string
		said    []string
	}{
		"none":         {"", []string{"no resource policy is in force"}},
		"no policy":    {"{", []string{"cannot be read"}},
		"one more":     {strings.ReplaceAll(want, declared, declared+`,"`+arn("prod-analytics")+`"`), []string{"DeclaredServicesRead names " + arn("prod-analytics"), "NobodyElseReads spares " + arn("prod-analytics")}},
		"one less":     {strings.ReplaceAll(want, `,`+declared, ""), []string{"DeclaredServicesRead does not name " + arn("prod-billing"), "NobodyElseReads does not spare " + arn("prod-billing")}},
		"no expiry":    {without(t, want, blastradius.SidExpired), []string{"the statement NobodyReadsPastExpiry is missing"}},
		"before it":    {strings.Replace(want, `"DateGreaterThan":{"aws:CurrentTime":["2026-03-01`, `"DateLessThan":{"aws:CurrentTime":["2026-03-01`, 1), []string{"is another one"}},
		"everybody":    {strings.Replace(want, `"Statement":[`, `"Statement":[{"Sid":"Oops","Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"},`, 1), []string{`further statement "Oops": [{"Action":["secretsmanager:*"],"Effect":"Allow"`}},
		"same name":    {strings.Replace(want, `"Statement":[`, `"Statement":[{"Sid":"NobodyElseReads","Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"},`, 1), []string{`further statement "NobodyElseReads"`}},
		"old grammar":  {strings.Replace(want, "2012-10-17", "2008-10-17", 1), []string{"its version is 2008-10-17"}},
		"deleted role": {strings.Replace(want, `"Principal":{"AWS":["`+arn("break-glass"), `"Principal":{"AWS":["AROA0000000000000000`, 1), []string{"DeclaredServicesRead names AROA0000000000000000", "DeclaredServicesRead does not name " + arn("break-glass")}},
	} {
		t.Run(name, func(t *testing.T) {
			found := blastradius.Differences(c.inForce, []byte(want))
			if len(found) != len(c.said) {
				t.Fatalf("%q", found)
			}
			for i, said := range c.said {
				if !strings.Contains(found[i], said) {
					t.Errorf("%q, want %q", found[i], said)
				}
			}
		})
	}
	if found := blastradius.Differences(strings.Replace(want, `"Statement":[`, `"Statement":[`+strings.Repeat(`{"Sid":"x","Effect":"Deny","Principal":"*","Action":"`+strings.Repeat("a", 9000)+`","Resource":"*"},`, 50), 1), []byte(want)); len(strings.Join(found, "")) > 2000 {
		t.Errorf("%d characters about a long policy", len(strings.Join(found, "")))
	}
}

// without leaves a statement out.
func without(t *testing.T, policy, sid string) string {
	t.Helper()
	from := strings.Index(policy, `{"Sid":"`+sid)
	to := from + strings.Index(policy[from:], `},{"Sid"`) + 2
	return policy[:from] + policy[to:]
}

func TestLoosenedDatesAndVersions(t *testing.T) {
	w := newWorld()
	services := w.bundle().Services
	want := compiled(t, *w.api, services, options())
	for name, c := range map[string]struct {
		change func(o *blastradius.Options)
		said   []string
	}{
		"the same":      {func(*blastradius.Options) {}, nil},
		"earlier":       {func(o *blastradius.Options) { o.ExpiresAt, o.OverlapEnds, o.Before = overlap, time.Time{}, "" }, nil},
		"later expiry":  {func(o *blastradius.Options) { o.ExpiresAt = expiry.AddDate(1, 0, 0) }, []string{"NobodyReadsPastExpiry begins at 2027-03-01T12:00:00Z and not at 2026-03-01T12:00:00Z"}},
		"later overlap": {func(o *blastradius.Options) { o.OverlapEnds = expiry }, []string{"NobodyReadsOldVersionPastOverlap begins", "NobodyReadsOldLabelPastOverlap begins"}},
		"other version": {func(o *blastradius.Options) { o.Before = "leaked" }, []string{"NobodyReadsOtherVersions spares version leaked"}},
	} {
		o := options()
		c.change(&o)
		found := blastradius.Loosened(string(compiled(t, *w.api, services, o)), want)
		if len(found) != len(c.said) {
			t.Errorf("%s: %q", name, found)
			continue
		}
		for i, said := range c.said {
			if !strings.HasPrefix(found[i], said) {
				t.Errorf("%s: %q, want %q", name, found[i], said)
			}
		}
	}
	if found := blastradius.Loosened("{", want); found != nil {
		t.Error(found)
	}
}

func TestDatesOfAPolicy(t *testing.T) {
	w := newWorld()
	expires, ends := blastradius.Dates(string(compiled(t, *w.api, w.bundle().Services, options())))
	if !expires.Equal(expiry) || !ends.Equal(overlap) {
		t.Error(expires, ends)
	}
	for _, text := range []string{"", "{", `{"Version":"2012-10-17","Statement":[{"Sid":"NobodyReadsPastExpiry","Condition":{"DateGreaterThan":{"aws:CurrentTime":"never"}}}]}`} {
		if expires, ends := blastradius.Dates(text); !expires.IsZero() || !ends.IsZero() {
			t.Error(text, expires, ends)
		}
	}
}
