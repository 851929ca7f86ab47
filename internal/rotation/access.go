package rotation

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Access puts the resource policies of secrets in force: who reads, and how long.
//
// Putting the same policy again changes nothing, so every write here may be repeated, whether it took effect or not. A policy
// is put behind a run's commit point, never before: one that names the new version would outlive a run that goes back. Until
// it is there, the policy of the rotation before holds: the new value is read under its label, not by its id, and ends no
// later than the old one. A run that dies in between leaves that to the next one, which goes on at PropagateSecret (S4).
type Access struct {
	Secrets    authority.PolicyKeeper
	Mayfly     []string // ARNs of the roles of Mayfly's functions that read, in env.ReaderRoles
	BreakGlass string   // ARN of the role for emergencies; "" for none
}

// Events of it.
const (
	EventAccessRestored     = "access_restored"      // another resource policy was in force, or none; the contract's is put
	EventAccessWithoutAllow = "access_without_allow" // a declared role does not exist: the denies alone are put
)

// Enforce compiles the policy of a secret and puts it in force: always, or only where the one in force is another but for dates
// and versions. It says what was other before it puts, for the record; an error of say ends it.
//
// Where Secrets Manager refuses the policy, a declared role does not exist. The denies matter more than the allow: they are put
// without it, which is said, too; the services then read by what their own policies allow.
//
// Errors: ContractInvalid where there is no policy to compile, SecretMissing, AuthorityUnavailable, and say's.
func (a Access) Enforce(ctx context.Context, secret string, always bool, options func(inForce string) blastradius.Options, say func(event, reason string) error) (put bool, err error) {
	inForce, err := authority.Policy(ctx, a.Secrets, secret)
	if err != nil {
		return false, err
	}
	o := options(inForce)
	o.MayflyRoles, o.BreakGlass = a.Mayfly, a.BreakGlass
	compiled, err := blastradius.CompilePolicy(secret, o)
	if err != nil {
		return false, err
	}
	denies, err := blastradius.WithoutAllow(compiled)
	if err != nil {
		return false, err
	}
	differences := blastradius.Differences(inForce, compiled)
	short := len(blastradius.Differences(inForce, denies)) == 0 // of its allow only, as an earlier attempt had to leave it
	if len(differences) == 0 && !always {
		return false, nil
	}
	if len(differences) > 0 && !short {
		if err := say(EventAccessRestored, "found: "+strings.Join(differences, "; ")); err != nil {
			return false, err
		}
	}
	err = authority.PutPolicy(ctx, a.Secrets, secret, compiled)
	if errors.Is(err, authority.ErrMalformed) {
		err = say(EventAccessWithoutAllow, "a declared role does not exist, so the resource policy allows none: they read by their own policies, and everybody else is denied as ever")
		if err == nil {
			err = authority.PutPolicy(ctx, a.Secrets, secret, denies)
		}
	}
	if errors.Is(err, authority.ErrMalformed) {
		err = fault.New(fault.Internal, "Secrets Manager takes no resource policy of %s as Mayfly compiles it", secret)
	}
	return err == nil, err
}

// standing is how a secret may be read outside of a run, from its labels and tags: the value in use until its life is over,
// the one before it as long as the policy in force says, and where that says nothing, for one overlap from now. A value that no
// run has closed lives from now; one that Mayfly found, of unknown age, from when it was found.
func standing(s authority.Secret, p policy.Policy, inForce string, now time.Time) blastradius.Options {
	o := blastradius.Options{
		Current: s.Current, Before: s.Previous, OnExpiry: p.OnExpiry, RevokeOld: p.RevokeOld,
		ExpiresAt: now.Add(p.TTL.Std()), OverlapEnds: now.Add(p.MaxOverlap.Std()),
	}
	expires, ends := blastradius.Dates(inForce)
	facts, err := policy.FactsFromTags(s.Tags)
	closed := s.Tags[policy.Prefix+policy.TagVersion]
	switch {
	case closed == s.Current && err == nil && !facts.RotatedAt.IsZero():
		o.ExpiresAt = facts.RotatedAt.Add(p.TTL.Std())
	case closed == "" && !expires.IsZero() && expires.Before(o.ExpiresAt):
		o.ExpiresAt = expires
	}
	if !ends.IsZero() && ends.Before(o.OverlapEnds) {
		o.OverlapEnds = ends
	}
	return o
}
