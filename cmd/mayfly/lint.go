package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/source"
)

// lint checks a folder of contracts.
type lint struct {
	Dir  string `arg:"" optional:"" default:"contracts" help:"Folder of contracts."`
	JSON bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (lint) Help() string {
	return `Examples:
  mayfly lint
  mayfly lint contracts --json | jq -r '.problems[].code'`
}

// Run writes every problem, and exits 1 if there is one.
func (l lint) Run(out output) error {
	bundle, problems, err := load(l.Dir)
	if err != nil {
		return err
	}
	if l.JSON {
		if problems == nil {
			problems = source.Problems{}
		}
		if err := out.json(struct {
			Contracts int             `json:"contracts"`
			Services  int             `json:"services"`
			Problems  source.Problems `json:"problems"`
		}{len(bundle.Contracts), len(bundle.Services), problems}); err != nil {
			return err
		}
	} else {
		written(out, bundle, problems)
	}
	if len(problems) > 0 {
		return errFindings
	}
	return nil
}

// load reads a folder; problems name their file as it is named from here.
func load(dir string) (contract.Bundle, source.Problems, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return contract.Bundle{}, nil, fmt.Errorf("cannot read contracts: %w; name a folder of contracts", err)
	}
	if !info.IsDir() {
		return contract.Bundle{}, nil, usageError{dir + " is not a folder; name the folder of contracts"}
	}
	fsys := os.DirFS(dir)
	rules, broken := guardrails(fsys)
	bundle, problems := source.Load(fsys, blastradius.Problems, rules.Clashes)
	problems = append(problems, broken...)
	for i := range problems {
		problems[i].File = filepath.Join(dir, problems[i].File)
	}
	return bundle, problems, nil
}

// guardrails reads the folder's rules. A folder without the file has none.
func guardrails(fsys fs.FS) (blastradius.Guardrails, source.Problems) {
	problem := source.Problem{File: source.GuardrailsFile, Line: 1, Column: 1, Code: "bad-guardrails", Do: "correct the rules: without them nothing is checked"}
	text, err := fs.ReadFile(fsys, source.GuardrailsFile)
	if err != nil { // there is none, or source.Load says why it cannot be read
		return blastradius.Guardrails{}, nil
	}
	rules, err := blastradius.ReadGuardrails(text)
	var bad *blastradius.BadRule
	if errors.As(err, &bad) {
		problem.Line, problem.Column, problem.Message = bad.Line, bad.Column, bad.Message
		if lines := strings.Split(string(text), "\n"); bad.Line <= len(lines) {
			problem.Excerpt = lines[bad.Line-1]
		}
		return blastradius.Guardrails{}, source.Problems{problem}
	}
	return rules, nil
}

// written prints problems, or what is under contract when there are none.
func written(out output, bundle contract.Bundle, problems source.Problems) {
	if len(problems) > 0 {
		for _, p := range problems {
			fmt.Fprintln(out.Out, p)
		}
		fmt.Fprintf(out.Out, "%d problem(s) in %d contract(s) and %d service(s)\n", len(problems), len(bundle.Contracts), len(bundle.Services))
		return
	}
	rows := [][]string{{"SECRET", "OWNER", "KIND", "STRATEGY", "TTL", "SERVICES", "DIGEST"}}
	for _, c := range bundle.Contracts {
		rows = append(rows, []string{c.ID(), c.Owner, c.Kind, c.Strategy, c.TTL.String(), fmt.Sprint(len(c.Services)), contract.Digest(c)[:12]})
	}
	table(out.Out, rows)
	fmt.Fprintf(out.Out, "%d contract(s) and %d service(s), no problems\n", len(bundle.Contracts), len(bundle.Services))
}
