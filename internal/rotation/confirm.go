package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// ConfirmAdoption waits until the target sees nobody on the old credential, or the overlap is over, and then bars it: the
// look and the bar are one transaction at the target, so nobody slips in between.
type ConfirmAdoption struct {
	Log      Log
	Secrets  authority.Reader
	Rotators Rotators
}

// Handle looks once. While the old credential is in use and the overlap lasts, it asks to be called again.
func (s *ConfirmAdoption) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	if err := begin(ctx, s.Log, &req, EventConfirming); err != nil {
		return req.Run, err
	}
	run := req.Run
	if err := identifyOnce(ctx, s.Secrets, &run); err != nil {
		return run, err
	}
	c := change(&run, req.Context)
	left := run.OverlapEnds.Sub(req.Context.Now())
	c.Force = left <= 0
	if selfAdministered(&run) {
		// Strategy single: the new value took the old one's place, and is what logs in now.
		if c.New, err = authority.Read(ctx, s.Secrets, run.Secret, run.To.ID); err != nil {
			return run, err
		}
	}
	var seen rotator.Adoption
	err = withAdmin(ctx, s.Secrets, &run, &c, func() (err error) {
		seen, err = kind.Adoption(ctx, c)
		return err
	})
	switch {
	case err != nil:
		return run, err
	case seen.Barred:
		run.WaitSeconds, run.Next = 0, NextRevoke
	case c.Force:
		return run, fault.New(fault.RevocationUnproven, "the overlap of %s is over and its old credential could not be barred", run.Secret)
	default:
		run.WaitSeconds = max(1, seconds(min(time.Duration(run.Policy.QuietPeriod), left)))
	}
	return run, nil
}
