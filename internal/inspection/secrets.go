package inspection

import (
	"context"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// InspectSecrets looks at everything of a secret but its value: tags, labels, resource policy, age. It puts back what others
// have changed.
type InspectSecrets struct {
	Journal *Journal
	Secrets interface {
		authority.Describer
		authority.Tagger
		authority.Restorer
		authority.PolicyKeeper
		authority.Lister
		authority.Updater
	}
	Mayfly     []string // ARNs of the roles of Mayfly's functions that read
	BreakGlass string   // ARN of the role for emergencies; "" for none
	Keys       rotation.GrantKeeper
}

// Handle inspects a batch.
func (s *InspectSecrets) Handle(ctx context.Context, b Batch) (Report, error) {
	return s.Journal.each(ctx, b, func(standing registry.Standing) (int, error) {
		sight, err := s.gather(ctx, standing)
		if err != nil {
			return 0, err
		}
		sight.Now = b.Context.Now()
		findings := Decide(sight)
		return len(findings), s.Journal.settle(ctx, b.Context, standing, sight.Secret, findings, func(r Repair) error {
			return s.repair(ctx, b, standing, r)
		})
	})
}

// gather looks at one secret.
func (s *InspectSecrets) gather(ctx context.Context, standing registry.Standing) (Sight, error) {
	sight := Sight{Standing: standing, Mayfly: s.Mayfly, BreakGlass: s.BreakGlass}
	var err error
	sight.Secret, err = authority.Look(ctx, s.Secrets, standing.Contract.ID())
	if err == nil && sight.Secret.Deleted.IsZero() {
		sight.InForce, err = authority.Policy(ctx, s.Secrets, standing.Contract.ID())
	}
	switch {
	case fault.CodeOf(err) == fault.SecretMissing:
		sight.Gone, err = true, nil
	case authority.Denied(err):
		sight.Denied, err = err, nil
	case err != nil:
		return sight, err
	default:
		sight.Keyed, err = s.keyed(ctx, standing, sight.Secret)
	}
	return sight, err
}

// repair puts one finding right. Each write may be repeated. A run that begins at this very moment puts a policy of its own,
// which may come before this one: then the dates and versions here are those of before, and the next inspection finds that.
func (s *InspectSecrets) repair(ctx context.Context, b Batch, standing registry.Standing, r Repair) error {
	secret := standing.Contract.ID()
	switch {
	case r.Restore:
		return authority.Restore(ctx, s.Secrets, secret)
	case len(r.Tags) > 0:
		return authority.Tag(ctx, s.Secrets, secret, r.Tags)
	case r.Access != nil:
		access := rotation.Access{Secrets: s.Secrets, Mayfly: s.Mayfly, BreakGlass: s.BreakGlass}
		_, err := access.Enforce(ctx, secret, true, func(string) blastradius.Options { return *r.Access }, func(event, reason string) error {
			if event == rotation.EventAccessRestored {
				return nil // what was found says that
			}
			rec := record(b.Context, standing, identity(b.Context.Execution.ID, b.Context.State.EnteredTime, secret, event), event)
			rec.Reason = reason
			_, err := s.Journal.Log.Append(ctx, standing.Head, rec)
			return err
		})
		return err
	}
	return s.rekey(ctx, secret, r)
}
