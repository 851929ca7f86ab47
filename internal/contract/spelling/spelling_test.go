package spelling_test

import (
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract/spelling"
)

func TestNearest(t *testing.T) {
	known := []string{"rotate_on", "rotate_before", "ttl", "owner", "services"}
	for word, want := range map[string]string{
		"rotate_in": "rotate_on", "rotateon": "rotate_on", "tll": "ttl", "onwer": "owner", "service": "services",
		"": "", "zebra": "", "x": "", "rotate-before": "rotate_before",
	} {
		if got := spelling.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
