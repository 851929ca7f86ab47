package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// plan shows what applying contracts would do.
type plan struct {
	Dir string `arg:"" optional:"" default:"contracts" help:"Folder of contracts."`
	place
	tables
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (plan) Help() string {
	return `Writes nothing: it goes through the very steps of mayfly apply with every write held back.

Examples:
  mayfly plan
  mayfly plan contracts --json | jq -r '.[] | select(.action != "none") | .secret'`
}

// Actions of a plan.
const (
	planCreate   = "create"   // the contract comes into force
	planChange   = "change"   // it is in force, and something about it or its secret changes
	planWithdraw = "withdraw" // it goes out of force; its secret stays
	planNone     = "none"
)

// planned is what would become of one secret; scripts read it.
type planned struct {
	Secret        string            `json:"secret"`
	Action        string            `json:"action"`
	CreatesSecret bool              `json:"creates_secret"`
	Fields        []fieldChange     `json:"fields"` // of the contract
	KeysAdded     []string          `json:"keys_added"`
	KeysRemoved   []string          `json:"keys_removed"`
	Tags          map[string]string `json:"tags"`   // that would be written to the secret: initial policy, owner, environment
	Access        bool              `json:"access"` // another resource policy would be put in force
}

// fieldChange is one member of a contract, with those it lies in: "target.host". Text as it is, all else as JSON; empty where it is absent.
type fieldChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Run writes the plan. A contract with a problem is a finding, as in mayfly lint.
func (c plan) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c plan) run(ctx context.Context, out output) error {
	bundle, err := applicable(c.Dir, out)
	if err != nil {
		return err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	readers, err := conn.readers(ctx)
	if err != nil {
		return err
	}
	all, err := preview(ctx, conn.registry(c.tables), secretsmanager.NewFromConfig(conn.Config), bundle, readers)
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(all)
	}
	writePlan(out, all)
	return nil
}

// applicable loads contracts that have no problem, or writes the problems.
func applicable(dir string, out output) (contract.Bundle, error) {
	bundle, problems, err := load(dir)
	if err == nil && len(problems) > 0 {
		written(output{Out: out.Err, Err: out.Err}, bundle, problems)
		err = errFindings
	}
	return bundle, err
}

func writePlan(out output, all []planned) {
	p := paints(out.Out)
	counts := map[string]int{}
	for _, one := range all {
		counts[one.Action]++
		switch one.Action {
		case planCreate:
			fmt.Fprintln(out.Out, p.in(green, "+"), one.Secret, "comes into force")
		case planChange:
			fmt.Fprintln(out.Out, p.in(yellow, "~"), one.Secret, "changes")
		case planWithdraw:
			fmt.Fprintln(out.Out, p.in(red, "-"), one.Secret, "is withdrawn; the secret itself stays")
		}
		for _, line := range one.lines() {
			fmt.Fprintln(out.Out, "   ", line)
		}
	}
	fmt.Fprintf(out.Out, "%d to create, %d to change, %d to withdraw, %d as they are\n",
		counts[planCreate], counts[planChange], counts[planWithdraw], counts[planNone])
}

// clipped is text on one line, as much of it as a terminal has room for: a certificate is not to be read there.
func clipped(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 72 {
		return string(runes[:71]) + "…"
	}
	return text
}

// lines says what changes, one thing a line.
func (p planned) lines() []string {
	var lines []string
	if p.CreatesSecret {
		lines = append(lines, "the secret is created in Secrets Manager")
	}
	if p.Access {
		lines = append(lines, "its resource policy is put in force: the declared services read, nobody else does")
	}
	for _, f := range p.Fields {
		lines = append(lines, fmt.Sprintf("%s: %s -> %s", f.Name, dash(clipped(f.From)), dash(clipped(f.To))))
	}
	if p.Action == planChange { // the keys of a new contract follow from it and say nothing more
		for _, k := range p.KeysAdded {
			lines = append(lines, "events about "+k+" find it")
		}
		for _, k := range p.KeysRemoved {
			lines = append(lines, "events about "+k+" find it no more")
		}
	}
	if len(p.Tags) > 0 {
		var tags []string
		for _, k := range slices.Sorted(maps.Keys(p.Tags)) {
			tags = append(tags, strings.TrimPrefix(k, "mayfly:")+"="+p.Tags[k])
		}
		lines = append(lines, "tags written: "+strings.Join(tags, " "))
	}
	return lines
}
