package trigger

import (
	"maps"
	"slices"
)

// Calls are the API calls of a service, such as "iam.amazonaws.com", that Resolve takes for changes, sorted: what a rule
// has to let through. Every other call of the service affects nothing.
func Calls(service string) []string { return slices.Sorted(maps.Keys(effects()[service])) }
