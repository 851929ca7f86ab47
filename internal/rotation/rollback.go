package rotation

import (
	"context"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// RollBack answers a failure before the commit point, after asking whether it really was before.
type RollBack struct {
	Log     Log
	Secrets interface {
		authority.Reader
		authority.Describer
	}
	Rotators Rotators
}

// Handle looks where AWSCURRENT is. On the new version: the commit took effect and only its answer was lost, so the run goes
// on forward. Otherwise the target is put back, and asked whether the value in use still logs in: what it says decides
// between a clean end and a dirty one. The label is CloseRun's to drop, for this function reads values.
func (s *RollBack) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	if err := req.check(); err != nil {
		return req.Run, err
	}
	rec := req.Run.record(req.Context, EventRollingBack)
	if e := req.Run.Error; e != nil {
		rec.ReasonCode, rec.Reason = e.Error, e.Message()
	}
	if err := note(ctx, s.Log, &req.Run, rec); err != nil {
		return req.Run, err
	}
	run := req.Run
	secret, err := authority.Describe(ctx, s.Secrets, run.Secret)
	if err != nil && fault.CodeOf(err) != fault.SecretMissing {
		return run, err
	}
	if committed(secret, &run) {
		run.Next, run.Error, run.PendingLeft = NextResume, nil, secret.Pending == run.To.ID
		return run, nil
	}
	run.Next = NextClose
	run.Outcome, run.ReasonCode, run.Reason, err = s.undo(ctx, kind, &run, req.Context)
	return run, err
}

// committed says that AWSCURRENT is on the run's version for good. The first version of a secret has AWSCURRENT from the
// moment it is stored; it counts once AWSPENDING is off it, which happens after it was tested.
func committed(secret authority.Secret, run *Run) bool {
	return run.To.ID != "" && secret.Current == run.To.ID && (!run.born() || secret.Pending != run.To.ID)
}

// undo puts the target back as far as this run may and must, and says how the run ends.
func (s *RollBack) undo(ctx context.Context, kind rotator.Rotator, run *Run, c Context) (outcome, code, reason string, err error) {
	cause := fault.Internal
	message := "rolled back without a recorded error"
	if run.Error != nil {
		cause, message = run.Error.Code(), run.Error.Message()
	}
	switch {
	case cause == fault.Fenced, cause == fault.LeaseLost && selfAdministered(run):
		return audit.FailedClean, string(cause), message, nil // S5: the secret is another run's to care for, and no fence would say so
	case cause.Class() == fault.Dirty:
		return audit.FailedDirty, string(cause), message, nil
	case run.Mode == trigger.Contain:
		return audit.FailedDirty, string(fault.ContainmentFailed), "containment did not get to a new credential; the next evaluation goes on with it: " + message, nil
	case run.Policy.FailureStrategy == policy.FailHold, run.born(), run.Contract.Kind == contract.Random:
		return audit.FailedClean, string(cause), message, nil // the standby login or the first version waits for the next run
	case run.From.Slot == "":
		return audit.FailedClean, string(cause), message, nil // it failed before it knew the login: nothing was set
	}
	ch := change(run, c)
	if ch.Old, err = old(ctx, s.Secrets, run); err != nil {
		return "", "", "", err
	}
	if selfAdministered(run) {
		if ch.New, err = newValue(ctx, s.Secrets, run); err != nil && fault.CodeOf(err) != fault.SecretMissing {
			return "", "", "", err
		}
	}
	restored := withAdmin(ctx, s.Secrets, run, &ch, func() error { return kind.Restore(ctx, ch) })
	switch {
	case fault.CodeOf(restored) == fault.Fenced:
		return audit.FailedClean, string(fault.Fenced), message + "; a newer run has the target", nil // S5
	case run.Policy.FailureStrategy == policy.FailClosed && cause != fault.LeaseLost:
		return s.close(ctx, kind, run, c, message)
	}
	return verdict(ctx, kind, ch, cause, message, restored)
}

// close is failure_strategy fail_closed: rather no access than access by a credential that could not be replaced. The value
// in use is refused from here on, until a run brings a new one. What cannot be reached cannot be closed either: then the
// step is tried again, and its error ends the run.
func (s *RollBack) close(ctx context.Context, kind rotator.Rotator, run *Run, c Context, message string) (outcome, code, reason string, err error) {
	if _, err := refuse(ctx, s.Secrets, kind, run, c); err != nil {
		if fault.CodeOf(err).Class() == fault.Retry || fault.CodeOf(err).Class() == fault.Verify {
			return "", "", "", err
		}
		return audit.FailedDirty, string(fault.CodeOf(err)), "failure_strategy is fail_closed, and the value in use could not be revoked (" + err.Error() + ") after: " + message, nil
	}
	return audit.FailedDirty, string(fault.CurrentDead), "failure_strategy is fail_closed, so the value in use was revoked after: " + message, nil
}

// verdict asks the target whether the value in use logs in, which is what decides; whether putting back went well only
// explains. With strategy dual the login in use was never touched, so a target that cannot be reached at all is no danger.
func verdict(ctx context.Context, kind rotator.Rotator, ch rotator.Change, cause fault.Code, message string, restored error) (outcome, code, reason string, err error) {
	answer, err := kind.Probe(ctx, ch, ch.Old)
	switch {
	case err != nil && ch.Strategy == contract.Dual:
		return audit.FailedClean, string(cause), message + "; the target could not be asked", nil
	case err != nil:
		return "", "", "", err
	case answer == rotator.Honoured:
		return audit.FailedClean, string(cause), message, nil
	case restored != nil:
		message += "; putting the target back failed too: " + restored.Error()
	}
	return audit.FailedDirty, string(fault.CurrentDead), "the value in use does not log in: " + message, nil
}
