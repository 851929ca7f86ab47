package policy_test

import (
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const ago = -time.Hour

// fresh was rotated an hour ago by a run and is not due.
func fresh(edit ...func(*policy.Facts)) policy.Facts {
	f := policy.Facts{RotatedAt: now.Add(ago), LastRun: now.Add(ago), ExpiresAt: now.Add(23 * time.Hour), LastOutcome: "rotated"}
	for _, e := range edit {
		e(&f)
	}
	return f
}

func day() contract.Contract {
	return contract.Contract{
		Name: "orders-db", Environment: "prod", TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"deployment", "incident"},
	}
}

func TestDecide(t *testing.T) {
	stale := fresh(func(f *policy.Facts) {
		f.RotatedAt, f.LastRun, f.ExpiresAt = now.Add(-20*time.Hour), now.Add(-20*time.Hour), now.Add(4*time.Hour)
	})
	just := func(f *policy.Facts) { f.RotatedAt, f.LastRun = now.Add(-9*time.Minute), now.Add(-9*time.Minute) }
	born := func(f *policy.Facts) { just(f); f.LastRun = time.Time{} }
	failed := func(f *policy.Facts) { f.LastOutcome = "failed_clean" }
	mark := func(f *policy.Facts) { f.Compromised = true }
	dead := func(f *policy.Facts) { f.Withdrawn = true }
	half := func(f *policy.Facts) { f.Unfinished = true }
	none := func(f *policy.Facts) { f.NoCurrent = true }
	hold := policy.Default(day())
	hold.FailureStrategy = policy.FailHold
	short := policy.Default(day())
	short.TTL, short.RotateBefore = contract.Duration(30*time.Minute), contract.Duration(10*time.Minute)

	by := func(kind trigger.Type) trigger.Trigger { return trigger.Trigger{Type: kind, ID: "1"} }
	incident := func(severity float64) trigger.Trigger {
		return trigger.Trigger{Type: trigger.Incident, ID: "1", Severity: severity}
	}
	for name, c := range map[string]struct {
		trigger trigger.Trigger
		facts   policy.Facts
		policy  policy.Policy // zero: the default
		reason  policy.Reason
		mode    trigger.Mode
	}{
		"schedule, fresh":                      {by(trigger.Schedule), fresh(), policy.Policy{}, policy.NotDue, trigger.None},
		"schedule, due":                        {by(trigger.Schedule), stale, policy.Policy{}, policy.Due, trigger.Routine},
		"schedule, ttl tightened since":        {by(trigger.Schedule), fresh(), short, policy.Due, trigger.Routine},
		"schedule, age unknown":                {by(trigger.Schedule), policy.Facts{}, policy.Policy{}, policy.AgeUnknown, trigger.Routine},
		"schedule, unfinished run":             {by(trigger.Schedule), fresh(half), policy.Policy{}, policy.UnfinishedRun, trigger.Routine},
		"schedule, nothing current":            {by(trigger.Schedule), fresh(none), policy.Policy{}, policy.NoCurrentVersion, trigger.Routine},
		"schedule, withdrawn":                  {by(trigger.Schedule), fresh(dead, none), policy.Policy{}, policy.Withdrawn, trigger.None},
		"schedule, marked":                     {by(trigger.Schedule), fresh(mark), policy.Policy{}, policy.Compromised, trigger.Contain},
		"schedule, failed and held":            {by(trigger.Schedule), stale2(stale, failed), hold, policy.HeldAfterFailed, trigger.None},
		"schedule, failed and not held":        {by(trigger.Schedule), stale2(stale, failed), policy.Policy{}, policy.Due, trigger.Routine},
		"schedule, held and unfinished":        {by(trigger.Schedule), fresh(failed, half), hold, policy.HeldAfterFailed, trigger.None},
		"manual, fresh":                        {by(trigger.Manual), fresh(), policy.Policy{}, policy.ByHand, trigger.Routine},
		"manual, a moment after a run":         {by(trigger.Manual), fresh(just), policy.Policy{}, policy.ByHand, trigger.Routine},
		"manual, failed and held":              {by(trigger.Manual), fresh(failed), hold, policy.ByHand, trigger.Routine},
		"manual, marked":                       {by(trigger.Manual), fresh(mark), policy.Policy{}, policy.Compromised, trigger.Contain},
		"manual, withdrawn":                    {by(trigger.Manual), fresh(dead), policy.Policy{}, policy.Withdrawn, trigger.None},
		"deployment, listed":                   {by(trigger.Deployment), fresh(), policy.Policy{}, policy.Listed, trigger.Routine},
		"deployment, a moment after a run":     {by(trigger.Deployment), fresh(just), policy.Policy{}, policy.CoolingDown, trigger.None},
		"deployment, a moment after creation":  {by(trigger.Deployment), fresh(born), policy.Policy{}, policy.Listed, trigger.Routine},
		"commit, not listed":                   {by(trigger.Commit), fresh(), policy.Policy{}, policy.NotListed, trigger.None},
		"commit, not listed, unfinished":       {by(trigger.Commit), fresh(half), policy.Policy{}, policy.UnfinishedRun, trigger.Routine},
		"commit, not listed, marked":           {by(trigger.Commit), fresh(mark), policy.Policy{}, policy.Compromised, trigger.Contain},
		"annotation":                           {by(trigger.Annotation), fresh(), policy.Policy{}, policy.Compromised, trigger.Contain},
		"incident, medium":                     {incident(6.9), fresh(), policy.Policy{}, policy.BelowThreshold, trigger.None},
		"incident, high":                       {incident(7.0), fresh(), policy.Policy{}, policy.Listed, trigger.Routine},
		"incident, high, a moment after a run": {incident(8.9), fresh(just), policy.Policy{}, policy.Listed, trigger.Routine},
		"incident, high, failed and held":      {incident(8.9), fresh(failed), hold, policy.Listed, trigger.Routine},
		"incident, critical":                   {incident(9.0), fresh(just), policy.Policy{}, policy.CriticalIncident, trigger.Contain},
		"incident, critical, unfinished":       {incident(9.5), fresh(half), policy.Policy{}, policy.CriticalIncident, trigger.Contain},
		"incident, critical, withdrawn":        {incident(9.5), fresh(dead), policy.Policy{}, policy.Withdrawn, trigger.None},
		"no trigger at all":                    {trigger.Trigger{}, fresh(), policy.Policy{}, policy.NotListed, trigger.None},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.policy
			if p == (policy.Policy{}) {
				p = policy.Default(day())
			}
			d := policy.Decide(policy.Input{Contract: day(), Policy: p, Trigger: c.trigger, Facts: c.facts, Now: now})
			if d.Reason != c.reason || d.Mode != c.mode || d.Skip != (c.mode == trigger.None) {
				t.Errorf("got %+v, want %s %s", d, c.reason, c.mode)
			}
			if d.Message == "" {
				t.Error("the decision has no sentence for the auditor")
			}
		})
	}
}

