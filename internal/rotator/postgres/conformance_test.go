package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/conformance"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	local "github.com/mayfly-secrets/mayfly/localstack/postgres"
)

// server is a cluster, where its clock is, and how many databases it has had.
type server struct {
	*local.Cluster
	ahead     time.Duration
	databases atomic.Int32
}

func start(t *testing.T, o local.Options) *server {
	t.Helper()
	c, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &server{Cluster: c}
}

func (s *server) now() time.Time { return time.Now().Add(s.ahead) }

func (s *server) advance(d time.Duration) error {
	s.ahead += d
	return s.SetClock(s.ahead)
}

// secret is a fresh database with its owner and admin, and what a run would know of them.
func (s *server) secret(t testing.TB, strategy string, selfAdministered bool) (rotator.Change, credential.Value, local.Demo) {
	t.Helper()
	n := s.databases.Add(1)
	demo, err := s.CreateDatabase(t.Context(), fmt.Sprintf("shop%d", n), fmt.Sprintf("shop%d app", n), fmt.Sprintf("admin%d", n))
	if err != nil {
		t.Fatal(err)
	}
	target := &contract.Target{
		Host: "127.0.0.1", Port: s.Port, Database: demo.Database, Owner: demo.Owner, Admin: "prod/shop-admin", TLS: "disable",
		Must: []string{"SELECT count(*) FROM orders", "SELECT has_table_privilege('orders', 'INSERT')"},
	}
	admin := value(target, demo.Admin, demo.AdminPassword)
	if selfAdministered {
		target.Admin, admin = "", credential.Value{}
	}
	slot := credential.SlotOwner
	if strategy == contract.Single {
		slot = credential.SlotSingle
	}
	return rotator.Change{
		Secret: "prod/" + demo.Database, Target: target, Strategy: strategy, Admin: admin,
		From: rotator.Version{ID: "b0a1d7c2-before-mayfly", Slot: slot, User: demo.Owner},
	}, value(target, demo.Owner, demo.OwnerPassword), demo
}

func value(t *contract.Target, user, password string) credential.Value {
	return credential.Parse(fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"dbname":%q,"username":%q,"password":%q}`,
		t.Host, t.Port, t.Database, user, password))
}

type client struct{ conn *pgx.Conn }

func (c client) Alive(ctx context.Context) bool {
	_, err := c.conn.Exec(ctx, "SELECT count(*) FROM orders")
	return err == nil
}

func (c client) Close(ctx context.Context) error { return c.conn.Close(ctx) }

func open(t *contract.Target) func(context.Context, credential.Value) (conformance.Session, error) {
	return func(ctx context.Context, v credential.Value) (conformance.Session, error) {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d dbname='%s' user='%s' password='%s' sslmode=disable",
			t.Host, t.Port, t.Database, v.User(), v.Password()))
		return client{conn}, err
	}
}

func TestConformance(t *testing.T) {
	s := start(t, local.Options{FollowClock: local.CanFollowClock()})
	for _, kind := range []struct {
		name, strategy   string
		selfAdministered bool
	}{
		{"dual", contract.Dual, false},
		{"single", contract.Single, false},
		{"single that changes itself", contract.Single, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T) conformance.Fixture {
				return s.fixture(t, kind.strategy, kind.selfAdministered)
			})
		})
	}
}

func (s *server) fixture(t *testing.T, strategy string, selfAdministered bool) conformance.Fixture {
	change, current, _ := s.secret(t, strategy, selfAdministered)
	proxy, err := local.NewProxy(s.Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	change.Target.Port = proxy.Port()
	f := conformance.Fixture{
		Rotator: postgres.New(rand.Reader).Hasten(), Change: change, Current: current, Fences: !selfAdministered,
		Now: s.now, Open: open(change.Target), Statements: s.Log, Refuse: proxy.Refuse,
		Cut: func(after bool) func() bool { return proxy.Plan(&local.Cut{After: after}).Fired },
	}
	if local.CanFollowClock() {
		f.Advance = s.advance
	}
	return f
}

// The suite's search for values must be able to find one.
func TestTheLogShowsAPasswordThatIsSentInTheClear(t *testing.T) {
	s := start(t, local.Options{})
	_, current, demo := s.secret(t, contract.Dual, false)
	if err := s.Exec(t.Context(), demo.Database, `ALTER ROLE "`+demo.Owner+`" PASSWORD '`+current.Password()+`'`); err != nil {
		t.Fatal(err)
	}
	if log, err := s.Log(); err != nil || !strings.Contains(log, current.Password()) {
		t.Errorf("a password in a statement is not in the log: %v", err)
	}
}
