package rotation

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
)

// Keys puts secrets under the keys that their contracts name, and the grants of those contracts in force.
//
// Each write may be repeated, and every prefix of them is a state that the next application of the contracts goes on from,
// since each begins by looking:
//
//	K1  grants made, the secret under its old key   the declared services read with either key: nobody is kept out
//	K2  the secret under its new key                what is labelled is encrypted under both, so whoever reads goes on reading;
//	                                                from the next version on, the new key alone opens the value in use
//	K3  foreign and stale grants revoked            what the contract says
//
// Grants come first, because a version that is stored between K2 and K1 would be one that no service reads. Nothing is undone:
// a key that was changed by mistake is changed back by another contract.
//
// Between K2 and the next rotation, whoever may use the old key, and is let read by the secret's policies, reads on. That is
// what Secrets Manager promises, and why services do not fail; inspections find it, and it ends with the next version.
//
// Grants that Mayfly made on the old key stay: it has no say over a key that no contract names. They open the versions of
// before, which the next rotation revokes.
//   - https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_update-encryption-key.html
type Keys struct {
	Grants  GrantKeeper
	Secrets KeyChanger
}

// GrantKeeper is KMS, in package keyring: which grants there are on a key, and changes of them, which may be repeated. absent
// are roles that do not exist, so that they have none.
type GrantKeeper interface {
	Grants(ctx context.Context, key string) ([]blastradius.Grant, error)
	Change(ctx context.Context, key string, c blastradius.GrantChanges) (absent []string, err error)
}

// KeyChanger is what Keys needs of Secrets Manager.
type KeyChanger interface {
	authority.Describer
	UpdateSecret(ctx context.Context, in *secretsmanager.UpdateSecretInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretOutput, error)
}

// Enforce does both for one secret, if there is a key. With a zero secret, one that was just created, it is described first. say is told what is
// about to change, before it does, for the record: what it returns ends Enforce.
//
// Errors: SecretMissing, AuthorityUnavailable, and say's.
func (k Keys) Enforce(ctx context.Context, id, key string, readers []string, secret authority.Secret, say func(event, reason string) error) error {
	if key == "" || k.Grants == nil {
		return nil
	}
	if secret.ARN == "" {
		var err error
		if secret, err = authority.Describe(ctx, k.Secrets, id); err != nil {
			return err
		}
	}
	inForce, err := k.Grants.Grants(ctx, key)
	if err != nil {
		return err
	}
	changes := blastradius.CompareGrants(blastradius.CompileGrants(secret.ARN, readers), inForce, secret.ARN)
	moves := !authority.SameKey(secret.Key, key)
	if said := tellKey(key, secret.Key, changes, moves); said != "" {
		if err := say(EventKeyChanged, said); err != nil {
			return err
		}
	}
	absent, err := k.Grants.Change(ctx, key, blastradius.GrantChanges{Missing: changes.Missing})
	if err == nil && len(absent) > 0 {
		err = say(EventKeyIncomplete, "roles of declared services do not exist, so that no grant could be made for them: "+strings.Join(absent, ", ")+
			"; create them and apply the contracts again")
	}
	if err == nil && moves { // K1
		err = authority.ChangeKey(ctx, k.Secrets, id, key)
	}
	// K2. What is too much is taken away even where something failed above.
	_, revoked := k.Grants.Change(ctx, key, blastradius.GrantChanges{Stale: changes.Stale, Foreign: changes.Foreign})
	return errors.Join(err, revoked)
}

// tellKey is what the record says; "" where nothing changes and there is nothing to tell.
func tellKey(key, old string, changes blastradius.GrantChanges, moves bool) string {
	var parts []string
	if moves && old == "" {
		old = "the account's own key"
	}
	if moves {
		parts = append(parts, "put under "+key+" from "+old+": until the next rotation the old key opens the value in use as well")
	}
	if !changes.None() || len(changes.Wide) > 0 {
		parts = append(parts, changes.Tell(key))
	}
	return strings.Join(parts, "; ")
}
