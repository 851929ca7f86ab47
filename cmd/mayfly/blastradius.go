package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// blastRadius says how far a leak of one secret reaches, from the contracts alone.
type blastRadius struct {
	Secret    string `arg:"" help:"Secret id: <environment>/<name>."`
	Contracts string `default:"contracts" help:"Folder of contracts."`
	SVG       string `name:"svg" placeholder:"FILE" help:"Draw it into this file."`
	JSON      bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (blastRadius) Help() string {
	return `Says what a leak would break and what not, who reads the secret, and until when a holder could use it.

Examples:
  mayfly blast-radius prod/payment-api-key
  mayfly blast-radius prod/orders-db --svg orders-db.svg
  mayfly blast-radius prod/orders-db --json | jq -r .sentence`
}

// Run derives the radius and writes it. Contracts with problems have none.
func (b blastRadius) Run(out output) error {
	bundle, problems, err := load(b.Contracts)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		written(output{Out: out.Err, Err: out.Err}, bundle, problems)
		return errFindings
	}
	r, err := blastradius.Derive(bundle, b.Secret)
	var unknown *fault.Error
	if errors.As(err, &unknown) && unknown.Code == fault.SecretUnknown {
		return usageError{fmt.Sprintf("%s in %s: `mayfly lint %s` lists those that are there", unknown.Message, b.Contracts, b.Contracts)}
	}
	if err != nil {
		return err
	}
	if b.SVG != "" {
		if err := os.WriteFile(b.SVG, blastradius.Picture(r), 0o644); err != nil {
			return fmt.Errorf("cannot write the picture: %w; name a file in a folder that exists", err)
		}
	}
	if b.JSON {
		return out.json(r)
	}
	writeRadius(out.Out, r)
	return nil
}

// writeRadius writes the sentence and the lists behind it.
func writeRadius(w io.Writer, r blastradius.Radius) {
	fmt.Fprintf(w, "%s\n\n", r.Sentence)
	level := fmt.Sprintf("%s (declared %s)", r.Level, r.Declared)
	if len(r.Because) > 0 {
		level += ": " + strings.Join(r.Because, "; ")
	}
	readers := make([]string, len(r.Readers))
	for i, reader := range r.Readers {
		readers[i] = reader.Name
		if reader.Role != "" {
			readers[i] += "  " + reader.Role
		}
		if reader.Undeclared != "" {
			readers[i] += "  not declared: has the role of " + reader.Undeclared
		}
	}
	for _, row := range []struct {
		head string
		list []string
	}{
		{"level", []string{level}}, {"owner", []string{r.Owner}}, {"read by", readers}, {"holder may", r.Holder.May}, {"logs in as", r.Holder.Logins},
		{"until", []string{r.Holder.Until}}, {"revoking stops", r.Stops}, {"reaches", r.Elsewhere}, {"untouched", r.Untouched},
	} {
		for i, line := range row.list {
			head := row.head
			if i > 0 {
				head = ""
			}
			fmt.Fprintf(w, "%-15s %s\n", head, line)
		}
	}
}
