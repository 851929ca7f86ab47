package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operator is a condition operator, taken apart.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	set      string // "ForAnyValue", "ForAllValues" or ""
	family   family
	relation string // of numbers and dates: "Equals", "LessThan", …
	negated  bool
	ifExists bool
}

type family int

const (
	stringEquals family = iota
	stringIgnoreCase
	stringLike
	arnLike
	boolean
	numeric
	date
	ipAddress
	null
)

// parseOperator knows an operator by name; names have their case.
func parseOperator(name string) (operator, error) {
	var o operator
	rest := name
	if set, after, ok := strings.Cut(name, ":"); ok {
		if set != "ForAnyValue" && set != "ForAllValues" {
			return o, fmt.Errorf("the condition operator %s is not known here", name)
		}
		o.set, rest = set, after
	}
	rest, o.ifExists = strings.CutSuffix(rest, "IfExists")
	switch rest {
	case "StringEquals", "StringNotEquals":
		o.family = stringEquals
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		o.family = stringIgnoreCase
	case "StringLike", "StringNotLike":
		o.family = stringLike
	case "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike":
		o.family = arnLike // ArnEquals takes wildcards too: the two are one
	case "Bool":
		o.family = boolean
	case "IpAddress", "NotIpAddress":
		o.family = ipAddress
	case "Null":
		if o.ifExists || o.set != "" {
			return o, fmt.Errorf("%s: Null takes neither a set operator nor IfExists", name)
		}
		o.family = null
	default:
		if err := o.ordered(rest); err != nil {
			return o, fmt.Errorf("the condition operator %s is not known here", name)
		}
	}
	o.negated = strings.Contains(rest, "Not")
	return o, nil
}

func (o *operator) ordered(name string) error {
	relation, ok := strings.CutPrefix(name, "Numeric")
	o.family = numeric
	if !ok {
		relation, ok = strings.CutPrefix(name, "Date")
		o.family = date
	}
	if !ok {
		return errors.New("neither Numeric nor Date")
	}
	o.relation = strings.TrimPrefix(relation, "Not")
	if !slices.Contains([]string{"Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"}, relation) {
		return errors.New("no such relation")
	}
	return nil
}

// check refuses values of a policy that the operator cannot compare with.
func (o operator) check(values []string, variables bool) error {
	if len(values) == 0 {
		return errors.New("no value")
	}
	for _, v := range values {
		var err error
		switch o.family {
		case boolean, null:
			if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
				err = fmt.Errorf("%q is not true or false", v)
			}
		case numeric:
			_, err = strconv.ParseFloat(v, 64)
		case date:
			_, err = parseTime(v)
		case ipAddress:
			_, err = parsePrefix(v)
		default:
			err = o.checkText(v, variables)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o operator) checkText(v string, variables bool) error {
	t, err := parseTemplate(v, variables, o.family != stringEquals && o.family != stringIgnoreCase)
	if err != nil || o.family != arnLike || v == "*" {
		return err
	}
	for _, p := range t {
		if p.variable != "" {
			return nil // what it stands for may hold colons
		}
	}
	if strings.Count(v, ":") < arnFields-1 {
		return fmt.Errorf("%q is not an ARN: it has fewer than six fields", v)
	}
	return nil
}

// holds compares the values of a policy with those of a request.
//
// A key that the request does not have fails an operator, and fulfils a negated one and one with IfExists. With a set
// operator, no value at all fulfils ForAllValues and fails ForAnyValue, negated or not.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func (o operator) holds(values []string, c Context, key string, variables bool) (bool, error) {
	got := c[strings.ToLower(key)]
	if o.family == null {
		absent := strconv.FormatBool(len(got) == 0)
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, absent) }), nil
	}
	if len(got) == 0 || (o.set == "ForAllValues" && strings.Join(got, "") == "") { // only empty values count as none there
		return o.ifExists || o.set == "ForAllValues" || (o.negated && o.set == ""), nil
	}
	tests := make([]func(string) bool, len(values))
	for i, v := range values {
		var err error
		if tests[i], err = o.test(v, c, variables); err != nil {
			return false, err
		}
	}
	matched := func(g string) bool {
		return o.negated != slices.ContainsFunc(tests, func(t func(string) bool) bool { return t(g) })
	}
	all := o.set == "ForAllValues" || (o.set == "" && o.negated)
	if all {
		return !slices.ContainsFunc(got, func(g string) bool { return !matched(g) }), nil
	}
	return slices.ContainsFunc(got, matched), nil
}

// test makes of one value of a policy the question whether a value of a request matches it.
func (o operator) test(v string, c Context, variables bool) (func(string) bool, error) {
	switch o.family {
	case boolean:
		return func(g string) bool { return strings.EqualFold(v, g) }, nil
	case numeric:
		want, err := strconv.ParseFloat(v, 64)
		return func(g string) bool {
			n, err := strconv.ParseFloat(g, 64)
			return err == nil && o.relates(n-want)
		}, err
	case date:
		want, err := parseTime(v)
		return func(g string) bool {
			t, err := parseTime(g)
			return err == nil && o.relates(float64(t.Compare(want)))
		}, err
	case ipAddress:
		want, err := parsePrefix(v)
		return func(g string) bool {
			a, err := netip.ParseAddr(g)
			return err == nil && want.Contains(a.Unmap())
		}, err
	}
	return o.text(v, c, variables)
}

func (o operator) text(v string, c Context, variables bool) (func(string) bool, error) {
	if o.family == arnLike && v == "*" {
		return func(string) bool { return true }, nil
	}
	t, err := parseTemplate(v, variables, o.family == stringLike || o.family == arnLike)
	if err != nil {
		return nil, err
	}
	p, ok := t.fill(c)
	return func(g string) bool {
		switch {
		case !ok:
			return false
		case o.family == stringIgnoreCase:
			return p.lower().matches(strings.ToLower(g))
		case o.family == arnLike:
			return p.matchesARN(g)
		}
		return p.matches(g)
	}, nil
}

// relates reads the sign of a difference: the request's value minus the policy's.
func (o operator) relates(difference float64) bool {
	switch o.relation {
	case "LessThan":
		return difference < 0
	case "LessThanEquals":
		return difference <= 0
	case "GreaterThan":
		return difference > 0
	case "GreaterThanEquals":
		return difference >= 0
	}
	return difference == 0
}

// parseTime reads a date of ISO 8601 in one of the forms of https://www.w3.org/TR/NOTE-datetime, or seconds since 1970.
func parseTime(v string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(form, v); err == nil {
			return t, nil
		}
	}
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		if len(v) == len("2006") {
			return time.Parse("2006", v)
		}
		return time.Unix(seconds, 0), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a date of ISO 8601 nor seconds since 1970", v)
}

// parsePrefix reads an address range, or an address alone.
func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, fmt.Errorf("%q is neither an IP address nor a range of them", v)
	}
	return p.Masked(), nil
}
