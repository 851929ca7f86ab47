package blastradius_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// organisation draws services with a role in some of a few environments, now and then one role for two of them, and
// contracts that list services of their environment.
func organisation(t *rapid.T) contract.Bundle {
	environments := []string{"dev", "prod", "staging"}
	roles := rapid.SampledFrom([]string{"a", "b", "team/a", "team/b", "A", "a-b", "aa", "shared"})
	var b contract.Bundle
	for i := range rapid.IntRange(1, 12).Draw(t, "services") {
		s := contract.Service{Name: fmt.Sprintf("service-%d", i), Environments: map[string]contract.Placement{}}
		for _, e := range rapid.SliceOfNDistinct(rapid.SampledFrom(environments), 1, 3, rapid.ID[string]).Draw(t, "environments") {
			role := fmt.Sprintf("%s-%d", e, i)
			if rapid.IntRange(0, 3).Draw(t, "odd") == 0 {
				role = roles.Draw(t, "role")
			}
			s.Environments[e] = placed(role)
		}
		b.Services = append(b.Services, s)
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "contracts") {
		environment := rapid.SampledFrom(environments).Draw(t, "environment")
		var here []string
		for _, s := range b.Services {
			if _, ok := s.Environments[environment]; ok {
				here = append(here, s.Name)
			}
		}
		if len(here) == 0 {
			continue
		}
		b.Contracts = append(b.Contracts, contract.Contract{
			Name: fmt.Sprintf("secret-%d", i), Owner: "team", Environment: environment, TTL: days(1), RotateOn: []string{"incident"}, BlastRadius: "broad",
			Services: rapid.SliceOfNDistinct(rapid.SampledFrom(here), 1, len(here), rapid.ID[string]).Draw(t, "declared"),
			OnExpiry: rapid.SampledFrom([]string{"deny", "keep"}).Draw(t, "on expiry"),
		})
	}
	return b
}

