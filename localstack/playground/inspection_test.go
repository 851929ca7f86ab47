package playground_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres/scram"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// Drift injected past Mayfly, with nobody to tell of it: every rule on what others do is off. The next inspection finds it,
// puts it back where that can be done, and rotates where the contract has it so.
func TestDrift(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	silence(t, p)
	for _, d := range drifts() {
		t.Run(d.name, func(t *testing.T) { d.test(t, p) })
	}
	clean(t, p)
}

// drift is one change past Mayfly.
type drift struct {
	name    string
	secret  string // "" is orders
	change  func(t *testing.T, p *playground.Playground)
	code    inspection.Code
	step    string
	rotates trigger.Type // "" where no rotation follows
	after   func(t *testing.T, p *playground.Playground)
}

func drifts() []drift {
	return []drift{
		{name: "policy widened", code: inspection.PolicyDrift, step: "InspectSecrets", rotates: trigger.AccessChange,
			change: func(t *testing.T, p *playground.Playground) {
				widen(t, p, orders, playground.Analytics)
				if !canRead(t, p, playground.Analytics, orders) {
					t.Error("the policy was widened, and the stranger does not read")
				}
			},
			after: func(t *testing.T, p *playground.Playground) {
				if canRead(t, p, playground.Analytics, orders) {
					t.Error("the stranger reads still")
				}
			}},
		// No run has brought its value, and its contract has no rotation for that.
		{name: "policy widened, access_change not listed", secret: payments, code: inspection.PolicyDrift, step: "InspectSecrets",
			change: func(t *testing.T, p *playground.Playground) { widen(t, p, payments, playground.Analytics) },
			after: func(t *testing.T, p *playground.Playground) {
				if canRead(t, p, playground.Analytics, payments) {
					t.Error("the stranger reads still")
				}
			}},
		{name: "tags changed", code: inspection.TagDrift, step: "InspectSecrets",
			change: func(t *testing.T, p *playground.Playground) {
				tag(t, p, orders, "owner", "nobody")
				tag(t, p, orders, "ttl", "90d")
				tag(t, p, orders, "expires-at", p.Stack.Clock.Now().Add(90*24*time.Hour).Format(time.RFC3339))
				tag(t, p, orders, "rotated-at", p.Stack.Clock.Now().Add(24*time.Hour).Format(time.RFC3339))
			},
			after: func(t *testing.T, p *playground.Playground) {
				got := tagsOf(t, p, orders)
				expires, err := time.Parse(time.RFC3339, got["mayfly:expires-at"])
				if got["mayfly:owner"] != "orders-team" || got["mayfly:ttl"] != "1d" || err != nil || expires.After(p.Stack.Clock.Now().Add(24*time.Hour)) {
					t.Errorf("the tags are %v", got)
				}
			}},
		{name: "value changed", code: inspection.ValueChanged, step: "InspectSecrets", rotates: trigger.Upstream,
			change: func(t *testing.T, p *playground.Playground) {
				text, _ := value(t, p, orders)
				put(t, p, orders, text)
			}},
		{name: "target password changed", code: inspection.CurrentRefused, step: "ProbeTargets", rotates: trigger.Upstream,
			change: func(t *testing.T, p *playground.Playground) {
				v, _, err := p.Value(t.Context(), orders, "")
				must(t)(nil, err)
				must(t)(nil, p.Server.Exec(t.Context(), "orders", "ALTER ROLE "+v.User()+" PASSWORD 'hunter2'"))
			}},
		{name: "secret deleted", code: inspection.Deleted, step: "InspectSecrets",
			change: func(t *testing.T, p *playground.Playground) { discard(t, p, orders) },
			after:  func(t *testing.T, p *playground.Playground) { value(t, p, orders) }},
		{name: "revoked login opened again", code: inspection.RevokedHonoured, step: "ProbeTargets", rotates: trigger.Incident,
			change: func(t *testing.T, p *playground.Playground) {
				old := previous(t, p, orders)
				verifier, err := scram.Verifier(old.Password(), rand.Reader)
				must(t)(nil, err)
				must(t)(nil, p.Server.Exec(t.Context(), "orders", "ALTER ROLE "+old.User()+" LOGIN VALID UNTIL 'infinity' PASSWORD '"+verifier+"'"))
			}},
	}
}

