package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// role is one role as the server has it.
type role struct {
	exists  bool
	super   bool // or anything else that a login of Mayfly must never be
	limit   int  // of connections, -1: none
	until   string
	comment string
	note    note
}

// note is what Mayfly keeps in a role's comment, as {"mayfly": {…}}. Everybody who may log in can read it; it holds
// identifiers only.
type note struct {
	Secret  string     `json:"secret"`
	Fence   int64      `json:"fence"`
	Version string     `json:"version,omitempty"` // that the role's password belongs to; empty: barred
	Since   *time.Time `json:"since,omitempty"`   // single: when this version replaced the one before
	Until   string     `json:"until,omitempty"`   // single: VALID UNTIL of the one before, for Restore
	Comment string     `json:"comment,omitempty"` // what the owner's comment said before Mayfly
}

type comment struct {
	Mayfly *note `json:"mayfly"`
}

func (n note) text() (string, error) {
	text, err := json.Marshal(comment{Mayfly: &n})
	return string(text), err
}

// readNote finds the note in a comment; a comment of somebody else's is kept in the note that will replace it.
func readNote(text string) note {
	var c comment
	if json.Unmarshal([]byte(text), &c) == nil && c.Mayfly != nil {
		return *c.Mayfly
	}
	return note{Comment: text}
}

// roles reads roles by name; one that is not there is the zero role.
func (s *session) roles(ctx context.Context, names ...string) (map[string]role, error) {
	rows, err := s.conn.Query(ctx, `SELECT rolname, rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls, rolconnlimit,
		coalesce(rolvaliduntil::text, 'infinity'), coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '')
		FROM pg_catalog.pg_roles WHERE rolname = ANY($1)`, names)
	if err != nil {
		return nil, s.fault(err, "read the roles")
	}
	found := map[string]role{}
	var name string
	r := role{exists: true}
	_, err = pgx.ForEachRow(rows, []any{&name, &r.super, &r.limit, &r.until, &r.comment}, func() error {
		r.note = readNote(r.comment)
		found[name] = r
		return nil
	})
	return found, s.fault(err, "read the roles")
}

// name quotes a role, database or setting for use in a statement.
func name(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes text for statements that take no parameters. Every session has standard_conforming_strings on, so that
// only the quote itself is special: https://www.postgresql.org/docs/15/sql-syntax-lexical.html
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000-07") }
