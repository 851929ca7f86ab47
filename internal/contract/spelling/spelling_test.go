package spelling_test

import (
	"slices"
	"strings"
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

func FuzzNearest(f *testing.F) {
	known := []string{"rotate_on", "rotate_before", "ttl", "owner", "services"}
	f.Add("rotate_no")
	f.Add(strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, word string) {
		near := spelling.Nearest(word, known)
		if near != "" && !slices.Contains(known, near) {
			t.Errorf("%q is no known word", near)
		}
		if near != "" && len(word) > 2*len(near)+2 {
			t.Errorf("%q is not close to %q", near, word)
		}
		if slices.Contains(known, word) && near != word {
			t.Errorf("%q is taken for %q", word, near)
		}
	})
}