func (d drift) test(t *testing.T, p *playground.Playground) {
	secret := orders
	if d.secret != "" {
		secret = d.secret
	}
	before, said := len(runs(t, p, secret)), len(found(t, p, secret))
	_, was := value(t, p, secret)
	d.change(t, p)
	inspect(t, p, false)
	now := found(t, p, secret)[said:]
	if len(now) != 1 || now[0].ReasonCode != string(d.code) || now[0].Step != d.step || now[0].Outcome != string(d.code.Grade()) || now[0].Reason == "" {
		t.Fatalf("on record: %+v", now)
	}
	made := runs(t, p, secret)
	switch {
	case d.rotates == "" && len(made) != before:
		t.Errorf("a rotation followed: %+v", made[0])
	case d.rotates != "":
		if len(made) != before+1 || made[0].Outcome != audit.Rotated || made[0].Trigger != string(d.rotates) ||
			!slices.Equal(made[0].TriggerIDs, []string{string(d.rotates) + ":" + now[0].TriggerID}) {
			t.Fatalf("%d runs, the last %+v; want one by %s:%s\n%s", len(made)-before, made[0], d.rotates, now[0].TriggerID, told(t, p))
		}
		if _, is := value(t, p, secret); is == was {
			t.Error("AWSCURRENT is where it was")
		}
	}
	if d.after != nil {
		d.after(t, p)
	}
	if p.Target(secret) != nil {
		if err := p.CheckLaws(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
	inspect(t, p, false)
	if again := found(t, p, secret)[said:]; len(again) != 1 {
		t.Errorf("found again: %+v", again[1:])
	}
}

// inspect lets the quarter of an hour go by, and inspects.
func inspect(t *testing.T, p *playground.Playground, access bool) {
	t.Helper()
	p.Stack.Clock.Advance(15 * time.Minute)
	settled(t, p)
	if got := end(t, p, execute(t, p, playground.InspectMachine, map[string]any{"access": access})); got != "Inspected" {
		t.Fatalf("the inspection ended in %s", got)
	}
	settled(t, p)
}

// found are the findings on record of a secret, in order.
func found(t *testing.T, p *playground.Playground, secret string) []audit.Record {
	t.Helper()
	of := slices.DeleteFunc(records(t, p), func(r audit.Record) bool { return r.Secret != secret || r.Event != inspection.EventFound })
	slices.SortFunc(of, func(a, b audit.Record) int { return int(a.Seq - b.Seq) })
	return of
}

// silence switches off every rule on what others do, so that nothing but an inspection can notice.
func silence(t *testing.T, p *playground.Playground) {
	t.Helper()
	rules, err := eventbridge.NewFromConfig(p.AWS).ListRules(t.Context(), &eventbridge.ListRulesInput{})
	must(t)(nil, err)
	for _, r := range rules.Rules {
		must(t)(eventbridge.NewFromConfig(p.AWS).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: r.Name}))
	}
}

// tagsOf reads the tags of a secret.
func tagsOf(t *testing.T, p *playground.Playground, secret string) map[string]string {
	t.Helper()
	out, err := p.Secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secret})
	must(t)(nil, err)
	tags := map[string]string{}
	for _, one := range out.Tags {
		tags[aws.ToString(one.Key)] = aws.ToString(one.Value)
	}
	return tags
}

// previous is the value of the version before the one in use.
func previous(t *testing.T, p *playground.Playground, secret string) credential.Value {
	t.Helper()
	out, err := p.Secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &secret})
	must(t)(nil, err)
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, "AWSPREVIOUS") {
			v, _, err := p.Value(t.Context(), secret, version)
			must(t)(nil, err)
			return v
		}
	}
	t.Fatal("there is none")
	return credential.Value{}
}

// widen writes a role into every statement of the resource policy of a secret.
func widen(t *testing.T, p *playground.Playground, secret, role string) {
	t.Helper()
	out, err := p.Secrets().GetResourcePolicy(t.Context(), &secretsmanager.GetResourcePolicyInput{SecretId: &secret})
	must(t)(nil, err)
	const reader = `"arn:aws:iam::000000000000:role/mayfly-set-secret"`
	text := strings.ReplaceAll(aws.ToString(out.ResourcePolicy), reader, reader+`,"`+role+`"`)
	must(t)(p.Secrets().PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: &secret, ResourcePolicy: &text}))
}

