// Package playground is the whole of Mayfly on one machine: the local stack, a throw-away PostgreSQL server whose clock
// follows the stack's, the synthesized template with the real function binaries, and contracts in force. It is what
// `make up`, `make demo`, `make bench` and the tests of the laws run on.
package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/localstack"
	"github.com/mayfly-secrets/mayfly/localstack/postgres"
)

// Options choose a playground.
type Options struct {
	Listen   string          // address of the endpoint; "" takes a free port of 127.0.0.1
	Assembly string          // the synthesized cloud assembly, whose functions were built for this machine
	Bundle   contract.Bundle // contracts and services; targets are pointed at the throw-away server
	Cut      bool            // put a proxy between functions and server that can cut connections; without TLS
	// Policy is set over every contract's initial policy, so that waits of minutes take seconds; nil leaves them.
	Policy map[string]string
	Random func() float64    // in [0, 1), for the jitter of retries: small ones make for short waits; nil is math/rand's
	Step   func(what string) // told before each step that takes time; nil tells nobody
	// Uninspected leaves out the inspections that come by themselves: for who changes things behind Mayfly's back and wants
	// them left so.
	Uninspected bool
}

// Playground is running.
type Playground struct {
	Stack   *localstack.Stack
	Server  *postgres.Cluster
	Proxy   *postgres.Proxy // nil without Options.Cut
	Bundle  contract.Bundle // as it was applied
	AWS     aws.Config      // as the account's root
	options Options
	given   []string // passwords that were there before Mayfly
}

// Start brings everything up and returns when the contracts are in force. The credentials that teams already had (the
// owner's login, the rotation admin's) are in Secrets Manager, as they would be before Mayfly comes.
func Start(ctx context.Context, o Options) (_ *Playground, err error) {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	p := &Playground{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	o.Step("starting a throw-away PostgreSQL server")
	p.Server, err = postgres.Start(ctx, postgres.Options{TLS: !o.Cut, FollowClock: postgres.CanFollowClock()})
	if err != nil {
		return p, err
	}
	if o.Cut {
		if p.Proxy, err = postgres.NewProxy(p.Server.Port); err != nil {
			return p, err
		}
	}
	o.Step("starting the local stack")
	if p.Stack, err = localstack.Start(ctx, localstack.Options{Listen: o.Listen}); err != nil {
		return p, err
	}
	p.Stack.Machines.Random = o.Random
	if postgres.CanFollowClock() {
		p.Stack.Clock.Watch(func(offset time.Duration) { err = errors.Join(err, p.Server.SetClock(offset)) })
	}
	p.AWS = p.Stack.Config()
	p.Bundle = p.pointed(o.Bundle)
	if err := errors.Join(p.teamKeys(p.Bundle), p.teamRoles(ctx)); err != nil {
		return p, err
	}
	o.Step("creating databases and the credentials that were there before Mayfly")
	if err := p.existing(ctx); err != nil {
		return p, err
	}
	o.Step("deploying the synthesized template")
	if err := p.Deploy(ctx, p.Bundle); err != nil {
		return p, err
	}
	if o.Uninspected {
		for _, name := range []string{"mayfly-inspect", "mayfly-probe"} {
			if _, err := scheduler.NewFromConfig(p.AWS).DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: &name}); err != nil {
				return p, err
			}
		}
	}
	// A schedule with a rate fires as soon as it is made: what is due at once rotates now.
	o.Step("first evaluation")
	return p, p.Settle(ctx)
}

// Deploy deploys the template with these contracts and rules, as `cdk deploy` would after a commit.
func (p *Playground) Deploy(ctx context.Context, b contract.Bundle) error {
	compiled, err := b.Compile()
	if err != nil {
		return err
	}
	return p.Stack.Deploy(ctx, p.options.Assembly, localstack.Files{"contracts.json": compiled, "guardrails.cedar": blastradius.Rules(b)})
}

// Redeploy deploys another assembly, with contracts whose targets are at the throw-away server already.
func (p *Playground) Redeploy(ctx context.Context, assembly string, b contract.Bundle) error {
	p.options.Assembly, p.Bundle = assembly, b
	return p.Deploy(ctx, b)
}

