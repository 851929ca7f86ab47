package blastradius_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

func ourRules(t *testing.T) blastradius.Guardrails {
	t.Helper()
	text, err := os.ReadFile("../../contracts/guardrails.cedar")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := blastradius.ReadGuardrails(text)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// rules gives the ids of findings.
func rules(found []blastradius.Finding) []string {
	ids := []string{}
	for _, f := range found {
		ids = append(ids, f.Rule)
	}
	return ids
}

func TestOurContractsKeepOurRules(t *testing.T) {
	b := ours(t)
	if found := ourRules(t).Evaluate(b); len(found) > 0 {
		t.Error(found)
	}
	for _, c := range b.Contracts {
		p, err := policy.Initial(c)
		if err != nil {
			t.Fatal(err)
		}
		if found := ourRules(t).Admit(c, p); len(found) > 0 {
			t.Error(found)
		}
	}
}

// Each rule that we ship finds what it is there for, in a world that is otherwise in order.
func TestOurRulesFind(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   []string
	}{
		"nothing":                           {func(*world) {}, nil},
		"unknown owner":                     {func(w *world) { w.api.Owner = "nobody" }, []string{"owner-known"}},
		"value for a month":                 {func(w *world) { w.api.TTL = days(30) }, nil},
		"value for longer":                  {func(w *world) { w.api.TTL = days(30) + contract.Duration(time.Second) }, []string{"prod-ttl-of-values"}},
		"value for longer, for now shorter": {func(w *world) { w.api.TTL, w.api.Policy = days(60), map[string]string{"ttl": "1d"} }, []string{"prod-ttl-of-values"}},
		"login for a week":                  {func(w *world) { w.db.TTL = days(7) }, nil},
		"login for longer":                  {func(w *world) { w.db.TTL = days(8) }, []string{"prod-ttl-of-logins"}},
		"staging for longer":                {func(w *world) { w.staging.TTL = days(90) }, nil},
		"no incident":                       {func(w *world) { w.db.RotateOn = []string{"commit"} }, []string{"prod-rotates-on-incident"}},
		"staging without":                   {func(w *world) { w.staging.RotateOn = []string{"commit"} }, nil},
		"kept by contract":                  {func(w *world) { w.api.OnExpiry, w.api.BlastRadius = "keep", "limited" }, []string{"prod-expires"}},
		"kept by policy": {func(w *world) {
			w.api.Policy, w.api.BlastRadius = map[string]string{"on_expiry": "keep"}, "limited"
		}, []string{"prod-expires"}},
		"understated":     {func(w *world) { w.admin.BlastRadius = "minimal" }, []string{"level-not-understated"}},
		"overstated":      {func(w *world) { w.api.BlastRadius = "broad" }, nil},
		"absent service":  {func(w *world) { delete(w.billing.Environments, "prod") }, []string{"services-present"}},
		"shared in prod":  {func(w *world) { w.analytics.Environments["prod"] = placed("prod-billing") }, []string{"level-not-understated", "readers-declared"}},
		"shared by role":  {func(w *world) { w.billing.Environments["staging"] = placed("prod-billing") }, []string{"level-not-understated", "one-environment"}},
		"shared database": {func(w *world) { w.staging.Kind, w.staging.Target = contract.Postgres, at("prod-db", "staging_app") }, []string{"level-not-understated", "one-environment"}},
		"several at once": {func(w *world) { w.api.Owner, w.api.TTL, w.api.RotateOn = "nobody", days(60), []string{"commit"} }, []string{"owner-known", "prod-rotates-on-incident", "prod-ttl-of-values"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			got := rules(ourRules(t).Evaluate(w.bundle()))
			slices.Sort(got)
			got = slices.Compact(got)
			if diff := cmp.Diff(append([]string{}, c.want...), got); diff != "" {
				t.Error(diff, ourRules(t).Evaluate(w.bundle()))
			}
		})
	}
}

func TestFindingsCarryReasonPlaceAndAdvice(t *testing.T) {
	w := newWorld()
	w.api.Owner = "nobody"
	want := []blastradius.Finding{{Secret: "prod/api", Rule: "owner-known", Reason: "the owner is not one of the teams that answer for secrets here",
		At: "/owner", Do: "name the team that answers for it, or add the team to this rule"}}
	if diff := cmp.Diff(want, ourRules(t).Evaluate(w.bundle())); diff != "" {
		t.Error(diff)
	}
}

