package dynamodb

import (
	"math/big"
	"strconv"
	"strings"
)

// A number is DynamoDB's decimal: up to 38 significant digits, magnitudes from 1E-130 to 9.99…E+125, and zero.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
//
// It is kept normalised as ±0.DIGITS × 10^exponent, with neither leading nor trailing zeros in digits, so that equal
// numbers are equal Go values and digits compare as text. Zero has no digits.
type number struct {
	negative bool
	digits   string
	exponent int
}

const (
	maxDigits   = 38
	maxExponent = 126  // 9.99E+125 is 0.999E+126
	minExponent = -129 // 1E-130 is 0.1E-129
)

// parseNumber reads a decimal with or without sign, fraction and exponent.
func parseNumber(s string) (number, error) {
	notNumeric := func() (number, error) {
		return number{}, invalid("The parameter cannot be converted to a numeric value: %s", s)
	}
	if s == "" {
		return number{}, invalid("The parameter cannot be converted to a numeric value")
	}
	rest := strings.TrimLeft(s, "+-")
	if len(s)-len(rest) > 1 {
		return notNumeric()
	}
	mantissa, power, scientific := strings.Cut(strings.ToLower(rest), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if !onlyDigits(whole+fraction) || whole+fraction == "" {
		return notNumeric()
	}
	shift := 0
	if scientific {
		unsigned := strings.TrimPrefix(strings.TrimPrefix(power, "+"), "-")
		if len(power)-len(unsigned) > 1 || unsigned == "" || !onlyDigits(unsigned) {
			return notNumeric()
		}
		shift = clampedInt(unsigned)
		if power[0] == '-' {
			shift = -shift
		}
	}
	return normalise(s[0] == '-', whole+fraction, len(whole)+shift)
}

func onlyDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// clampedInt reads digits, holding what no number could need at a million.
func clampedInt(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n > 1_000_000 {
		return 1_000_000
	}
	return n
}

// normalise strips zeros and checks the limits of ±0.digits × 10^exponent.
func normalise(negative bool, digits string, exponent int) (number, error) {
	stripped := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(stripped)
	stripped = strings.TrimRight(stripped, "0")
	switch {
	case stripped == "":
		return number{}, nil
	case len(stripped) > maxDigits:
		return number{}, invalid("Attempting to store more than 38 significant digits in a Number")
	case exponent > maxExponent:
		return number{}, invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case exponent < minExponent:
		return number{}, invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return number{negative: negative, digits: stripped, exponent: exponent}, nil
}

// String writes the number without an exponent, as DynamoDB answers it.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	var b strings.Builder
	if n.negative {
		b.WriteByte('-')
	}
	switch {
	case n.exponent <= 0:
		b.WriteString("0." + strings.Repeat("0", -n.exponent) + n.digits)
	case n.exponent >= len(n.digits):
		b.WriteString(n.digits + strings.Repeat("0", n.exponent-len(n.digits)))
	default:
		b.WriteString(n.digits[:n.exponent] + "." + n.digits[n.exponent:])
	}
	return b.String()
}

// compare is -1, 0 or +1 as n is below, equal to or above m.
func (n number) compare(m number) int {
	if s, t := n.sign(), m.sign(); s != t {
		return min(max(s-t, -1), 1)
	}
	magnitude := min(max(n.exponent-m.exponent, -1), 1)
	if magnitude == 0 {
		magnitude = strings.Compare(n.digits, m.digits)
	}
	if n.negative {
		return -magnitude
	}
	return magnitude
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

func (n number) negated() number {
	n.negative = n.digits != "" && !n.negative
	return n
}

// plus adds exactly; a sum that needs more than 38 digits is an error, never rounded.
func (n number) plus(m number) (number, error) {
	scale := min(n.exponent-len(n.digits), m.exponent-len(m.digits))
	sum := new(big.Int).Add(n.scaled(scale), m.scaled(scale))
	digits := new(big.Int).Abs(sum).String()
	return normalise(sum.Sign() < 0, digits, len(digits)+scale)
}

// scaled is the number as a multiple of 10^scale, which must not be above its last digit's place.
func (n number) scaled(scale int) *big.Int {
	if n.digits == "" {
		return new(big.Int)
	}
	i, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", n.exponent-len(n.digits)-scale), 10)
	if n.negative {
		i.Neg(i)
	}
	return i
}

// size in bytes as it counts towards an item: two digits to a byte, one byte more, one for a minus sign.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (n number) size() int {
	size := (len(n.digits)+1)/2 + 1
	if n.negative {
		size++
	}
	return size
}
