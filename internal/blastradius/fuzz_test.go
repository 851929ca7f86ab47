package blastradius_test

import (
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
)

// FuzzPolicyInForce reads resource policies that anybody may have put in force.
func FuzzPolicyInForce(f *testing.F) {
	want := []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"NobodyReadsPastExpiry","Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue",` +
		`"Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-03-02T00:00:00Z"}}}]}`)
	f.Add(string(want))
	f.Add(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*",1]},"Action":[],"Condition":{"Bool":{"a":true}}}}`)
	f.Add(`{"Statement":[[]]}`)
	f.Fuzz(func(t *testing.T, inForce string) {
		different, loosened := blastradius.Differences(inForce, want), blastradius.Loosened(inForce, want)
		if len(different) > 100 || len(loosened) > 100 {
			t.Errorf("%d and %d differences", len(different), len(loosened))
		}
		for _, line := range append(different, loosened...) {
			if len(line) > 1024 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		blastradius.Dates(inForce)
	})
}
