package playground_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres/scram"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const reports = "prod/reports-db"

// reporting is a login that is rotated in place, by the admin that rotates orders-db too.
func reporting() contract.Bundle {
	return contract.Bundle{Contracts: []contract.Contract{{
		Name: "reports-db", Owner: "orders-team", Environment: "prod", Kind: contract.Postgres, Strategy: contract.Single, BlastRadius: "minimal",
		Services: []string{"orders-service"}, TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"deployment", "incident"},
		Target: &contract.Target{Host: "prod-reports.c0example0000.us-east-1.rds.amazonaws.com", Port: 5432, Database: "reports", Owner: "reports_app",
			Admin: admin, TLS: "verify-full", Must: []string{"SELECT count(*) FROM orders"}},
	}}}
}

// inPlace are the writes of a rotation in place that lie around the change at the target: from the moment when the new
// value exists to the moment when the run is closed. There is one COMMIT, for the old password needs no bar.
var inPlace = []write{
	{"mayfly-create-secret", "secretsmanager", "PutSecretValue", 0},
	{"", "", "COMMIT", 0},
	{"mayfly-test-secret", "s3", "PutObject", 0},
	{"mayfly-finish-secret", "dynamodb", "UpdateItem", 0},
	{"mayfly-finish-secret", "secretsmanager", "UpdateSecretVersionStage", 0},
	{"mayfly-finish-secret", "secretsmanager", "UpdateSecretVersionStage", 1},
}

// With strategy single the old password is dead from SetSecret's COMMIT on, and AWSCURRENT moves in FinishSecret. Between the
// two, law 1 cannot hold: that is the price of one login. What must hold is that the window closes by itself. So a run dies at
// each write around it, failed and persisted, and the state machine's retry, or another run, ends with a working AWSCURRENT.
// A run that starts from a value which Mayfly did not make is as safe as any later one. That counts most for the secret that
// changes itself: there is nobody above it to set a password that was lost.
func TestSingleDiesInItsWindow(t *testing.T) {
	t.Parallel()
	for _, newRun := range []bool{false, true} {
		t.Run(fmt.Sprintf("new run %t", newRun), func(t *testing.T) {
			t.Parallel()
			p := start(t, playground.Options{Cut: true, Bundle: reporting(), Policy: brisk})
			hasten(p)
			for _, secret := range []string{admin, reports} {
				f := &failing{Playground: p, secret: secret}
				for _, w := range inPlace {
					for _, after := range []bool{false, true} {
						if newRun { // the value in use is the same, and its version is nobody's that Mayfly knows
							text, _ := value(t, p, secret)
							put(t, p, secret, text)
							f.one(t, w, after, newRun)
						}
						f.one(t, w, after, newRun)
					}
				}
			}
			clean(t, p)
		})
	}
}

// A rotation in place that fails before its commit point puts the old password back.
func TestSingleGoesBack(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Bundle: reporting(), Policy: brisk})
	hasten(p)
	for _, secret := range []string{admin, reports} {
		f := &failing{Playground: p, secret: secret}
		for _, onboarded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, onboarded %t", secret, onboarded), func(t *testing.T) {
				before, _ := value(t, p, secret)
				if got := end(t, p, unfinished(t, p, secret)); got != "FailedClean" {
					t.Errorf("the run ended in %s, want FailedClean", got)
				}
				if after, _ := value(t, p, secret); after != before {
					t.Error("the value in use changed")
				}
				if err := p.CheckLaws(t.Context(), secret); err != nil {
					t.Error(err)
				}
				f.rotate(t, "after")
				if err := p.CheckLaws(t.Context(), secret); err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Run("fail_closed", func(t *testing.T) {
		tag(t, p, reports, "failure_strategy", "fail_closed")
		old, _, err := p.Value(t.Context(), reports, "")
		must(t)(nil, err)
		if got := end(t, p, unfinished(t, p, reports)); got != "FailedDirty" {
			t.Errorf("the run ended in %s, want FailedDirty", got)
		}
		if err := playground.Login(t.Context(), p.Target(reports), old); !playground.Refused(err) {
			t.Errorf("the value in use: %v, want it refused", err)
		}
		(&failing{Playground: p, secret: reports}).rotate(t, "after")
		if err := p.CheckLaws(t.Context(), reports); err != nil {
			t.Error(err)
		}
	})
	t.Run("fail_closed where nobody can close", func(t *testing.T) {
		tag(t, p, admin, "failure_strategy", "fail_closed")
		execution := unfinished(t, p, admin)
		if got := end(t, p, execution); got != "FailedDirty" {
			t.Errorf("the run ended in %s, want FailedDirty", got)
		}
		if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
			return r.ExecutionARN == execution && r.ReasonCode == string(fault.RevocationUnproven) && strings.Contains(r.Reason, "fail_closed")
		}) {
			t.Error("that the value in use could not be revoked is not on record")
		}
		v, _, err := p.Value(t.Context(), admin, "")
		must(t)(nil, err)
		if err := playground.Login(t.Context(), p.Target(admin), v); err != nil {
			t.Errorf("law 1: %v", err)
		}
		(&failing{Playground: p, secret: admin}).rotate(t, "after")
	})
	clean(t, p)
}

