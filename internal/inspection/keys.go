package inspection

import (
	"context"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Keyed is what InspectSecrets sees of the key that a contract names.
type Keyed struct {
	Grants  blastradius.GrantChanges // between those in force and those of the contract
	Opens   []string                 // keys that decrypt the value in use
	Refused error                    // by which the key keeps Mayfly from looking at it
}

// Regrant is changes of the grants on a key.
type Regrant struct {
	Key     string
	Changes blastradius.GrantChanges
}

// keyed looks at the key of one secret, where its contract names one.
func (s *InspectSecrets) keyed(ctx context.Context, standing registry.Standing, secret authority.Secret) (Keyed, error) {
	var k Keyed
	key := standing.Contract.KMSKey
	if key == "" || standing.Readers == nil || !secret.Deleted.IsZero() {
		return k, nil
	}
	inForce, err := s.Keys.Grants(ctx, key)
	if authority.Denied(err) {
		k.Refused = err
		return k, nil
	}
	if err != nil {
		return k, err
	}
	k.Grants = blastradius.CompareGrants(blastradius.CompileGrants(secret.ARN, standing.Readers), inForce, secret.ARN)
	if secret.Current != "" {
		k.Opens, err = authority.OpenedBy(ctx, s.Secrets, standing.Contract.ID(), secret.Current)
	}
	return k, err
}

// key finds a secret that lies under another key than its contract names.
func key(s Sight) (Finding, bool) {
	want, is := s.Contract.KMSKey, s.Secret.Key
	if want == "" || authority.SameKey(want, is) {
		return Finding{}, false
	}
	if is == "" {
		is = "the account's own key"
	}
	return Finding{Code: KeyDrift, Detail: identity(is), Type: trigger.AccessChange, Repair: Repair{Key: want},
		Reason: "the secret was put under " + is + "; it is put back under the key of its contract"}, true
}

// keyRefuses finds a key that does not let itself be looked at.
func keyRefuses(s Sight) (Finding, bool) {
	if s.Keyed.Refused == nil {
		return Finding{}, false
	}
	return Finding{Code: Unreadable, Detail: "key", Reason: "Mayfly may not look at the key of the secret: " + s.Keyed.Refused.Error()}, true
}

// oldKey finds a value that another key opens as well, as the secret was put under its key when the value was there already.
func oldKey(s Sight) (Finding, bool) {
	want := s.Contract.KMSKey
	others := slices.DeleteFunc(slices.Clone(s.Keyed.Opens), func(k string) bool { return authority.SameKey(k, want) })
	if want == "" || len(others) == 0 || !authority.SameKey(want, s.Secret.Key) {
		return Finding{}, false
	}
	return Finding{Code: OldKey, Detail: identity(others), Type: trigger.AccessChange,
		Reason: "who may use " + strings.Join(others, ", ") + " can decrypt the value in use, which is older than its key; the next rotation ends that"}, true
}

// grants finds grants that are none of the contract's.
func grants(s Sight) (Finding, bool) {
	g := blastradius.GrantChanges{Foreign: s.Keyed.Grants.Foreign, Stale: s.Keyed.Grants.Stale}
	if g.None() {
		return Finding{}, false
	}
	return Finding{Code: GrantDrift, Detail: identity(g.Foreign, g.Stale), Type: trigger.AccessChange, Repair: Repair{Grants: Regrant{s.Contract.KMSKey, g}},
		Reason: g.Tell(s.Contract.KMSKey)}, true
}

// ungranted finds declared services without their grant. A role that does not exist has none either.
func ungranted(s Sight) (Finding, bool) {
	g := blastradius.GrantChanges{Missing: s.Keyed.Grants.Missing}
	if g.None() {
		return Finding{}, false
	}
	return Finding{Code: GrantMissing, Detail: identity(g.Missing), Repair: Repair{Grants: Regrant{s.Contract.KMSKey, g}},
		Reason: g.Tell(s.Contract.KMSKey) + ", if the roles exist: they were missing"}, true
}

// wide finds grants that reach the secret without naming it.
func wide(s Sight) (Finding, bool) {
	g := blastradius.GrantChanges{Wide: s.Keyed.Grants.Wide}
	if len(g.Wide) == 0 {
		return Finding{}, false
	}
	return Finding{Code: WideGrant, Detail: identity(g.Wide), Reason: g.Tell(s.Contract.KMSKey)}, true
}

// rekey puts right what is wrong with the key of a secret, or with the grants on it.
func (s *InspectSecrets) rekey(ctx context.Context, secret string, r Repair) error {
	if r.Key != "" {
		return authority.ChangeKey(ctx, s.Secrets, secret, r.Key)
	}
	if r.Grants.Key == "" {
		return nil
	}
	_, err := s.Keys.Change(ctx, r.Grants.Key, r.Grants.Changes)
	return err
}
