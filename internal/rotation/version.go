package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// foreignPending is how long an AWSPENDING that Mayfly did not make is taken to be somebody's rotation under way. After
// that it is a leftover, of the kind that blocks AWS's own rotation for good.
const foreignPending = time.Hour

// unfinished says whether the secret carries traces of a run that died: a pending version of Mayfly's (S3), a first version
// that was never tested (S6), or a current version of Mayfly's that no run has closed (S4).
func unfinished(s authority.Secret) bool {
	_, pendingOurs := credential.SlotOf(s.Pending)
	_, currentOurs := credential.SlotOf(s.Current)
	return pendingOurs && s.Pending != s.Current || currentOurs && s.Tags[policy.Prefix+policy.TagVersion] != s.Current
}

// versions fixes where the run starts from, which version it brings, and at which state it begins.
func (s *AdmitRotation) versions(ctx context.Context, secret authority.Secret, run *Run, now time.Time) error {
	closed := secret.Tags[policy.Prefix+policy.TagVersion]
	_, currentOurs := credential.SlotOf(secret.Current)
	run.Next = NextRotate
	if run.Mode == trigger.Contain {
		run.Next = NextContain
	}
	if currentOurs && closed == "" && secret.Pending == secret.Current { // S6
		run.To = version(secret.Current, run)
		return nil
	}
	if currentOurs && closed != secret.Current && run.Mode == trigger.Routine { // S4
		resumed, err := s.resume(ctx, secret, run)
		if err != nil || resumed {
			return err
		}
	}
	run.From = version(secret.Current, run)
	if run.Contract.Strategy == contract.Dual {
		run.Before = version(secret.Previous, run)
	}
	adopted, err := s.adopt(ctx, secret, run, now)
	if err != nil || adopted {
		return err
	}
	if run.born() || run.From.Slot != "" {
		run.To = version(credential.Token(run.Execution, credential.NextSlot(run.Contract.Strategy, run.From.Slot)), run)
	}
	return nil
}

// resume goes on behind the commit point of a run that died there (S4), provided that the current version really is the
// newer one: somebody who moved AWSCURRENT back by hand leaves the same labels, and wants no revocation of the other.
func (s *AdmitRotation) resume(ctx context.Context, secret authority.Secret, run *Run) (bool, error) {
	committed, err := authority.VersionCreated(ctx, s.Secrets, run.Secret, secret.Current)
	if err != nil {
		return false, err
	}
	if secret.Previous != "" {
		before, err := authority.VersionCreated(ctx, s.Secrets, run.Secret, secret.Previous)
		if err != nil || !committed.After(before) {
			return false, err
		}
	}
	run.From, run.To, run.SetAt, run.Next = version(secret.Previous, run), version(secret.Current, run), committed, NextResume
	run.PendingLeft = secret.Pending == secret.Current
	return true, nil
}

// adopt looks at a pending version that is there already. One of Mayfly's is gone on with (S3): its value may be at the
// target already, and a fresh one would leave it there unknown. Containment starts afresh instead where it can, for the
// pending value may be what leaked.
func (s *AdmitRotation) adopt(ctx context.Context, secret authority.Secret, run *Run, now time.Time) (bool, error) {
	if secret.Pending == "" || secret.Pending == secret.Current {
		return false, nil
	}
	slot, ours := credential.SlotOf(secret.Pending)
	if ours {
		// With strategy single the next slot does not depend on the one in use, so it is known even where that is not; and
		// where a secret changes itself, the pending value may be the only one that logs in by now.
		known := run.From.Slot != "" || run.Contract.Strategy == contract.Single
		fits := known && slot == credential.NextSlot(run.Contract.Strategy, run.From.Slot)
		if !fits || run.Mode == trigger.Contain && !selfAdministered(run) {
			return false, nil
		}
		run.To = version(secret.Pending, run)
		return true, nil
	}
	if run.Mode == trigger.Contain {
		return false, nil
	}
	created, err := authority.VersionCreated(ctx, s.Secrets, run.Secret, secret.Pending)
	if err != nil {
		return false, err
	}
	if now.Sub(created) < foreignPending {
		return false, fault.New(fault.PendingForeign, "AWSPENDING of %s is on version %s, which somebody else made at %s: another rotation seems to be under way; "+
			"wait for it, or take the label off that version", run.Secret, secret.Pending, created.Format(time.RFC3339))
	}
	return false, nil // a leftover: the new version takes the label over
}

// version describes a version by its id; slot and user stay empty for one that Mayfly did not make.
func version(id string, run *Run) rotator.Version {
	slot, ours := credential.SlotOf(id)
	if !ours {
		return rotator.Version{ID: id}
	}
	return rotator.Version{ID: id, Slot: slot, User: credential.User(run.Contract.Target, slot)}
}
