package inspection

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// A day of inspections: what is found at each, and what follows.
func TestRemember(t *testing.T) {
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	standing := registry.Standing{Entry: registry.Entry{Contract: contract.Contract{
		Name: "orders-db", Environment: "prod", TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"upstream", "access_change"},
	}}}
	stands := Finding{Code: Overdue, Detail: "x", Reason: "r"}
	changed := Finding{Code: ValueChanged, Detail: "v1", Reason: "r", Type: trigger.Upstream}
	other := Finding{Code: ValueChanged, Detail: "v2", Reason: "r", Type: trigger.Upstream}
	widened := Finding{Code: PolicyDrift, Detail: "p", Reason: "r", Type: trigger.AccessChange, Repair: Repair{Access: &blastradius.Options{}}}
	incident := Finding{Code: RevokedHonoured, Detail: "v", Reason: "r", Type: trigger.Incident}
	type step struct {
		after  time.Duration // since start
		found  []Finding
		record string // codes
		ask    string // codes
	}
	for name, c := range map[string]struct {
		rotatedAgo time.Duration // before start, by a run; 0: none
		steps      []step
	}{
		"nothing":                       {0, []step{{0, nil, "", ""}}},
		"what stands, once a day":       {0, []step{{0, []Finding{stands}, "Overdue", ""}, {15 * time.Minute, []Finding{stands}, "", ""}, {14 * time.Hour, []Finding{stands}, "Overdue", ""}}},
		"gone, and there again":         {0, []step{{0, []Finding{stands}, "Overdue", ""}, {15 * time.Minute, nil, "", ""}, {30 * time.Minute, []Finding{stands}, "Overdue", ""}}},
		"a rotation is asked for":       {0, []step{{0, []Finding{changed}, "ValueChanged", "ValueChanged"}, {15 * time.Minute, []Finding{changed}, "", ""}}},
		"and again, if it stands":       {0, []step{{0, []Finding{changed}, "ValueChanged", "ValueChanged"}, {time.Hour, []Finding{changed}, "", "ValueChanged"}}},
		"another one":                   {0, []step{{0, []Finding{changed}, "ValueChanged", "ValueChanged"}, {15 * time.Minute, []Finding{other}, "ValueChanged", "ValueChanged"}}},
		"an act is on record each time": {0, []step{{0, []Finding{widened}, "PolicyDrift", "PolicyDrift"}, {15 * time.Minute, []Finding{widened}, "PolicyDrift", ""}, {75 * time.Minute, []Finding{widened}, "PolicyDrift", "PolicyDrift"}}},
		"cooling down":                  {5 * time.Minute, []step{{0, []Finding{widened}, "PolicyDrift", ""}, {time.Minute, nil, "", ""}, {15 * time.Minute, nil, "", "PolicyDrift"}, {30 * time.Minute, nil, "", ""}}},
		"no cooling down of incidents":  {5 * time.Minute, []step{{0, []Finding{incident}, "", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			var memory registry.Found
			ids := map[string]bool{}
			for i, s := range c.steps {
				o := outlook{Standing: standing, Policy: policy.Default(standing.Contract), Now: start.Add(s.after)}
				o.Facts.RotatedAt = start.Add(-time.Hour)
				if c.rotatedAgo > 0 {
					o.Facts.LastRun = start.Add(-c.rotatedAgo)
				}
				if name == "no cooling down of incidents" { // which rotate_on has to list, too
					o.Contract.RotateOn = []string{"incident"}
					s.record, s.ask = "RevokedHonoured", "RevokedHonoured"
				}
				record, after := remember(memory, s.found, o)
				var recorded []string
				for _, f := range record {
					recorded = append(recorded, string(f.Code))
					if ids[f.Noted.ID] {
						t.Errorf("step %d: two records have one id", i)
					}
					ids[f.Noted.ID] = true
				}
				// An attempt that died behind the record, and one that died behind the memory of it.
				if again, _ := remember(memory, s.found, o); len(again) != len(record) || len(record) > 0 && again[0].Noted.ID != record[0].Noted.ID {
					t.Errorf("step %d: the next attempt writes other records", i)
				}
				if again, _ := remember(after, s.found, o); len(again) > 0 {
					t.Errorf("step %d: what is remembered is recorded again", i)
				}
				asked := due(after, o)
				if got := strings.Join(recorded, " "); got != s.record {
					t.Errorf("step %d records %q, want %q", i, got, s.record)
				}
				if got := strings.Join(asked, " "); got != s.ask {
					t.Errorf("step %d asks for %q, want %q", i, got, s.ask)
				}
				for _, code := range asked {
					n := after[code]
					n.Put = o.Now
					after[code] = n
					if !slices.ContainsFunc(s.found, func(f Finding) bool { return string(f.Code) == code }) {
						delete(after, code)
					}
				}
				memory = after
			}
		})
	}
}

// Where the contract has no rotation for it, nobody is asked, and the record says so.
func TestNoRotationFollows(t *testing.T) {
	c := contract.Contract{Name: "x", Environment: "prod", TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"incident"}}
	p := policy.Default(c)
	for name, test := range map[string]struct {
		edit func(*outlook)
		kind trigger.Type
		says string
	}{
		"not listed": {func(*outlook) {}, trigger.Upstream, "does not list"},
		"not due":    {func(o *outlook) { o.Facts.RotatedAt = o.Now }, trigger.PolicyChange, "due at"},
		"held": {func(o *outlook) {
			o.Contract.RotateOn, o.Policy.FailureStrategy, o.Facts.LastOutcome = []string{"upstream"}, policy.FailHold, "failed_clean"
		}, trigger.Upstream, "hold"},
		"below the threshold": {func(o *outlook) { o.Policy.IncidentSeverity = 8.5 }, trigger.Incident, "below"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outlook{Standing: registry.Standing{Entry: registry.Entry{Contract: c}}, Policy: p, Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
			test.edit(&o)
			record, after := remember(nil, []Finding{{Code: ValueChanged, Detail: "v", Reason: "r", Type: test.kind}}, o)
			if len(record) != 1 || !strings.Contains(record[0].Reason, test.says) || len(due(after, o)) > 0 {
				t.Errorf("%s, asks for %v", fmt.Sprint(record), due(after, o))
			}
		})
	}
}
