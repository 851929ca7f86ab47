package inspection_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

const (
	version = "mayfly-a-0123456789abcdef0123456789abcdef01234567"
	another = "mayfly-b-0123456789abcdef0123456789abcdef01234567"
	foreign = "8b1d3e5f-701f-4c3a-8b7d-9e2f4a6c8b0d"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// rotated is a secret that a run rotated so long ago, as it should be.
func rotated(ago time.Duration) inspection.Sight {
	c := contract.Contract{
		Name: "orders-db", Environment: "prod", Owner: "orders-team", TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"upstream"},
	}
	at := now.Add(-ago)
	tags := policy.Default(c).Tags()
	maps.Copy(tags, map[string]string{
		"mayfly:owner": "orders-team", "mayfly:environment": "prod", "mayfly:version": version, "mayfly:rotated-at": stamp(at),
		"mayfly:expires-at": stamp(at.Add(24 * time.Hour)), "mayfly:last-outcome": "rotated", "mayfly:last-execution": "x", "team": "orders",
	})
	return inspection.Sight{
		Standing: registry.Standing{Entry: registry.Entry{
			Contract: c, Rotated: registry.Rotated{Version: version, At: at, Expires: at.Add(24 * time.Hour)},
		}, DueAt: at.Add(16 * time.Hour)},
		Secret: authority.Secret{Tags: tags, Current: version, Created: now.Add(-90 * 24 * time.Hour)},
		Now:    now,
	}
}

type edit func(*inspection.Sight)

func set(tags ...string) edit {
	return func(s *inspection.Sight) {
		for i := 0; i < len(tags); i += 2 {
			if tags[i+1] == "" {
				delete(s.Secret.Tags, "mayfly:"+tags[i])
				continue
			}
			s.Secret.Tags["mayfly:"+tags[i]] = tags[i+1]
		}
	}
}

// rebuilt is a registry that knows nothing of past runs.
func rebuilt(s *inspection.Sight) { s.Rotated = registry.Rotated{} }

func current(id string) edit { return func(s *inspection.Sight) { s.Secret.Current = id } }

// unborn has neither run nor age.
func unborn(s *inspection.Sight) {
	rebuilt(s)
	set("version", "", "rotated-at", "", "expires-at", "", "last-outcome", "", "last-execution", "")(s)
	s.Secret.Current, s.DueAt = foreign, now.Add(-10*time.Minute)
}

