package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// SQLSTATE values that decide something: https://www.postgresql.org/docs/15/errcodes-appendix.html
const (
	wrongPassword = "28P01"
	notAuthorized = "28000"
	readOnly      = "25006"
)

// codes says what a SQLSTATE means to a run, by its five characters or by its class (the first two). What is not here is
// TargetRefused: the server understood and will not.
var codes = map[string]fault.Code{
	wrongPassword: fault.AdminRefused,
	"42501":       fault.AdminRefused,      // insufficient_privilege
	notAuthorized: fault.TargetUnavailable, // access rules that leave us out; for the admin, see session.fault
	"08":          fault.TargetUnavailable, // connection exception
	"53":          fault.TargetUnavailable, // insufficient resources: connections, memory, disk
	"57":          fault.TargetUnavailable, // operator intervention: shutting down, starting up, statement timeout
	readOnly:      fault.TargetUnavailable, // a standby server: a failover is under way, or the address is a replica's
	"25P03":       fault.TargetUnavailable, // idle_in_transaction_session_timeout
	"40":          fault.TargetUnavailable, // serialization failure, deadlock
	"55P03":       fault.TargetUnavailable, // lock_not_available: another change of this secret is under way
	"XX000":       fault.TargetUnavailable, // "tuple concurrently updated": another change of the same role
}

func codeOf(e *pgconn.PgError) fault.Code {
	if c, ok := codes[e.Code]; ok {
		return c
	}
	if len(e.Code) == 5 {
		if c, ok := codes[e.Code[:2]]; ok {
			return c
		}
	}
	return fault.TargetRefused
}

// fault converts an error that came before COMMIT was sent: whatever had been done is rolled back, so without an answer
// the target is merely unavailable. The driver's error stays behind; only its text goes on, without any password.
func (s *session) fault(err error, doing string) error {
	if err == nil || isFault(err) {
		return err
	}
	code := fault.TargetUnavailable
	var e *pgconn.PgError
	if errors.As(err, &e) {
		code = codeOf(e)
	}
	switch {
	case s.admin && e != nil && e.Code == notAuthorized:
		code = fault.AdminRefused // whether its LOGIN is gone or the access rules leave it out: it does not get in
	case !s.admin && code == fault.AdminRefused:
		code = fault.TargetRefused // a login under trial, not the admin, lacks the privilege
	}
	return fault.New(code, "%s at %s: %s", doing, address(s.target), s.redact(describe(err)))
}

// commit sends COMMIT, the point from which the change holds. Only an ERROR is a no of the server's: a FATAL may come after
// the commit took effect, when the session is ended between the two. Any other loss leaves the outcome open; the driver's
// own word (pgconn.SafeToRetry) is not to be trusted here, for it says "safe" of an answer that never came.
func (s *session) commit(ctx context.Context, tx pgx.Tx) error {
	if err := ctx.Err(); err != nil {
		return s.fault(err, "commit")
	}
	if s.conn.IsClosed() {
		return s.fault(errors.New("the connection was lost before COMMIT was sent"), "commit")
	}
	err := tx.Commit(ctx)
	var e *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Severity == "ERROR", errors.Is(err, pgx.ErrTxCommitRollback):
		return s.fault(err, "commit")
	default:
		return fault.New(fault.OutcomeUnknown, "the commit at %s was sent and not answered: %s", address(s.target), s.redact(describe(err)))
	}
}

// refused converts an error of a trial of the new credential: what the server says of it is a failed test.
func (s *session) refused(err error, what string) error {
	converted := s.fault(err, what)
	code := fault.CodeOf(converted)
	var e *pgconn.PgError
	writes := errors.As(err, &e) && e.Code == readOnly // our own doing: a trial may not write
	if code == fault.TargetRefused || credentialRefused(err) || errors.Is(err, errFalse) || writes {
		return fault.New(fault.TestRefused, "%s: %s", what, s.redact(describe(err)))
	}
	return converted
}

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// describe leaves out the fields of an error that could repeat a statement's text.
func describe(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Message + " (SQLSTATE " + e.Code + ")"
	}
	return err.Error()
}

// hide names a text that no error may show.
func (s *session) hide(text string) {
	if text != "" {
		s.secrets = append(s.secrets, text, "[value]")
	}
}

func (s *session) redact(text string) string { return strings.NewReplacer(s.secrets...).Replace(text) }
