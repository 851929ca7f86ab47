package policy_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// tag makes tags of attributes.
func tag(pairs ...string) map[string]string {
	tags := map[string]string{"Name": "not ours", "mayfly:rotated-at": "2026-03-01T00:00:00Z", "mayfly:owner": "orders-team"}
	for i := 0; i < len(pairs); i += 2 {
		tags["mayfly:"+pairs[i]] = pairs[i+1]
	}
	return tags
}

func TestDefaultIsTheTableInTheDesign(t *testing.T) {
	hour, minute := contract.Duration(time.Hour), contract.Duration(time.Minute)
	want := policy.Policy{
		RotationType: "static", TTL: 24 * hour, RotateBefore: 8 * hour, RevokeOld: true, MaxOverlap: hour, QuietPeriod: 5 * minute,
		FailureStrategy: "retry", OnExpiry: "deny", IncidentSeverity: 7,
	}
	got, err := policy.FromTags(tag(), day())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	month := contract.Contract{TTL: 720 * hour, OnExpiry: contract.Keep}
	if p := policy.Default(month); p.RotateBefore != 168*hour || p.MaxOverlap != hour || p.OnExpiry != contract.Keep {
		t.Errorf("for a month: %+v", p)
	}
	short := contract.Contract{TTL: 2 * minute}
	if p := policy.Default(short); p.RotateBefore != 40*contract.Duration(time.Second) || p.MaxOverlap != minute/2 {
		t.Errorf("for two minutes: %+v", p)
	}
}

func TestTightening(t *testing.T) {
	got, err := policy.FromTags(tag(
		"ttl", "12h", "end_sessions", "true", "revoke_old", "false", "quiet_period", "90", "incident_severity", "4.5",
		"rotation_type", "dynamic", "failure_strategy", "fail_closed", "on_expiry", "keep",
	), day())
	if err != nil {
		t.Fatal(err)
	}
	hour := contract.Duration(time.Hour)
	want := policy.Policy{
		RotationType: "dynamic", TTL: 12 * hour, RotateBefore: 4 * hour, MaxOverlap: hour, QuietPeriod: contract.Duration(90 * time.Second),
		EndSessions: true, FailureStrategy: "fail_closed", OnExpiry: "keep", IncidentSeverity: 4.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		tags map[string]string
		bad  []string // attributes, in order
	}{
		"ttl longer than the contract's": {tag("ttl", "25h"), []string{"ttl"}},
		"ttl the contract's":             {tag("ttl", "24h"), nil},
		"ttl zero":                       {tag("ttl", "0"), []string{"ttl"}},
		"ttl no duration":                {tag("ttl", "soon"), []string{"ttl"}},
		"ttl empty":                      {tag("ttl", ""), []string{"ttl"}},
		"rotate_before the ttl":          {tag("rotate_before", "24h"), []string{"rotate_before"}},
		"rotate_before the tighter ttl":  {tag("ttl", "6h", "rotate_before", "6h"), []string{"rotate_before"}},
		"rotate_before zero":             {tag("rotate_before", "0"), nil},
		"max_overlap the ttl":            {tag("max_overlap", "1d"), []string{"max_overlap"}},
		"max_overlap zero":               {tag("max_overlap", "0"), nil},
		"revoke_old yes":                 {tag("revoke_old", "yes"), []string{"revoke_old"}},
		"severity eleven":                {tag("incident_severity", "11"), []string{"incident_severity"}},
		"severity NaN":                   {tag("incident_severity", "NaN"), []string{"incident_severity"}},
		"rotation_type":                  {tag("rotation_type", "Static"), []string{"rotation_type"}},
		"failure_strategy":               {tag("failure_strategy", "ignore"), []string{"failure_strategy"}},
		"misspelled":                     {tag("rotate-before", "1h", "max_overlab", "1h"), []string{"max_overlab", "rotate-before"}},
		"tags of others":                 {tag("review", "2026", "last-outcome", "rotated", "compromised", "true"), nil},
		"everything at once":             {tag("ttl", "x", "revoke_old", "x", "on_expiry", "x"), []string{"ttl", "revoke_old", "on_expiry"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, bad := policy.Check(c.tags, day())
			var got []string
			for _, b := range bad {
				got = append(got, b.Attribute)
			}
			if diff := cmp.Diff(c.bad, got); diff != "" {
				t.Error(diff)
			}
			_, err := policy.FromTags(c.tags, day())
			if (err != nil) != (c.bad != nil) || (err != nil && fault.CodeOf(err) != fault.PolicyInvalid) {
				t.Errorf("error %v", err)
			}
			for _, attribute := range c.bad {
				if !strings.Contains(err.Error(), "mayfly:"+attribute) {
					t.Errorf("the error does not name %s: %v", attribute, err)
				}
			}
		})
	}
}

