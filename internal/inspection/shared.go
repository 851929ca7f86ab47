package inspection

import (
	"context"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// trace finds the other secrets that hold the value in use. A value that a run brought has its fingerprint already; one that
// somebody put is read once, for that.
func (s *ProbeTargets) trace(ctx context.Context, id, version string) ([]Finding, error) {
	known, err := s.Prints.Fingerprints(ctx, id)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(known, func(f registry.Fingerprint) bool { return f.Version == version })
	var print string
	if at >= 0 {
		print = known[at].Print
	} else {
		v, err := authority.Read(ctx, s.Secrets, id, version)
		if code := fault.CodeOf(err); err != nil && (code == fault.SecretMissing || code == fault.ValueInvalid) {
			return nil, nil // gone since it was described, or no text: nobody shares it through Mayfly
		}
		if err == nil {
			print, err = s.Fingerprints.Of(ctx, v)
		}
		if err == nil {
			err = s.Prints.SetFingerprint(ctx, id, version, print)
		}
		if err != nil {
			return nil, err
		}
	}
	holders, err := s.Prints.Holders(ctx, print)
	if err != nil {
		return nil, err
	}
	return Shared(id, holders), nil
}

// Shared says that other secrets hold the value of this one. One secret that holds it in several versions is no finding:
// somebody put it once more.
func Shared(id string, holders []registry.Fingerprint) []Finding {
	var others, environments []string
	mine, _, _ := strings.Cut(id, "/")
	for _, h := range holders {
		if h.Secret == id || slices.Contains(others, h.Secret) {
			continue
		}
		others = append(others, h.Secret)
		if e, _, _ := strings.Cut(h.Secret, "/"); e != mine && !slices.Contains(environments, e) {
			environments = append(environments, e)
		}
	}
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	slices.Sort(environments)
	reason := "the value in use is also that of " + clip(strings.Join(others, ", "), 400) + ": a leak of one is a leak of all"
	if len(environments) > 0 {
		reason += ", in " + strings.Join(environments, ", ") + " too"
	}
	return []Finding{{Code: SharedValue, Detail: identity(others), Reason: reason + "; rotate each, so that they come apart"}}
}
