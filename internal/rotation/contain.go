package rotation

import (
	"context"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// ContainSecret gets the credential in use refused before anything new exists: during an incident, a service that is down
// for seconds is the lesser harm.
type ContainSecret struct {
	Log      Log
	Secrets  authority.Reader
	Rotators Rotators
}

// Handle bars the credential in use, ends its sessions and sees it refused. A secret that is changed with its own value
// cannot be barred first, or nobody could set the next one: SetSecret then replaces it in the same breath.
func (s *ContainSecret) Handle(ctx context.Context, req Request) (Run, error) {
	kind, err := s.Rotators.of(&req.Run)
	if err != nil {
		return req.Run, err
	}
	secrets := adminAhead(ctx, s.Secrets, &req.Run)
	if err := begin(ctx, s.Log, &req, EventContaining); err != nil {
		return req.Run, err
	}
	run := req.Run
	if run.born() || selfAdministered(&run) {
		return run, nil
	}
	if err := identifyOnce(ctx, s.Secrets, &run); err != nil {
		return run, err
	}
	// Barred before it is asked, and again in a second attempt: ending open sessions is part of it, and whether the first
	// attempt got that far, no login tells.
	ch := change(&run, req.Context)
	if err := withAdmin(ctx, secrets, &run, &ch, func() error { return kind.Revoke(ctx, ch) }); err != nil {
		return run, err
	}
	if err := s.before(ctx, kind, &run, req.Context); err != nil {
		return run, err
	}
	verdict, err := refuse(ctx, s.Secrets, kind, &run, req.Context)
	if err != nil {
		return run, err
	}
	run.revoked(verdict)
	rec := run.record(req.Context, EventRevoked)
	rec.Outcome, rec.Reason = string(verdict), evidence(verdict, &run)
	return run, note(ctx, s.Log, &run, rec)
}

// before bars the credential before the one in use, which is honoured still where the incident falls into an overlap:
// nobody knows which of them leaked.
func (s *ContainSecret) before(ctx context.Context, kind rotator.Rotator, run *Run, c Context) error {
	b := &run.Before
	if b.ID != "" && b.Slot == "" { // made by somebody else: the value says whose login it is
		v, err := authority.Read(ctx, s.Secrets, run.Secret, b.ID)
		if err != nil && fault.CodeOf(err) != fault.SecretMissing {
			return err
		}
		b.User, b.Slot = v.User(), credential.SlotOfUser(run.Contract.Target, run.Contract.Strategy, v.User())
	}
	if b.Slot == "" || b.Slot == run.From.Slot {
		return nil
	}
	return revokeBefore(ctx, s.Secrets, kind, run, c)
}
