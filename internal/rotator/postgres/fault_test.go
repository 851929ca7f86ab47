package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

func TestWhatASQLStateMeans(t *testing.T) {
	type meaning struct{ admin, trial fault.Code }
	for state, want := range map[string]meaning{
		"28P01": {fault.AdminRefused, fault.TargetRefused},          // invalid_password
		"28000": {fault.AdminRefused, fault.TargetUnavailable},      // access rules
		"42501": {fault.AdminRefused, fault.TargetRefused},          // insufficient_privilege
		"53300": {fault.TargetUnavailable, fault.TargetUnavailable}, // too_many_connections
		"57P03": {fault.TargetUnavailable, fault.TargetUnavailable}, // cannot_connect_now
		"57014": {fault.TargetUnavailable, fault.TargetUnavailable}, // statement_timeout
		"55P03": {fault.TargetUnavailable, fault.TargetUnavailable}, // lock_timeout
		"08006": {fault.TargetUnavailable, fault.TargetUnavailable},
		"40P01": {fault.TargetUnavailable, fault.TargetUnavailable},
		"25006": {fault.TargetUnavailable, fault.TargetUnavailable}, // a standby server
		"3D000": {fault.TargetRefused, fault.TargetRefused},         // no such database
		"42601": {fault.TargetRefused, fault.TargetRefused},
		"":      {fault.TargetRefused, fault.TargetRefused},
	} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: state, Message: "m", Routine: "ClientAuthentication"})
		for admin, code := range map[bool]fault.Code{true: want.admin, false: want.trial} {
			s := &session{target: &contract.Target{}, admin: admin}
			if got := fault.CodeOf(s.fault(err, "x")); got != code {
				t.Errorf("%s, admin %t: %s, want %s", state, admin, got, code)
			}
		}
	}
	s := &session{target: &contract.Target{}, admin: true}
	if got := fault.CodeOf(s.fault(context.DeadlineExceeded, "x")); got != fault.TargetUnavailable {
		t.Errorf("no answer before COMMIT: %s", got)
	}
	if got := fault.CodeOf(s.fault(fault.New(fault.Fenced, "x"), "y")); got != fault.Fenced {
		t.Errorf("a fault keeps its code, got %s", got)
	}
}

func TestErrorsShowNoValue(t *testing.T) {
	const password, verifier = "s3cr3t-password", "SCRAM-SHA-256$4096:abc$def:ghi"
	s := &session{target: &contract.Target{Host: "db"}, admin: true}
	s.hide(password)
	s.hide(verifier)
	s.hide("")
	for _, err := range []error{
		errors.New("near " + password),
		&pgconn.PgError{Code: "42601", Message: "syntax error at " + verifier, InternalQuery: password, Detail: password, Where: password},
	} {
		text := fmt.Sprintf("%+v", s.fault(err, "change"))
		if strings.Contains(text, password) || strings.Contains(text, verifier) || !strings.Contains(text, "[value]") {
			t.Errorf("the error shows a value: %s", text)
		}
		if errors.Unwrap(s.fault(err, "change")) != nil {
			t.Error("the driver's error, with all its fields, goes on with the fault")
		}
	}
}

func TestLiteralsAndNames(t *testing.T) {
	for text, want := range map[string]string{`it's`: `'it''s'`, `\'; DROP ROLE x; --`: `'\''; DROP ROLE x; --'`, ``: `''`} {
		if got := literal(text); got != want {
			t.Errorf("literal(%s) = %s, want %s", text, got, want)
		}
	}
	if got, want := name(`a"; DROP ROLE b; --`), `"a""; DROP ROLE b; --"`; got != want {
		t.Errorf("name: %s, want %s", got, want)
	}
}
