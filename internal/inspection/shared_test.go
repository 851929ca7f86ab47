package inspection_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

func TestShared(t *testing.T) {
	for holders, says := range map[string]string{
		"":                            "",
		"prod/a":                      "",
		"prod/a prod/a":               "",
		"prod/a prod/c prod/b prod/b": "that of prod/b, prod/c: a leak",
		"prod/a staging/a dr/a":       "that of dr/a, staging/a: a leak of one is a leak of all, in dr, staging too",
	} {
		var list []registry.Fingerprint
		for _, secret := range strings.Fields(holders) {
			list = append(list, registry.Fingerprint{Secret: secret, Version: "v", Print: strings.Repeat("f", 64)})
		}
		found := inspection.Shared("prod/a", list)
		if says == "" && len(found) > 0 || says != "" && (len(found) != 1 || !strings.Contains(found[0].Reason, says) || strings.Contains(found[0].Reason, "ffff")) {
			t.Errorf("%q: %+v", holders, found)
		}
	}
}
