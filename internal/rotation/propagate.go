package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// PropagateSecret makes the services pick the new version up, and decides how the old one ends.
type PropagateSecret struct{ Log Log }

// Handle treats every service as external: it re-reads its secret by itself within the overlap. What remains to decide is
// how long to wait before looking whether the old credential is still in use.
func (s *PropagateSecret) Handle(ctx context.Context, req Request) (Run, error) {
	if err := begin(ctx, s.Log, &req, EventPropagating); err != nil {
		return req.Run, err
	}
	run := req.Run
	run.Error, run.Outcome = nil, ""
	run.OverlapEnds = req.Context.Now().Add(time.Duration(run.Policy.MaxOverlap))
	run.WaitSeconds, run.Next = overlap(&run)
	return run, nil
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
