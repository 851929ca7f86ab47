package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// FuzzTags gives any tags to whatever reads them: anybody who may tag a secret writes them.
func FuzzTags(f *testing.F) {
	f.Add([]byte(`{"mayfly:ttl":"12h","mayfly:rotate_before":"3h","mayfly:revoke_old":"false","mayfly:incident_severity":"1"}`))
	f.Add([]byte(`{"mayfly:ttl":"1s","mayfly:max_overlap":"-1h","mayfly:quiet_period":"9999999999d","mayfly:incident_severity":"NaN"}`))
	f.Add([]byte(`{"mayfly:rotated-at":"2026-03-01T00:00:00Z","mayfly:expires-at":"never","mayfly:compromised":"true","mayfly:rotate_on":"x"}`))
	c := contract.Contract{Name: "orders-db", Environment: "prod", TTL: contract.Duration(24 * time.Hour), OnExpiry: contract.Deny}
	f.Fuzz(func(t *testing.T, text []byte) {
		var tags map[string]string
		if json.Unmarshal(text, &tags) != nil {
			return
		}
		if _, err := policy.FactsFromTags(tags); err != nil && fault.CodeOf(err) != fault.PolicyInvalid {
			t.Errorf("facts: %v", err)
		}
		p, bad := policy.Check(tags, c)
		if p.TTL <= 0 || p.TTL > c.TTL || p.RotateBefore >= p.TTL || p.MaxOverlap >= p.TTL || p.RotateBefore < 0 || p.MaxOverlap < 0 || p.QuietPeriod < 0 ||
			p.OnExpiry != contract.Deny || !(p.IncidentSeverity >= 0 && p.IncidentSeverity <= 10) {
			t.Errorf("%v makes the policy %+v", tags, p)
		}
		got, err := policy.FromTags(tags, c)
		if (err == nil) != (len(bad) == 0) || err != nil && fault.CodeOf(err) != fault.PolicyInvalid {
			t.Errorf("%d bad tags, and %v", len(bad), err)
		}
		if err != nil {
			return
		}
		again, err := policy.FromTags(got.Tags(), c)
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Errorf("written and read again it is another one: %s %v", diff, err)
		}
	})
}
