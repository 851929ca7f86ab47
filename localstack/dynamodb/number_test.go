package dynamodb

import (
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbers draws what parses, small exponents and large.
var numbers = rapid.Custom(func(t *rapid.T) number {
	digits := rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,18})?`).Draw(t, "digits")
	n, err := parseNumber(digits + "e" + strconv.Itoa(rapid.IntRange(-90, 90).Draw(t, "exponent")))
	if err != nil {
		t.Fatal(err)
	}
	return n
})

func (n number) rational(t interface{ Fatalf(string, ...any) }) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("%q is no number", n.String())
	}
	return r
}

func TestNumberTextIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers.Draw(t, "n")
		again, err := parseNumber(n.String())
		if err != nil || again != n {
			t.Fatalf("%s reads back as %v, %v", n, again, err)
		}
		if strings.ContainsAny(n.String(), "eE+") || strings.HasPrefix(n.String(), "-0") && !strings.HasPrefix(n.String(), "-0.") {
			t.Fatalf("%s is not plain", n)
		}
	})
}

func TestNumbersCompareByValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := numbers.Draw(t, "n"), numbers.Draw(t, "m")
		if got, want := n.compare(m), n.rational(t).Cmp(m.rational(t)); got != want {
			t.Fatalf("%s against %s is %d, want %d", n, m, got, want)
		}
		if (n == m) != (n.compare(m) == 0) {
			t.Fatalf("%s and %s: equal numbers must be equal values", n, m)
		}
	})
}

func TestSumsAreExactOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := numbers.Draw(t, "n"), numbers.Draw(t, "m")
		sum, err := n.plus(m)
		want := new(big.Rat).Add(n.rational(t), m.rational(t))
		if err == nil && sum.rational(t).Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s, want %s", n, m, sum, want.FloatString(140))
		}
		if err != nil && !strings.Contains(err.Error(), "38 significant digits") {
			t.Fatalf("%s + %s: %v", n, m, err)
		}
		if back, err := n.plus(n.negated()); err != nil || back != (number{}) {
			t.Fatalf("%s less itself is %s, %v", n, back, err)
		}
	})
}
