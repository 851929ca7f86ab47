package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// reading is one pass over the tags; it collects what does not hold. Every method leaves its default alone when the tag is
// absent or bad, and tells whether it read a value.
type reading struct {
	tags map[string]string
	bad  []Bad
}

func (r *reading) complain(attribute, message string) {
	r.bad = append(r.bad, Bad{Attribute: attribute, Message: message})
}

func (r *reading) choice(attribute string, into *string, options ...string) bool {
	v, set := r.tags[Prefix+attribute]
	if !set {
		return false
	}
	if !slices.Contains(options, v) {
		r.complain(attribute, fmt.Sprintf("is %q; use one of: %s", v, strings.Join(options, ", ")))
		return false
	}
	*into = v
	return true
}

func (r *reading) flag(attribute string, into *bool) {
	switch v, set := r.tags[Prefix+attribute]; {
	case !set:
	case v == "true", v == "false":
		*into = v == "true"
	default:
		r.complain(attribute, fmt.Sprintf("is %q; use true or false", v))
	}
}

func (r *reading) length(attribute string, into *contract.Duration) bool {
	v, set := r.tags[Prefix+attribute]
	if !set {
		return false
	}
	d, err := contract.ParseDuration(v)
	if err != nil {
		r.complain(attribute, "does not parse: "+err.Error())
		return false
	}
	*into = d
	return true
}

// below reads a length that must be shorter than the ttl in force.
func (r *reading) below(attribute string, into *contract.Duration, ttl contract.Duration) {
	d := *into
	if !r.length(attribute, &d) {
		return
	}
	if d >= ttl {
		r.complain(attribute, fmt.Sprintf("is %s, which is not below the ttl %s", d, ttl))
		return
	}
	*into = d
}

func (r *reading) number(attribute string, into *float64, least, most float64) {
	v, set := r.tags[Prefix+attribute]
	if !set {
		return
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= least && n <= most) { // NaN is in no range
		r.complain(attribute, fmt.Sprintf("is %q; use a number from %g to %g", v, least, most))
		return
	}
	*into = n
}

// misspelled complains about tags that were meant to be attributes: a policy that is silently not in force is worse than
// a run that stops.
func (r *reading) misspelled() {
	for _, tag := range slices.Sorted(maps.Keys(r.tags)) {
		name, ours := strings.CutPrefix(tag, Prefix)
		if !ours {
			continue
		}
		if meant := near(name); meant != "" {
			r.complain(name, "is no attribute; did you mean "+Prefix+meant+"?")
		}
	}
}
