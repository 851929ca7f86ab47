// Package postgres rotates logins of PostgreSQL, version 13 and newer.
//
// With strategy dual two login roles, <owner>_a and <owner>_b, take turns. Both are members of the owner and become it when
// they log in (ALTER ROLE … SET role), so the owner keeps its objects and grants, and what one login creates belongs to
// the owner too. A change touches only the login that is not in use. The login that was there before Mayfly is the owner's
// own (slot o): barring it takes its password away and leaves it its objects. Only session_user tells the logins apart, and
// pg_hba.conf lines that name the owner must name its members (+owner). The logins get the owner's settings (ALTER ROLE …
// SET) and connection limit.
//
// With strategy single the owner's password is replaced in place. Between Set and the move of AWSCURRENT the value labelled
// AWSCURRENT is dead: seconds, or until recovery where the run crashed there. Sessions of the old password are told from
// those of the new one by their age.
//
// A target without an admin secret changes its own password and may do nothing else at the server, which means: no expiry
// (nobody could lift it again), no fence, no ban; sessions cannot be told apart by age.
//
// The admin is not a superuser. It needs CREATEROLE, pg_signal_backend, pg_read_all_stats, and from PostgreSQL 16 on the
// owner WITH ADMIN OPTION. What Mayfly knows about a role is in the role's comment: the secret, the highest fence seen, the
// version it holds. Roles without that comment that have the name of a login are refused, never taken over.
//
// ALTER ROLE and COMMENT take no parameters (only SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES do:
// https://www.postgresql.org/docs/15/sql-prepare.html), so names and literals are quoted into the statement. Passwords are
// not among them: the server gets SCRAM verifiers.
package postgres

import (
	"context"
	"io"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres/scram"
)

// Rotator rotates PostgreSQL logins. It keeps nothing between calls and may be used by several goroutines.
type Rotator struct {
	rand  io.Reader
	looks int           // at the open sessions, before a login is taken for unused
	pause time.Duration // between two looks
}

// New makes a rotator that takes salts from rand.
func New(rand io.Reader) *Rotator {
	return &Rotator{rand: rand, looks: 4, pause: 250 * time.Millisecond}
}

var _ rotator.Rotator = (*Rotator)(nil)

// maxSkew is how far the server's clock may be from the run's before expiries stop meaning what the policy says.
const maxSkew = 5 * time.Minute

// Set makes the server honour c.New for c.ExpiresIn of the server's own time. Beyond the codes that the interface names:
// ValueInvalid, ClockSkew, AdminMissing, AdminRefused, TargetRefused.
func (r *Rotator) Set(ctx context.Context, c rotator.Change) error {
	login, err := newLogin(c)
	if err != nil {
		return err
	}
	verifier, err := scram.Verifier(c.New.Password(), r.rand)
	if err != nil {
		return fault.New(fault.ValueInvalid, "version %s of %s: %v", c.To.ID, c.Secret, err)
	}
	s, err := admin(ctx, c, c.Admin, c.Old, c.New)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	s.hide(verifier)
	return s.change(ctx, c, func(ctx context.Context, t *transaction) error {
		if skew := t.now.Sub(c.Now); skew.Abs() > maxSkew {
			return fault.New(fault.ClockSkew, "the clock of %s is %v off the run's; an expiry of %v would not mean what the policy says: correct the server's clock",
				address(c.Target), skew.Round(time.Second), c.ExpiresIn)
		}
		until := "infinity"
		if c.ExpiresIn > 0 {
			until = timestamp(t.now.Add(c.ExpiresIn))
		}
		switch {
		case selfAdministered(c):
			return t.exec(ctx, "ALTER ROLE "+name(login)+" PASSWORD "+literal(verifier))
		case c.Strategy == contract.Single:
			return t.replace(ctx, login, verifier, until)
		default:
			return t.enable(ctx, login, verifier, until)
		}
	})
}

// Restore bars the standby login (dual) or puts the old password and its expiry back (single), if the role holds c.To;
// otherwise there is nothing to put back.
func (r *Rotator) Restore(ctx context.Context, c rotator.Change) error {
	login, err := loginOf(c, c.To)
	if err != nil {
		return err
	}
	verifier := ""
	if c.Strategy == contract.Single {
		if c.Old.IsZero() {
			return fault.New(fault.ValueInvalid, "the value of version %s of %s is not there to be put back", c.From.ID, c.Secret)
		}
		if verifier, err = scram.Verifier(c.Old.Password(), r.rand); err != nil {
			return fault.New(fault.ValueInvalid, "version %s of %s: %v", c.From.ID, c.Secret, err)
		}
	}
	if selfAdministered(c) {
		if verdict, err := r.Probe(ctx, c, c.Old); err != nil || verdict == rotator.Honoured {
			return err
		}
	}
	s, err := admin(ctx, c, c.Admin, c.New, c.Old)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	s.hide(verifier)
	barred := false
	err = s.change(ctx, c, func(ctx context.Context, t *transaction) error {
		held := t.roles[login]
		switch {
		case selfAdministered(c):
			return t.exec(ctx, "ALTER ROLE "+name(login)+" PASSWORD "+literal(verifier))
		case held.note.Version != c.To.ID:
			return nil
		case c.Strategy == contract.Single:
			return t.putBack(ctx, login, verifier)
		default:
			barred = true
			return t.bar(ctx, login)
		}
	})
	if err != nil || !barred {
		return err
	}
	return s.end(ctx, login, nil)
}