// A stolen credential that is rotated in place is refused, and its sessions end, also where the secret changes itself.
func TestSingleIsContained(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Bundle: reporting(), Policy: brisk})
	for _, secret := range []string{admin, reports} {
		t.Run(secret, func(t *testing.T) {
			stolen, _, err := p.Value(t.Context(), secret, "")
			must(t)(nil, err)
			session, err := playground.Connect(t.Context(), p.Target(secret), stolen)
			must(t)(nil, err)
			defer session.Close(context.Background()) //nolint:errcheck // the server closes what we do not
			execution := execute(t, p, playground.RotateMachine, map[string]any{"secret": secret,
				"trigger": map[string]any{"type": "incident", "id": "finding", "source": "aws.guardduty", "severity": 9.5}})
			if got := end(t, p, execution); got != "Rotated" {
				t.Errorf("the containment ended in %s, want Rotated", got)
			}
			if session.Ping(t.Context()) == nil {
				t.Error("the open session of the stolen credential survived")
			}
			if err := p.CheckLaws(t.Context(), secret); err != nil {
				t.Error(err)
			}
		})
	}
	clean(t, p)
}

// What an admin rotates goes on being rotated while the admin rotates itself: there is a moment in which its pending value is
// the one that logs in.
func TestRotationWhileItsAdminRotates(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Bundle: reporting()})
	hasten(p)
	service := serve(t, p, orders)
	var wg sync.WaitGroup
	for _, secret := range []string{orders, reports, admin} {
		wg.Go(func() {
			for i := range 5 {
				execution, err := p.Rotate(context.Background(), secret, fmt.Sprint("r", i), "test")
				if err != nil {
					t.Error(err)
					return
				}
				if out, err := p.Wait(context.Background(), execution); err != nil || out.Status != "SUCCEEDED" {
					t.Errorf("rotation %d of %s ended %s, %v", i, secret, out.Status, err)
				}
			}
		})
	}
	wg.Wait()
	for _, secret := range []string{orders, reports, admin} {
		if err := p.CheckLaws(t.Context(), secret); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
	if c := service.Counts(); c.Versions < 5 {
		t.Errorf("the service read %d versions, want 5 and the first", c.Versions)
	}
	clean(t, p)
}

// unfinished is a run that cannot move AWSCURRENT.
func unfinished(t *testing.T, p *playground.Playground, secret string) (execution string) {
	t.Helper()
	defer planned(t, p, stack.Fault{Function: "mayfly-finish-secret", Service: "secretsmanager", Operation: "UpdateSecretVersionStage",
		Count: -1, Code: "AccessDeniedException", Message: "not authorized"})()
	return execute(t, p, playground.RotateMachine, map[string]any{"secret": secret})
}

// verifierOf is what the server stores of a password: the password itself must not get into its log.
func verifierOf(password string) (string, error) { return scram.Verifier(password, rand.Reader) }