// everybody is each role that any service has anywhere, Mayfly's, break-glass and those of strangers, in this account and in
// another.
func everybody(b contract.Bundle, o blastradius.Options) []string {
	all := slices.Concat(o.MayflyRoles, []string{arn("break-glass"), arn("Administrator"), "arn:aws:iam::444455556666:role/prod-0"})
	for _, s := range b.Services {
		for _, p := range s.Environments {
			all = append(all, p.Role, p.Role+"x", "arn:aws:iam::444455556666:role/"+contract.RoleName(p.Role))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// thousand has a property checked on 1,000 drawn organisations, or on as many as the command line asks for.
func thousand(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if before != checks.DefValue {
		return
	}
	if err := checks.Value.Set("1000"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(before) }) // it was a value before
}

// asks are what a request can name, at each time at which something ends and right behind it.
func asks(o blastradius.Options) []attempt {
	var all []attempt
	for _, t := range []time.Time{o.OverlapEnds, o.ExpiresAt} {
		if t.IsZero() {
			continue
		}
		for _, at := range []time.Time{t, t.Add(time.Second)} {
			all = append(all, attempt{at: at}, attempt{at: at, version: "new"}, attempt{at: at, version: "old"}, attempt{at: at, version: "older"},
				attempt{at: at, stage: "AWSPREVIOUS"}, attempt{at: at, stage: "AWSPENDING"})
		}
	}
	return all
}

// inUse tells whether what is asked for is anybody's to read, by the words of the design.
func inUse(a attempt, o blastradius.Options) bool {
	inOverlap := !o.RevokeOld || !a.at.After(o.OverlapEnds)
	switch {
	case a.at.After(o.ExpiresAt) && o.OnExpiry != contract.Keep, a.stage == "AWSPENDING":
		return false
	case a.version == "older":
		return !o.RevokeOld
	case a.version == "old":
		return inOverlap && (o.Before == "old" || !o.RevokeOld)
	case a.stage == "AWSPREVIOUS":
		return inOverlap
	}
	return true
}

// Of everybody, with all permissions that an identity policy can give, exactly those whom the contract declares read its
// secret, at every point of time, and of its versions exactly those that are in use then; without any permission of their
// own, the same but for Mayfly. Strangers ask for a few of the things that there are to ask for, everybody else for all.
func TestPoliciesAllowExactlyTheDeclaredReaders(t *testing.T) {
	thousand(t)
	tried := 0
	rapid.Check(t, func(t *rapid.T) {
		b, o := organisation(t), options()
		if rapid.Bool().Draw(t, "no break-glass") {
			o.BreakGlass = ""
		}
		o.RevokeOld = rapid.IntRange(0, 3).Draw(t, "revoke old") > 0
		o.Before = rapid.SampledFrom([]string{"old", ""}).Draw(t, "before")
		o.OverlapEnds = rapid.SampledFrom([]time.Time{overlap, expiry, {}}).Draw(t, "overlap ends")
		for _, c := range b.Contracts {
			o.OnExpiry = c.OnExpiry
			text := compiled(t, c, b.Services, o)
			inForce := guard(t, text)
			for i, role := range everybody(b, o) {
				declared := slices.ContainsFunc(b.Services, func(s contract.Service) bool {
					return slices.Contains(c.Services, s.Name) && s.Environments[c.Environment].Role == role
				})
				mayfly := slices.Contains(o.MayflyRoles, role)
				trusted := declared || (role == o.BreakGlass && role != "")
				for j, asked := range asks(o) {
					if !trusted && !mayfly && (i+j)%8 > 0 {
						continue
					}
					asked.caller, asked.poor = session(role), (i+j)%3 == 0
					want := trusted && inUse(asked, o) || mayfly && !asked.poor
					tried++
					if got := reads(t, inForce, asked); got != want {
						t.Fatalf("%s reads %q%s of %s at %s: %t, want %t (poor %t)\n%s", role, asked.version, asked.stage, c.ID(), asked.at, got, want, asked.poor, text)
					}
				}
			}
		}
	})
	t.Logf("%d requests decided", tried)
}

// What the radius says of readers is what the policy does, for every role of the organisation.
func TestTheRadiusNamesThePolicysReaders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, o := organisation(t), options()
		for _, c := range b.Contracts {
			r, err := blastradius.Derive(b, c.ID())
			if err != nil {
				t.Fatal(err)
			}
			text := compiled(t, c, b.Services, o)
			inForce := guard(t, text)
			for _, s := range b.Services {
				for environment, p := range s.Environments {
					listed := slices.ContainsFunc(r.Readers, func(x blastradius.Reader) bool { return x.Name == s.Name })
					reached := environment == c.Environment && listed || slices.Contains(r.Elsewhere, environment)
					if reads(t, inForce, attempt{caller: session(p.Role), at: expiry}) && !reached {
						t.Fatalf("%s in %s reads %s, and the radius does not say so: %+v", s.Name, environment, c.ID(), r)
					}
				}
			}
			for _, x := range r.Readers {
				if x.Role != "" && !reads(t, inForce, attempt{caller: session(x.Role), at: expiry}) {
					t.Fatalf("%s does not read %s, and the radius says so", x.Role, c.ID())
				}
			}
		}
	})
}

// A policy means the same however it was put together, and any change of what is allowed is a difference.
func TestDifferencesFollowTheMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, o := organisation(t), options()
		for _, c := range b.Contracts {
			first := compiled(t, c, b.Services, o)
			turned, other := c, o
			turned.Services = rapid.Permutation(c.Services).Draw(t, "turned")
			other.MayflyRoles = rapid.Permutation(o.MayflyRoles).Draw(t, "roles")
			second := compiled(t, turned, b.Services, other)
			if string(first) != string(second) {
				t.Fatalf("the order of services or roles shows:\n%s\n%s", first, second)
			}
			other.MayflyRoles = append(other.MayflyRoles, arn("one-more"))
			third := compiled(t, c, b.Services, other)
			if same(string(first), string(third)) {
				t.Fatal("one more role reads, and nothing differs")
			}
		}
	})
}
