package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Type is what kind of principal calls, in the words of aws:PrincipalType.
type Type string

// The types of callers.
const (
	Root    Type = "Account"
	User    Type = "User"
	Role    Type = "AssumedRole" // a session of a role
	Service Type = "Service"     // an AWS service on its own behalf; it has no aws:PrincipalType
)

// Caller is the principal that makes a request.
type Caller struct {
	Type    Type
	ARN     string            // of the root, the user or the role session; the name of a service, "events.amazonaws.com"
	Account string            // 12 digits; "" for a service
	Role    string            // ARN of the role whose session this is
	ID      string            // aws:userid: AIDA…, AROA…:session, the account's number for its root
	Tags    map[string]string // aws:PrincipalTag: the session's over the role's
}

// context are the condition keys that follow from the caller alone.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principal-properties
func (c *Caller) context() Context {
	x := Context{}
	if c.Type == Service {
		x.Set("aws:PrincipalIsAWSService", "true")
		x.Set("aws:PrincipalServiceName", c.ARN)
		return x
	}
	x.Set("aws:PrincipalIsAWSService", "false")
	x.Set("aws:PrincipalType", string(c.Type))
	x.Set("aws:PrincipalAccount", c.Account)
	x.Set("aws:userid", c.ID)
	switch c.Type {
	case Role:
		x.Set("aws:PrincipalArn", c.Role) // the role's, not the session's
		x.Set("aws:MultiFactorAuthPresent", "false")
	case User:
		x.Set("aws:PrincipalArn", c.ARN)
		x.Set("aws:username", c.ARN[strings.LastIndex(c.ARN, "/")+1:])
	default:
		x.Set("aws:PrincipalArn", c.ARN)
	}
	for k, v := range c.Tags {
		x.Set("aws:PrincipalTag/"+k, v)
	}
	return x
}

// grant is how closely a statement means the caller. The difference counts in an Allow.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
type grant int

const (
	none      grant = iota
	delegated       // the account: its identity policies decide
	entity          // the role of the session: its boundary and the session's policies limit it
	direct          // everybody, the session, the user or the service itself: limited by nothing
)

// meant finds the closest way in which a statement of a resource's policy names the caller.
func (e *evaluation) meant(s *Statement) grant {
	if s.NotPrincipal != nil {
		// A principal with a boundary is denied by NotPrincipal whoever it names, as documented.
		if !e.bounded && e.request.Caller.excepted(s.NotPrincipal) {
			return none
		}
		return direct
	}
	g := none
	for kind, names := range s.Principal {
		for _, name := range names {
			g = max(g, e.request.Caller.named(kind, name))
		}
	}
	return g
}

// named compares one entry of a Principal element with the caller.
func (c *Caller) named(kind, name string) grant {
	switch {
	case name == "*" && (kind == "*" || kind == "AWS"):
		return direct
	case kind == "Service":
		if c.Type == Service && name == c.ARN {
			return direct
		}
		return none
	case kind != "AWS" || c.Type == Service:
		return none
	case name == c.ARN:
		return direct
	case name == c.Account || name == c.accountARN():
		return delegated
	}
	id, session, _ := strings.Cut(c.ID, ":")
	switch {
	case c.Type == Role && (name == c.Role || name == id):
		return entity
	case c.Type == User && name == id && session == "":
		return direct
	}
	return none
}

func (c *Caller) accountARN() string { return fmt.Sprintf("arn:aws:iam::%s:root", c.Account) }

// excepted says whether a NotPrincipal element leaves the caller alone: only if it names all that a request of the caller
// is checked for, which for a role session are the account, the role and the session.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func (c *Caller) excepted(p Principal) bool {
	if len(p["*"]) > 0 || slices.Contains(p["AWS"], "*") {
		return true
	}
	if c.Type == Service {
		return slices.Contains(p["Service"], c.ARN)
	}
	aws := p["AWS"]
	account := slices.Contains(aws, c.Account) || slices.Contains(aws, c.accountARN())
	self := c.Type == Root || slices.Contains(aws, c.ARN)
	role := c.Type != Role || slices.Contains(aws, c.Role)
	return account && self && role
}
