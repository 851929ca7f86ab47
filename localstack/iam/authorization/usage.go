package authorization

import (
	"maps"
	"sync"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// Permission is one permission of a role: one action on one resource of one statement, as its policy writes them.
type Permission struct {
	Role             string // name
	Policy, Sid      string
	Action, Resource string
}

// maxUsage bounds what is remembered. Roles come from templates, which have some hundreds of permissions.
const maxUsage = 10_000

// usage remembers by which permissions calls were allowed: what least privilege is measured with.
type usage struct {
	mu   sync.Mutex
	used map[Permission]bool
}

// note remembers that what a role did was allowed, by these permissions.
func (u *usage) note(role string, grants []policy.Grant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, g := range grants {
		p := Permission{role, g.Policy, g.Sid, g.Action, g.Resource}
		if _, known := u.used[p]; g.Kind == policy.Identity && (known || len(u.used) < maxUsage) {
			u.used[p] = u.used[p] || len(grants) == 1
		}
	}
}

// Granted are the permissions of a role, in the order of its policies.
func (a *Authorizer) Granted(role string) []Permission {
	var all []Permission
	for _, p := range a.roles.Policies(role) {
		for _, s := range p.Document.Statement {
			if s.Effect != "Allow" {
				continue
			}
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					all = append(all, Permission{role, p.Name, s.Sid, action, resource})
				}
			}
		}
	}
	return all
}

// Used are the permissions of roles by which something was allowed since the start. The value says whether one thing at
// least needed it: without it, nothing else would have allowed that. A call that was refused for another need counts for
// nothing.
func (a *Authorizer) Used() map[Permission]bool {
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	return maps.Clone(a.usage.used)
}
