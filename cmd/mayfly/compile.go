package main

import (
	"fmt"
	"os"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// compile writes the compiled contracts.
type compile struct {
	Dir        string `arg:"" optional:"" default:"contracts" help:"Folder of contracts."`
	Out        string `required:"" short:"o" help:"File to write; - for standard output."`
	Guardrails string `placeholder:"FILE" help:"File to write the rules into that admission asks at run time."`
	Commit     string `help:"Git commit of the contracts, as far as known; kept in the file and in every audit record."`
	JSON       bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (compile) Help() string {
	return `The same contracts give the same bytes.

Examples:
  mayfly compile contracts --out build/contracts.json --guardrails build/guardrails.cedar --commit "$(git rev-parse HEAD)"`
}

// Run checks and compiles; with a problem nothing is written.
func (c compile) Run(out output) error {
	bundle, problems, err := load(c.Dir)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		to := output{Out: out.Err, Err: out.Err}
		if c.JSON {
			if err := to.json(problems); err != nil {
				return err
			}
		} else {
			written(to, bundle, problems)
		}
		return errFindings
	}
	bundle.Commit = c.Commit
	data, err := bundle.Compile()
	if err != nil {
		return err
	}
	if c.Guardrails != "" {
		if err := os.WriteFile(c.Guardrails, blastradius.Rules(bundle), 0o644); err != nil {
			return fmt.Errorf("cannot write the guardrails: %w; name a file in a folder that exists", err)
		}
	}
	if c.Out == "-" {
		_, err := out.Out.Write(data)
		return err
	}
	if err := os.WriteFile(c.Out, data, 0o644); err != nil {
		return fmt.Errorf("cannot write the compiled contracts: %w; name a file in a folder that exists", err)
	}
	if !c.JSON {
		fmt.Fprintf(out.Out, "%s: %d contract(s), %d service(s)\n", c.Out, len(bundle.Contracts), len(bundle.Services))
		return nil
	}
	digests := map[string]string{}
	for _, one := range bundle.Contracts {
		digests[one.ID()] = contract.Digest(one)
	}
	return out.json(struct {
		File    string            `json:"file"`
		Commit  string            `json:"commit"`
		Digests map[string]string `json:"digests"`
	}{c.Out, c.Commit, digests})
}
