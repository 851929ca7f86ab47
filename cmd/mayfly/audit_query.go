package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// auditQuery answers the auditor's questions from the bucket.
type auditQuery struct {
	Question    string   `arg:"" enum:"last-rotated,why,workflow,outcome,all" help:"One of last-rotated, why, workflow, outcome; or all."`
	Secret      string   `arg:"" optional:"" help:"Secret id, <environment>/<name>; otherwise every secret."`
	Environment []string `placeholder:"NAME" help:"Only these environments."`
	place
	bucket
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (auditQuery) Help() string {
	return `Gives the answers of the named Athena queries (mayfly-when-last-rotated, mayfly-why, mayfly-by-which-workflow,
mayfly-did-it-succeed) without Athena. Each record is checked against its hash; mayfly audit verify proves that none
is missing. Exits 1 if there is no record of what was asked for.

Examples:
  mayfly audit query all prod/orders-db
  mayfly audit query last-rotated --environment prod
  mayfly audit query workflow prod/orders-db --json | jq -r '.[0].workflow.execution_arn'`
}

// Run reads the newest records and writes the answers.
func (c auditQuery) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c auditQuery) run(ctx context.Context, out output) error {
	if c.Secret != "" && !secretID.MatchString(c.Secret) {
		return usageError{fmt.Sprintf("%.128q is no secret id; write <environment>/<name>, such as prod/orders-db", c.Secret)}
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	log, _, err := c.log(ctx, conn)
	if err != nil {
		return err
	}
	environments, err := c.environments(ctx, log)
	if err != nil {
		return fmt.Errorf("list the environments in %s: %w", log.Bucket, err)
	}
	var records []audit.Record
	for _, environment := range environments {
		recent, err := log.Recent(ctx, environment, c.Secret)
		if err != nil {
			return fmt.Errorf("read the records of environment %s in %s: %w", environment, log.Bucket, err)
		}
		records = append(records, recent...)
	}
	answers := audit.Answers(records)
	for i := range answers {
		c.only(&answers[i])
	}
	if c.JSON {
		err = out.json(answers)
	} else {
		c.write(out.Out, answers)
	}
	if err == nil && len(answers) == 0 {
		fmt.Fprintf(out.Err, "mayfly: s3://%s holds no record of what was asked for\n", log.Bucket)
		err = errFindings
	}
	return err
}

// environments are those to be read; the records that concern no secret answer no question about one.
func (c auditQuery) environments(ctx context.Context, log *audit.Log) ([]string, error) {
	if c.Secret != "" {
		environment, _, _ := strings.Cut(c.Secret, "/")
		return []string{environment}, nil
	}
	if len(c.Environment) > 0 {
		return c.Environment, nil
	}
	all, err := log.Environments(ctx)
	return slices.DeleteFunc(all, func(e string) bool { return e == audit.NoEnvironment }), err
}

// only leaves of an answer what was asked.
func (c auditQuery) only(a *audit.Answer) {
	asked := func(question string) bool { return c.Question == question || c.Question == "all" }
	if !asked("why") {
		a.Why = nil
	}
	if !asked("workflow") {
		a.Workflow = nil
	}
	if !asked("outcome") {
		a.Outcome = nil
	}
}

func (c auditQuery) write(w io.Writer, answers []audit.Answer) {
	if c.Question == "last-rotated" {
		rows := [][]string{{"SECRET", "OWNER", "LAST ROTATED"}}
		for _, a := range answers {
			rows = append(rows, []string{a.Secret, dash(a.Owner), never(a.LastRotated)})
		}
		table(w, rows)
		return
	}
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s (owner %s)\n", a.Secret, dash(a.Owner))
		rows := [][]string{{"  last rotated", never(a.LastRotated)}}
		if y := a.Why; y != nil {
			rows = append(rows, []string{"  why", fmt.Sprintf("%s %s, from %s, by %s", y.TriggerType, y.TriggerID, dash(y.TriggerSource), dash(y.Actor))}, []string{"", dash(y.Reason)})
		}
		if f := a.Workflow; f != nil {
			rows = append(rows, []string{"  by", f.ExecutionARN}, []string{"", "run " + f.RunID},
				[]string{"", fmt.Sprintf("contract %s at commit %s", dash(f.ContractDigest), dash(f.ContractCommit))})
		}
		if o := a.Outcome; o != nil {
			rows = append(rows, []string{"  last run", ended(o)}, []string{"", fmt.Sprintf("version %s -> %s", dash(o.VersionFrom), dash(o.VersionTo))})
		}
		table(w, rows)
	}
}

func ended(o *audit.Outcome) string {
	text := o.Outcome + " at " + o.Closed
	if o.ReasonCode != "" {
		text += " (" + o.ReasonCode + ")"
	}
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}

func never(at string) string {
	if at == "" {
		return "never"
	}
	return at
}
