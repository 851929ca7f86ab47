package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Context are the condition keys of a request. Names have no case; Set and Evaluate bring them to lower case.
type Context map[string][]string

// Set gives a key its values; without values it changes nothing.
func (c Context) Set(key string, values ...string) {
	if len(values) > 0 {
		c[strings.ToLower(key)] = values
	}
}

// Request is what is decided about.
type Request struct {
	Caller   Caller
	Action   string  // "secretsmanager:GetSecretValue"
	Resource string  // ARN; "*" for an action that is not about one resource
	Account  string  // whose resource it is; "" means the caller's
	Context  Context // all but what follows from the caller
}

// Policies are all that have a say in a request.
type Policies struct {
	Identity []Named
	Boundary *Named  // nil: none
	Session  []Named // nil: none; otherwise what one of them allows is the most that the session may do
	Resource *Named  // nil: none
	// Must says that the resource's policy has to allow the request itself, or to hand the decision to the account, as
	// role trust policies and KMS key policies do. Elsewhere an identity policy of the same account is enough.
	Must bool
	// Kind of Resource, for messages: Resource or, if the resource is a role to be assumed, Trust. "" means Resource.
	Kind Kind
}

// Reason is why a request was decided so.
type Reason string

// The reasons for a decision.
const (
	Allowed      Reason = "allowed"
	ExplicitDeny Reason = "explicit deny"
	ImplicitDeny Reason = "implicit deny"
)

// Decision is what became of a request, and which statement decided it. With an implicit deny Kind is the kind of policy
// that would have had to allow the request, and there is no statement.
type Decision struct {
	Allowed bool
	Reason  Reason
	Kind    Kind
	Policy  string // name
	Sid     string // of the statement; "" if it has none
	Message string // for the caller, as AWS writes it; "" if the request is allowed
	// Grants are all permissions that allow the request, each by itself; where there is one only, the request needs it.
	// Nil for root and services, which have no policies of their own.
	Grants []Grant
}

// Grant is one permission of an Allow statement: one of its actions on one of its resources, as they are written there.
// Statements with NotAction or NotResource have one of each, which begins with "not ".
type Grant struct {
	Kind             Kind
	Policy, Sid      string
	Action, Resource string // Resource is "" in a trust policy
}

// Evaluate decides. The error says that a policy cannot be evaluated, which no policy that Parse accepted does.
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
func Evaluate(r Request, p Policies) (Decision, error) {
	if p.Kind == "" {
		p.Kind = Resource
	}
	e := &evaluation{request: r, bounded: p.Boundary != nil, context: r.Caller.context()}
	for key, values := range r.Context {
		e.context[strings.ToLower(key)] = values
	}
	identity := e.all(Identity, p.Identity)
	resource := e.all(p.Kind, list(p.Resource))
	boundary := e.all(Boundary, list(p.Boundary))
	session := e.all(Session, p.Session)
	if e.err != nil {
		return Decision{}, e.err
	}
	if r.Caller.Type == Root || r.Caller.Type == Service {
		// Root has no policies of its own, and neither has a service.
		identity, boundary, session = verdict{}, verdict{}, verdict{}
	}
	for _, v := range []verdict{identity, resource, boundary, session} {
		if v.deny != nil {
			return r.denied(ExplicitDeny, *v.deny), nil
		}
	}
	own := r.Account == "" || r.Account == r.Caller.Account
	limits := []limit{{p.Boundary == nil || boundary.allow != nil, Boundary}, {p.Session == nil || session.allow != nil, Session}}
	switch {
	case r.Caller.Type == Root && own:
		return Decision{Allowed: true, Reason: Allowed}, nil
	case r.Caller.Type == Service:
		return r.needs(resource.allow, limit{resource.grant == direct, p.Kind}), nil
	case !own:
		// Both accounts have to agree.
		return r.needs(identity.allow, append([]limit{{resource.grant > none, p.Kind}, {identity.allow != nil || r.Caller.Type == Root, Identity}}, limits...)...), nil
	case resource.grant == direct:
		return r.needs(resource.allow).by(resource, identity), nil // granted to this very caller: nothing but a deny limits that
	case resource.grant == entity:
		return r.needs(resource.allow, limits...).by(resource, identity), nil
	}
	handedOver := limit{!p.Must || resource.grant == delegated, p.Kind}
	return r.needs(identity.allow, append([]limit{handedOver, {identity.allow != nil, Identity}}, limits...)...).by(identity), nil
}

// by names all that would have allowed the request.
func (d Decision) by(verdicts ...verdict) Decision {
	if d.Allowed {
		for _, v := range verdicts {
			d.Grants = append(d.Grants, v.grants...)
		}
	}
	return d
}

// limit is one thing that must hold, and the kind of policy that is to blame if it does not.
type limit struct {
	holds bool
	kind  Kind
}

// needs allows a request, because of a statement, if every limit holds.
func (r *Request) needs(because *origin, limits ...limit) Decision {
	for _, l := range limits {
		if !l.holds {
			return r.denied(ImplicitDeny, origin{kind: l.kind})
		}
	}
	d := Decision{Allowed: true, Reason: Allowed}
	if because != nil {
		d.Kind, d.Policy, d.Sid = because.kind, because.policy, because.sid
	}
	return d
}