// Adoption looks several times within a second, so that short connections are seen too, and then bars in one transaction
// with a last look. PostgreSQL has no lock that keeps a login out, so a session that began between that look and the commit
// stays open; it is counted after the commit and reported (or ended, with c.EndSessions). A credential that was replaced in
// place (single) is refused already and counts as barred when nobody is left on it.
func (r *Rotator) Adoption(ctx context.Context, c rotator.Change) (rotator.Adoption, error) {
	login, err := loginOf(c, c.From)
	if err != nil {
		return rotator.Adoption{}, err
	}
	s, err := admin(ctx, c, c.Admin, c.New)
	if err != nil {
		return rotator.Adoption{}, err
	}
	defer s.close(ctx)
	since, err := s.since(ctx, c, login)
	if err != nil {
		return rotator.Adoption{}, err
	}
	seen := rotator.Adoption{}
	if !selfAdministered(c) && !c.Force {
		seen.Sessions, err = s.watch(ctx, login, since, r.looks, r.pause)
	}
	if err != nil || c.LookOnly || seen.Sessions > 0 {
		return seen, err
	}
	if c.Strategy == contract.Dual {
		err = s.change(ctx, c, func(ctx context.Context, t *transaction) error {
			if seen.Sessions, err = t.session.sessions(ctx, login, since); err != nil || (seen.Sessions > 0 && !c.Force) {
				return err
			}
			seen.Barred = true
			return t.bar(ctx, login)
		})
		if err != nil || !seen.Barred {
			return seen, err
		}
	}
	seen.Barred = true
	if c.EndSessions {
		if err := s.end(ctx, login, since); err != nil {
			return rotator.Adoption{}, err
		}
	}
	if !selfAdministered(c) {
		seen.Sessions, err = s.sessions(ctx, login, since)
	}
	return seen, err
}

// Revoke bars the old login. With strategy single the owner is barred only while it holds the old password still (in
// containment, before Set); afterwards there is nothing to bar. A credential that changes itself cannot be barred: only Set
// gets it refused.
func (r *Rotator) Revoke(ctx context.Context, c rotator.Change) error {
	login, err := loginOf(c, c.From)
	if err != nil {
		return err
	}
	s, err := admin(ctx, c, c.Admin, c.New, c.Old)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	since, err := s.since(ctx, c, login)
	if err != nil {
		return err
	}
	if !selfAdministered(c) {
		err = s.change(ctx, c, func(ctx context.Context, t *transaction) error {
			if c.Strategy == contract.Single && c.To.ID != "" && t.roles[login].note.Version == c.To.ID {
				return nil
			}
			return t.bar(ctx, login)
		})
		if err != nil {
			return err
		}
	}
	if !c.EndSessions {
		return nil
	}
	return s.end(ctx, login, since)
}

// newLogin checks the new value against the target and the login it is for.
func newLogin(c rotator.Change) (string, error) {
	login, err := loginOf(c, c.To)
	if err != nil {
		return "", err
	}
	if c.New.User() != login || c.New.Password() == "" {
		return "", fault.New(fault.ValueInvalid, "version %s of %s must hold the username %s and a password", c.To.ID, c.Secret, login)
	}
	return login, nil
}

// loginOf is the login role of a version, which must be one of the target's own.
func loginOf(c rotator.Change, v rotator.Version) (string, error) {
	switch {
	case c.Target == nil:
		return "", fault.New(fault.ContractInvalid, "%s has no target", c.Secret)
	case c.Strategy == contract.Dual && c.Target.Admin == "":
		return "", fault.New(fault.ContractInvalid, "%s: strategy dual needs target.admin, for a login cannot make another one", c.Secret)
	}
	login := v.User
	if login == "" {
		login = credential.User(c.Target, v.Slot)
	}
	// PostgreSQL cuts longer names off, and then both logins would be one role.
	if len(login) > 63 {
		return "", fault.New(fault.ContractInvalid, "%s: the login %s is longer than PostgreSQL's 63 bytes; choose a shorter owner", c.Secret, login)
	}
	if credential.SlotOfUser(c.Target, c.Strategy, login) == "" {
		return "", fault.New(fault.ValueInvalid, "version %s of %s logs in as %s, which is none of the logins of %s", v.ID, c.Secret, login, c.Target.Owner)
	}
	return login, nil
}

// selfAdministered says that the secret is changed with its own value.
func selfAdministered(c rotator.Change) bool { return c.Target.Admin == "" }
