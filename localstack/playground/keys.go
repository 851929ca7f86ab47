package playground

import (
	"errors"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// teamKeys makes the KMS keys that contracts name, as their teams would have before Mayfly comes.
func (p *Playground) teamKeys(b contract.Bundle) error {
	var errs []error
	for _, c := range b.Contracts {
		if c.KMSKey != "" {
			errs = append(errs, p.Stack.Keys.Existing(c.KMSKey))
		}
	}
	return errors.Join(errs...)
}
