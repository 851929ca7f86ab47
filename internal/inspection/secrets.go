package inspection

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// InspectSecrets looks at everything of a secret but its value: tags, labels, resource policy, age. It puts back what others
// have changed.
type InspectSecrets struct {
	Journal *Journal
	Secrets interface {
		authority.Describer
		authority.Tagger
		authority.Restorer
	}
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
			return s.repair(ctx, standing.Contract.ID(), r)
		})
	})
}

// gather looks at one secret.
func (s *InspectSecrets) gather(ctx context.Context, standing registry.Standing) (Sight, error) {
	sight := Sight{Standing: standing}
	var err error
	sight.Secret, err = authority.Look(ctx, s.Secrets, standing.Contract.ID())
	switch {
	case fault.CodeOf(err) == fault.SecretMissing:
		sight.Gone = true
	case denied(err):
		sight.Denied = err
	case err != nil:
		return sight, err
	}
	return sight, nil
}

// denied tells a refusal for want of permission: somebody has written a policy that keeps Mayfly out.
func denied(err error) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException"
}

// repair puts one finding right. Each write may be repeated.
func (s *InspectSecrets) repair(ctx context.Context, secret string, r Repair) error {
	if r.Restore {
		return authority.Restore(ctx, s.Secrets, secret)
	}
	if len(r.Tags) > 0 {
		return authority.Tag(ctx, s.Secrets, secret, r.Tags)
	}
	return nil
}
