package random_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/conformance"
	"github.com/mayfly-secrets/mayfly/internal/rotator/random"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(*testing.T) conformance.Fixture {
		return conformance.Fixture{
			Rotator: random.Rotator{},
			Change:  rotator.Change{Secret: "prod/payment-api-key", Strategy: contract.Single},
			Current: credential.Parse(strings.Repeat("x", 43)),
		}
	})
}

func TestTestWantsAValueWorthTheName(t *testing.T) {
	for text, want := range map[string]bool{
		"":                             false,
		strings.Repeat("a", 31):        false,
		strings.Repeat("a", 32):        true,
		strings.Repeat("é", 31):        false, // characters, not bytes
		strings.Repeat("a", 40) + "\n": false,
		`{"key":"` + strings.Repeat("a", 40) + `"}`: true,
	} {
		err := random.Rotator{}.Test(t.Context(), rotator.Change{Secret: "prod/x", New: credential.Parse(text)})
		if (err == nil) != want || (err != nil && fault.CodeOf(err) != fault.TestRefused) {
			t.Errorf("%d characters: %v, want ok %t", len(text), err, want)
		}
	}
}

func TestATargetIsAMistake(t *testing.T) {
	c := rotator.Change{Secret: "prod/x", Target: &contract.Target{Host: "db"}}
	if err := (random.Rotator{}).Set(t.Context(), c); fault.CodeOf(err) != fault.ContractInvalid {
		t.Errorf("Set: %v", err)
	}
	if _, err := (random.Rotator{}).Probe(t.Context(), c, credential.Value{}); fault.CodeOf(err) != fault.ContractInvalid {
		t.Errorf("Probe: %v", err)
	}
}
