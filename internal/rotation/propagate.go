package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// PropagateSecret puts the access to the new version in force, makes the services pick it up, and decides how the old one ends.
type PropagateSecret struct {
	Log    Log
	Access Access
}

// Handle comes behind the commit point: only forward. First the resource policy, which ends by itself what is to end (the
// overlap, the life of the value), whatever becomes of the run. Its dates follow from the state's time, so that every attempt
// puts the same policy: one that took effect unseen is put again and changes nothing. Where none takes effect the run ends
// dirty, and the next one begins here (S4). A run that was overtaken at this very step (S5) could put its policy behind the
// newer run's; that names versions which have other labels by then, and the next inspection puts it right.
//
// Then the services. Each is treated as external: it re-reads its secret by itself within the overlap. What remains to decide
// is how long to wait before looking whether the old credential is still in use.
func (s *PropagateSecret) Handle(ctx context.Context, req Request) (Run, error) {
	if err := begin(ctx, s.Log, &req, EventPropagating); err != nil {
		return req.Run, err
	}
	run := req.Run
	run.Error, run.Outcome = nil, ""
	run.OverlapEnds = req.Context.Now().Add(time.Duration(run.Policy.MaxOverlap))
	_, err := s.Access.Enforce(ctx, run.Secret, true, func(string) blastradius.Options { return run.access() },
		func(event, reason string) error {
			rec := run.record(req.Context, event)
			rec.Reason = reason
			return note(ctx, s.Log, &run, rec)
		})
	if err != nil {
		return run, err
	}
	run.WaitSeconds, run.Next = overlap(&run)
	return run, nil
}

// access is who reads what from the commit point on. What a containment replaces is read by nobody any more.
func (r *Run) access() blastradius.Options {
	o := blastradius.Options{
		Readers: r.Readers, Current: r.To.ID, Before: r.From.ID, OverlapEnds: r.OverlapEnds,
		ExpiresAt: r.SetAt.Add(r.Policy.TTL.Std()), OnExpiry: r.Policy.OnExpiry, RevokeOld: r.Policy.RevokeOld,
	}
	if r.Mode == trigger.Contain {
		o.OverlapEnds, o.RevokeOld = time.Time{}, true
	}
	return o
}

// overlap decides what follows the commit, and after how many seconds.
func overlap(run *Run) (wait int64, next string) {
	quiet, most := time.Duration(run.Policy.QuietPeriod), time.Duration(run.Policy.MaxOverlap)
	switch {
	case run.born():
		return 0, NextClose // nothing old to revoke
	case run.Mode == trigger.Contain:
		return 0, NextRevoke // refused already; what is left is the proof
	case !run.Policy.RevokeOld:
		return 0, NextClose
	case run.Contract.Kind == contract.Random:
		return seconds(most), NextConfirm // no target, so no witness: the whole overlap is given
	default:
		return seconds(min(quiet, most)), NextConfirm
	}
}

// seconds rounds up: a wait is never shorter than asked for.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
