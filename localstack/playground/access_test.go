package playground_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const (
	apiKey = "prod/payment-api-key"
	roles  = "arn:aws:iam::" + stack.Account + ":role/"
)

// reads holds what comes of asking against what has to. Every role here may read by its own policy.
func reads(t *testing.T, p *playground.Playground, when string, want map[playground.Ask]bool) {
	t.Helper()
	for ask, may := range want {
		got, err := p.Reads(t.Context(), ask)
		if err != nil {
			t.Fatalf("%s: %+v: %v", when, ask, err)
		}
		if got != may {
			t.Errorf("%s: %+v reads: %t, want %t", when, ask, got, may)
		}
	}
}

// Who reads, and for how long: the declared service of the environment, of two versions during the overlap, and nobody any
// more when the life of the value is over, with everything of Mayfly stopped.
func TestWhoReads(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: map[string]string{"quiet_period": "1s", "max_overlap": "6s"}})
	f := &failing{Playground: p}
	f.rotate(t, "first")
	first := current(t, p)
	f.rotate(t, "second")
	second := current(t, p)
	f.rotate(t, "third")
	p.Stack.Clock.Advance(time.Minute) // past the overlap
	service := roles + "prod-orders-service"
	must(t)(nil, p.Halt(t.Context()))
	reads(t, p, "between rotations", map[playground.Ask]bool{
		{Secret: orders}: false,
		{Secret: orders, Role: playground.Analytics}:                         false,
		{Secret: orders, Role: roles + "prod-billing-service"}:               false,
		{Secret: orders, Role: service}:                                      true,
		{Secret: orders, Role: service, Version: current(t, p)}:              true,
		{Secret: orders, Role: service, Version: second}:                     false,
		{Secret: orders, Role: service, Version: first}:                      false,
		{Secret: orders, Role: service, Stage: "AWSPREVIOUS"}:                false,
		{Secret: orders, Role: service, Stage: "AWSPENDING"}:                 false,
		{Secret: apiKey, Role: playground.Analytics}:                         false,
		{Secret: apiKey, Role: roles + "prod-billing-service"}:               true,
		{Secret: apiKey, Role: roles + "prod-reconciliation-worker"}:         true,
		{Secret: apiKey, Role: roles + "staging-billing-service"}:            false,
		{Secret: "prod/orders-db-admin", Role: service}:                      false,
		{Secret: "prod/orders-db-admin", Role: playground.Analytics}:         false,
		{Secret: "prod/webhook-github", Role: roles + "prod-orders-service"}: false,
	})

	p.Stack.Endpoint.ResetCalls()
	p.Stack.Clock.Advance(25 * time.Hour)
	reads(t, p, "a day later", map[playground.Ask]bool{
		{Secret: orders, Role: service}:                              false,
		{Secret: orders, Role: service, Version: current(t, p)}:      false,
		{Secret: orders, Role: playground.Analytics}:                 false,
		{Secret: apiKey, Role: roles + "prod-billing-service"}:       false,
		{Secret: apiKey, Role: roles + "prod-reconciliation-worker"}: false,
		{Secret: apiKey}: false,
	})
	if worked := p.Worked(); len(worked) > 0 {
		t.Errorf("everything is stopped, and %v worked", worked)
	}

	must(t)(nil, p.Resume(t.Context()))
	p.Stack.Clock.Advance(15 * time.Minute)
	settled(t, p)
	reads(t, p, "when Mayfly is back", map[playground.Ask]bool{
		{Secret: orders, Role: service}:                        true,
		{Secret: apiKey, Role: roles + "prod-billing-service"}: true,
		{Secret: apiKey, Role: playground.Analytics}:           false,
	})
}

// lastOf is the last record of an event of a secret, nil if there is none.
func lastOf(t *testing.T, p *playground.Playground, secret, event string) *audit.Record {
	t.Helper()
	var last *audit.Record
	for _, r := range records(t, p) {
		if r.Secret == secret && r.Event == event && (last == nil || r.Seq > last.Seq) {
			last = &r
		}
	}
	return last
}

func current(t *testing.T, p *playground.Playground) string {
	t.Helper()
	_, id, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	return id
}