// At admission the policy in force counts: what its tags say, and not what the contract began with.
func TestAdmissionGoesByThePolicyInForce(t *testing.T) {
	w := newWorld()
	w.api.TTL = days(60)
	p := policy.Default(*w.api)
	if got := rules(ourRules(t).Admit(*w.api, p)); !slices.Equal(got, []string{"prod-ttl-of-values"}) {
		t.Error(got)
	}
	p.TTL = days(1)
	if got := rules(ourRules(t).Admit(*w.api, p)); len(got) > 0 {
		t.Error(got)
	}
	p.OnExpiry = contract.Keep
	if got := rules(ourRules(t).Admit(*w.api, p)); !slices.Equal(got, []string{"prod-expires"}) {
		t.Error(got)
	}
	if got := (blastradius.Guardrails{}).Admit(*w.api, p); len(got) > 0 {
		t.Error("no rules, and yet", got)
	}
}

func TestRulesThatCannotBeReadAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		line       int
	}{
		"no Cedar":           {"@id(\"a\")\npermit (principal, action, resource);\nforbid everything;", "Cedar cannot read this", 3},
		"no id":              {"permit (principal, action, resource);", "no @id", 1},
		"reserved id":        {"@id(\"rule-broken\") permit (principal, action, resource);", "no @id of its own", 1},
		"no reason":          {"\n@id(\"a\") forbid (principal, action, resource);", "no @reason", 2},
		"twice":              {"@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);", "twice", 2},
		"unknown annotation": {"@id(\"a\") @raeson(\"b\") forbid (principal, action, resource);", "@raeson is no annotation", 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := blastradius.ReadGuardrails([]byte(c.text))
			var bad *blastradius.BadRule
			if !errors.As(err, &bad) || !strings.Contains(bad.Message, c.want) || bad.Line != c.line {
				t.Errorf("%v, want %q on line %d", err, c.want, c.line)
			}
		})
	}
}

// What cannot be evaluated, or what nobody permits, is not passed.
func TestRulesFailClosed(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown attribute": {`@id("all") permit (principal, action, resource); @id("a") @reason("b") forbid (principal, action, resource) when { resource.typo == 1 };`, blastradius.RuleBroken},
		"no permit":         {`@id("a") @reason("b") forbid (principal, action, resource) when { resource.ttl == 1 };`, blastradius.NotPermitted},
		"empty file":        {"", blastradius.NotPermitted},
		"lint fact at admission": {`@id("all") permit (principal, action, resource); @id("a") @reason("b") forbid (principal, action, resource) when { resource.computed > 1 };`,
			blastradius.RuleBroken},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := blastradius.ReadGuardrails([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld()
			if got := rules(g.Admit(*w.api, policy.Default(*w.api))); !slices.Equal(got, []string{c.want}) {
				t.Error(got)
			}
		})
	}
}

// A rule over what is known at lint only refuses every run; that is found before it is deployed.
func TestRuleThatAdmissionCannotEvaluate(t *testing.T) {
	rules, err := blastradius.ReadGuardrails([]byte(`@id("all") permit (principal, action, resource);
@id("shared") @reason("shared") forbid (principal, action, resource) unless { resource.elsewhere.isEmpty() };`))
	if err != nil {
		t.Fatal(err)
	}
	b := ours(t)
	found := rules.Evaluate(b)
	if len(found) != len(b.Contracts) {
		t.Fatalf("%d findings for %d contracts: %v", len(found), len(b.Contracts), found)
	}
	for _, f := range found {
		if f.Rule != blastradius.RuleBroken || !strings.Contains(f.Reason, "shared") || !strings.Contains(f.Reason, "elsewhere") {
			t.Errorf("%v", f)
		}
	}
}

// Where there are no rules, admission gets a text that says so; a lost file is no such text.
func TestRulesOfABundle(t *testing.T) {
	b := ours(t)
	if text := string(blastradius.Rules(b)); !strings.Contains(text, `@id("owner-known")`) {
		t.Errorf("the rules of our contracts are\n%s", text)
	}
	b.Guardrails = nil
	none, err := blastradius.ReadGuardrails(blastradius.Rules(b))
	if err != nil {
		t.Fatal(err)
	}
	if found := none.Evaluate(b); len(found) > 0 {
		t.Errorf("without rules: %v", found)
	}
	lost, err := blastradius.ReadGuardrails(nil)
	if err != nil {
		t.Fatal(err)
	}
	if found := lost.Admit(b.Contracts[0], policy.Policy{}); len(found) != 1 || found[0].Rule != blastradius.NotPermitted {
		t.Errorf("an empty file permits: %v", found)
	}
}