func TestDecide(t *testing.T) {
	anHour := stamp(now.Add(-time.Hour))
	inADay := stamp(now.Add(23 * time.Hour))
	for name, c := range map[string]struct {
		ago   time.Duration // 0: an hour
		edits []edit
		want  string // codes, in order
		says  string // words of the first reason
		tags  map[string]string
	}{
		"as it should be":                {},
		"as it should be, rebuilt":       {edits: []edit{rebuilt}},
		"due, and not for long":          {ago: 15*time.Hour + 30*time.Minute},
		"denied":                         {edits: []edit{func(s *inspection.Sight) { s.Denied = errors.New("no") }}, want: "Unreadable"},
		"gone":                           {edits: []edit{func(s *inspection.Sight) { s.Gone = true }}, want: "Missing"},
		"marked for deletion":            {edits: []edit{func(s *inspection.Sight) { s.Secret.Deleted = now }}, want: "Deleted"},
		"owner":                          {edits: []edit{set("owner", "nobody")}, want: "TagDrift", tags: map[string]string{"owner": "orders-team"}},
		"environment gone":               {edits: []edit{set("environment", "")}, want: "TagDrift", tags: map[string]string{"environment": "prod"}},
		"policy tightened":               {edits: []edit{set("ttl", "23h", "end_sessions", "true")}},
		"ttl past the contract":          {edits: []edit{set("ttl", "90d")}, want: "TagDrift", says: "mayfly:ttl", tags: map[string]string{"ttl": "1d"}},
		"no policy":                      {edits: []edit{set("failure_strategy", "hope")}, want: "TagDrift", tags: map[string]string{"failure_strategy": "retry"}},
		"misspelled":                     {edits: []edit{set("rotate_befor", "1h")}, want: "TagDrift", says: "rotate_befor"},
		"contradicts itself":             {edits: []edit{set("ttl", "4h", "rotate_before", "8h", "max_overlap", "5h")}, want: "TagDrift Overdue", tags: map[string]string{"rotate_before": "80m", "max_overlap": "1h"}, ago: 3*time.Hour + 30*time.Minute},
		"kept, against the contract":     {edits: []edit{func(s *inspection.Sight) { s.Contract.OnExpiry = contract.Deny }, set("on_expiry", "keep")}, want: "TagDrift", tags: map[string]string{"on_expiry": "deny"}},
		"expires later":                  {edits: []edit{set("expires-at", stamp(now.Add(48*time.Hour)))}, want: "TagDrift", tags: map[string]string{"expires-at": inADay}},
		"expires later, rebuilt":         {edits: []edit{rebuilt, set("expires-at", stamp(now.Add(48*time.Hour)))}, want: "TagDrift", tags: map[string]string{"expires-at": inADay}},
		"expires earlier":                {edits: []edit{set("expires-at", stamp(now.Add(20*time.Hour)))}},
		"expires at no time":             {edits: []edit{set("expires-at", "tomorrow")}, want: "TagDrift", tags: map[string]string{"expires-at": inADay}},
		"younger than its run":           {edits: []edit{set("rotated-at", stamp(now.Add(-time.Minute)))}, want: "TagDrift", tags: map[string]string{"rotated-at": anHour}},
		"from the future, rebuilt":       {edits: []edit{rebuilt, set("rotated-at", stamp(now.Add(time.Hour)))}, want: "TagDrift Expired", tags: map[string]string{"rotated-at": stamp(now.Add(-90 * 24 * time.Hour)), "expires-at": stamp(now.Add(-89 * 24 * time.Hour))}},
		"facts gone":                     {edits: []edit{set("rotated-at", "", "expires-at", "", "version", "")}, want: "TagDrift", tags: map[string]string{"rotated-at": anHour, "expires-at": inADay, "version": version}},
		"a value by hand":                {edits: []edit{current(foreign)}, want: "ValueChanged", says: "did not make"},
		"a value by hand, tag too":       {edits: []edit{current(foreign), set("version", foreign)}, want: "ValueChanged"},
		"a value by hand, rebuilt":       {edits: []edit{rebuilt, current(foreign)}, want: "ValueChanged"},
		"label moved":                    {edits: []edit{current(another)}, want: "ValueChanged", says: "was moved"},
		"label gone":                     {edits: []edit{current("")}, want: "ValueChanged", says: "no version carries"},
		"late":                           {ago: 17 * time.Hour, want: "Late"},
		"overdue":                        {ago: 20*time.Hour + time.Minute, want: "Overdue", says: "last run: rotated"},
		"overdue and held":               {ago: 21 * time.Hour, edits: []edit{set("last-outcome", "failed_clean", "failure_strategy", "hold")}, want: "Overdue", says: "by hand"},
		"overdue, whatever the tag says": {ago: 21 * time.Hour, edits: []edit{set("rotated-at", stamp(now))}, want: "TagDrift Overdue", tags: map[string]string{"rotated-at": stamp(now.Add(-21 * time.Hour))}},
		"expired":                        {ago: 24 * time.Hour, want: "Expired"},
		"expired and kept":               {ago: 25 * time.Hour, edits: []edit{set("on_expiry", "keep")}, want: "KeepsExpired", says: "stays readable"},
		"never rotated, for a moment":    {edits: []edit{unborn}},
		"never rotated, for long":        {edits: []edit{unborn, func(s *inspection.Sight) { s.DueAt = now.Add(-time.Hour) }}, want: "Late"},
		"never rotated, it failed":       {edits: []edit{unborn, set("last-outcome", "failed_clean")}, want: "Overdue", says: "last run: failed_clean"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.ago == 0 {
				c.ago = time.Hour
			}
			s := rotated(c.ago)
			for _, e := range c.edits {
				e(&s)
			}
			found := inspection.Decide(s)
			var codes []string
			var repaired map[string]string
			for _, f := range found {
				codes = append(codes, string(f.Code))
				for tag, text := range f.Repair.Tags {
					if repaired == nil {
						repaired = map[string]string{}
					}
					repaired[strings.TrimPrefix(tag, "mayfly:")] = text
				}
				if f.Code.Grade() == "" || f.Detail == "" || f.Reason == "" {
					t.Errorf("a finding without grade, detail or reason: %+v", f)
				}
			}
			if got := strings.Join(codes, " "); got != c.want {
				t.Fatalf("found %q, want %q: %+v", got, c.want, found)
			}
			if len(found) > 0 && !strings.Contains(found[0].Reason, c.says) {
				t.Errorf("it says %q, want %q in it", found[0].Reason, c.says)
			}
			if diff := cmp.Diff(c.tags, repaired); diff != "" {
				t.Errorf("put back (- want, + got):\n%s", diff)
			}
			// What was put back is right: the same sight with it finds no drift of tags.
			for tag, text := range repaired {
				s.Secret.Tags["mayfly:"+tag] = text
			}
			for _, f := range inspection.Decide(s) {
				if f.Code == inspection.TagDrift && len(f.Repair.Tags) > 0 {
					t.Errorf("put back, and found again: %+v", f)
				}
			}
		})
	}
}

// Values of tags are other people's text: no reason and no detail repeats them.
func TestFindingsRepeatNoTag(t *testing.T) {
	s := rotated(time.Hour)
	set("owner", "hunter2", "ttl", "hunter3")(&s)
	for _, f := range inspection.Decide(s) {
		if strings.Contains(f.Reason+f.Detail, "hunter") {
			t.Errorf("%+v", f)
		}
	}
}
