package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// transaction is one fenced change of a secret's roles.
type transaction struct {
	session *session
	c       rotator.Change
	tx      pgx.Tx
	now     time.Time // of the server
	roles   map[string]role
}

// change runs f in one transaction that holds the secret's lock, after seeing that no newer run has been here. Up to
// COMMIT nothing of it can be seen; an error from before is as if nothing had been sent.
func (s *session) change(ctx context.Context, c rotator.Change, f func(context.Context, *transaction) error) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return s.fault(err, "begin")
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after COMMIT this does nothing
	t := &transaction{session: s, c: c, tx: tx}
	if err := t.begin(ctx); err != nil {
		return err
	}
	if err := f(ctx, t); err != nil {
		return err
	}
	return s.commit(ctx, tx)
}

// begin takes the lock, reads the roles and compares fences. The secret's fence is the highest that any of its roles has
// seen, because each change is written on the role it touches.
func (t *transaction) begin(ctx context.Context) error {
	if _, err := t.tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", lockKey(t.c.Secret)); err != nil {
		return t.session.fault(err, "wait for the lock of "+t.c.Secret)
	}
	if err := t.tx.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&t.now); err != nil {
		return t.session.fault(err, "read the clock")
	}
	names := []string{t.c.Target.Owner}
	if t.c.Strategy == contract.Dual {
		names = append(names, credential.User(t.c.Target, credential.SlotA), credential.User(t.c.Target, credential.SlotB))
	}
	var err error
	if t.roles, err = t.session.roles(ctx, names...); err != nil {
		return err
	}
	if !t.roles[t.c.Target.Owner].exists {
		return fault.New(fault.TargetRefused, "the role %s does not exist at %s: create it, or correct target.owner", t.c.Target.Owner, address(t.c.Target))
	}
	for _, name := range names {
		if err := t.admissible(name, t.roles[name]); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) admissible(name string, r role) error {
	switch {
	case !r.exists:
	case r.note.Secret == "" && name != t.c.Target.Owner:
		return fault.New(fault.TargetRefused, "the role %s at %s exists and is not Mayfly's: drop or rename it", name, address(t.c.Target))
	case r.note.Secret != "" && r.note.Secret != t.c.Secret:
		return fault.New(fault.TargetRefused, "the role %s at %s belongs to %s: COMMENT ON ROLE … IS NULL on the owner and drop its logins to hand it over", name, address(t.c.Target), r.note.Secret)
	case r.super && name != t.c.Target.Owner:
		return fault.New(fault.TargetRefused, "the login %s at %s has become superuser, CREATEROLE, REPLICATION or BYPASSRLS: take that away", name, address(t.c.Target))
	case r.note.Fence > t.c.Fence:
		return fault.New(fault.Fenced, "the role %s at %s has seen run %d of %s; this is run %d", name, address(t.c.Target), r.note.Fence, t.c.Secret, t.c.Fence)
	}
	return nil
}

func lockKey(secret string) int64 {
	sum := sha256.Sum256([]byte("mayfly\x00" + secret))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func (t *transaction) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := t.tx.Exec(ctx, statement); err != nil {
			return t.session.fault(err, "change the roles of "+t.c.Secret)
		}
	}
	return nil
}

// write records on a role which version it holds now, and this run's fence.
func (t *transaction) write(ctx context.Context, login string, n note) error {
	n.Secret, n.Fence = t.c.Secret, t.c.Fence
	text, err := n.text()
	if err != nil {
		return fault.New(fault.Internal, "write the note of %s: %v", login, err)
	}
	return t.exec(ctx, "COMMENT ON ROLE "+name(login)+" IS "+literal(text))
}

// enable gives the standby login a new password. The login in use is another role, and stays as it is.
func (t *transaction) enable(ctx context.Context, login, verifier, until string) error {
	standby, owner := t.roles[login], t.c.Target.Owner
	inUse := t.c.From.User
	if inUse == "" {
		inUse = credential.User(t.c.Target, t.c.From.Slot)
	}
	if login == owner || login == inUse || (t.c.From.ID != "" && standby.note.Version == t.c.From.ID) {
		return fault.New(fault.TargetRefused, "the login %s holds the version in use (%s) and must not be touched", login, t.c.From.ID)
	}
	if !standby.exists {
		// INHERIT, because the right to CONNECT is asked for before the login becomes the owner.
		if err := t.exec(ctx, "CREATE ROLE "+name(login)+" INHERIT"); err != nil {
			return err
		}
	}
	if err := t.exec(ctx,
		"GRANT "+name(owner)+" TO "+name(login),
		"ALTER ROLE "+name(login)+" SET role = "+literal(owner),
		"ALTER ROLE "+name(login)+" LOGIN CONNECTION LIMIT "+strconv.Itoa(t.roles[owner].limit)+" PASSWORD "+literal(verifier)+" VALID UNTIL "+literal(until),
	); err != nil {
		return err
	}
	if err := t.write(ctx, login, note{Version: t.c.To.ID}); err != nil {
		return err
	}
	return t.copySettings(ctx, owner, login)
}

// replace gives the owner a new password in place of the old one: from COMMIT on, the old value is dead.
func (t *transaction) replace(ctx context.Context, login, verifier, until string) error {
	held := t.roles[login]
	n := note{Version: t.c.To.ID, Since: &t.now, Until: held.until, Comment: held.note.Comment}
	if held.note.Version == t.c.To.ID { // done before; what was there before that is still what Restore needs
		n.Since, n.Until = held.note.Since, held.note.Until
	}
	if err := t.exec(ctx, "ALTER ROLE "+name(login)+" LOGIN PASSWORD "+literal(verifier)+" VALID UNTIL "+literal(until)); err != nil {
		return err
	}
	return t.write(ctx, login, n)
}

// putBack undoes replace.
func (t *transaction) putBack(ctx context.Context, login, verifier string) error {
	held := t.roles[login]
	if err := t.exec(ctx, "ALTER ROLE "+name(login)+" LOGIN PASSWORD "+literal(verifier)+" VALID UNTIL "+literal(held.note.Until)); err != nil {
		return err
	}
	return t.write(ctx, login, note{Version: t.c.From.ID, Comment: held.note.Comment})
}

// bar makes the server refuse a login for good. An owner keeps its objects, which its members go on using. A login that
// is not there is barred already.
func (t *transaction) bar(ctx context.Context, login string) error {
	held := t.roles[login]
	if !held.exists {
		return nil
	}
	if err := t.exec(ctx, "ALTER ROLE "+name(login)+" NOLOGIN PASSWORD NULL"); err != nil {
		return err
	}
	return t.write(ctx, login, note{Comment: held.note.Comment})
}
