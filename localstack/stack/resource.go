package stack

import "context"

// NoEffect makes a resource that the local stack knows and that changes nothing in it. Ref is the logical id.
func NoEffect(_ context.Context, r Resource) (Made, error) { return Made{Ref: r.LogicalID}, nil }
