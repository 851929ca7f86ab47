package pattern

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// test is one value or match expression of a leaf's array.
type test struct {
	accepts func(value any) bool // of scalars: string, json.Number, bool, nil
	exists  *bool                // set instead for exists
}

// equal accepts the same JSON value. A number is the same in any notation: 300, 300.0 and 3.0e2.
func equal(want any) func(any) bool {
	number, isNumber := want.(json.Number)
	if !isNumber {
		return func(v any) bool { return v == want }
	}
	return func(v any) bool {
		n, ok := v.(json.Number)
		return ok && (n == number || sameNumber(n, number))
	}
}

// maxNumber bounds what is compared as a number: beyond it, doubles no longer tell neighbours apart.
const maxNumber = 1<<53 - 1

func sameNumber(a, b json.Number) bool {
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y && math.Abs(x) <= maxNumber
}

// ofString makes a test that only strings can pass.
func ofString(f func(string) bool) test {
	return test{accepts: func(v any) bool {
		s, ok := v.(string)
		return ok && f(s)
	}}
}

// makeTest makes the test of a match expression, or says why there is none.
func makeTest(operator string, argument any) (test, string) {
	switch operator {
	case "exactly":
		s, ok := argument.(string)
		if !ok {
			return test{}, "exact match pattern must be a string"
		}
		return test{accepts: equal(s)}, ""
	case "prefix", "suffix":
		return affix(operator, argument)
	case "equals-ignore-case":
		s, ok := argument.(string)
		if !ok {
			return test{}, "equals-ignore-case match pattern must be a string"
		}
		return ofString(func(v string) bool { return strings.EqualFold(v, s) }), ""
	case "wildcard":
		s, ok := argument.(string)
		if !ok {
			return test{}, "wildcard match pattern must be a string"
		}
		return wildcardTest(s)
	case "numeric":
		return numeric(argument)
	case "cidr":
		return cidr(argument)
	case "exists":
		there, ok := argument.(bool)
		if !ok {
			return test{}, "exists match pattern must be either true or false."
		}
		return test{exists: &there}, ""
	case "anything-but":
		return anythingBut(argument)
	}
	return test{}, "Unrecognized match type " + operator
}

// affix is prefix or suffix: a string, or {"equals-ignore-case": a string}.
func affix(operator string, argument any) (test, string) {
	has := strings.HasPrefix
	cut := func(v string, n int) string { return v[:n] }
	if operator == "suffix" {
		has = strings.HasSuffix
		cut = func(v string, n int) string { return v[len(v)-n:] }
	}
	if s, ok := argument.(string); ok {
		return ofString(func(v string) bool { return has(v, s) }), ""
	}
	m, ok := argument.(map[string]any)
	s, isString := m["equals-ignore-case"].(string)
	if !ok || len(m) != 1 || !isString {
		return test{}, operator + " match pattern must be a string"
	}
	return ofString(func(v string) bool {
		return len(v) >= len(s) && strings.EqualFold(cut(v, len(s)), s)
	}), ""
}

// anythingBut accepts every scalar that is there and is not excluded, whatever its type.
func anythingBut(argument any) (test, string) {
	operator := ""
	if m, ok := argument.(map[string]any); ok {
		if len(m) != 1 {
			return test{}, "Only one key allowed in match expression"
		}
		for operator, argument = range m {
		}
		switch operator {
		case "prefix", "suffix", "equals-ignore-case", "wildcard":
		default:
			return test{}, "Unsupported anything-but pattern: " + operator
		}
	}
	list, isList := argument.([]any)
	if !isList {
		list = []any{argument}
	}
	excluded, reason := exclusions(operator, list)
	if reason != "" {
		return test{}, reason
	}
	return test{accepts: func(v any) bool {
		for _, e := range excluded {
			if e(v) {
				return false
			}
		}
		return true
	}}, ""
}

