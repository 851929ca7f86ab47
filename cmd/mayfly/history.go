package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// history shows the runs of a secret.
type history struct {
	Secret string `arg:"" help:"Secret id, <environment>/<name>."`
	Limit  int    `short:"n" default:"20" help:"At most so many runs, the newest; 0 for all."`
	place
	tables
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (history) Help() string {
	return `The newest run comes first. A request that was skipped or refused opens no run: the audit records tell of it.

Examples:
  mayfly history prod/orders-db
  mayfly history prod/orders-db --limit 1 --json | jq -r '.[0].outcome'`
}

// pastRun is one run; scripts read it.
type pastRun struct {
	registry.Run
	Seconds *float64 `json:"seconds"` // how long it took; null: it is running
}

// Run reads the newest runs and writes them.
func (c history) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c history) run(ctx context.Context, out output) error {
	if c.Limit < 0 {
		return usageError{"--limit is a number of runs, or 0 for all"}
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	reg := conn.registry(c.tables)
	found, err := reg.History(ctx, c.Secret, c.Limit)
	if err != nil {
		return err
	}
	if len(found) == 0 { // a secret that never ran, or a name that is no secret's
		if _, err := reg.Standing(ctx, c.Secret); err != nil {
			return notInForce(err, c.Secret)
		}
	}
	runs := make([]pastRun, 0, len(found))
	for _, r := range found {
		runs = append(runs, pastRun{r, took(r)})
	}
	if c.JSON {
		return out.json(runs)
	}
	c.write(out.Out, runs)
	return nil
}

func (c history) write(w io.Writer, runs []pastRun) {
	if len(runs) == 0 {
		fmt.Fprintf(w, "%s has had no run yet; `mayfly audit query outcome %s` tells of a request that was refused.\n", c.Secret, c.Secret)
		return
	}
	p := paints(w)
	rows := [][]string{{"STARTED", "TRIGGER", "SOURCE", "ACTOR", p.in(normal, "OUTCOME"), "REASON CODE", "FROM", "TO", "TOOK"}}
	for _, r := range runs {
		outcome, length := r.Outcome, "-"
		if outcome == "" {
			outcome = r.Status
		}
		if r.Seconds != nil {
			length = time.Duration(*r.Seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
		}
		started, _ := time.Parse(time.RFC3339, r.Started)
		rows = append(rows, []string{
			started.UTC().Format("2006-01-02 15:04:05Z"), string(r.Trigger.Type) + ":" + r.Trigger.ID, dash(r.Trigger.Source), dash(r.Trigger.Actor),
			p.in(outcomeColour(outcome), outcome), dash(r.ReasonCode), brief(r.VersionFrom), brief(r.VersionTo), length,
		})
	}
	table(w, rows)
	for _, r := range runs {
		own := string(r.Trigger.Type) + ":" + r.Trigger.ID
		others := slices.DeleteFunc(slices.Clone(r.TriggerIDs), func(id string) bool { return id == own })
		if len(others) > 0 {
			fmt.Fprintf(w, "%s also answered %s\n", r.Run.Run, strings.Join(others, ", "))
		}
	}
}

// took is how long a run took in seconds, nil where it has not ended.
func took(r registry.Run) *float64 {
	started, err := time.Parse(time.RFC3339, r.Started)
	if err != nil {
		return nil
	}
	ended, err := time.Parse(time.RFC3339, r.Ended)
	if err != nil {
		return nil
	}
	seconds := ended.Sub(started).Seconds()
	return &seconds
}
