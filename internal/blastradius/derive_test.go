package blastradius_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// derive gives the radius of a secret in a world that a test has disturbed.
func derive(t *testing.T, secret string, change func(w *world)) blastradius.Radius {
	t.Helper()
	w := newWorld()
	change(w)
	r, err := blastradius.Derive(w.bundle(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLevels(t *testing.T) {
	services := func(n int) func(w *world) {
		return func(w *world) {
			w.crowd(n)
			w.api.BlastRadius = "minimal"
		}
	}
	for name, c := range map[string]struct {
		secret string
		change func(w *world)
		want   blastradius.Level
		why    string
	}{
		"an API key":           {"prod/api", func(*world) {}, blastradius.Minimal, ""},
		"a login":              {"prod/db", func(*world) {}, blastradius.Minimal, ""},
		"three services":       {"prod/api", services(3), blastradius.Minimal, ""},
		"four services":        {"prod/api", services(4), blastradius.Limited, "4 services read it"},
		"ten services":         {"prod/api", services(10), blastradius.Limited, "10 services read it"},
		"eleven services":      {"prod/api", services(11), blastradius.Broad, "11 services read it"},
		"an admin":             {"prod/db-admin", func(*world) {}, blastradius.Limited, "replace prod/db"},
		"kept by contract":     {"prod/api", func(w *world) { w.api.OnExpiry = "keep" }, blastradius.Limited, "on_expiry keep"},
		"kept by policy":       {"prod/api", func(w *world) { w.api.Policy = map[string]string{"on_expiry": "keep"} }, blastradius.Limited, "on_expiry keep"},
		"never revoked":        {"prod/db", func(w *world) { w.db.Policy = map[string]string{"revoke_old": "false"} }, blastradius.Limited, "revoke_old false"},
		"a role for two":       {"prod/api", func(w *world) { w.analytics.Environments["prod"] = placed("prod-billing") }, blastradius.Limited, "analytics is not declared"},
		"a role in two places": {"prod/api", func(w *world) { w.analytics.Environments["staging"] = placed("prod-billing") }, blastradius.Broad, "beyond prod: staging"},
		"a shared database": {"prod/db", func(w *world) {
			w.staging.Kind, w.staging.Target = contract.Postgres, at("PROD-DB", "staging_app")
		}, blastradius.Broad, "beyond prod: staging"},
		"another database of the server": {"prod/db", func(w *world) {
			w.staging.Kind, w.staging.Target = contract.Postgres, at("prod-db", "staging_app")
			w.staging.Target.Database = "staging"
		}, blastradius.Minimal, ""},
		"an admin of two environments": {"prod/db-admin", func(w *world) {
			w.staging.Kind, w.staging.Target = contract.Postgres, at("staging-db", "app")
			w.staging.Target.Admin = "prod/db-admin"
		}, blastradius.Broad, "beyond prod: staging"},
		"an admin's admin": {"prod/api", func(w *world) {
			w.admin.Target.Admin = "prod/api"
		}, blastradius.Limited, "replace prod/db, prod/db-admin"},
		"admins in a circle": {"prod/db-admin", func(w *world) { w.admin.Target.Admin = "prod/db" }, blastradius.Limited, "replace prod/db"},
	} {
		t.Run(name, func(t *testing.T) {
			r := derive(t, c.secret, c.change)
			if r.Level != c.want || !strings.Contains(strings.Join(r.Because, "; "), c.why) || (c.why == "") != (len(r.Because) == 0) {
				t.Errorf("%s because %q, want %s because of %q", r.Level, r.Because, c.want, c.why)
			}
		})
	}
}

func TestSentences(t *testing.T) {
	for name, c := range map[string]struct {
		secret string
		change func(w *world)
		want   string
	}{
		"value": {"prod/api", func(*world) {},
			"If this leaks, its holder can pass for billing in prod wherever the value is accepted, until it is replaced within 1 day, and at most 1 hour longer beside its successor; revoking it stops billing until the next value is read; every other secret and environment is untouched."},
		"login": {"prod/db", func(w *world) { w.db.TTL = contract.Duration(36 * time.Hour) },
			"If this leaks, its holder can log in to database main at prod-db with the rights of app, for at most 36 hours; revoking it stops billing until the next value is read; every other secret and environment is untouched."},
		"kept": {"prod/db", func(w *world) { w.db.OnExpiry = "keep" },
			"If this leaks, its holder can log in to database main at prod-db with the rights of app, until somebody rotates it; revoking it stops billing until the next value is read; every other secret and environment is untouched."},
		"not revoked": {"prod/db", func(w *world) { w.db.Policy = map[string]string{"revoke_old": "false"} },
			"If this leaks, its holder can log in to database main at prod-db with the rights of app, without end, as old values are not revoked; revoking it stops billing until the next value is read; every other secret and environment is untouched."},
		"elsewhere": {"prod/api", func(w *world) { w.analytics.Environments["staging"] = placed("prod-billing") },
			"If this leaks, its holder can pass for billing in prod wherever the value is accepted, until it is replaced within 1 day, and at most 1 hour longer beside its successor; revoking it stops billing until the next value is read; it reaches staging too, and every environment but prod and staging is untouched."},
		"admin": {"prod/db-admin", func(*world) {},
			"If this leaks, its holder can log in to database main at prod-db with the rights of chief and replace the credentials of prod/db, for at most 1 day; revoking it stops rotation of prod/db until the next value is read; every secret but this and prod/db, and every other environment is untouched."},
		"its own statement": {"prod/api", func(w *world) { w.api.Statement = "If this leaks,\n  nobody knows; the moon is untouched.\n" },
			"If this leaks, nobody knows; the moon is untouched."},
	} {
		t.Run(name, func(t *testing.T) {
			r := derive(t, c.secret, c.change)
			if diff := cmp.Diff(c.want, r.Sentence); diff != "" {
				t.Error(diff)
			}
			if r.Written != (name == "its own statement") {
				t.Errorf("written: %t", r.Written)
			}
		})
	}
}

func TestUntouched(t *testing.T) {
	r := derive(t, "prod/db", func(*world) {})
	want := []string{"other secrets of the same target: prod/db-admin", "every other secret in prod", "other environments: staging"}
	if diff := cmp.Diff(want, r.Untouched); diff != "" {
		t.Error(diff)
	}
	r = derive(t, "prod/api", func(w *world) { w.billing.Environments["staging"] = placed("prod-billing") })
	want = []string{"every other secret in prod"}
	if diff := cmp.Diff(want, r.Untouched); diff != "" {
		t.Error(diff)
	}
}

func TestNoSentenceNoContract(t *testing.T) {
	for name, c := range map[string]struct {
		secret     string
		change     func(w *world)
		code, path string
	}{
		"unknown level":      {"prod/api", func(w *world) { w.api.BlastRadius = "tiny" }, "unknown-level", "/blast_radius"},
		"absent service":     {"prod/api", func(w *world) { delete(w.billing.Environments, "prod") }, "no-sentence", "/services/0"},
		"admin unknown":      {"prod/db", func(w *world) { w.db.Target.Admin = "prod/gone" }, "no-sentence", "/target/admin"},
		"policy cannot be":   {"prod/api", func(w *world) { w.api.Policy = map[string]string{"ttl": "2d"} }, "no-sentence", "/policy"},
		"kind not described": {"prod/api", func(w *world) { w.api.Kind = "carrier-pigeon" }, "no-sentence", "/kind"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			_, err := blastradius.Derive(w.bundle(), c.secret)
			var refused *blastradius.Refusal
			if !errors.As(err, &refused) || refused.Code != c.code || refused.Path != c.path || refused.Do == "" {
				t.Fatalf("%v, want %s at %s", err, c.code, c.path)
			}
			found := fmt.Sprint(blastradius.Problems(w.bundle()))
			if !strings.Contains(found, refused.Message) {
				t.Error("a check of the folder does not find it:", found)
			}
		})
	}
	w := newWorld()
	if _, err := blastradius.Derive(w.bundle(), "prod/nothing"); fault.CodeOf(err) != fault.SecretUnknown {
		t.Error(err)
	}
	w.api.Kind, w.api.Statement = "carrier-pigeon", "If this leaks, pigeons do; the rest is untouched."
	if _, err := blastradius.Derive(w.bundle(), "prod/api"); err != nil {
		t.Error("a written statement stands for what cannot be derived:", err)
	}
}