func exclusions(operator string, list []any) ([]func(any) bool, string) {
	var out []func(any) bool
	strs, numbers := 0, 0
	for _, item := range list {
		switch item := item.(type) {
		case string:
			strs++
			if item == "" && (operator == "prefix" || operator == "suffix") {
				return nil, "Null prefix/suffix not allowed"
			}
		case json.Number:
			numbers++
		default:
			return nil, "Value of anything-but must be an array or single string/number value."
		}
		if operator == "" {
			out = append(out, equal(item))
			continue
		}
		one, reason := makeTest(operator, item)
		if reason != "" {
			return nil, reason
		}
		out = append(out, one.accepts)
	}
	if strs > 0 && numbers > 0 || len(list) == 0 {
		return nil, "Inside anything but list, either all values are number or string, mixed type is not supported"
	}
	return out, ""
}

// numeric is ["=", x], or one bound, or a lower and then an upper bound.
func numeric(argument any) (test, string) {
	terms, ok := argument.([]any)
	if !ok {
		return test{}, "Value of numeric must be an array."
	}
	if len(terms) != 2 && len(terms) != 4 {
		return test{}, "Too many elements in numeric expression"
	}
	low, high := math.Inf(-1), math.Inf(1)
	openLow, openHigh := false, false
	for i := 0; i < len(terms); i += 2 {
		operator, ok := terms[i].(string)
		if !ok {
			return test{}, fmt.Sprintf("Invalid member in numeric match: %v", terms[i])
		}
		n, ok := terms[i+1].(json.Number)
		if !ok {
			return test{}, fmt.Sprintf("Value of %s must be numeric", operator)
		}
		x, err := n.Float64()
		if err != nil || math.Abs(x) > maxNumber {
			return test{}, fmt.Sprintf("Value must be between %d and %d, inclusive", -maxNumber, maxNumber)
		}
		switch {
		case operator == "=" && len(terms) == 2:
			low, high = x, x
		case (operator == ">" || operator == ">=") && i == 0:
			low, openLow = x, operator == ">"
		case (operator == "<" || operator == "<=") && (len(terms) == 2 || i == 2):
			high, openHigh = x, operator == "<"
		case i == 2:
			return test{}, "Bad numeric range operator: " + operator
		case len(terms) == 4:
			return test{}, "Too many elements in numeric expression"
		default:
			return test{}, "Unrecognized numeric range operator: " + operator
		}
	}
	if len(terms) == 4 && low >= high {
		return test{}, "Bottom must be less than top"
	}
	return test{accepts: func(v any) bool {
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		x, err := n.Float64()
		if err != nil || math.Abs(x) > maxNumber {
			return false
		}
		return (x > low || !openLow && x == low) && (x < high || !openHigh && x == high)
	}}, ""
}

func cidr(argument any) (test, string) {
	s, ok := argument.(string)
	if !ok {
		return test{}, "prefix match pattern must be a string" // so AWS words it
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return test{}, "Malformed CIDR, one '/' required, with an IP address and a number of mask bits: " + s
	}
	prefix = prefix.Masked()
	return ofString(func(v string) bool {
		ip, err := netip.ParseAddr(v)
		return err == nil && prefix.Contains(ip)
	}), ""
}

// wildcardTest reads a pattern in which * stands for any characters, \* for a star and \\ for a backslash.
func wildcardTest(s string) (test, string) {
	var parts []string // what stands between the stars
	var part strings.Builder
	afterStar := false
	for i := 0; i < len(s); i++ {
		star := s[i] == '*'
		switch {
		case star && afterStar:
			return test{}, fmt.Sprintf("Consecutive wildcard characters at pos %d", i-1)
		case star:
			parts = append(parts, part.String())
			part.Reset()
		case s[i] == '\\':
			if i+1 == len(s) || s[i+1] != '*' && s[i+1] != '\\' {
				return test{}, fmt.Sprintf("Invalid escape character at pos %d", i)
			}
			i++
			part.WriteByte(s[i])
		default:
			part.WriteByte(s[i])
		}
		afterStar = star
	}
	parts = append(parts, part.String())
	return ofString(func(v string) bool { return wildcardMatches(parts, v) }), ""
}

func wildcardMatches(parts []string, v string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return v == first
	}
	if len(v) < len(first)+len(last) || !strings.HasPrefix(v, first) || !strings.HasSuffix(v, last) {
		return false
	}
	v = v[len(first) : len(v)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(v, part) // the leftmost fit leaves the most for the rest
		if i < 0 {
			return false
		}
		v = v[i+len(part):]
	}
	return true
}
