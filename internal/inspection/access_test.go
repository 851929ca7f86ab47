package inspection_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

const role = "arn:aws:iam::000000000000:role/"

func TestAttempts(t *testing.T) {
	const oldest = "mayfly-a-ffff456789abcdef0123456789abcdef01234567"
	versions := []string{version, another, oldest, foreign}
	for name, c := range map[string]struct {
		ago   time.Duration
		edits []edit
		want  string
	}{
		"all": {time.Hour, nil, "stranger refused; billing allowed; worker allowed; staging refused; billing " + another + " refused; billing " + oldest + " refused"},
		"expired": {25 * time.Hour, nil,
			"stranger refused; billing refused; worker refused; staging refused; billing " + another + " refused; billing " + oldest + " refused"},
		"expired and kept": {25 * time.Hour, []edit{set("on_expiry", "keep", "revoke_old", "false")}, "stranger refused; billing allowed; worker allowed; staging refused"},
		"old ones stay":    {time.Hour, []edit{set("revoke_old", "false")}, "stranger refused; billing allowed; worker allowed; staging refused"},
		"a failed run":     {time.Hour, []edit{set("last-outcome", "failed_dirty")}, "stranger refused; billing allowed; worker allowed; staging refused"},
		"no declared role": {time.Hour, []edit{func(s *inspection.Sight) { s.Readers, s.Elsewhere = nil, nil }}, "stranger refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := rotated(c.ago)
			s.Secret.Previous = another
			s.Readers, s.Elsewhere = []string{role + "billing", role + "worker"}, []string{role + "staging"}
			for _, e := range c.edits {
				e(&s)
			}
			var got []string
			for _, a := range inspection.Attempts(s.Standing, s.Secret, versions, role+"stranger", now) {
				got = append(got, strings.Join(strings.Fields(strings.TrimPrefix(a.Role, role)+" "+a.Version+" "+string(a.Want)), " "))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBreaches(t *testing.T) {
	attempt := func(want, got inspection.Answer) inspection.Attempt {
		return inspection.Attempt{Role: role + "x", Want: want, Got: got}
	}
	const yes, no, untried = inspection.Allowed, inspection.Refused, inspection.NoAttempt
	for name, c := range map[string]struct {
		attempts []inspection.Attempt
		says     string
	}{
		"as it must be":          {[]inspection.Attempt{attempt(no, no), attempt(yes, yes)}, ""},
		"untried":                {[]inspection.Attempt{attempt(no, untried), attempt(yes, untried)}, ""},
		"somebody reads":         {[]inspection.Attempt{attempt(yes, yes), attempt(no, yes)}, "x: allowed, and must be refused"},
		"a service is out":       {[]inspection.Attempt{attempt(yes, no)}, "x: refused, and must be allowed"},
		"the wrong one is first": {[]inspection.Attempt{attempt(yes, no), attempt(no, yes)}, "x: refused, and must be allowed; x: allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			found := inspection.Breaches(c.attempts)
			if c.says == "" && len(found) > 0 || c.says != "" && (len(found) != 1 || found[0].Type != trigger.Incident || !strings.Contains(found[0].Reason, c.says)) {
				t.Errorf("%+v", found)
			}
		})
	}
}
