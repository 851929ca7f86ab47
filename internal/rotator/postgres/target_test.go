package postgres_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	local "github.com/mayfly-secrets/mayfly/localstack/postgres"
)

// to completes a change with a fresh value for the slot.
func to(t testing.TB, c rotator.Change, slot string, fence int64) rotator.Change {
	t.Helper()
	c.Fence, c.Now = fence, time.Now()
	c.To = rotator.Version{ID: credential.Token(fmt.Sprint(t.Name(), fence), slot), Slot: slot, User: credential.User(c.Target, slot)}
	v, err := credential.Compose(c.Target, c.To.User, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.New = v
	return c
}

func code(t *testing.T, err error, want fault.Code, what string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func verdict(t *testing.T, c rotator.Change, v credential.Value, want rotator.Verdict, what string) {
	t.Helper()
	got, err := postgres.New(rand.Reader).Probe(t.Context(), c, v)
	if err != nil || got != want {
		t.Errorf("%s: %s, %v; want %s", what, got, err, want)
	}
}

func (s *server) ask(t *testing.T, database, question string, answers ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.Superuser(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), question).Scan(answers...); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
}

func (s *server) exec(t *testing.T, database string, statements ...string) {
	t.Helper()
	if err := s.Exec(t.Context(), database, statements...); err != nil {
		t.Fatal(err)
	}
}

func TestTarget(t *testing.T) {
	s := start(t, local.Options{})
	for name, test := range map[string]func(*testing.T, *server){
		"a login is the owner":                  isOwner,
		"a login has the owner's settings":      hasSettings,
		"roles of others are refused":           othersRoles,
		"a login that grew rights is refused":   grown,
		"the owner's comment is kept":           keepsComment,
		"the admin":                             adminFaults,
		"a verdict is about the credential":     verdicts,
		"what a credential must be able to do":  musts,
		"concurrent runs leave the newest":      concurrent,
		"names that PostgreSQL would cut":       longNames,
		"the expiry that was there is put back": expiryPutBack,
		"single does not touch other roles":     singleOnly,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

func isOwner(t *testing.T, s *server) {
	c, _, demo := s.secret(t, contract.Dual, false)
	c = to(t, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	if err := r.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	service, err := open(c.Target)(t.Context(), c.New)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close(t.Context())
	if _, err := service.(client).conn.Exec(t.Context(), "CREATE TABLE made_by_a (x int)"); err != nil {
		t.Fatal(err)
	}
	var owner string
	s.ask(t, demo.Database, "SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_a'", &owner)
	if owner != demo.Owner {
		t.Errorf("what a login creates belongs to %s, want %s", owner, demo.Owner)
	}
	var verifier string
	s.ask(t, demo.Database, "SELECT rolpassword FROM pg_authid WHERE rolname = '"+c.To.User+"'", &verifier)
	if !strings.HasPrefix(verifier, "SCRAM-SHA-256$4096:") {
		t.Errorf("stored as %.14s…", verifier)
	}
	// A login whose SET role is gone works as somebody without objects of its own.
	s.exec(t, demo.Database, `ALTER ROLE "`+c.To.User+`" RESET role`)
	code(t, r.Test(t.Context(), c), fault.TestRefused, "Test of a login that does not become the owner")
}

func hasSettings(t *testing.T, s *server) {
	c, _, demo := s.secret(t, contract.Dual, false)
	owner := `ALTER ROLE "` + demo.Owner + `"`
	s.exec(t, demo.Database, owner+` SET search_path = "Quo""ted, Schema", public`,
		owner+` IN DATABASE `+demo.Database+` SET work_mem = '7MB'`, owner+` SET role = '`+demo.Owner+`'`, owner+` CONNECTION LIMIT 9`)
	for fence := int64(1); fence <= 2; fence++ {
		c = to(t, c, credential.SlotA, fence)
		if err := postgres.New(rand.Reader).Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		service, err := open(c.Target)(t.Context(), c.New)
		if err != nil {
			t.Fatal(err)
		}
		var path, memory string
		if err := service.(client).conn.QueryRow(t.Context(), "SELECT current_setting('search_path'), current_setting('work_mem')").Scan(&path, &memory); err != nil {
			t.Fatal(err)
		}
		service.Close(t.Context())
		if path != `"Quo""ted, Schema", public` || memory != "7MB" {
			t.Errorf("search_path %s, work_mem %s", path, memory)
		}
	}
	var limit int
	s.ask(t, demo.Database, "SELECT rolconnlimit FROM pg_roles WHERE rolname = '"+c.To.User+"'", &limit)
	if limit != 9 {
		t.Errorf("connection limit %d, want the owner's 9", limit)
	}
	// A setting that the admin may not copy is said, not dropped.
	s.exec(t, demo.Database, owner+" SET log_statement = 'none'")
	c = to(t, c, credential.SlotB, 3)
	err := postgres.New(rand.Reader).Set(t.Context(), c)
	if code(t, err, fault.AdminRefused, "a setting only for superusers"); err != nil && !strings.Contains(err.Error(), "log_statement") {
		t.Errorf("the error does not name the setting: %v", err)
	}
	verdict(t, c, c.New, rotator.Refused, "the login of a change that failed")
}

func othersRoles(t *testing.T, s *server) {
	c, _, demo := s.secret(t, contract.Dual, false)
	c = to(t, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	s.exec(t, demo.Database, `CREATE ROLE "`+c.To.User+`" NOLOGIN`)
	code(t, r.Set(t.Context(), c), fault.TargetRefused, "Set of a role that somebody else made")
	var can bool
	s.ask(t, demo.Database, "SELECT rolcanlogin FROM pg_roles WHERE rolname = '"+c.To.User+"'", &can)
	if can {
		t.Error("somebody else's role was taken over")
	}
	s.exec(t, demo.Database, `DROP ROLE "`+c.To.User+`"`)
	if err := r.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	thief := c
	thief.Secret = "prod/another"
	code(t, r.Set(t.Context(), thief), fault.TargetRefused, "Set by another secret of the same owner")
	verdict(t, c, c.New, rotator.Honoured, "the login of the secret that has it")
	gone := c
	target := *c.Target
	target.Owner = "nobody_here"
	gone.Target, gone.To.User = &target, "nobody_here_a"
	gone.New = value(&target, "nobody_here_a", "x")
	code(t, r.Set(t.Context(), gone), fault.TargetRefused, "Set for an owner that does not exist")
}

func grown(t *testing.T, s *server) {
	for _, right := range []string{"SUPERUSER", "CREATEROLE", "BYPASSRLS", "REPLICATION"} {
		c, _, demo := s.secret(t, contract.Dual, false)
		c = to(t, c, credential.SlotA, 1)
		r := postgres.New(rand.Reader)
		if err := r.Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.exec(t, demo.Database, `ALTER ROLE "`+c.To.User+`" `+right)
		code(t, r.Set(t.Context(), c), fault.TargetRefused, "Set of a login with "+right)
	}
}

func keepsComment(t *testing.T, s *server) {
	for _, strategy := range []string{contract.Dual, contract.Single} {
		c, _, demo := s.secret(t, strategy, false)
		s.exec(t, demo.Database, `COMMENT ON ROLE "`+demo.Owner+`" IS 'ask Ada''s team'`)
		r := postgres.New(rand.Reader).Hasten()
		for fence := int64(1); fence <= 2; fence++ {
			c = to(t, c, credential.NextSlot(strategy, c.From.Slot), fence)
			if err := r.Set(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if err := r.Revoke(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			c.From = c.To
		}
		var comment string
		s.ask(t, demo.Database, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '"+demo.Owner+"'", &comment)
		if !strings.Contains(comment, `"comment":"ask Ada's team"`) || !strings.Contains(comment, `"secret":"`+c.Secret+`"`) {
			t.Errorf("%s: %s", strategy, comment)
		}
	}
}

func adminFaults(t *testing.T, s *server) {
	c, current, demo := s.secret(t, contract.Dual, false)
	c = to(t, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	wrong := c
	wrong.Admin = value(c.Target, demo.Admin, "wrong")
	code(t, r.Set(t.Context(), wrong), fault.AdminRefused, "a wrong admin password")
	wrong.Admin = current // logs in, and may not make roles
	code(t, r.Set(t.Context(), wrong), fault.AdminRefused, "an admin without CREATEROLE")
	wrong.Admin = credential.Value{}
	code(t, r.Set(t.Context(), wrong), fault.AdminMissing, "no admin")
	target := *c.Target
	target.Admin = ""
	wrong.Target = &target
	code(t, r.Set(t.Context(), wrong), fault.ContractInvalid, "strategy dual without an admin")

	// Sessions can be ended only with pg_signal_backend.
	service, err := open(c.Target)(t.Context(), current)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close(t.Context())
	s.exec(t, demo.Database, "REVOKE pg_signal_backend FROM "+demo.Admin)
	c.EndSessions = true
	code(t, r.Revoke(t.Context(), c), fault.AdminRefused, "an admin without pg_signal_backend")
}

func verdicts(t *testing.T, s *server) {
	c, current, demo := s.secret(t, contract.Dual, false)
	c = to(t, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	probe := func() error { _, err := r.Probe(t.Context(), c, current); return err }
	owner := `ALTER ROLE "` + demo.Owner + `" `

	verdict(t, c, value(c.Target, "no_such_role", "x"), rotator.Refused, "a role that does not exist")
	s.exec(t, demo.Database, owner+"NOLOGIN")
	verdict(t, c, current, rotator.Refused, "a role without LOGIN")
	s.exec(t, demo.Database, owner+"LOGIN CONNECTION LIMIT 0")
	code(t, probe(), fault.TargetUnavailable, "a role with no room left")
	s.exec(t, demo.Database, owner+"CONNECTION LIMIT -1")

	// Access rules speak of where we come from, not of the credential.
	var rules string
	s.ask(t, "postgres", "SELECT pg_read_file(current_setting('hba_file'))", &rules)
	write := func(text string) {
		s.exec(t, "postgres", "COPY (SELECT unnest(string_to_array($$"+strings.TrimSpace(text)+"$$, E'\\n'))) TO '"+s.hba(t)+"'", "SELECT pg_reload_conf()")
		time.Sleep(200 * time.Millisecond) // the reload is a signal to the postmaster, without an answer
	}
	defer write(rules)
	host := `host all "` + demo.Owner + `" 127.0.0.1/32 `
	for _, method := range []string{"reject", "trust", "password"} {
		write(host + method + "\n" + rules)
		code(t, probe(), fault.TargetUnavailable, "access rules that say "+method)
	}
	code(t, func() error { _, err := r.Probe(t.Context(), c, credential.Parse("just text")); return err }(), fault.ValueInvalid, "a value without a login")
}

func (s *server) hba(t *testing.T) (path string) {
	s.ask(t, "postgres", "SHOW hba_file", &path)
	return path
}

func musts(t *testing.T, s *server) {
	c, _, demo := s.secret(t, contract.Dual, false)
	c = to(t, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	if err := r.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for statement, ok := range map[string]bool{
		"SELECT total FROM orders":                          true,
		"SELECT has_table_privilege('orders', 'DELETE')":    true,
		"SELECT has_table_privilege('pg_authid', 'SELECT')": false,
		"SELECT * FROM pg_authid":                           false,
		"SELECT * FROM no_such_table":                       false,
		"DELETE FROM orders":                                false, // a test changes nothing
		"SELECT 1; SELECT 2":                                false,
		"SELECT id FROM orders WHERE false":                 true,
	} {
		with := c
		target := *c.Target
		target.Must = []string{"SELECT 1", statement}
		with.Target = &target
		if err := r.Test(t.Context(), with); ok && err != nil {
			t.Errorf("%s: %v", statement, err)
		} else if !ok {
			code(t, err, fault.TestRefused, statement)
		}
	}
	leaving := c
	target := *c.Target
	target.Must = []string{"COMMIT", "DELETE FROM orders"}
	leaving.Target = &target
	code(t, r.Test(t.Context(), leaving), fault.TestRefused, "a statement that leaves the transaction")
	var orders int
	s.ask(t, demo.Database, "SELECT count(*) FROM orders", &orders)
	if orders != 3 {
		t.Errorf("%d orders are left of 3", orders)
	}
}

// concurrent lets runs of one secret set the same login at once. Whatever the order, the newest fence wins, and only runs
// that came before it in time got through.
func concurrent(t *testing.T, s *server) {
	c, current, _ := s.secret(t, contract.Dual, false)
	r := postgres.New(rand.Reader)
	changes := make([]rotator.Change, 6)
	errs := make([]error, len(changes))
	var all sync.WaitGroup
	for i := range changes {
		changes[i] = to(t, c, credential.SlotA, int64(i+1))
		all.Go(func() { errs[i] = r.Set(t.Context(), changes[i]) })
	}
	all.Wait()
	newest := len(changes) - 1
	if errs[newest] != nil {
		t.Errorf("the newest run: %v", errs[newest])
	}
	for i, err := range errs {
		if err != nil && fault.CodeOf(err) != fault.Fenced {
			t.Errorf("run %d: %v", i+1, err)
		}
		want := rotator.Refused
		if i == newest {
			want = rotator.Honoured
		}
		verdict(t, c, changes[i].New, want, fmt.Sprintf("the value of run %d", i+1))
	}
	verdict(t, c, current, rotator.Honoured, "the value in use")
}

func longNames(t *testing.T, s *server) {
	c, _, _ := s.secret(t, contract.Dual, false)
	target := *c.Target
	target.Owner = strings.Repeat("o", 62)
	c.Target = &target
	c = to(t, c, credential.SlotA, 1)
	code(t, postgres.New(rand.Reader).Set(t.Context(), c), fault.ContractInvalid, "a login of 64 bytes")
}

func expiryPutBack(t *testing.T, s *server) {
	c, current, demo := s.secret(t, contract.Single, false)
	s.exec(t, demo.Database, `ALTER ROLE "`+demo.Owner+`" VALID UNTIL '2099-01-02 03:04:05+00'`)
	c = to(t, c, credential.SlotSingle, 1)
	c.ExpiresIn, c.Old = time.Hour, current
	r := postgres.New(rand.Reader)
	for range 2 { // a second Set must not forget what was there before the first
		if err := r.Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var left float64
	s.ask(t, demo.Database, "SELECT extract(epoch FROM rolvaliduntil - now())::float8 FROM pg_roles WHERE rolname = '"+demo.Owner+"'", &left)
	if left < 3500 || left > 3600 {
		t.Errorf("the new value is honoured for %.0f s more, want an hour", left)
	}
	if err := r.Restore(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var back bool
	s.ask(t, demo.Database, "SELECT rolvaliduntil = '2099-01-02 03:04:05+00' FROM pg_roles WHERE rolname = '"+demo.Owner+"'", &back)
	if !back {
		t.Error("the old expiry was not put back")
	}
	verdict(t, c, current, rotator.Honoured, "the old value")
}

func singleOnly(t *testing.T, s *server) {
	c, current, demo := s.secret(t, contract.Single, false)
	c = to(t, c, credential.SlotSingle, 1)
	c.Old = current
	if err := postgres.New(rand.Reader).Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var logins int
	s.ask(t, demo.Database, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '"+demo.Owner+"%'", &logins)
	if logins != 1 {
		t.Errorf("%d roles of the owner's name, want its own alone", logins)
	}
	code(t, postgres.New(rand.Reader).Restore(t.Context(), func() rotator.Change { o := c; o.Old = credential.Value{}; return o }()),
		fault.ValueInvalid, "Restore without the old value")
}
