package blastradius

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// Family is versions that hold one value.
type Family struct {
	Versions     []registry.Fingerprint // by secret and version
	Secrets      []string               // sorted
	Environments []string               // sorted
}

// Lineage are the families in which a value is in use more than once, in the order of their first secrets: under two
// contracts, or in two versions of one secret, whose rotation then changed nothing.
type Lineage []Family

// Trace groups fingerprints by value, of versions that somebody could use. Repeated ones count once.
func Trace(prints []registry.Fingerprint) Lineage {
	byValue := map[string][]registry.Fingerprint{}
	for _, p := range prints {
		if p.Ended.IsZero() && !slices.Contains(byValue[p.Print], p) {
			byValue[p.Print] = append(byValue[p.Print], p)
		}
	}
	lineage := Lineage{}
	for _, versions := range byValue {
		if len(versions) < 2 {
			continue
		}
		f := Family{Versions: versions}
		slices.SortFunc(f.Versions, func(x, y registry.Fingerprint) int {
			return strings.Compare(x.Secret+"\x00"+x.Version, y.Secret+"\x00"+y.Version)
		})
		for _, v := range f.Versions {
			f.Secrets = append(f.Secrets, v.Secret)
			f.Environments = append(f.Environments, environmentOf(v.Secret))
		}
		f.Secrets, f.Environments = distinct(f.Secrets), distinct(f.Environments)
		lineage = append(lineage, f)
	}
	slices.SortFunc(lineage, func(x, y Family) int {
		return strings.Compare(strings.Join(x.Secrets, "\x00")+x.Versions[0].Version, strings.Join(y.Secrets, "\x00")+y.Versions[0].Version)
	})
	return lineage
}

// Finding says what is wrong with the family and what to do, without a value or its fingerprint.
func (f Family) Finding() string {
	switch {
	case len(f.Secrets) == 1:
		ids := make([]string, len(f.Versions))
		for i, v := range f.Versions {
			ids[i] = v.Version
		}
		return fmt.Sprintf("versions %s of %s hold one value: a rotation that brings back what was there revokes nothing; rotate it again", and(ids), f.Secrets[0])
	case len(f.Environments) > 1:
		return fmt.Sprintf("%s hold one value across %s: a leak in one environment is a leak in all; rotate each, so that they come apart", and(f.Secrets), and(f.Environments))
	default:
		return fmt.Sprintf("%s hold one value: a leak of one is a leak of all, and revoking it stops all their services; rotate each, so that they come apart", and(f.Secrets))
	}
}
