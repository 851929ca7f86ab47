package postgres_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mayfly-secrets/mayfly/localstack/postgres"
)

func start(t *testing.T, o postgres.Options) *postgres.Cluster {
	t.Helper()
	begun := time.Now()
	c, err := postgres.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(strings.Fields(strings.TrimPrefix(c.Superuser("x"), "host="))[0]); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the server's directory is still there: %v", err)
		}
	})
	t.Logf("initdb and start: %v", time.Since(begun).Round(time.Millisecond))
	return c
}

func login(ctx context.Context, port int, database, user, password string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password=%s sslmode=disable require_auth=scram-sha-256",
		port, database, user, password))
}

func refusal(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestDemoRolesCanDoWhatTheyAreFor(t *testing.T) {
	ctx := t.Context()
	c := start(t, postgres.Options{MaxConnections: 20})
	demo, err := c.CreateDemo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := login(ctx, c.Port, demo.Database, demo.Owner, demo.OwnerPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(ctx)
	var orders int
	if err := owner.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&orders); err != nil || orders == 0 {
		t.Errorf("the owner sees %d orders: %v", orders, err)
	}
	admin, err := login(ctx, c.Port, demo.Database, demo.Admin, demo.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	var super, createRole bool
	if err := admin.QueryRow(ctx, "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user").Scan(&super, &createRole); err != nil || super || !createRole {
		t.Errorf("admin: superuser %t, createrole %t, %v", super, createRole, err)
	}
	if err := admin.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&orders); refusal(err) != "42501" {
		t.Errorf("the admin reads the owner's tables: %v", err)
	}
	if _, err := login(ctx, c.Port, demo.Database, demo.Owner, "wrong"); refusal(err) != "28P01" {
		t.Errorf("a wrong password: %v", err)
	}
	log, err := c.Log()
	if err != nil || !strings.Contains(log, "SELECT count(*) FROM orders") {
		t.Errorf("the log does not show statements: %v", err)
	}
	for _, password := range []string{demo.OwnerPassword, demo.AdminPassword} {
		if strings.Contains(log, password) {
			t.Error("a password is in the log")
		}
	}
}

func TestTheServersClockFollows(t *testing.T) {
	if !postgres.CanFollowClock() {
		t.Skip("libfaketime is not installed")
	}
	ctx := t.Context()
	c := start(t, postgres.Options{FollowClock: true})
	demo, err := c.CreateDemo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(ctx, "postgres", "DO $$BEGIN EXECUTE format('ALTER ROLE orders_app VALID UNTIL %L', now() + interval '1 hour'); END$$"); err != nil {
		t.Fatal(err)
	}
	held, err := login(ctx, c.Port, demo.Database, demo.Owner, demo.OwnerPassword)
	if err != nil {
		t.Fatal("before the expiry:", err)
	}
	defer held.Close(ctx)
	if err := c.SetClock(59 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if conn, err := login(ctx, c.Port, demo.Database, demo.Owner, demo.OwnerPassword); err != nil {
		t.Error("a minute before the expiry:", err)
	} else {
		conn.Close(ctx)
	}
	if err := c.SetClock(61 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := login(ctx, c.Port, demo.Database, demo.Owner, demo.OwnerPassword); refusal(err) != "28P01" {
		t.Errorf("a minute after the expiry: %v", err)
	}
	var ahead float64
	if err := held.QueryRow(ctx, "SELECT extract(epoch FROM clock_timestamp())::float8").Scan(&ahead); err != nil {
		t.Fatal("a session opened before:", err)
	}
	if off := ahead - float64(time.Now().Add(61*time.Minute).UnixMilli())/1000; off < -5 || off > 5 {
		t.Errorf("an open session's clock is off by %.1f s", off)
	}
}

func TestTLS(t *testing.T) {
	ctx := t.Context()
	c := start(t, postgres.Options{TLS: true})
	demo, err := c.CreateDemo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(c.RootCert)) {
		t.Fatal("RootCert is not PEM")
	}
	config, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s sslmode=require", c.Port, demo.Database, demo.Owner))
	if err != nil {
		t.Fatal(err)
	}
	config.Password = demo.OwnerPassword
	config.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var encrypted bool
	if err := conn.QueryRow(ctx, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted); err != nil || !encrypted {
		t.Errorf("encrypted: %t, %v", encrypted, err)
	}
}

func TestProxyCutsAndCounts(t *testing.T) {
	ctx := t.Context()
	c := start(t, postgres.Options{})
	demo, err := c.CreateDemo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := postgres.NewProxy(c.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	direct, err := login(ctx, c.Port, demo.Database, demo.Owner, demo.OwnerPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(ctx)
	customers := func() (n int) {
		if err := direct.QueryRow(ctx, "SELECT count(*) FROM customers").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	insert := func(id int) error {
		conn, err := login(ctx, p.Port(), demo.Database, demo.Owner, demo.OwnerPassword)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO customers VALUES ($1, 'x')", id)
			return err
		})
	}
	n := customers()
	for i, test := range []struct {
		name      string
		cut       *postgres.Cut
		persisted bool
		failed    bool
	}{
		{"none", nil, true, false},
		{"before the commit", &postgres.Cut{}, false, true},
		{"after the commit", &postgres.Cut{After: true}, true, true},
		{"before an extended statement", &postgres.Cut{Match: regexp.MustCompile("^INSERT")}, false, true},
		{"after an extended statement", &postgres.Cut{Match: regexp.MustCompile("^INSERT"), After: true}, false, true},
		{"the second commit only", &postgres.Cut{Nth: 2}, true, false},
	} {
		if test.cut != nil {
			p.Plan(test.cut)
		}
		err := insert(100 + i)
		if (err != nil) != test.failed || (test.cut != nil && test.cut.Fired() != test.failed) {
			t.Errorf("%s: %v", test.name, err)
		}
		want := n
		if test.persisted {
			want++
		}
		if n = customers(); n != want {
			t.Errorf("%s: %d rows, want %d", test.name, n, want)
		}
	}
	if _, err := login(ctx, p.Port(), demo.Database, demo.Owner, "wrong"); refusal(err) != "28P01" {
		t.Errorf("a wrong password through the proxy: %v", err)
	}
	p.Refuse(true)
	if _, err := login(ctx, p.Port(), demo.Database, demo.Owner, demo.OwnerPassword); err == nil {
		t.Error("the proxy refuses connections, and one came through")
	}
	want := postgres.Logins{Succeeded: 6, Failed: 1}
	if got := p.Logins(demo.Owner); got != want || p.Logins("") != want || p.Logins("nobody") != (postgres.Logins{}) {
		t.Errorf("logins: %+v, want %+v", got, want)
	}
}
