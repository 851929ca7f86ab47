// Package postgres runs throw-away PostgreSQL servers for the local stack and for tests: a real server in a temporary
// directory, a demo database with an owner and a rotation admin, a clock that follows the local stack's, and a proxy that
// cuts connections where it hurts.
//
// Nothing here is fit for data that matters: fsync is off, and the operating system user who started the server is
// superuser through the unix socket, which lies in a directory that only this user may enter.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options choose what kind of server is started. The zero value is a plaintext server on the machine's clock.
type Options struct {
	TLS            bool // offer TLS with a certificate for 127.0.0.1 of a CA made for this server; plaintext stays possible
	MaxConnections int  // 0: 50
	FollowClock    bool // start under libfaketime, so that SetClock works; an error where it is not installed
}

// Cluster is a running server. Its methods may be called from several goroutines.
type Cluster struct {
	Port     int    // on 127.0.0.1
	RootCert string // PEM of the CA, "" without TLS

	dir     string
	clock   string // file with the clock's offset, "" when the machine's clock is used
	server  *server
	account *account
}

// Start makes a new cluster and returns when it answers. Passwords of roles are checked on TCP connections with SCRAM
// only. The caller stops it.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	acct, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mayfly-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the server: %w", err)
	}
	c := &Cluster{dir: dir, account: acct}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if err := acct.own(dir); err != nil {
		return nil, err
	}
	if err := c.initialize(ctx, bin); err != nil {
		return nil, err
	}
	if err := c.configure(o); err != nil {
		return nil, err
	}
	return c, c.launch(ctx, bin)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) initialize(ctx context.Context, bin string) error {
	// trust here is only until configure replaces pg_hba.conf, before the server starts: with a password method initdb
	// would insist on a password for the superuser, and that superuser is to have none.
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username="+superuser,
		"--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.SysProcAttr = c.dir, c.account.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s failed: %w\n%s", c.dir, err, out)
	}
	return nil
}

const superuser = "postgres"

const accessRules = `local all all trust
host all all 127.0.0.1/32 scram-sha-256
`

func (c *Cluster) configure(o Options) error {
	if o.MaxConnections == 0 {
		o.MaxConnections = 50
	}
	settings := []string{
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = '" + c.dir + "'",
		"unix_socket_permissions = 0700",
		"password_encryption = 'scram-sha-256'",
		"max_connections = " + strconv.Itoa(o.MaxConnections),
		"shared_buffers = '16MB'",
		"fsync = off", "synchronous_commit = off", "full_page_writes = off",
		"wal_level = minimal", "max_wal_senders = 0",
		"log_statement = 'all'", // the leak tests search this log for passwords
		"log_min_messages = 'info'",
		"log_line_prefix = '%m [%p] %u@%d '",
		"timezone = 'UTC'", "log_timezone = 'UTC'",
	}
	if o.TLS {
		ca, err := writeCertificates(c.data(), c.account)
		if err != nil {
			return err
		}
		c.RootCert = ca
		settings = append(settings, "ssl = on", "ssl_min_protocol_version = 'TLSv1.2'")
	}
	if o.FollowClock {
		c.clock = filepath.Join(c.dir, "clock")
		if err := c.SetClock(0); err != nil {
			return err
		}
	}
	if err := c.write("postgresql.conf", strings.Join(settings, "\n")+"\n"); err != nil {
		return err
	}
	return c.write("pg_hba.conf", accessRules)
}

func (c *Cluster) write(name, text string) error {
	path := filepath.Join(c.data(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure the server: %w", err)
	}
	return c.account.own(path)
}

// launch starts the server on a free port. Another process may take the port between the choice and the start, so a
// server that ends at once is started again on another one.
func (c *Cluster) launch(ctx context.Context, bin string) error {
	var err error
	for range 5 {
		if c.Port, err = freePort(); err != nil {
			return err
		}
		if c.server, err = c.spawn(bin); err != nil {
			return err
		}
		if err = c.ready(ctx); err == nil || !errors.Is(err, errEnded) {
			return err
		}
	}
	return err
}

var errEnded = errors.New("the server ended at once")

func (c *Cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.Superuser("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.server.ended:
			log, _ := c.Log()
			return fmt.Errorf("%w; its log:\n%s", errEnded, log)
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL in %s did not become ready: %w", c.dir, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Superuser is a connection string for the superuser and a database, over the unix socket. It holds no password.
func (c *Cluster) Superuser(database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable connect_timeout=5", c.dir, c.Port, superuser, database)
}

// Log is the server's whole log, every statement included.
func (c *Cluster) Log() (string, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "log"))
	return string(text), err
}

// SetClock puts the server's clock ahead of the machine's by offset, at once and for every session, so that VALID UNTIL
// and now() follow the local stack's clock. It needs Options.FollowClock.
func (c *Cluster) SetClock(offset time.Duration) error {
	if c.clock == "" {
		return errors.New("the server does not follow a clock; start it with FollowClock")
	}
	// A rename, so that the server never reads half an offset.
	next := c.clock + ".next"
	text := fmt.Sprintf("%+.3fs\n", offset.Seconds())
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return fmt.Errorf("set the server's clock: %w", err)
	}
	if err := c.account.own(next); err != nil {
		return err
	}
	return os.Rename(next, c.clock)
}

// Stop ends the server, its open sessions too, and removes its directory. Stopping twice is harmless.
func (c *Cluster) Stop() error {
	var err error
	if c.server != nil {
		err = c.server.stop()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// stop asks for a fast shutdown, and after ten seconds for an immediate one:
// https://www.postgresql.org/docs/15/server-shutdown.html
func (s *server) stop() error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-s.ended:
			return nil
		default:
		}
		if err := syscall.Kill(s.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop PostgreSQL (pid %d): %w", s.pid, err)
		}
		select {
		case <-s.ended:
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	return fmt.Errorf("PostgreSQL (pid %d) does not end", s.pid)
}
