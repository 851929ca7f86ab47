package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
)

// status shows how secrets stand.
type status struct {
	Secret string `arg:"" optional:"" help:"Secret id, <environment>/<name>; otherwise every secret under contract."`
	place
	tables
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (status) Help() string {
	return `Reads the registry and the secrets' metadata, never a value. Exits 1 if a secret is expired, missing or
marked compromised, if its last run failed, or if another secret holds its value.

Examples:
  mayfly status
  mayfly status prod/orders-db
  mayfly status --json | jq -r '.[] | select(.findings != []) | .secret'`
}

// standing is how one secret stands; scripts read it. Times are RFC 3339, empty where there is none.
type standing struct {
	Secret        string   `json:"secret"`
	Owner         string   `json:"owner"`
	Environment   string   `json:"environment"`
	Kind          string   `json:"kind"`
	RotatedAt     string   `json:"rotated_at"`
	ExpiresAt     string   `json:"expires_at"`
	DueAt         string   `json:"due_at"`
	LastOutcome   string   `json:"last_outcome"`
	LastTrigger   string   `json:"last_trigger"`
	LastExecution string   `json:"last_execution"`
	Running       *running `json:"running"` // null: no run has the lease
	Findings      []string `json:"findings"`

	rotated, expires, due time.Time
}

type running struct {
	Run       string `json:"run"`
	Execution string `json:"execution"`
	Mode      string `json:"mode"`
	Until     string `json:"until"` // when another run may take over
}

// Run reads what was asked for and writes it.
func (c status) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c status) run(ctx context.Context, out output) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	reg := conn.registry(c.tables)
	secrets := []string{c.Secret}
	if c.Secret == "" {
		if secrets, err = reg.InForce(ctx); err != nil {
			return err
		}
		slices.Sort(secrets)
	}
	all, err := c.gather(ctx, reg, secretsmanager.NewFromConfig(conn.Config), secrets)
	if err != nil {
		return err
	}
	if err := shared(ctx, reg, all); err != nil {
		return err
	}
	if c.JSON {
		err = out.json(all)
	} else {
		show(out.Out, all, time.Now())
	}
	if err == nil && slices.ContainsFunc(all, func(s standing) bool { return len(s.Findings) > 0 }) {
		return errFindings
	}
	return err
}

// gather reads the secrets, sixteen at a time: two small reads for each.
func (c status) gather(ctx context.Context, reg *dynamo.Registry, sm authority.Describer, secrets []string) ([]standing, error) {
	all, failed := make([]standing, len(secrets)), make([]error, len(secrets))
	var wg sync.WaitGroup
	free := make(chan struct{}, 16)
	for i, secret := range secrets {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			all[i], failed[i] = stand(ctx, reg, sm, secret, time.Now())
		})
	}
	wg.Wait()
	for i, err := range failed {
		if err != nil {
			return nil, notInForce(err, secrets[i])
		}
	}
	return all, nil
}

// stand reads how one secret stands.
func stand(ctx context.Context, reg *dynamo.Registry, sm authority.Describer, secret string, now time.Time) (standing, error) {
	entry, err := reg.Standing(ctx, secret)
	if err != nil {
		return standing{}, err
	}
	k := entry.Contract
	s := standing{Secret: secret, Owner: k.Owner, Environment: k.Environment, Kind: k.Kind, due: entry.DueAt, DueAt: entry.DueAt.Format(time.RFC3339), Findings: []string{}}
	if l := entry.Lease; l.Run != "" {
		s.Running = &running{Run: l.Run, Execution: l.Execution, Mode: l.Mode, Until: l.Until.Format(time.RFC3339)}
	}
	described, err := authority.Describe(ctx, sm, secret)
	if fault.CodeOf(err) == fault.SecretMissing {
		s.Findings = append(s.Findings, "it is not in Secrets Manager, or is marked for deletion")
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.tagged(described.Tags, now)
	return s, nil
}

// shared adds what the registry knows of values that are held more than once: an incident on one of them would contain all.
func shared(ctx context.Context, reg *dynamo.Registry, all []standing) error {
	secrets := make([]string, len(all))
	for i, s := range all {
		secrets[i] = s.Secret
	}
	prints, err := reg.Sharing(ctx, secrets)
	if err != nil {
		return err
	}
	for _, family := range blastradius.Trace(prints) {
		for i := range all {
			if slices.Contains(family.Secrets, all[i].Secret) {
				all[i].Findings = append(all[i].Findings, family.Finding())
			}
		}
	}
	return nil
}

// tagged takes what the secret's tags say.
func (s *standing) tagged(tags map[string]string, now time.Time) {
	tag := func(name string) string { return tags[policy.Prefix+name] }
	s.RotatedAt, s.ExpiresAt = tag(policy.TagRotatedAt), tag(policy.TagExpiresAt)
	s.LastOutcome, s.LastTrigger, s.LastExecution = tag(policy.TagLastOutcome), tag(policy.TagLastTrigger), tag(policy.TagLastExecution)
	s.rotated, _ = time.Parse(time.RFC3339, s.RotatedAt) // what does not parse is shown as none
	s.expires, _ = time.Parse(time.RFC3339, s.ExpiresAt)
	if !s.expires.IsZero() && !s.expires.After(now) {
		s.Findings = append(s.Findings, "its value has expired")
	}
	if mark := tag(policy.TagCompromised); mark != "" && mark != "false" {
		s.Findings = append(s.Findings, "it is marked compromised")
	}
	if s.LastOutcome == audit.FailedClean || s.LastOutcome == audit.FailedDirty {
		s.Findings = append(s.Findings, "its last run ended "+s.LastOutcome)
	}
}

// show writes a table, and below it what needs somebody's attention.
func show(w io.Writer, all []standing, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(w, "No contract is in force; `mayfly apply` puts contracts in force.")
		return
	}
	p := paints(w)
	rows := [][]string{{"SECRET", "OWNER", "ENVIRONMENT", "KIND", "LAST ROTATED", p.in(normal, "EXPIRES"), p.in(normal, "DUE"), p.in(normal, "LAST OUTCOME"), "UNDER WAY"}}
	for _, s := range all {
		expires, due, run := normal, normal, "-"
		if !s.expires.IsZero() && !s.expires.After(now) {
			expires = red
		}
		if !s.due.After(now) {
			due = yellow
		}
		if s.Running != nil {
			_, name, _ := strings.Cut(s.Running.Run, "#")
			run = s.Running.Mode + " " + name
		}
		rows = append(rows, []string{
			s.Secret, s.Owner, s.Environment, s.Kind, minutes(s.rotated), p.in(expires, minutes(s.expires)),
			p.in(due, minutes(s.due)), p.in(outcomeColour(s.LastOutcome), dash(s.LastOutcome)), run,
		})
	}
	table(w, rows)
	for _, s := range all {
		for _, f := range s.Findings {
			fmt.Fprintf(w, "%s: %s\n", s.Secret, p.in(red, f))
		}
	}
}
