// Package rotator is what every kind of target has in common: the interface, and below it one package per kind.
package rotator

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
)

// Rotator changes and examines one kind of target. Implementations keep no state between calls: everything is in the
// Change, and the truth is at the target. Every method is idempotent: done twice with the same Change, it leaves what
// doing it once leaves. Errors carry a code of package fault: TargetUnavailable when nothing was sent, OutcomeUnknown when
// a write was sent and no answer came, Fenced when the target has seen a newer fence for this secret.
type Rotator interface {
	// Set makes the target honour c.New. With strategy dual the credential in use stays as it is.
	Set(ctx context.Context, c Change) error
	// Test logs in with c.New and does what the contract says it must be able to do.
	Test(ctx context.Context, c Change) error
	// Restore puts the target back to where it was before Set; c.Old is what must work afterwards.
	Restore(ctx context.Context, c Change) error
	// Adoption looks for use of the old credential and, when there is none (or c.Force), bars it in the same
	// transaction as the last look. Where the target cannot keep a login out meanwhile, Sessions counts who got in.
	Adoption(ctx context.Context, c Change) (Adoption, error)
	// Revoke makes the target refuse the old credential, and ends its open sessions where c.EndSessions says so.
	// It does not prove anything: Probe does.
	Revoke(ctx context.Context, c Change) error
	// Probe tries to log in with a value and says what the target answered. Trying costs one login and changes nothing.
	Probe(ctx context.Context, c Change, v credential.Value) (Verdict, error)
}

// Change is everything a rotator needs to know about the step it is asked to do. Where target.admin is empty the secret
// changes itself: there is no Admin, and Old and New are set in every step as far as they are known.
type Change struct {
	Secret      string           // "prod/orders-db"
	Target      *contract.Target // nil for kinds without a target
	Strategy    string           // contract.Dual or contract.Single
	Fence       int64            // of the run's lease; grows with every run of this secret
	From, To    Version          // the credential in use when the run began, and the one it brings; From.ID may be empty
	New         credential.Value // value of To; set for Set, Test
	Old         credential.Value // value of From; set for Restore (single only)
	Admin       credential.Value // value of the admin secret; set for Set, Restore, Adoption, Revoke
	Now         time.Time        // the run's clock, to notice a target whose clock is off
	ExpiresIn   time.Duration    // how long the target shall honour New; 0 means without end
	EndSessions bool             // end open sessions of the old credential when barring it
	Force       bool             // bar the old credential even though it is in use (max_overlap has passed)
	LookOnly    bool             // Adoption counts and bars nothing: for looks within the quiet period
}

// Version is one version of the secret and the login it stands for.
type Version struct {
	ID   string `json:"id"`             // Secrets Manager version id
	Slot string `json:"slot"`           // which of the target's logins: see package credential
	User string `json:"user,omitempty"` // login name at the target; an identifier, not a secret
}

// Adoption is what a look at the target showed.
type Adoption struct {
	Sessions int  // open sessions of the old credential when last looked
	Barred   bool // the old credential is refused from now on
}

// Verdict is the target's answer to a login.
type Verdict string

// The verdicts.
const (
	Honoured Verdict = "honoured" // it logs in
	Refused  Verdict = "refused"  // the target answered, and said no
	NoTarget Verdict = "no_target"
)
