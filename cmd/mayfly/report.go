package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/report"
)

// reporting writes the report.
type reporting struct {
	Contracts   string   `default:"contracts" help:"Folder of contracts: what it says of services is believed."`
	Environment []string `placeholder:"NAME" help:"Only these environments; otherwise every one."`
	Out         string   `short:"o" placeholder:"FILE" help:"File to write the page into; - for standard output. Otherwise mayfly-report.html, and with --json none."`
	Runs        int      `default:"10" help:"At most so many runs of each secret, the newest."`
	place
	tables
	bucket
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (reporting) Help() string {
	return `One HTML file that needs nothing but itself: for auditors, to print, or to look at. Of every secret: what a leak
would mean, who can read it, how old it is and when it ends, its last runs and what proves them, which controls its
contract names. What is wrong comes first.

Reads the registry, the secrets' metadata and every audit record, as mayfly audit verify does; never a value.
Exits 1 if something is not as it should be: expired, overdue, failed, missing, or a record that was altered.

Examples:
  mayfly report
  mayfly report --environment prod --out prod.html
  mayfly report --json | jq -r '.findings[] | .secret + ": " + .text'`
}

// Run reads what there is to know and writes the report.
func (c reporting) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c reporting) run(ctx context.Context, out output) error {
	if c.Runs < 0 {
		return usageError{"--runs is a number of runs, or 0 for none"}
	}
	if c.JSON && c.Out == "-" {
		return usageError{"--json and --out - both want standard output; name a file for the page"}
	}
	facts, err := c.gather(ctx, time.Now())
	if err != nil {
		return err
	}
	r := report.Build(facts)
	if c.Out == "" && !c.JSON {
		c.Out = "mayfly-report.html"
	}
	if err := c.page(r, out.Out); err != nil {
		return err
	}
	switch {
	case c.JSON:
		err = out.json(r)
	case c.Out != "-":
		c.said(r, out.Out)
	}
	if err == nil && len(r.Findings) > 0 {
		return errFindings
	}
	return err
}

// page writes the page, where one is wanted. It is for its owner's eyes: it names roles, hosts and people.
func (c reporting) page(r report.Report, w io.Writer) error {
	if c.Out == "" {
		return nil
	}
	text, err := r.HTML()
	if err != nil {
		return err
	}
	if c.Out == "-" {
		_, err = w.Write(text)
		return err
	}
	if err := os.WriteFile(c.Out, text, 0o600); err != nil {
		return fmt.Errorf("cannot write the page: %w; name a file in a folder that exists", err)
	}
	return nil
}

// said sums the report up for the terminal.
func (c reporting) said(r report.Report, w io.Writer) {
	p := paints(w)
	for _, f := range r.Findings {
		about := f.Secret
		if about == "" {
			about = "all"
		}
		fmt.Fprintf(w, "%s: %s\n", about, p.in(red, f.Text))
	}
	fmt.Fprintf(w, "%s: %d secret(s), %d finding(s), %d audit record(s)\n", c.Out, len(r.Secrets), len(r.Findings), r.Audit.Records)
}

// gather reads everything. Its time is this machine's, or that of the newest record where that is later: a report is not older
// than what it tells.
func (c reporting) gather(ctx context.Context, now time.Time) (report.Facts, error) {
	bundle, problems, err := load(c.Contracts)
	if err != nil {
		return report.Facts{}, err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return report.Facts{}, err
	}
	log, client, err := c.log(ctx, conn)
	if err != nil {
		return report.Facts{}, err
	}
	f := report.Facts{Region: conn.Region, Bucket: log.Bucket, Written: bundle, Problems: len(problems), Folder: c.Contracts, Environments: c.Environment, Runs: c.Runs}
	if f.Account, err = conn.accountID(ctx); err != nil {
		return f, err
	}
	if f.Standing, err = c.standing(ctx, conn); err != nil {
		return f, err
	}
	if err := c.verify(ctx, log, client, now, &f); err != nil {
		return f, err
	}
	f.Now = now
	for _, r := range f.Records {
		if at, err := time.Parse(time.RFC3339, r.Time); err == nil && at.After(f.Now) {
			f.Now = at
		}
	}
	return f, nil
}

// standing reads registry and metadata of every secret in force, sixteen at a time.
func (c reporting) standing(ctx context.Context, conn connection) ([]report.Standing, error) {
	reg, sm := conn.registry(c.tables), secretsmanager.NewFromConfig(conn.Config)
	secrets, err := reg.InForce(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(secrets)
	all, failed := make([]report.Standing, len(secrets)), make([]error, len(secrets))
	var wg sync.WaitGroup
	free := make(chan struct{}, 16)
	for i, secret := range secrets {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			all[i], failed[i] = standingOf(ctx, reg, sm, secret)
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

func standingOf(ctx context.Context, reg *dynamo.Registry, sm authority.Describer, secret string) (report.Standing, error) {
	entry, err := reg.Standing(ctx, secret)
	if err != nil {
		return report.Standing{}, err
	}
	described, err := authority.Describe(ctx, sm, secret)
	if fault.CodeOf(err) == fault.SecretMissing {
		return report.Standing{Standing: entry, Missing: true}, nil
	}
	return report.Standing{Standing: entry, Tags: described.Tags}, err
}

// verify reads every record, checks the chains, and keeps the records of secrets.
func (c reporting) verify(ctx context.Context, log *audit.Log, client *s3.Client, now time.Time, f *report.Facts) error {
	environments, err := log.Environments(ctx)
	if err != nil {
		return fmt.Errorf("list the environments in %s: %w", log.Bucket, err)
	}
	for _, environment := range environments {
		if len(c.Environment) > 0 && !slices.Contains(c.Environment, environment) {
			continue
		}
		keep := func(r audit.Record) { f.Records = append(f.Records, r) }
		if environment == audit.NoEnvironment {
			keep = nil
		}
		chains, err := log.Verify(ctx, client, environment, now, keep)
		if err != nil {
			return fmt.Errorf("read the records of environment %s in %s: %w", environment, log.Bucket, err)
		}
		f.Chains = append(f.Chains, chains...)
	}
	return nil
}
