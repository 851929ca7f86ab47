package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// TestSecret logs in with the new value, as it is stored, and does what the contract says it must be able to do.
type TestSecret struct {
	Log          Log
	Secrets      authority.Reader
	Rotators     Rotators
	Fingerprints interface {
		Of(ctx context.Context, v credential.Value) (string, error)
	}
}

// Handle reads the new value anew: what is tested is what services will read. So is what its fingerprint is made of: a
// version that an earlier attempt or a dead run stored (S2, S3, S6) comes by here and has one like any other, while
// CreateSecret, where it finds such a version, never sees its value. A run that goes on behind the commit point (S4) does not
// come by; its version has no fingerprint until an inspection reads the value.
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
	if err := kind.Test(ctx, c); err != nil {
		return run, err
	}
	within, cancel := context.WithTimeout(ctx, forFingerprint)
	defer cancel()
	print, err := s.Fingerprints.Of(within, c.New)
	if err != nil {
		return run, s.untraced(ctx, &run, req.Context, err)
	}
	run.Fingerprint = print
	return run, nil
}

// forFingerprint is how long a run waits for KMS, with the SDK's own attempts in it.
const forFingerprint = 5 * time.Second

// untraced puts on record that a version has no fingerprint. That is no reason to stop: a rotation, let alone a containment,
// is worth more than knowing who else has its value, and the fingerprint can be made later.
func (s *TestSecret) untraced(ctx context.Context, run *Run, c Context, cause error) error {
	rec := run.record(c, EventUntraced)
	rec.ReasonCode, rec.Reason = string(fault.CodeOf(cause)), "version "+run.To.ID+" has no fingerprint yet: "+cause.Error()
	return note(ctx, s.Log, run, rec)
}