// canRead tells whether a role reads a secret.
func canRead(t *testing.T, p *playground.Playground, role, secret string) bool {
	t.Helper()
	may, err := p.Reads(t.Context(), playground.Ask{Role: role, Secret: secret})
	must(t)(nil, err)
	return may
}

// Reading is tried as others would, once a day, and what comes of it is evidence: one record for each secret. What comes of it
// otherwise than it must is an incident.
func TestProbeAccess(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	(&failing{Playground: p}).rotate(t, "onboard")
	(&failing{Playground: p}).rotate(t, "again")
	(&failing{Playground: p}).rotate(t, "and again") // so that there is a version without a label
	silence(t, p)
	inspect(t, p, true)
	evidence := func(secret string) audit.Record {
		t.Helper()
		all := slices.DeleteFunc(records(t, p), func(r audit.Record) bool { return r.Secret != secret || r.Event != inspection.EventProbed })
		slices.SortFunc(all, func(a, b audit.Record) int { return int(b.Seq - a.Seq) })
		if len(all) == 0 {
			t.Fatalf("no evidence of %s", secret)
		}
		return all[0]
	}
	for _, c := range p.Bundle.Contracts {
		if r := evidence(c.ID()); r.Outcome != "passed" || !strings.HasPrefix(r.Reason, "mayfly-probe-stranger: refused") {
			t.Errorf("%s: %s, %s", c.ID(), r.Outcome, r.Reason)
		}
		if f := found(t, p, c.ID()); len(f) > 0 {
			t.Errorf("%s: %+v", c.ID(), f)
		}
	}
	said := evidence(orders).Reason
	for _, part := range []string{"prod-orders-service: allowed", "prod-orders-service by version mayfly-"} {
		if !strings.Contains(said, part) {
			t.Errorf("it does not say %q: %s", part, said)
		}
	}
	if said := evidence(payments).Reason; !strings.Contains(said, "staging-billing-service: refused") || !strings.Contains(said, "prod-billing-service: allowed") {
		t.Errorf("of another environment it says %s", said)
	}

	// Between an inspection's look at the policy and its probes, somebody lets the stranger in.
	before := len(runs(t, p, orders))
	clear := during(t, p, write{"mayfly-probe-access", "sts", "AssumeRole", 0}, func() {
		widen(t, p, orders, "arn:aws:iam::000000000000:role/mayfly-probe-stranger")
	})
	inspect(t, p, true)
	clear()
	if r := evidence(orders); r.Outcome != "failed" || !strings.HasPrefix(r.Reason, "mayfly-probe-stranger: allowed, and must be refused") {
		t.Errorf("%s, %s", r.Outcome, r.Reason)
	}
	made := runs(t, p, orders)
	if len(made) != before+1 || made[0].Trigger != string(trigger.Incident) || made[0].Outcome != audit.Rotated {
		t.Fatalf("%d runs followed, the last %+v\n%s", len(made)-before, made[0], told(t, p))
	}
	inspect(t, p, true)
	if r := evidence(orders); r.Outcome != "passed" {
		t.Errorf("after the rotation: %s, %s", r.Outcome, r.Reason)
	}

	// Past its expiry nobody reads, and that is as it must be.
	halt(t, p, "mayfly-evaluate")
	p.Stack.Clock.Advance(25 * time.Hour)
	inspect(t, p, true)
	if r := evidence(orders); r.Outcome != "passed" || !strings.Contains(r.Reason, "prod-orders-service: refused") {
		t.Errorf("past the expiry: %s, %s", r.Outcome, r.Reason)
	}
	if f := found(t, p, orders); len(f) == 0 || f[len(f)-1].ReasonCode != string(inspection.Expired) {
		t.Errorf("on record: %+v", f)
	}
	clean(t, p)
}

// halt ends a schedule.
func halt(t *testing.T, p *playground.Playground, name string) {
	t.Helper()
	must(t)(scheduler.NewFromConfig(p.AWS).DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{Name: &name}))
}