// denied writes the message as https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html does.
func (r *Request) denied(reason Reason, o origin) Decision {
	why := fmt.Sprintf("because no %s allows the %s action", o.kind, r.Action)
	if reason == ExplicitDeny {
		article := map[Kind]string{Identity: "an", Trust: "the"}[o.kind]
		if article == "" {
			article = "a"
		}
		why = fmt.Sprintf("with an explicit deny in %s %s", article, o.kind)
	}
	return Decision{Reason: reason, Kind: o.kind, Policy: o.policy, Sid: o.sid,
		Message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", r.Caller.ARN, r.Action, r.Resource, why)}
}

// origin is a statement.
type origin struct {
	kind        Kind
	policy, sid string
}

// verdict is what the policies of one kind say.
type verdict struct {
	deny, allow *origin
	grant       grant // the strongest, of policies that name principals
	grants      []Grant
}

type evaluation struct {
	request Request
	context Context
	bounded bool
	err     error // the first
}

func list(p *Named) []Named {
	if p == nil {
		return nil
	}
	return []Named{*p}
}

func (e *evaluation) all(kind Kind, policies []Named) verdict {
	var v verdict
	for _, p := range policies {
		for i := range p.Document.Statement {
			s := &p.Document.Statement[i]
			g, err := e.applies(s, kind, p.Document.variables())
			if err != nil && e.err == nil {
				e.err = fmt.Errorf("%s %s, statement %d %s: %w", kind, p.Name, i, s.Sid, err)
			}
			if err != nil || g == none {
				continue
			}
			o := &origin{kind, p.Name, s.Sid}
			if s.Effect == "Deny" {
				if v.deny == nil {
					v.deny = o
				}
				continue
			}
			if g > v.grant {
				v.allow, v.grant = o, g
			}
			if g > delegated {
				v.grants = append(v.grants, e.grants(s, *o, p.Document.variables())...)
			}
		}
	}
	return v
}

// applies says whether a statement is about the request and, if it names principals, how it means the caller.
func (e *evaluation) applies(s *Statement, kind Kind, variables bool) (grant, error) {
	g := direct
	if kind == Resource || kind == Trust {
		if g = e.meant(s); g == none {
			return none, nil
		}
	}
	if !e.aboutAction(s) {
		return none, nil
	}
	if ok, err := e.aboutResource(s, variables); !ok {
		return none, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Condition)) {
		o, err := parseOperator(name)
		if err != nil {
			return none, err
		}
		for key, values := range s.Condition[name] {
			if !known(key) {
				return none, fmt.Errorf("%s: the condition key %s is not known here", name, key)
			}
			if ok, err := o.holds(values, e.context, key, variables); !ok {
				return none, err
			}
		}
	}
	return g, nil
}

// aboutAction compares without regard to case: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
func (e *evaluation) aboutAction(s *Statement) bool {
	matched := slices.ContainsFunc(slices.Concat(s.Action, s.NotAction), e.isAction)
	return matched != (len(s.NotAction) > 0)
}

func (e *evaluation) isAction(action string) bool {
	t, _ := parseTemplate(action, false, true) // without variables there is nothing that could be wrong
	p, _ := t.fill(nil)
	return p.lower().matches(strings.ToLower(e.request.Action))
}

func (e *evaluation) aboutResource(s *Statement, variables bool) (bool, error) {
	if len(s.Resource) == 0 && len(s.NotResource) == 0 {
		return true, nil // a trust policy
	}
	matched := false
	for _, r := range slices.Concat(s.Resource, s.NotResource) {
		is, err := e.isResource(r, variables)
		if err != nil {
			return false, err
		}
		matched = matched || is
	}
	return matched != (len(s.NotResource) > 0), nil
}

func (e *evaluation) isResource(resource string, variables bool) (bool, error) {
	t, err := parseTemplate(resource, variables, true)
	if err != nil {
		return false, err
	}
	p, ok := t.fill(e.context)
	return ok && p.matchesResource(e.request.Resource), nil
}

// grants takes an Allow statement that is about the request apart into the permissions that are.
func (e *evaluation) grants(s *Statement, o origin, variables bool) []Grant {
	var actions, resources []string
	for _, a := range s.Action {
		if e.isAction(a) {
			actions = append(actions, a)
		}
	}
	for _, r := range s.Resource {
		if is, _ := e.isResource(r, variables); is { // an error would have kept the statement from being about the request
			resources = append(resources, r)
		}
	}
	if len(s.NotAction) > 0 {
		actions = []string{"not " + strings.Join(s.NotAction, " ")}
	}
	if len(s.Resource) == 0 {
		resources = []string{strings.TrimSpace("not " + strings.Join(s.NotResource, " "))}
		if len(s.NotResource) == 0 {
			resources = []string{""} // a trust policy
		}
	}
	var out []Grant
	for _, a := range actions {
		for _, r := range resources {
			out = append(out, Grant{o.kind, o.policy, o.sid, a, r})
		}
	}
	return out
}

func (p pattern) lower() pattern {
	out := slices.Clone(p)
	for i := range out {
		out[i].char = unicode.ToLower(out[i].char)
	}
	return out
}
