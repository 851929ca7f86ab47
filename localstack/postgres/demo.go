package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres/scram"
)

// Names in the demo database.
const (
	DemoDatabase = "orders"
	DemoOwner    = "orders_app"
	DemoAdmin    = "mayfly_admin"
)

// Demo is what a caller needs to work with the demo database. The passwords exist here and, as verifiers, in the server.
type Demo struct {
	Database      string
	Owner         string // owns the tables; logs in itself until Mayfly takes over
	OwnerPassword string
	Admin         string // rotates; not a superuser
	AdminPassword string
}

// CreateDemo makes the demo database: a shop's orders, their owner, and the admin with which Mayfly rotates.
func (c *Cluster) CreateDemo(ctx context.Context) (Demo, error) {
	return c.CreateDatabase(ctx, DemoDatabase, DemoOwner, DemoAdmin)
}

// CreateDatabase makes a database as CreateDemo does, under other names. Roles that exist get new passwords.
func (c *Cluster) CreateDatabase(ctx context.Context, database, owner, admin string) (Demo, error) {
	demo := Demo{Database: database, Owner: owner, OwnerPassword: rand.Text(), Admin: admin, AdminPassword: rand.Text()}
	roles, err := roleStatements(demo)
	if err != nil {
		return Demo{}, err
	}
	db, own, adm := quoteName(database), quoteName(owner), quoteName(admin)
	if err := c.Exec(ctx, "postgres", append(roles,
		"CREATE DATABASE "+db,
		"REVOKE ALL ON DATABASE "+db+" FROM PUBLIC",
		"GRANT CONNECT ON DATABASE "+db+" TO "+own+", "+adm,
		// What the admin needs, and no more: to make and alter roles, to see who is connected, to end sessions.
		"GRANT pg_signal_backend, pg_read_all_stats TO "+adm,
		// From version 16 on CREATEROLE reaches only roles of which one has the admin option; before, it reaches all but
		// superusers: https://www.postgresql.org/docs/16/role-attributes.html
		"DO $$BEGIN IF current_setting('server_version_num')::int >= 160000 THEN EXECUTE 'GRANT "+own+" TO "+adm+
			" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'; END IF; END$$",
	)...); err != nil {
		return Demo{}, err
	}
	return demo, c.Exec(ctx, database,
		"GRANT CREATE ON SCHEMA public TO "+own,
		"SET ROLE "+own,
		`CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)`,
		`CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, total numeric(10,2) NOT NULL, placed timestamptz NOT NULL DEFAULT now())`,
		`INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace')`,
		`INSERT INTO orders (id, customer, total) VALUES (1, 1, 19.90), (2, 2, 240.00), (3, 1, 7.50)`,
	)
}

func roleStatements(d Demo) ([]string, error) {
	var statements []string
	for _, r := range []struct{ name, password, attributes string }{
		{d.Owner, d.OwnerPassword, "LOGIN"},
		{d.Admin, d.AdminPassword, "LOGIN CREATEROLE"},
	} {
		verifier, err := scram.Verifier(r.password, rand.Reader)
		if err != nil {
			return nil, err
		}
		name := quoteName(r.name)
		statements = append(statements,
			"DO $$BEGIN CREATE ROLE "+name+"; EXCEPTION WHEN duplicate_object THEN NULL; END$$",
			"ALTER ROLE "+name+" "+r.attributes+" PASSWORD '"+verifier+"'")
	}
	return statements, nil
}

func quoteName(name string) string { return pgx.Identifier{name}.Sanitize() }

// Exec runs statements one after the other in one session of the superuser.
func (c *Cluster) Exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, c.Superuser(database))
	if err != nil {
		return fmt.Errorf("connect to the throw-away server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.40s…: %w", s, err)
		}
	}
	return nil
}
