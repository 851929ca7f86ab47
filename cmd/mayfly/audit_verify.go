package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// auditVerify checks the chains.
type auditVerify struct {
	Environment []string `placeholder:"NAME" help:"Only these environments; otherwise every one that has records."`
	place
	bucket
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (auditVerify) Help() string {
	return `Reads every record from the bucket alone: no gap in a secret's sequence, each record chained to the one before it,
every hash that of its bytes, every object locked. Exits 1 if anything is wrong, or if there is nothing to verify.
Keep the heads elsewhere: they prove later that no record was cut off at the end.

Examples:
  mayfly audit verify
  mayfly audit verify --environment prod --json | jq -r '.chains[].head'`
}

// verdict is the answer; scripts read it.
type verdict struct {
	Bucket  string        `json:"bucket"`
	Chains  []audit.Chain `json:"chains"`
	Records int           `json:"records"`
	OK      bool          `json:"ok"`
}

// Run verifies and writes what it found.
func (c auditVerify) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c auditVerify) run(ctx context.Context, out output) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	log, client, err := c.log(ctx, conn)
	if err != nil {
		return err
	}
	environments := c.Environment
	if len(environments) == 0 {
		if environments, err = log.Environments(ctx); err != nil {
			return fmt.Errorf("list the environments in %s: %w", log.Bucket, err)
		}
	}
	found := verdict{Bucket: log.Bucket, Chains: []audit.Chain{}, OK: true}
	for _, environment := range environments {
		chains, err := log.Verify(ctx, client, environment, time.Now(), nil)
		if err != nil {
			return fmt.Errorf("read the records of environment %s in %s: %w", environment, log.Bucket, err)
		}
		for _, chain := range chains {
			found.Records += chain.Records
			found.OK = found.OK && len(chain.Problems) == 0
		}
		found.OK = found.OK && len(chains) > 0
		found.Chains = append(found.Chains, chains...)
	}
	found.OK = found.OK && len(found.Chains) > 0
	if c.JSON {
		if err := out.json(found); err != nil {
			return err
		}
	} else {
		found.write(out)
	}
	if !found.OK {
		return errFindings
	}
	return nil
}

func (v verdict) write(out output) {
	p := paints(out.Out)
	problems := 0
	rows := [][]string{{"ENVIRONMENT", "CHAIN", "RECORDS", "FROM", "TO", "HEAD"}}
	events, eventRecords := 0, 0
	for _, c := range v.Chains {
		problems += len(c.Problems)
		if audit.OfEvent(c) { // one for each event that ever came: nobody reads such a list
			events, eventRecords = events+1, eventRecords+c.Records
			continue
		}
		rows = append(rows, []string{c.Environment, c.Secret, fmt.Sprint(c.Records), c.From, c.To, c.Head})
	}
	if len(rows) > 1 {
		table(out.Out, rows)
	}
	if events > 0 {
		fmt.Fprintf(out.Out, "and a chain for each of %d event(s), %d record(s)\n", events, eventRecords)
	}
	for _, c := range v.Chains {
		for _, problem := range c.Problems {
			fmt.Fprintln(out.Out, p.in(red, problem))
		}
	}
	switch {
	case v.OK:
		fmt.Fprintf(out.Out, "%s in s3://%s: %d chain(s), %d record(s), nothing missing, nothing altered\n", p.in(green, "verified"), v.Bucket, len(v.Chains), v.Records)
	case problems > 0:
		fmt.Fprintf(out.Out, "%s in s3://%s: %d problem(s) in %d record(s)\n", p.in(red, "not verified"), v.Bucket, problems, v.Records)
	default:
		fmt.Fprintf(out.Out, "%s: s3://%s holds no records of what was asked for, so there is nothing to verify\n", p.in(red, "not verified"), v.Bucket)
	}
}
