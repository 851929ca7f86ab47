package blastradius_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

func TestLineage(t *testing.T) {
	print := func(secret, version, value string) registry.Fingerprint {
		return registry.Fingerprint{Secret: secret, Version: version, Print: value}
	}
	ended := print("prod/before", "v1", "alone")
	ended.Ended = time.Unix(1, 0)
	prints := []registry.Fingerprint{
		print("staging/api", "v1", "same"), print("prod/api", "v1", "same"), print("dr/api", "v9", "same"), print("prod/api", "v1", "same"),
		print("prod/api", "v2", "own"), print("prod/db", "v1", "pair"), print("prod/copy", "v1", "pair"),
		print("prod/stuck", "v1", "again"), print("prod/stuck", "v2", "again"), print("prod/alone", "v1", "alone"),
		ended,
	}
	lineage := blastradius.Trace(prints)
	var found []string
	for _, f := range lineage {
		found = append(found, f.Finding())
	}
	want := []string{
		"dr/api, prod/api and staging/api hold one value across dr, prod and staging: a leak in one environment is a leak in all; rotate each, so that they come apart",
		"prod/copy and prod/db hold one value: a leak of one is a leak of all, and revoking it stops all their services; rotate each, so that they come apart",
		"versions v1 and v2 of prod/stuck hold one value: a rotation that brings back what was there revokes nothing; rotate it again",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if none := blastradius.Trace(nil); none == nil || len(none) > 0 {
		t.Error(none)
	}
}