func stale2(f policy.Facts, edit func(*policy.Facts)) policy.Facts {
	edit(&f)
	return f
}

func TestIncidentNotListed(t *testing.T) {
	c := day()
	c.RotateOn = []string{"commit"}
	d := policy.Decide(policy.Input{
		Contract: c, Policy: policy.Default(c), Facts: fresh(), Now: now,
		Trigger: trigger.Trigger{Type: trigger.Incident, Severity: 9.9},
	})
	if d.Reason != policy.NotListed {
		t.Errorf("a contract that does not list incidents was handled as %s", d.Reason)
	}
}

func TestDueAtIsEarlierOnlyAndDeterministic(t *testing.T) {
	p := policy.Default(day()) // ttl 24h, rotate_before 8h
	latest := now.Add(16 * time.Hour)
	earliest := latest.Add(-48 * time.Minute)
	distinct := map[time.Time]bool{}
	for _, seed := range []string{"prod/a", "prod/b", "prod/c", "prod/d", "prod/e", "prod/f"} {
		at := policy.DueAt(p, now, seed)
		if at.After(latest) || at.Before(earliest) {
			t.Errorf("%s is due at %s, not between %s and %s", seed, at, earliest, latest)
		}
		if again := policy.DueAt(p, now, seed); !again.Equal(at) {
			t.Errorf("%s is due at %s, then at %s", seed, at, again)
		}
		distinct[at] = true
	}
	if len(distinct) < 5 {
		t.Errorf("six secrets are due at only %d different times", len(distinct))
	}
	p.RotateBefore = p.TTL - contract.Duration(time.Second)
	for _, seed := range []string{"prod/a", "prod/b", "prod/c", "prod/d"} {
		if at := policy.DueAt(p, now, seed); !at.After(now) {
			t.Errorf("%s is due at %s, as soon as it was rotated", seed, at)
		}
	}
}
