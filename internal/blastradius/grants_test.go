package blastradius_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
)

// secretARN is the ARN of the world's API key.
const secretARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/api-a1b2c3"

func grants(t interface{ Fatal(...any) }, c contract.Contract, services []contract.Service, secret string) []blastradius.Grant {
	roles, err := blastradius.DeclaredRoles(c, services)
	if err != nil {
		t.Fatal(err)
	}
	return blastradius.CompileGrants(secret, roles)
}

func TestOneGrantPerDeclaredRole(t *testing.T) {
	w := newWorld()
	w.crowd(2)
	w.api.Services = append(w.api.Services, "mayfly") // whose permissions are its own
	got := grants(t, *w.api, w.bundle().Services, secretARN)
	name := regexp.MustCompile(`^mayfly:prod/api:[0-9a-f]{16}$`) // of the characters that KMS takes
	for i, g := range got {
		if !name.MatchString(g.Name) || (i > 0 && g.Name == got[0].Name) {
			t.Errorf("named %q", g.Name)
		}
		got[i].Name = ""
	}
	want := []blastradius.Grant{
		{Grantee: arn("prod-service-000"), Operations: []string{"Decrypt"}, Subset: map[string]string{"SecretARN": secretARN}},
		{Grantee: arn("prod-service-001"), Operations: []string{"Decrypt"}, Subset: map[string]string{"SecretARN": secretARN}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCompareGrants(t *testing.T) {
	w := newWorld()
	compiled := grants(t, *w.api, w.bundle().Services, secretARN)
	ours := func(change func(g *blastradius.Grant)) blastradius.Grant {
		g := compiled[0]
		g.ID = "g-1"
		if change != nil {
			change(&g)
		}
		return g
	}
	subset := func(pairs ...string) func(g *blastradius.Grant) {
		return func(g *blastradius.Grant) {
			g.Name, g.Subset = "", map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				g.Subset[pairs[i]] = pairs[i+1]
			}
		}
	}
	recreated := strings.Replace(secretARN, "a1b2c3", "z9y8x7", 1)
	w.api.Services = []string{"analytics"}
	other := grants(t, *w.api, w.bundle().Services, secretARN)[0]
	w.api.Services = []string{"billing"}
	before := grants(t, *w.api, w.bundle().Services, recreated)[0]
	for name, c := range map[string]struct {
		inForce blastradius.Grant
		want    string // what it counts as; "" is none of our business
	}{
		"as compiled":                       {ours(nil), "compiled"},
		"of a service that is not declared": {other, "stale"},
		"of a secret of that name before":   {before, "stale"},
		"under another name":                {ours(func(g *blastradius.Grant) { g.Name = "handy" }), "foreign"},
		"under no name":                     {ours(func(g *blastradius.Grant) { g.Name = "" }), "foreign"},
		"for somebody else under our name":  {ours(func(g *blastradius.Grant) { g.Grantee = arn("mallory") }), "foreign"},
		"of more than decrypting":           {ours(func(g *blastradius.Grant) { g.Operations = []string{"Decrypt", "CreateGrant"} }), "foreign"},
		"of encrypting only":                {ours(func(g *blastradius.Grant) { g.Operations = []string{"Encrypt"} }), "foreign"},
		"for one version":                   {ours(subset("SecretARN", secretARN, "SecretVersionId", "v")), "foreign"},
		"exactly one version": {ours(func(g *blastradius.Grant) {
			g.Subset, g.Equals = nil, map[string]string{"SecretARN": secretARN, "SecretVersionId": "v"}
		}), "foreign"},
		"without a constraint":                   {ours(subset()), "wide"},
		"for a version of any secret":            {ours(subset("SecretVersionId", "v")), "wide"},
		"of further grants":                      {blastradius.Grant{Grantee: arn("x"), Operations: []string{"CreateGrant"}}, "wide"},
		"of encrypting, without a constraint":    {blastradius.Grant{Grantee: arn("x"), Operations: []string{"Encrypt", "DescribeKey"}}, ""},
		"for a volume":                           {ours(subset("aws:ebs:id", "vol-1")), ""},
		"for another secret":                     {ours(subset("SecretARN", strings.Replace(secretARN, "api", "api-two", 1))), ""},
		"for a secret whose name begins like it": {ours(subset("SecretARN", strings.Replace(secretARN, "api-", "api-abcdef-", 1))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := blastradius.CompareGrants(compiled, []blastradius.Grant{c.inForce}, secretARN)
			counted := map[string][]blastradius.Grant{"stale": got.Stale, "foreign": got.Foreign, "wide": got.Wide}
			for as, list := range counted {
				if (len(list) == 1) != (as == c.want) {
					t.Errorf("%s: %+v", as, list)
				}
			}
			if (len(got.Missing) == 0) != (c.want == "compiled") || got.None() != (c.want == "compiled") {
				t.Errorf("missing: %+v", got.Missing)
			}
		})
	}
	twice := blastradius.CompareGrants(compiled, []blastradius.Grant{ours(nil), ours(func(g *blastradius.Grant) { g.ID = "g-2" })}, secretARN)
	if len(twice.Stale) != 1 || twice.Stale[0].ID != "g-2" {
		t.Errorf("a second one: %+v", twice)
	}
}

// With the changes made, whatever was in force before, exactly the declared roles decrypt the secret by a grant that names
// it; nothing that names other things is touched; and there is nothing left to change.
func TestChangedGrantsAreThoseOfTheContract(t *testing.T) {
	thousand(t)
	rapid.Check(t, func(t *rapid.T) {
		b := organisation(t)
		for n, c := range b.Contracts {
			secret := fmt.Sprintf("arn:aws:secretsmanager:us-east-1:111122223333:secret:%s-a1b2c%d", c.ID(), n)
			compiled := grants(t, c, b.Services, secret)
			inForce := drawn(t, b, compiled, secret)
			changes := blastradius.CompareGrants(compiled, inForce, secret)
			var after []blastradius.Grant
			for _, g := range inForce {
				if !contains(changes.Stale, g) && !contains(changes.Foreign, g) {
					after = append(after, g)
				}
			}
			after = append(after, changes.Missing...)
			if again := blastradius.CompareGrants(compiled, after, secret); !again.None() {
				t.Fatalf("changed once, there is more to change: %+v", again)
			}
			for _, role := range everybody(b, options()) {
				declared := slices.ContainsFunc(b.Services, func(s contract.Service) bool {
					return slices.Contains(c.Services, s.Name) && s.Environments[c.Environment].Role == role
				})
				if got := decrypts(after, role, secret); got != declared && !decrypts(changes.Wide, role, secret) {
					t.Fatalf("%s decrypts %s: %t, want %t\n%+v", role, c.ID(), got, declared, after)
				}
				elsewhere := strings.Replace(secret, "secret:", "secret:elsewhere-", 1)
				if decrypts(inForce, role, elsewhere) != decrypts(after, role, elsewhere) {
					t.Fatalf("%s had another secret's grants changed", role)
				}
			}
		}
	})
}

// drawn are grants on the key before Mayfly comes: some of the compiled ones, and others of all kinds.
func drawn(t *rapid.T, b contract.Bundle, compiled []blastradius.Grant, secret string) []blastradius.Grant {
	all := rapid.SliceOfN(rapid.SampledFrom(append(compiled, blastradius.Grant{Grantee: arn("x"), Operations: []string{"Decrypt"}, Subset: map[string]string{"SecretARN": secret}})), 0, 4).Draw(t, "some of ours")
	for range rapid.IntRange(0, 5).Draw(t, "others") {
		g := blastradius.Grant{
			Grantee:    rapid.SampledFrom(everybody(b, options())).Draw(t, "grantee"),
			Operations: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"Decrypt", "Encrypt", "DescribeKey"}), 1, 3, rapid.ID[string]).Draw(t, "operations"),
			Name:       rapid.SampledFrom([]string{"", "mayfly:prod/x:0123456789abcdef", "other"}).Draw(t, "name"),
		}
		context := map[string]string{}
		for k, values := range map[string][]string{"SecretARN": {secret, secret + "x", strings.Replace(secret, "secret:", "secret:elsewhere-", 1)}, "SecretVersionId": {"v1", "v2"}, "aws:ebs:id": {"vol-1"}} {
			if rapid.Bool().Draw(t, k) {
				context[k] = rapid.SampledFrom(values).Draw(t, k+" is")
			}
		}
		if g.Subset = context; rapid.Bool().Draw(t, "equals") {
			g.Subset, g.Equals = nil, context
		}
		all = append(all, g)
	}
	for i := range all {
		all[i].ID = fmt.Sprint(i)
	}
	return all
}

func contains(list []blastradius.Grant, g blastradius.Grant) bool {
	return slices.ContainsFunc(list, func(x blastradius.Grant) bool { return x.ID == g.ID })
}

// decrypts asks the local stack's KMS whether a grant lets a role decrypt some version of a secret.
func decrypts(list []blastradius.Grant, role, secret string) bool {
	return slices.ContainsFunc(list, func(g blastradius.Grant) bool {
		one := kms.Grant{Operations: g.Operations, Equals: g.Equals, Subset: g.Subset}
		return g.Grantee == role && slices.ContainsFunc([]string{"v1", "v2"}, func(version string) bool {
			return one.Allows("Decrypt", map[string]string{"SecretARN": secret, "SecretVersionId": version})
		})
	})
}
