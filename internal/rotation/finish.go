package rotation

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// FinishSecret moves AWSCURRENT to the new version: the commit point. It reads no value.
type FinishSecret struct {
	Log      Log
	Registry interface {
		Renew(ctx context.Context, secret, run string, fence int64, until time.Time) error
	}
	Secrets interface {
		authority.Labeller
		authority.Describer
	}
}

// afterOverlap is how much longer than the overlap a run may keep its lease: time to revoke, prove and close.
const afterOverlap = 15 * time.Minute

// Handle renews the lease and moves the label. The lease is renewed for much longer than this function may run, so nobody
// can take the secret over between the renewal and the move.
func (s *FinishSecret) Handle(ctx context.Context, req Request) (Run, error) {
	if err := begin(ctx, s.Log, &req, EventFinishing); err != nil {
		return req.Run, err
	}
	run := req.Run
	until := req.Context.Now().Add(time.Duration(run.Policy.MaxOverlap) + afterOverlap)
	if err := s.Registry.Renew(ctx, run.Secret, run.ID, run.Fence, until); err != nil {
		return run, err
	}
	// From here on, only forward.
	err := authority.Promote(ctx, s.Secrets, run.Secret, run.To.ID, run.From.ID)
	if errors.Is(err, authority.ErrElsewhere) {
		err = s.settle(ctx, &run)
	}
	if err != nil {
		return run, err
	}
	// AWS's own rotation leaves AWSPENDING behind; a later RotateSecret would be right to wonder.
	err = authority.Unlabel(ctx, s.Secrets, run.Secret, authority.Pending, run.To.ID)
	if errors.Is(err, authority.ErrElsewhere) {
		err = nil
	}
	return run, err
}

// settle finds out where AWSCURRENT is when it was not where the run left it: on the new version already (S2, S6); on a
// version of a routine run that a containment pre-empted at the last moment, which is no obstacle to containment; or
// somewhere that somebody else chose, and then this run's view of the target is out of date.
func (s *FinishSecret) settle(ctx context.Context, run *Run) error {
	secret, err := authority.Describe(ctx, s.Secrets, run.Secret)
	if err != nil {
		return err
	}
	_, ours := credential.SlotOf(secret.Current)
	switch {
	case secret.Current == run.To.ID:
		return nil
	case run.Mode == trigger.Contain && ours:
		err := authority.Promote(ctx, s.Secrets, run.Secret, run.To.ID, secret.Current)
		if !errors.Is(err, authority.ErrElsewhere) {
			return err
		}
	}
	return fault.New(fault.CurrentMoved, "AWSCURRENT of %s is on version %s, not on %s where this run found it", run.Secret, secret.Current, run.From.ID)
}
