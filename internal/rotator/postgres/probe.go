package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// Probe logs in once with a value. Refused is what the server says of this credential: wrong password, expired, barred.
// When it will not talk to us at all (no room, starting up, access rules that leave our address out) that says nothing
// about the credential, and is an error.
func (r *Rotator) Probe(ctx context.Context, c rotator.Change, v credential.Value) (rotator.Verdict, error) {
	if c.Target == nil {
		return "", fault.New(fault.ContractInvalid, "%s has no target", c.Secret)
	}
	if v.User() == "" || v.Password() == "" {
		return "", fault.New(fault.ValueInvalid, "a value of %s holds no username or no password, so no login can be tried with it", c.Secret)
	}
	conn, err := connect(ctx, c.Target, v.User(), v.Password(), toLook)
	if err == nil {
		_ = conn.Close(ctx) // the answer is in; how the goodbye went does not change it
		return rotator.Honoured, nil
	}
	if credentialRefused(err) {
		return rotator.Refused, nil
	}
	s := &session{target: c.Target}
	s.hide(v.Password())
	return "", s.fault(err, "log in as "+v.User())
}

// credentialRefused tells a verdict on the credential from a verdict on where we come from. Both may be 28000
// (https://www.postgresql.org/docs/15/errcodes-appendix.html); pg_hba.conf's is raised by ClientAuthentication, and a role
// without LOGIN by InitializeSessionUserId. The routine's name, unlike the message, is not translated.
func credentialRefused(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	return e.Code == wrongPassword || (e.Code == notAuthorized && e.Routine != "ClientAuthentication")
}

// Test logs in with c.New, sees that it works as the owner, and runs every statement of target.must in a transaction that
// can neither write nor stay. A statement fails the test by an error, or by answering false in the first column of its
// first row, so that a right can be asked for without using it: SELECT has_table_privilege('orders', 'INSERT').
func (r *Rotator) Test(ctx context.Context, c rotator.Change) error {
	login, err := newLogin(c)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, c.Target, login, c.New.Password(), toLook)
	s := &session{conn: conn, target: c.Target}
	s.hide(c.New.Password())
	if err != nil {
		return s.refused(err, "version "+c.To.ID+" does not log in as "+login)
	}
	defer s.close(ctx)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return s.refused(err, "begin")
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep, and closing rolls back too
	var is, as string
	if err := tx.QueryRow(ctx, "SELECT current_user, session_user").Scan(&is, &as); err != nil {
		return s.refused(err, "ask who "+login+" is")
	}
	if is != c.Target.Owner || as != login {
		return fault.New(fault.TestRefused, "%s logs in as %s and works as %s, not as %s", login, as, is, c.Target.Owner)
	}
	for _, statement := range c.Target.Must {
		if err := must(ctx, conn.PgConn(), statement); err != nil {
			return s.refused(err, fmt.Sprintf("version %s logs in as %s, and fails at %q", c.To.ID, login, statement))
		}
	}
	return nil
}

var errFalse = errors.New("the answer is false")

const boolOID = 16

// must runs one statement in the extended protocol, which takes no second one behind a semicolon.
func must(ctx context.Context, conn *pgconn.PgConn, statement string) error {
	rows := conn.ExecParams(ctx, statement, nil, nil, nil, nil)
	no := rows.NextRow() && len(rows.FieldDescriptions()) > 0 && rows.FieldDescriptions()[0].DataTypeOID == boolOID &&
		string(rows.Values()[0]) == "f"
	if _, err := rows.Close(); err != nil {
		return err
	}
	if no {
		return errFalse
	}
	return nil
}
