package inspection

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// ProbeTargets logs in: with the value in use, which the target must honour (law 1), and with values that were revoked, which it
// must refuse. It moves no label.
type ProbeTargets struct {
	Journal *Journal
	Secrets interface {
		authority.Describer
		authority.Lister
		authority.Reader
	}
	Rotators     rotation.Rotators
	Prints       Prints
	Fingerprints interface {
		// Of makes the fingerprint of a value; nothing of the value is in it.
		Of(ctx context.Context, v credential.Value) (string, error)
	}
}

// Prints is what the registry knows of which value is whose. Writes are durable once they return, and may be repeated.
type Prints interface {
	Fingerprints(ctx context.Context, secret string) ([]registry.Fingerprint, error)
	Holders(ctx context.Context, print string) ([]registry.Fingerprint, error)
	SetFingerprint(ctx context.Context, secret, version, print string) error
}

// Old is how many revoked versions an inspection with probes of access tries, the newest first. Every other one tries the one
// before the version in use: it is the one that somebody may still hold.
const Old = 5

// patience is how long the logins of one secret may take, so that one target that does not answer leaves time for the others.
const patience = 8 * time.Second

// Handle probes the targets of a batch.
func (s *ProbeTargets) Handle(ctx context.Context, b Batch) (Report, error) {
	return s.Journal.each(ctx, b, func(standing registry.Standing) (int, error) {
		secret, err := authority.Describe(ctx, s.Secrets, standing.Contract.ID())
		if fault.CodeOf(err) == fault.SecretMissing || authority.Denied(err) || err == nil && secret.Current == "" {
			return 0, nil // InspectSecrets has found that
		}
		if err != nil {
			return 0, err
		}
		var findings []Finding
		if kind, known := s.Rotators[standing.Contract.Kind]; known && standing.Contract.Target != nil {
			tried, err := s.try(ctx, kind, standing, secret, b)
			if err != nil {
				return 0, err
			}
			findings = Judge(tried, standing, secret, b.Context.Now())
		}
		shared, err := s.trace(ctx, standing.Contract.ID(), secret.Current)
		if err != nil {
			return 0, err
		}
		findings = append(findings, shared...)
		return len(findings), s.Journal.settle(ctx, b.Context, standing, secret, findings, func(Repair) error { return nil })
	})
}

// Trial is a login with one version, and what came of it. It holds no value.
type Trial struct {
	Version string
	Current bool
	Same    bool // the value is the one in use: a version that somebody stored once more
	Alien   bool // a login that is none of the target's for this secret
	Verdict rotator.Verdict
	Err     error // why there is no verdict
}

// try logs in with the versions that are to be tried. Errors are those of reading; what the target says is in the trials.
func (s *ProbeTargets) try(ctx context.Context, kind rotator.Rotator, standing registry.Standing, secret authority.Secret, b Batch) ([]Trial, error) {
	id := standing.Contract.ID()
	versions := []string{secret.Current}
	if revokes(standing, secret) {
		old, err := s.old(ctx, id, secret, b.Access)
		if err != nil {
			return nil, err
		}
		versions = append(versions, old...)
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var inUse credential.Value
	var trials []Trial
	for _, version := range versions {
		v, err := authority.Read(ctx, s.Secrets, id, version)
		if fault.CodeOf(err) == fault.SecretMissing {
			continue // gone since it was listed
		}
		t := Trial{Version: version, Current: version == secret.Current}
		switch {
		case fault.CodeOf(err) == fault.ValueInvalid:
			t.Err = err
		case err != nil:
			return nil, err
		default:
			if t.Current {
				inUse = v
			}
			t.Same = !t.Current && v.Reveal() == inUse.Reveal()
			t.Alien = credential.SlotOfUser(standing.Contract.Target, standing.Contract.Strategy, v.User()) == ""
			t.Verdict, t.Err = kind.Probe(limited, rotator.Change{
				Secret: id, Target: standing.Contract.Target, Strategy: standing.Contract.Strategy, From: rotator.Version{ID: version}, Now: b.Context.Now(),
			}, v)
		}
		trials = append(trials, t)
	}
	return trials, nil
}

// revokes tells whether the versions before the one in use are revoked: where policy says so and the last run came to its end.
func revokes(s registry.Standing, secret authority.Secret) bool {
	p, _ := policy.Check(secret.Tags, s.Contract)
	return p.RevokeOld && left(s, secret) == secret.Current && secret.Tags[policy.Prefix+policy.TagLastOutcome] == audit.Rotated
}

// old are the versions that were revoked: the one with AWSPREVIOUS, or the newest Old of all.
func (s *ProbeTargets) old(ctx context.Context, id string, secret authority.Secret, all bool) ([]string, error) {
	if !all {
		if secret.Previous == "" {
			return nil, nil
		}
		return []string{secret.Previous}, nil
	}
	versions, err := authority.Versions(ctx, s.Secrets, id)
	if err != nil {
		return nil, err
	}
	versions = slices.DeleteFunc(versions, func(v string) bool { return v == secret.Current || v == secret.Pending })
	return versions[:min(len(versions), Old)], nil
}

// Judge says what is wrong, from what the target answered.
func Judge(trials []Trial, s registry.Standing, secret authority.Secret, now time.Time) []Finding {
	p, _ := policy.Check(secret.Tags, s.Contract)
	expires := instant(secret.Tags[policy.Prefix+policy.TagExpiresAt])
	expired := !expires.IsZero() && !now.Before(expires) && p.OnExpiry != contract.Keep
	var findings []Finding
	for _, t := range trials {
		switch {
		case t.Err != nil && fault.CodeOf(t.Err) == fault.ValueInvalid && t.Current:
			findings = append(findings, Finding{Code: CurrentRefused, Detail: t.Version, Type: trigger.Upstream,
				Reason: "no login can be tried with the value in use, version " + t.Version + ": " + t.Err.Error()})
		case t.Err != nil && t.Current:
			findings = append(findings, Finding{Code: Untried, Detail: string(fault.CodeOf(t.Err)),
				Reason: "the target could not be asked whether it honours the value in use: " + t.Err.Error()})
		case t.Err != nil:
		case t.Current && t.Verdict == rotator.Refused && !expired:
			findings = append(findings, Finding{Code: CurrentRefused, Detail: t.Version, Type: trigger.Upstream,
				Reason: fmt.Sprintf("the target refuses the value in use, version %s: law 1 does not hold", t.Version)})
		case !t.Current && !t.Same && !t.Alien && t.Verdict == rotator.Honoured:
			findings = append(findings, Finding{Code: RevokedHonoured, Detail: t.Version, Type: trigger.Incident,
				Reason: fmt.Sprintf("a login with version %s, which was revoked, is honoured by the target", t.Version)})
			return findings // one is enough to act upon
		}
	}
	return findings
}
