package inspection

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// access compares the resource policy in force with the one that the contract, the policy and the last run come to, and finds
// who may read more, or less, or longer. A policy of the secret that was loosened by its tags, as the contract lets it be, takes
// effect with the next run; until then the stricter one in force is right.
func access(s Sight) (Finding, bool) {
	if s.Readers == nil || s.Secret.Current == "" {
		return Finding{}, false // applied by an earlier version of Mayfly, or nothing to be read yet
	}
	ought := s.readable()
	compiled, err := blastradius.CompilePolicy(s.Contract.ID(), ought)
	if err != nil {
		return Finding{Code: PolicyDrift, Detail: "no policy", Reason: "no resource policy can be compiled, so the one in force is not compared: " + err.Error()}, true
	}
	is := s.different(ought)
	if len(is) == 0 && s.Rotated.Version != "" && s.Rotated.Version == s.Secret.Current {
		is = s.shifted(ought, compiled)
	}
	if len(is) == 0 {
		return Finding{}, false
	}
	return Finding{Code: PolicyDrift, Detail: identity(s.InForce), Type: trigger.AccessChange, Repair: Repair{Access: &ought},
		Reason: "the resource policy is not the compiled one, which is put back: " + strings.Join(is, "; ")}, true
}

// readable is how the secret is to be read now that no run has it.
func (s Sight) readable() blastradius.Options {
	held := with(s.Secret.Tags, factTags(s))
	p, _ := policy.Check(held, s.Contract)
	facts, _ := policy.FactsFromTags(held)
	expires, ends := blastradius.Dates(s.InForce)
	o := blastradius.Options{
		Readers: s.Readers, MayflyRoles: s.Mayfly, BreakGlass: s.BreakGlass, Current: s.Secret.Current, Before: s.Secret.Previous,
		OnExpiry: p.OnExpiry, RevokeOld: p.RevokeOld, OverlapEnds: ends, ExpiresAt: expires,
	}
	// No overlap lasts longer than one that begins now.
	if latest := s.Now.Add(p.MaxOverlap.Std()); ends.After(latest) {
		o.OverlapEnds = latest
	}
	switch latest := s.Now.Add(p.TTL.Std()); {
	case s.Rotated.Version != "" && s.Rotated.Version == s.Secret.Current:
		o.Before, o.ExpiresAt = s.Rotated.Before, earlier(s.Rotated.Expires, s.Rotated.At.Add(s.Contract.TTL.Std()))
	case left(s.Standing, s.Secret) == s.Secret.Current && !facts.RotatedAt.IsZero():
		o.ExpiresAt = facts.RotatedAt.Add(p.TTL.Std())
	case expires.IsZero() || expires.After(latest):
		o.ExpiresAt = latest // of a value that no run has brought
	}
	return o
}

// different says in what the policy in force is other than the one for these options, and than each stricter one: a tag may
// have been loosened since, within the contract. So it is where a declared role does not exist, and the allow had to be left
// out.
func (s Sight) different(o blastradius.Options) []string {
	var first []string
	for _, stricter := range []func(*blastradius.Options){
		func(*blastradius.Options) {},
		func(o *blastradius.Options) { o.OnExpiry = contract.Deny },
		func(o *blastradius.Options) { o.RevokeOld = true },
		func(o *blastradius.Options) { o.OnExpiry, o.RevokeOld = contract.Deny, true },
	} {
		variant := o
		stricter(&variant)
		compiled, err := blastradius.CompilePolicy(s.Contract.ID(), variant)
		if err != nil {
			continue
		}
		is := blastradius.Differences(s.InForce, compiled)
		if denies, err := blastradius.WithoutAllow(compiled); err == nil && len(is) > 0 && len(blastradius.Differences(s.InForce, denies)) == 0 {
			is = nil
		}
		if len(is) == 0 {
			return nil
		}
		if first == nil {
			first = is
		}
	}
	return first
}

// shifted says which dates and versions of the policy in force are not those of the last run: later ones lend a value more life
// than it has, and earlier ones lock services out.
func (s Sight) shifted(o blastradius.Options, compiled []byte) []string {
	latest := o
	p, _ := policy.Check(s.Secret.Tags, s.Contract)
	latest.OverlapEnds = s.Now.Add(p.MaxOverlap.Std())
	bound, err := blastradius.CompilePolicy(s.Contract.ID(), latest)
	if err != nil {
		return nil
	}
	is := blastradius.Loosened(s.InForce, bound)
	for _, less := range blastradius.Loosened(string(compiled), []byte(s.InForce)) {
		is = append(is, "it is too strict: it should be that "+less)
	}
	return is
}
