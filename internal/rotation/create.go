package rotation

import (
	"context"
	"io"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// CreateSecret stores a new value as AWSPENDING. It is the only function that may put values.
type CreateSecret struct {
	Log     Log
	Secrets interface {
		authority.Reader
		authority.Putter
	}
	Rand io.Reader // source of new values: crypto/rand
}

// Handle decides which login the new version stands for, composes its value and stores it. Attempts after one that stored
// it (S2), and runs that go on with a dead run's version (S3), find the version there and leave it as it is.
func (s *CreateSecret) Handle(ctx context.Context, req Request) (Run, error) {
	run := req.Run
	if err := begin(ctx, s.Log, &req, EventCreating); err != nil {
		return run, err
	}
	run.Head = req.Run.Head
	if err := identifyOnce(ctx, s.Secrets, &run); err != nil {
		return run, err
	}
	if run.To.ID == "" {
		slot := credential.NextSlot(run.Contract.Strategy, run.From.Slot)
		run.To = rotator.Version{ID: credential.Token(run.Execution, slot), Slot: slot}
	}
	run.To.User = credential.User(run.Contract.Target, run.To.Slot)
	value, err := credential.Compose(run.Contract.Target, run.To.User, s.Rand)
	if err != nil {
		return run, err
	}
	_, err = authority.Put(ctx, s.Secrets, run.Secret, run.To.ID, value)
	return run, err
}

// identifyOnce reads a version in use that Mayfly did not make, to learn whose login it is; a version that Mayfly made says
// so in its id. What the value holds beyond what Mayfly would write is refused rather than dropped: some service may live
// by it. Errors: ValueInvalid, and those of authority.Read.
func identifyOnce(ctx context.Context, sm authority.Reader, run *Run) error {
	if run.born() || run.From.Slot != "" {
		return nil
	}
	if run.Contract.Kind == contract.Random {
		run.From.Slot = credential.SlotSingle
		return nil
	}
	value, err := authority.Read(ctx, sm, run.Secret, run.From.ID)
	if err != nil {
		return err
	}
	if value.User() == "" || value.Password() == "" {
		return fault.New(fault.ValueInvalid, "the current value of %s is not a JSON object with username and password", run.Secret)
	}
	if unknown := value.Unknown(run.Contract.Target); len(unknown) > 0 {
		return fault.New(fault.ValueInvalid, "the current value of %s has members that its contract does not know and a rotation would drop: %s; add them to target.fields",
			run.Secret, strings.Join(unknown, ", "))
	}
	slot := credential.SlotOfUser(run.Contract.Target, run.Contract.Strategy, value.User())
	if slot == "" {
		return fault.New(fault.ValueInvalid, "the current value of %s is for login %q, which is neither the target's owner nor one of its two logins", run.Secret, value.User())
	}
	run.From.Slot, run.From.User = slot, value.User()
	return nil
}
