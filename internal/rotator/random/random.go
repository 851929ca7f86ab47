// Package random is the rotator of secrets that no system checks: a generated value that services share among themselves,
// such as a signing key or a token between two of them.
//
// There is no target, so there is nothing to set, nobody to ask and nothing to revoke. The old value stops being readable
// when it loses its label, and that is all that can be said of it: no witness sees who still uses it, so adoption is taken
// for granted as soon as it is asked about.
package random

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// Rotator is the rotator of kind random. The zero value is ready.
type Rotator struct{}

var _ rotator.Rotator = Rotator{}

// shortest is the fewest characters that a value may have. Mayfly's own have 43, of 6 random bits each.
const shortest = 32

// Set does nothing: there is nobody to tell.
func (Rotator) Set(_ context.Context, c rotator.Change) error { return withoutTarget(c) }

// Test sees that the new value is one: at least 32 characters and no space around them, which a service that reads it from a
// file would lose. Error: TestRefused.
func (Rotator) Test(_ context.Context, c rotator.Change) error {
	if err := withoutTarget(c); err != nil {
		return err
	}
	text := c.New.Reveal()
	if n := utf8.RuneCountInString(text); n < shortest {
		return fault.New(fault.TestRefused, "version %s of %s has %d characters; a random value has at least %d", c.To.ID, c.Secret, n, shortest)
	}
	if strings.TrimSpace(text) != text {
		return fault.New(fault.TestRefused, "version %s of %s begins or ends with white space", c.To.ID, c.Secret)
	}
	return nil
}

// Restore does nothing: the old value was never touched.
func (Rotator) Restore(_ context.Context, c rotator.Change) error { return withoutTarget(c) }

// Adoption has no witness to ask. It says that the old value is barred, for nothing honours it.
func (Rotator) Adoption(_ context.Context, c rotator.Change) (rotator.Adoption, error) {
	if err := withoutTarget(c); err != nil {
		return rotator.Adoption{}, err
	}
	return rotator.Adoption{Barred: !c.LookOnly}, nil
}

// Revoke does nothing: nobody honours the value but the services themselves.
func (Rotator) Revoke(_ context.Context, c rotator.Change) error { return withoutTarget(c) }

// Probe says that there is nobody to ask.
func (Rotator) Probe(_ context.Context, c rotator.Change, _ credential.Value) (rotator.Verdict, error) {
	return rotator.NoTarget, withoutTarget(c)
}

func withoutTarget(c rotator.Change) error {
	if c.Target != nil {
		return fault.New(fault.ContractInvalid, "%s is of kind random and names a target; name the target's kind", c.Secret)
	}
	return nil
}
