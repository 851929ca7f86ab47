package rotation

import (
	"context"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Rotators are the kinds of target that a function can talk to. A function names only those it needs, so that it carries
// no driver it does not use.
type Rotators map[string]rotator.Rotator

func (r Rotators) of(run *Run) (rotator.Rotator, error) {
	if kind, ok := r[run.Contract.Kind]; ok {
		return kind, nil
	}
	return nil, fault.New(fault.ContractInvalid, "%s is of kind %q, for which this deployment has no rotator", run.Secret, run.Contract.Kind)
}

// change tells a rotator what the run is about, without any value.
func change(run *Run, c Context) rotator.Change {
	return rotator.Change{
		Secret: run.Secret, Target: run.Contract.Target, Strategy: run.Contract.Strategy, Fence: run.Fence,
		From: run.From, To: run.To, Now: c.Now(), ExpiresIn: lifeAtTarget(run),
		EndSessions: run.Policy.EndSessions || run.Mode == trigger.Contain,
	}
}

// lifeAtTarget is how long the target shall honour a new credential by itself: the ttl, or without end where the policy
// says that expiry changes nothing.
func lifeAtTarget(run *Run) time.Duration {
	if run.Policy.OnExpiry == "keep" {
		return 0
	}
	return time.Duration(run.Policy.TTL)
}

// withAdmin does something at the target with the credential that changes it. A secret that names no admin is changed with
// its own value: then there is none to read. While the admin secret itself is being rotated in place, there is a moment in
// which its pending value is the one that logs in; so a refused admin is tried with that one too, and once more with the
// current one, which may have become it meanwhile. Errors: AdminMissing, AdminRefused, and those of act.
func withAdmin(ctx context.Context, sm authority.Reader, run *Run, c *rotator.Change, act func() error) error {
	t := run.Contract.Target
	if t == nil || t.Admin == "" {
		return act()
	}
	var err error
	for i, label := range []string{authority.Current, authority.Pending, authority.Current} {
		c.Admin, err = authority.ReadLabelled(ctx, sm, t.Admin, label)
		switch missing := fault.CodeOf(err) == fault.SecretMissing; {
		case err == nil:
		case missing && i == 0:
			return fault.New(fault.AdminMissing, "%s is rotated with %s, which has no value: put the credential of a role with CREATEROLE there", run.Secret, t.Admin)
		case missing:
			continue
		default:
			return err
		}
		if err = act(); err == nil || fault.CodeOf(err) != fault.AdminRefused {
			return err
		}
	}
	return err
}

// old reads the value in use when the run began, for kinds whose target can be asked about it. A version that is gone can
// log nobody in any more through Mayfly, but it may still be known to somebody: the zero value says "cannot be tried".
func old(ctx context.Context, sm authority.Reader, run *Run) (credential.Value, error) {
	if run.born() || run.Contract.Kind == contract.Random {
		return credential.Value{}, nil
	}
	v, err := authority.Read(ctx, sm, run.Secret, run.From.ID)
	if fault.CodeOf(err) == fault.SecretMissing {
		return credential.Value{}, nil
	}
	return v, err
}

// selfAdministered says that the secret is changed with its own value, so the rotator needs the old one.
func selfAdministered(run *Run) bool {
	return run.Contract.Target != nil && run.Contract.Target.Admin == ""
}
