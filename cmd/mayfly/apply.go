package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/keyring"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// apply brings contracts into force.
type apply struct {
	Dir    string `arg:"" optional:"" default:"contracts" help:"Folder of contracts."`
	Commit string `help:"Git commit of the contracts, as far as known; kept in every audit record."`
	place
	tables
	bucket
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (apply) Help() string {
	return `Does what a deployment does: missing secrets are created with generated values, the initial policy is written only
where none is, and a contract that is no longer in the folder is withdrawn; its secret stays. Everything is on record.
Applying the same contracts again changes nothing, and rebuilds a registry that was lost.

Examples:
  mayfly plan && mayfly apply --commit "$(git rev-parse HEAD)"`
}

// Run applies the contracts and writes what came of it.
func (c apply) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c apply) run(ctx context.Context, out output) error {
	bundle, err := applicable(c.Dir, out)
	if err != nil {
		return err
	}
	bundle.Commit = c.Commit
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	log, err := c.writable(ctx, conn)
	if err != nil {
		return err
	}
	is, err := conn.who(ctx)
	if err != nil {
		return err
	}
	readers, err := conn.readers(ctx)
	if err != nil {
		return err
	}
	secrets := secretsmanager.NewFromConfig(conn.Config)
	in := rotation.ApplyContracts{
		Log: log, Registry: conn.registry(c.tables), Secrets: secrets, Keys: rotation.Keys{Grants: keyring.Keyring{KMS: kms.NewFromConfig(conn.Config)}, Secrets: secrets}, Rand: rand.Reader, Now: time.Now,
		Source: "cli", Actor: is.ARN, Mayfly: readers.mayfly, BreakGlass: readers.breakGlass,
	}
	done, failed := in.Apply(ctx, bundle, "cli-"+randomID())
	if c.JSON {
		if err := out.json(done); err != nil {
			return err
		}
		return failed
	}
	for _, secret := range done.InForce {
		what := "in force"
		if slices.Contains(done.Created, secret) {
			what += "; its secret was created"
		}
		fmt.Fprintln(out.Out, secret, what)
	}
	for _, secret := range done.Withdrawn {
		fmt.Fprintln(out.Out, secret, "withdrawn; the secret itself stays")
	}
	return failed
}
