package rotation

import (
	"context"

	"github.com/mayfly-secrets/mayfly/internal/authority"
)

// SetSecret makes the target honour the new value.
type SetSecret struct {
	Log      Log
	Secrets  authority.Reader
	Rotators Rotators
}

// Handle reads the new value and the admin credential and lets the rotator do the rest, in one fenced transaction.
func (s *SetSecret) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	if err := begin(ctx, s.Log, &req, EventSetting); err != nil {
		return req.Run, err
	}
	run := req.Run
	run.SetAt = req.Context.Now()
	c := change(&run, req.Context)
	if c.New, err = authority.Read(ctx, s.Secrets, run.Secret, run.To.ID); err != nil {
		return run, err
	}
	if selfAdministered(&run) {
		if c.Old, err = old(ctx, s.Secrets, &run); err != nil {
			return run, err
		}
	}
	return run, withAdmin(ctx, s.Secrets, &run, &c, func() error { return kind.Set(ctx, c) })
}
