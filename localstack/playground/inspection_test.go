package playground_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
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
	for id, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, "AWSPREVIOUS") {
			v, _, err := p.Value(t.Context(), secret, id)
			must(t)(nil, err)
			return v
		}
	}
	t.Fatalf("no version of %s is AWSPREVIOUS", secret)
	return credential.Value{}
}