func TestKeepAgainstDeny(t *testing.T) {
	c := day()
	c.OnExpiry = contract.Deny
	if _, err := policy.FromTags(tag("on_expiry", "keep"), c); fault.CodeOf(err) != fault.PolicyInvalid {
		t.Errorf("a tag undid the contract's deny: %v", err)
	}
}

func TestInitial(t *testing.T) {
	c := day()
	c.Policy = map[string]string{"ttl": "43200", "revoke_old": "false"}
	p, err := policy.Initial(c)
	if err != nil || p.TTL != contract.Duration(12*time.Hour) || p.RevokeOld {
		t.Errorf("%+v %v", p, err)
	}
	c.Policy["ttl"] = "48h"
	if _, err := policy.Initial(c); fault.CodeOf(err) != fault.PolicyInvalid {
		t.Errorf("an initial policy loosened its contract: %v", err)
	}
}

// Whatever the tags say, the policy is never looser than the contract, and written as tags it is the same policy again.
func TestNeverLooser(t *testing.T) {
	durations := rapid.SampledFrom([]string{"0", "1", "59s", "1h", "8h", "23h", "24h", "25h", "7d", "x", ""})
	rapid.Check(t, func(t *rapid.T) {
		c := contract.Contract{
			TTL:      contract.Duration(rapid.Int64Range(1, int64(contract.MaxTTL)/int64(time.Second)).Draw(t, "ttl") * int64(time.Second)),
			OnExpiry: rapid.SampledFrom([]string{"", contract.Deny, contract.Keep}).Draw(t, "contract"),
		}
		tags := map[string]string{}
		for _, attribute := range []string{"ttl", "rotate_before", "max_overlap", "quiet_period"} {
			if rapid.Bool().Draw(t, "has "+attribute) {
				tags["mayfly:"+attribute] = durations.Draw(t, attribute)
			}
		}
		if rapid.Bool().Draw(t, "has on_expiry") {
			tags["mayfly:on_expiry"] = rapid.SampledFrom([]string{"deny", "keep", "never"}).Draw(t, "on_expiry")
		}
		p, bad := policy.Check(tags, c)
		if p.TTL <= 0 || p.TTL > c.TTL || p.RotateBefore >= p.TTL || p.MaxOverlap >= p.TTL {
			t.Fatalf("%v under a ttl of %s gave %+v", tags, c.TTL, p)
		}
		if c.OnExpiry == contract.Deny && p.OnExpiry != contract.Deny {
			t.Fatalf("%v undid the contract's deny", tags)
		}
		if len(bad) > 0 {
			return
		}
		again, err := policy.FromTags(p.Tags(), c)
		if err != nil || again != p || again.Digest() != p.Digest() {
			t.Fatalf("%+v written as %v is %+v (%v)", p, p.Tags(), again, err)
		}
	})
}

func TestAttributesAreWhatTagsWrite(t *testing.T) {
	written := map[string]bool{}
	for name := range maps.Keys(policy.Default(day()).Tags()) {
		written[strings.TrimPrefix(name, policy.Prefix)] = true
	}
	for _, a := range policy.Attributes() {
		if !written[a] {
			t.Errorf("%s is never written", a)
		}
		delete(written, a)
	}
	if len(written) > 0 {
		t.Errorf("written, and no attribute: %v", written)
	}
}

func TestFactsFromTags(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f, err := policy.FactsFromTags(tag("last-outcome", "rotated", "last-execution", "x", "compromised", "2026-03-02 dana"))
	if err != nil || !f.RotatedAt.Equal(at) || !f.LastRun.Equal(at) || !f.ExpiresAt.IsZero() || f.LastOutcome != "rotated" || !f.Compromised {
		t.Errorf("%+v %v", f, err)
	}
	for _, mark := range []string{"", "false"} {
		f, err := policy.FactsFromTags(tag("compromised", mark))
		if err != nil || f.Compromised || !f.LastRun.IsZero() {
			t.Errorf("marked %q: %+v %v", mark, f, err)
		}
	}
	if _, err := policy.FactsFromTags(tag("expires-at", "tomorrow")); fault.CodeOf(err) != fault.PolicyInvalid {
		t.Errorf("a time that is none: %v", err)
	}
}
