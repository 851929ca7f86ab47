package inspection_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

func TestJudge(t *testing.T) {
	inUse := func(v rotator.Verdict, err error) inspection.Trial {
		return inspection.Trial{Version: version, Current: true, Verdict: v, Err: err}
	}
	revoked := func(v rotator.Verdict, err error) inspection.Trial {
		return inspection.Trial{Version: another, Verdict: v, Err: err}
	}
	well := inUse(rotator.Honoured, nil)
	same, alien := revoked(rotator.Honoured, nil), revoked(rotator.Honoured, nil)
	same.Same, alien.Alien = true, true
	down := fault.New(fault.TargetUnavailable, "no answer")
	for name, c := range map[string]struct {
		trials []inspection.Trial
		ago    time.Duration
		edits  []edit
		want   string
		asks   trigger.Type
	}{
		"as it should be":                    {trials: []inspection.Trial{well, revoked(rotator.Refused, nil)}},
		"nothing tried":                      {},
		"refused":                            {trials: []inspection.Trial{inUse(rotator.Refused, nil)}, want: "CurrentRefused", asks: trigger.Upstream},
		"refused, for it is expired":         {trials: []inspection.Trial{inUse(rotator.Refused, nil)}, ago: 25 * time.Hour},
		"refused, expired and kept":          {trials: []inspection.Trial{inUse(rotator.Refused, nil)}, ago: 25 * time.Hour, edits: []edit{set("on_expiry", "keep")}, want: "CurrentRefused", asks: trigger.Upstream},
		"no login":                           {trials: []inspection.Trial{inUse("", fault.New(fault.ValueInvalid, "no username"))}, want: "CurrentRefused", asks: trigger.Upstream},
		"no answer":                          {trials: []inspection.Trial{inUse("", down)}, want: "Untried"},
		"no answer, the second time":         {trials: []inspection.Trial{well, revoked("", down)}},
		"revoked and honoured":               {trials: []inspection.Trial{well, revoked(rotator.Refused, nil), revoked(rotator.Honoured, nil)}, want: "RevokedHonoured", asks: trigger.Incident},
		"the value in use, stored again":     {trials: []inspection.Trial{well, same}},
		"a login that is none of this one's": {trials: []inspection.Trial{well, alien}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.ago == 0 {
				c.ago = time.Hour
			}
			s := rotated(c.ago)
			for _, e := range c.edits {
				e(&s)
			}
			var codes []string
			for _, f := range inspection.Judge(c.trials, s.Standing, s.Secret, now) {
				codes = append(codes, string(f.Code))
				if f.Type != c.asks || f.Code.Grade() == "" || f.Detail == "" || f.Reason == "" {
					t.Errorf("%+v", f)
				}
			}
			if got := strings.Join(codes, " "); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