// pointed is the bundle with every target at the throw-away server, every role in the local stack's account, and the policy of
// the playground.
func (p *Playground) pointed(b contract.Bundle) contract.Bundle {
	contracts := make([]contract.Contract, len(b.Contracts))
	for i, c := range b.Contracts {
		policy := map[string]string{}
		for k, v := range c.Policy {
			policy[k] = v
		}
		for k, v := range p.options.Policy {
			policy[k] = v
		}
		if c.Policy = policy; c.Target != nil {
			t := *c.Target
			t.Host, t.Port, t.TLS, t.RootCert = "127.0.0.1", p.Server.Port, "verify-full", p.Server.RootCert
			if p.Proxy != nil {
				t.Port, t.TLS, t.RootCert = p.Proxy.Port(), "disable", ""
			}
			c.Target = &t
		}
		contracts[i] = c
	}
	b.Contracts, b.Services = contracts, rehome(b.Services)
	return b
}

// existing creates the database of every credential that is rotated by another, and stores both as teams would have.
func (p *Playground) existing(ctx context.Context) error {
	for _, c := range p.Bundle.Contracts {
		if c.Target == nil || c.Target.Admin == "" {
			continue
		}
		admin, ok := p.Bundle.Find(c.Target.Admin)
		if !ok || admin.Target == nil {
			return fmt.Errorf("%s is rotated with %s, which is not under contract: the playground cannot make it up", c.ID(), c.Target.Admin)
		}
		demo, err := p.Server.CreateDatabase(ctx, c.Target.Database, c.Target.Owner, admin.Target.Owner)
		if err != nil {
			return err
		}
		if err := errors.Join(
			p.store(ctx, c, demo.Owner, demo.OwnerPassword),
			p.store(ctx, admin, demo.Admin, demo.AdminPassword),
		); err != nil {
			return err
		}
		p.given = append(p.given, demo.OwnerPassword, demo.AdminPassword)
	}
	return nil
}

// store creates a secret with a given login, in the shape of AWS's own database secrets.
func (p *Playground) store(ctx context.Context, c contract.Contract, user, password string) error {
	members := map[string]string{
		"engine": contract.Postgres, "host": c.Target.Host, "port": fmt.Sprint(c.Target.Port), "dbname": c.Target.Database,
		"username": user, "password": password,
	}
	for k, v := range c.Target.Fields {
		members[k] = v
	}
	text, err := json.Marshal(members)
	if err != nil {
		return err
	}
	_, err = p.Secrets().CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(c.ID()), SecretString: aws.String(string(text))})
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) { // an admin that rotates several: each of its databases gave it a new password
		_, err = p.Secrets().PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String(c.ID()), SecretString: aws.String(string(text))})
	}
	return err
}

// Secrets is a Secrets Manager client of the account's root.
func (p *Playground) Secrets() *secretsmanager.Client { return secretsmanager.NewFromConfig(p.AWS) }

// Target is where the credential of a secret is honoured.
func (p *Playground) Target(secret string) *contract.Target {
	c, _ := p.Bundle.Find(secret)
	return c.Target
}

// direct is the target without the proxy in between, for looks that must see the server as it is.
func (p *Playground) direct(secret string) *contract.Target {
	t := *p.Target(secret)
	if p.Proxy != nil {
		t.Port = p.Server.Port
	}
	return &t
}

// Value is what is stored as a version of a secret, AWSCURRENT where version is empty, with its id: whatever policies say, and
// seen by nobody. Who calls Secrets Manager for it is decided by them, the account's root included.
func (p *Playground) Value(_ context.Context, secret, version string) (credential.Value, string, error) {
	text, id, ok := p.Stack.Secrets.Stored(secret, version)
	if !ok {
		return credential.Value{}, "", fmt.Errorf("%s has no version %q", secret, version)
	}
	return credential.Parse(text), id, nil
}

// GivenPasswords are the passwords that were there before Mayfly, for a test that looks for leaks.
func (p *Playground) GivenPasswords() []string { return p.given }

// Close ends everything that Start started.
func (p *Playground) Close() error {
	var errs []error
	if p.Stack != nil {
		errs = append(errs, p.Stack.Close())
	}
	if p.Proxy != nil {
		errs = append(errs, p.Proxy.Close())
	}
	if p.Server != nil {
		errs = append(errs, p.Server.Stop())
	}
	return errors.Join(errs...)
}
