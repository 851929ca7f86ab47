package rotation

import (
	"context"
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// RevokeSecret proves that the target refuses the old credential, and makes it so where it does not yet.
type RevokeSecret struct {
	Log      Log
	Secrets  authority.Reader
	Rotators Rotators
}

// Handle asks the target first: after ConfirmAdoption or ContainSecret the old credential is refused already, and asking is
// all there is to do. The answer is evidence, on record before the run goes on.
func (s *RevokeSecret) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	if err := begin(ctx, s.Log, &req, EventRevoking); err != nil {
		return req.Run, err
	}
	run := req.Run
	if err := identifyOnce(ctx, s.Secrets, &run); err != nil {
		return run, err
	}
	// Where the version in use came there by hand, under the owner's login, the one before it has the login that is neither
	// the old one nor the new one, and was never barred.
	if b := run.Before; b.Slot != "" && b.Slot != run.From.Slot && b.Slot != run.To.Slot {
		if err := revokeBefore(ctx, s.Secrets, kind, &run, req.Context); err != nil {
			return run, err
		}
	}
	// What changes itself could not be barred before it was replaced: its sessions are open still.
	if run.Mode == trigger.Contain && selfAdministered(&run) {
		ch := change(&run, req.Context)
		if ch.New, err = newValue(ctx, s.Secrets, &run); err != nil {
			return run, err
		}
		if err := kind.Revoke(ctx, ch); err != nil {
			return run, err
		}
	}
	verdict, err := refuse(ctx, s.Secrets, kind, &run, req.Context)
	if err != nil {
		return run, err
	}
	run.Next = NextClose
	run.revoked(verdict)
	rec := run.record(req.Context, EventRevoked)
	rec.Outcome = string(verdict)
	rec.Reason = evidence(verdict, &run)
	return run, note(ctx, s.Log, &run, rec)
}

// revokeBefore gets the login of the version before the one in use refused.
func revokeBefore(ctx context.Context, sm authority.Reader, kind rotator.Rotator, run *Run, c Context) error {
	ch := change(run, c)
	ch.From = run.Before
	return withAdmin(ctx, sm, run, &ch, func() error { return kind.Revoke(ctx, ch) })
}

// revoked notes that the version in use when the run began was seen refused, or that nothing honours its kind: what it holds
// is of no use any more. A login that was barred without a trial is no proof. With a version that came by hand ends the one that
// Mayfly brought before it: either that is the same login, whose password is another by now, or it was barred as Before.
func (r *Run) revoked(v rotator.Verdict) {
	if r.born() || v != rotator.Refused && v != rotator.NoTarget {
		return
	}
	for _, version := range []string{r.From.ID, r.Last} {
		if version != "" && version != r.To.ID && !slices.Contains(r.Revoked, version) {
			r.Revoked = append(r.Revoked, version)
		}
	}
}

func evidence(v rotator.Verdict, run *Run) string {
	switch v {
	case rotator.Refused:
		return "a login with version " + run.From.ID + " was tried and refused by the target"
	case rotator.NoTarget:
		return "no target honours this kind of secret; the old version loses its label"
	default:
		return "version " + run.From.ID + " cannot be read any more; its login was barred at the target without a trial"
	}
}

// Untried is the verdict on a credential whose value is gone: it was barred, and there is nothing to try a login with.
const Untried rotator.Verdict = "untried"

// refuse gets the old credential refused and returns the proof. Errors: RevocationUnproven when it still logs in.
func refuse(ctx context.Context, sm authority.Reader, kind rotator.Rotator, run *Run, c Context) (rotator.Verdict, error) {
	ch := change(run, c)
	value, err := old(ctx, sm, run)
	if err != nil {
		return "", err
	}
	ch.Old = value
	verdict := Untried
	if !value.IsZero() || run.Contract.Target == nil {
		if verdict, err = kind.Probe(ctx, ch, value); err != nil || verdict != rotator.Honoured {
			return verdict, err
		}
	}
	if selfAdministered(run) {
		if ch.New, err = newValue(ctx, sm, run); err != nil {
			return "", err
		}
	}
	err = withAdmin(ctx, sm, run, &ch, func() error { return kind.Revoke(ctx, ch) })
	if err != nil || verdict == Untried {
		return verdict, err
	}
	if verdict, err = kind.Probe(ctx, ch, value); err != nil {
		return "", err
	}
	if verdict == rotator.Honoured {
		return "", fault.New(fault.RevocationUnproven, "version %s of %s was revoked and still logs in: look for a trust entry in the target's access rules", run.From.ID, run.Secret)
	}
	return verdict, nil
}

// newValue reads the run's own version where there is one.
func newValue(ctx context.Context, sm authority.Reader, run *Run) (credential.Value, error) {
	if run.To.ID == "" {
		return credential.Value{}, nil
	}
	return authority.Read(ctx, sm, run.Secret, run.To.ID)
}
