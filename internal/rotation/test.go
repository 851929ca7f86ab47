package rotation

import (
	"context"

	"github.com/mayfly-secrets/mayfly/internal/authority"
)

// TestSecret logs in with the new value, as it is stored, and does what the contract says it must be able to do.
type TestSecret struct {
	Log      Log
	Secrets  authority.Reader
	Rotators Rotators
}

// Handle reads the new value anew: what is tested is what services will read.
func (s *TestSecret) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	if err := begin(ctx, s.Log, &req, EventTesting); err != nil {
		return req.Run, err
	}
	run := req.Run
	c := change(&run, req.Context)
	if c.New, err = authority.Read(ctx, s.Secrets, run.Secret, run.To.ID); err != nil {
		return run, err
	}
	return run, kind.Test(ctx, c)
}
