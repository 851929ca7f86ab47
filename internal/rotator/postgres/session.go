package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// session is one connection to a target, with the texts that its errors must not show.
type session struct {
	conn    *pgx.Conn
	target  *contract.Target
	admin   bool
	secrets []string
}

// admin logs in with the credential that may change the target. Where that is the secret itself, any of its values may be
// the one that works by now, since an earlier attempt may have crashed after its change: they are tried in this order.
func admin(ctx context.Context, c rotator.Change, values ...credential.Value) (*session, error) {
	s := &session{target: c.Target, admin: true}
	if !selfAdministered(c) {
		values = []credential.Value{c.Admin}
	}
	for _, v := range append(values, c.New, c.Old) {
		s.hide(v.Password())
	}
	var refusal error
	for _, v := range values {
		if v.User() == "" || v.Password() == "" {
			continue
		}
		conn, err := connect(ctx, c.Target, v.User(), v.Password(), toChange)
		if err == nil {
			s.conn = conn
			return s, nil
		}
		refusal = s.fault(err, "log in as "+v.User()+" to change "+c.Secret)
		if !credentialRefused(err) {
			return nil, refusal
		}
	}
	if refusal == nil {
		return nil, fault.New(fault.AdminMissing, "there is no username and password to change %s with", c.Secret)
	}
	return nil, refusal
}

// close says goodbye, even for a context that has ended. A server that does not hear it notices by itself.
func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// others are the sessions that logged in as $1, but for this one; with $2 only those that began before it. backend_start is
// hidden from an admin without pg_read_all_stats, and then every session counts.
const others = ` FROM pg_catalog.pg_stat_activity WHERE usename = $1 AND pid <> pg_catalog.pg_backend_pid()
	AND ($2::timestamptz IS NULL OR coalesce(backend_start < $2::timestamptz, true))`

// sessions counts the open sessions of a login. Within a transaction the server shows the state at the first look.
func (s *session) sessions(ctx context.Context, login string, since *time.Time) (int, error) {
	var n int
	err := s.conn.QueryRow(ctx, "SELECT count(*)"+others, login, since).Scan(&n)
	return n, s.fault(err, "count the sessions of "+login)
}

// watch looks several times and ends at the first session seen.
func (s *session) watch(ctx context.Context, login string, since *time.Time, looks int, pause time.Duration) (int, error) {
	for look := 1; ; look++ {
		n, err := s.sessions(ctx, login, since)
		if err != nil || n > 0 || look >= looks {
			return n, err
		}
		if err := wait(ctx, pause); err != nil {
			return 0, s.fault(err, "watch the sessions of "+login)
		}
	}
}

// patience is how long ended sessions get to be gone.
const patience = 5 * time.Second

// end ends the sessions of a login and waits until they are gone. pg_terminate_backend only asks.
func (s *session) end(ctx context.Context, login string, since *time.Time) error {
	deadline := time.Now().Add(patience)
	for {
		var asked int
		err := s.conn.QueryRow(ctx, "SELECT count(pg_catalog.pg_terminate_backend(pid))"+others, login, since).Scan(&asked)
		switch {
		case err != nil:
			return s.fault(err, "end the sessions of "+login)
		case asked == 0:
			return nil
		case time.Now().After(deadline):
			return fault.New(fault.TargetUnavailable, "%d sessions of %s at %s do not end", asked, login, address(s.target))
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return s.fault(err, "end the sessions of "+login)
		}
	}
}

// since is when a password that was replaced in place stopped counting, nil where sessions cannot be told apart by age or
// need not be.
func (s *session) since(ctx context.Context, c rotator.Change, login string) (*time.Time, error) {
	if c.Strategy != contract.Single || selfAdministered(c) {
		return nil, nil
	}
	roles, err := s.roles(ctx, login)
	if err != nil || c.To.ID == "" || roles[login].note.Version != c.To.ID {
		return nil, err
	}
	return roles[login].note.Since, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
