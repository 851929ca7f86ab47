package inspection_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
)

// compiled is the resource policy as a run left it that rotated the secret an hour ago.
func compiled(t *testing.T, edits ...func(*blastradius.Options)) string {
	t.Helper()
	o := blastradius.Options{
		Readers: []string{role + "billing"}, MayflyRoles: []string{role + "mayfly-set-secret"}, Current: version, Before: another,
		OverlapEnds: now.Add(10 * time.Minute), ExpiresAt: now.Add(23 * time.Hour), OnExpiry: contract.Deny, RevokeOld: true,
	}
	for _, e := range edits {
		e(&o)
	}
	text, err := blastradius.CompilePolicy("prod/orders-db", o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPolicyDrift(t *testing.T) {
	withoutAllow := func(text string) string {
		denies, err := blastradius.WithoutAllow([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(denies)
	}
	for name, c := range map[string]struct {
		inForce string
		edits   []edit
		says    string // "": no drift
	}{
		"as the run left it":             {inForce: compiled(t)},
		"as the run left it, rebuilt":    {inForce: compiled(t), edits: []edit{rebuilt}},
		"overlap over":                   {inForce: compiled(t, func(o *blastradius.Options) { o.OverlapEnds = now.Add(-50 * time.Minute) })},
		"contained":                      {inForce: compiled(t, func(o *blastradius.Options) { o.OverlapEnds = time.Time{} })},
		"a role does not exist":          {inForce: withoutAllow(compiled(t))},
		"kept since, by the contract":    {inForce: compiled(t), edits: []edit{set("on_expiry", "keep")}},
		"old ones stay, since":           {inForce: compiled(t), edits: []edit{set("revoke_old", "false")}},
		"kept, and still":                {inForce: compiled(t, func(o *blastradius.Options) { o.OnExpiry = contract.Keep }), edits: []edit{set("on_expiry", "keep")}},
		"applied by an earlier version":  {edits: []edit{func(s *inspection.Sight) { s.Readers = nil }}},
		"never rotated, as applied":      {inForce: compiled(t, func(o *blastradius.Options) { o.Current, o.Before = foreign, "" }), edits: []edit{unborn}},
		"gone":                           {inForce: "", says: "no resource policy is in force"},
		"open to everybody":              {inForce: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"}]}`, says: "missing"},
		"one reader more":                {inForce: compiled(t, func(o *blastradius.Options) { o.Readers = append(o.Readers, role+"analytics") }), says: "analytics"},
		"one reader less":                {inForce: compiled(t, func(o *blastradius.Options) { o.Readers = nil }), says: "billing"},
		"never rotated, one reader more": {inForce: compiled(t, func(o *blastradius.Options) { o.Readers = append(o.Readers, role+"analytics") }), edits: []edit{unborn}, says: "analytics"},
		"keeps what has to expire":       {inForce: compiled(t, func(o *blastradius.Options) { o.OnExpiry = contract.Keep }), says: blastradius.SidExpired},
		"keeps old versions":             {inForce: compiled(t, func(o *blastradius.Options) { o.RevokeOld = false }), says: blastradius.SidOtherVersions},
		"expires later":                  {inForce: compiled(t, func(o *blastradius.Options) { o.ExpiresAt = now.Add(48 * time.Hour) }), says: "begins at"},
		"expires earlier":                {inForce: compiled(t, func(o *blastradius.Options) { o.ExpiresAt = now.Add(time.Hour) }), says: "too strict"},
		"overlap without end":            {inForce: compiled(t, func(o *blastradius.Options) { o.OverlapEnds = now.Add(20 * time.Hour) }), says: "begins at"},
		"an old version by its id":       {inForce: compiled(t, func(o *blastradius.Options) { o.Before = foreign }), says: "spares version " + foreign},
		"not the version in use":         {inForce: compiled(t, func(o *blastradius.Options) { o.Current = "" }), says: "too strict"},
		"no policy":                      {inForce: "hunter2", says: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			s := rotated(time.Hour)
			s.Rotated.Before, s.Secret.Previous = another, another
			s.Readers, s.Mayfly, s.InForce = []string{role + "billing"}, []string{role + "mayfly-set-secret"}, c.inForce
			for _, e := range c.edits {
				e(&s)
			}
			var drift []inspection.Finding
			for _, f := range inspection.Decide(s) {
				if f.Code == inspection.PolicyDrift {
					drift = append(drift, f)
				}
			}
			if c.says == "" {
				if len(drift) > 0 {
					t.Errorf("%+v", drift)
				}
				return
			}
			if len(drift) != 1 || !strings.Contains(drift[0].Reason, c.says) || drift[0].Repair.Access == nil {
				t.Fatalf("%+v, want one that says %q", drift, c.says)
			}
			put, err := blastradius.CompilePolicy("prod/orders-db", *drift[0].Repair.Access)
			if err != nil {
				t.Fatal(err)
			}
			s.InForce = string(put)
			for _, f := range inspection.Decide(s) {
				if f.Code == inspection.PolicyDrift {
					t.Errorf("put back, and found again: %+v", f)
				}
			}
		})
	}
}
