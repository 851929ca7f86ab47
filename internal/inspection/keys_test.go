package inspection_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
)

const (
	ourKey   = "arn:aws:kms:us-east-1:000000000000:key/1111abcd-12ab-34cd-56ef-1234567890ab"
	otherKey = "arn:aws:kms:us-east-1:000000000000:key/2222abcd-12ab-34cd-56ef-1234567890ab"
)

func TestDecideAboutKeys(t *testing.T) {
	one := []blastradius.Grant{{ID: "g", Grantee: "arn:aws:iam::000000000000:role/somebody"}}
	for name, c := range map[string]struct {
		edit  func(s *inspection.Sight)
		want  string // codes, in order
		grade inspection.Grade
		key   string // that is put back
		does  blastradius.GrantChanges
	}{
		"as it should be": {edit: func(*inspection.Sight) {}},
		"by the key's id": {edit: func(s *inspection.Sight) { s.Secret.Key = "1111abcd-12ab-34cd-56ef-1234567890ab" }},
		"no key in the contract": {edit: func(s *inspection.Sight) {
			s.Contract.KMSKey, s.Secret.Key, s.Keyed.Opens = "", otherKey, []string{otherKey}
		}},
		"under another key":         {edit: func(s *inspection.Sight) { s.Secret.Key, s.Keyed.Opens = otherKey, []string{ourKey, otherKey} }, want: "KeyDrift", grade: inspection.Drift, key: ourKey},
		"under the account's own":   {edit: func(s *inspection.Sight) { s.Secret.Key = "" }, want: "KeyDrift", grade: inspection.Drift, key: ourKey},
		"an old key opens it":       {edit: func(s *inspection.Sight) { s.Keyed.Opens = []string{"DefaultEncryptionKey", ourKey} }, want: "OldKey", grade: inspection.Warning},
		"an old key alone opens it": {edit: func(s *inspection.Sight) { s.Keyed.Opens = []string{otherKey} }, want: "OldKey", grade: inspection.Warning},
		"the key refuses":           {edit: func(s *inspection.Sight) { s.Keyed.Refused = errors.New("no") }, want: "Unreadable", grade: inspection.Drift},
		"a foreign grant":           {edit: func(s *inspection.Sight) { s.Keyed.Grants.Foreign = one }, want: "GrantDrift", grade: inspection.Drift, does: blastradius.GrantChanges{Foreign: one}},
		"a stale grant":             {edit: func(s *inspection.Sight) { s.Keyed.Grants.Stale = one }, want: "GrantDrift", grade: inspection.Drift, does: blastradius.GrantChanges{Stale: one}},
		"a missing grant":           {edit: func(s *inspection.Sight) { s.Keyed.Grants.Missing = one }, want: "GrantMissing", grade: inspection.Warning, does: blastradius.GrantChanges{Missing: one}},
		"a wide grant":              {edit: func(s *inspection.Sight) { s.Keyed.Grants.Wide = one }, want: "WideGrant", grade: inspection.Warning},
		"one of each": {edit: func(s *inspection.Sight) {
			s.Keyed.Grants = blastradius.GrantChanges{Missing: one, Foreign: one, Wide: one}
		}, want: "GrantDrift GrantMissing WideGrant", grade: inspection.Drift, does: blastradius.GrantChanges{Missing: one, Foreign: one}},
	} {
		t.Run(name, func(t *testing.T) {
			s := rotated(3600e9)
			s.Contract.KMSKey, s.Secret.Key, s.Keyed.Opens = ourKey, ourKey, []string{ourKey}
			c.edit(&s)
			var codes []string
			var key string
			var does blastradius.GrantChanges
			for i, f := range inspection.Decide(s) {
				codes = append(codes, string(f.Code))
				if f.Detail == "" || f.Reason == "" || (i == 0 && f.Code.Grade() != c.grade) {
					t.Errorf("grade %q: %+v", f.Code.Grade(), f)
				}
				key += f.Repair.Key
				if f.Repair.Grants.Key != "" && f.Repair.Grants.Key != ourKey {
					t.Errorf("grants of %s", f.Repair.Grants.Key)
				}
				does.Missing = append(does.Missing, f.Repair.Grants.Changes.Missing...)
				does.Foreign = append(does.Foreign, f.Repair.Grants.Changes.Foreign...)
				does.Stale = append(does.Stale, f.Repair.Grants.Changes.Stale...)
			}
			if got := strings.Join(codes, " "); got != c.want {
				t.Fatalf("found %q, want %q", got, c.want)
			}
			if key != c.key || len(does.Missing) != len(c.does.Missing) || len(does.Foreign) != len(c.does.Foreign) || len(does.Stale) != len(c.does.Stale) {
				t.Errorf("put under %q, grants %+v", key, does)
			}
		})
	}
}