// A policy that somebody took off or opened is found by the next rotation, told on record, and put back. Without it
// everybody reads whom his own policy lets: it is the policy that denies.
func TestRotationRestoresAccess(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	f := &failing{Playground: p}
	must(t)(nil, p.Halt(t.Context())) // so that nothing else notices: no inspection, and no event
	silence(t, p)
	analytics := playground.Ask{Secret: orders, Role: playground.Analytics}
	open := `{"Version":"2012-10-17","Statement":[{"Sid":"DeclaredServicesRead","Effect":"Allow","Principal":{"AWS":"` + playground.Analytics + `"},"Action":"secretsmanager:*","Resource":"*"}]}`
	for what, c := range map[string]struct {
		change func() error
		said   string
	}{
		"taken off": {func() error {
			_, err := p.Secrets().DeleteResourcePolicy(t.Context(), &secretsmanager.DeleteResourcePolicyInput{SecretId: aws.String(orders)})
			return err
		}, "no resource policy is in force"},
		"opened": {func() error {
			_, err := p.Secrets().PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: aws.String(orders), ResourcePolicy: &open})
			return err
		}, "DeclaredServicesRead names " + playground.Analytics},
	} {
		reads(t, p, what+", before", map[playground.Ask]bool{analytics: false})
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		reads(t, p, what, map[playground.Ask]bool{analytics: true})
		f.rotate(t, "after it was "+what)
		reads(t, p, what+", and put back", map[playground.Ask]bool{analytics: false})
		if last := lastOf(t, p, orders, rotation.EventAccessRestored); last == nil || !strings.Contains(last.Reason, c.said) || last.Step != "PropagateSecret" {
			t.Errorf("%s: on record %+v, want %q", what, last, c.said)
		}
	}
}

// A declared role that does not exist: Secrets Manager takes no policy that allows it, so the denies are put alone, on record,
// by the deployment and by each rotation, until it is there.
func TestDeclaredRoleThatIsMissing(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	const ghost = "prod/ghost-key"
	b := p.Bundle
	b.Services = append(b.Services, contract.Service{Name: "ghost", Environments: map[string]contract.Placement{
		"prod": {Role: roles + "prod-ghost", Delivery: contract.Delivery{Kind: "external"}}}})
	b.Contracts = append(b.Contracts, contract.Contract{Name: "ghost-key", Owner: "platform-team", Environment: "prod", Services: []string{"ghost", "billing-service"},
		TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"incident"}, BlastRadius: "minimal", Kind: contract.Random, Strategy: contract.Single,
		Policy: map[string]string{"max_overlap": "1s"}})
	must(t)(nil, p.Deploy(t.Context(), b))
	billing, analytics := playground.Ask{Secret: ghost, Role: roles + "prod-billing-service"}, playground.Ask{Secret: ghost, Role: playground.Analytics}
	denied := func(when, step string) {
		t.Helper()
		reads(t, p, when, map[playground.Ask]bool{billing: true, analytics: false}) // billing-service by its own policy
		out, err := p.Secrets().GetResourcePolicy(t.Context(), &secretsmanager.GetResourcePolicyInput{SecretId: aws.String(ghost)})
		must(t)(nil, err)
		if strings.Contains(*out.ResourcePolicy, "Allow") {
			t.Errorf("%s: %s", when, *out.ResourcePolicy)
		}
		if last := lastOf(t, p, ghost, rotation.EventAccessWithoutAllow); last == nil || last.Step != step {
			t.Errorf("%s: on record %+v, want one of %s", when, last, step)
		}
	}
	denied("when it comes under contract", "ApplyContracts")
	rotate := func() {
		t.Helper()
		execution, err := p.Rotate(t.Context(), ghost, "a drill", "test")
		must(t)(nil, err)
		must(t)(p.Wait(t.Context(), execution))
		if got := end(t, p, execution); got != "Rotated" {
			t.Fatalf("the run ended in %s%s", got, why(t, p, execution))
		}
		p.Stack.Clock.Advance(11 * time.Minute)
	}
	rotate()
	denied("after a rotation", "PropagateSecret")
	must(t)(nil, p.MakeTeamRole(t.Context(), roles+"prod-ghost", "staging"))
	rotate()
	reads(t, p, "when the role is there", map[playground.Ask]bool{{Secret: ghost, Role: roles + "prod-ghost"}: true, billing: true, analytics: false})
}
