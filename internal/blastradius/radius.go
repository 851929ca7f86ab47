// Package blastradius answers "if this leaks, what breaks and what does not?" for every secret under contract: who can
// read it, what a holder could do with it and until when, what stops when it is revoked, and what is untouched. The same
// answer is a sentence, a picture, facts for the organisation's guardrails (Cedar) and the secret's resource policy (IAM).
//
// Nothing here calls AWS or reads a file: contracts go in, values come out.
package blastradius

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/spelling"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Self is the service that stands for Mayfly, as the consumer of the credentials with which it changes others. Its readers
// are Mayfly's functions, whatever role its file names.
const Self = "mayfly"

// Radius is how far a leak of one secret reaches. Lists are sorted and never nil.
type Radius struct {
	Secret      string   `json:"secret"`
	Owner       string   `json:"owner"`
	Environment string   `json:"environment"`
	Kind        string   `json:"kind"`
	Sentence    string   `json:"sentence"`
	Written     bool     `json:"written"` // the sentence is the contract's own statement
	Declared    Level    `json:"declared"`
	Level       Level    `json:"level"`   // computed
	Because     []string `json:"because"` // why it is not minimal
	Readers     []Reader `json:"readers"`
	Holder      Holder   `json:"holder"`
	Stops       []string `json:"stops"`     // services, when it is revoked, until they have the next value; and rotations
	Untouched   []string `json:"untouched"` // in words
	Elsewhere   []string `json:"elsewhere"` // other environments that a leak reaches
}

// Reader is somebody who may read the value.
type Reader struct {
	Kind string `json:"kind"` // ReaderService, ReaderMayfly or ReaderBreakGlass
	Name string `json:"name"`
	Role string `json:"role,omitempty"` // ARN; of a service only, as the others' are known where Mayfly is deployed
	// Undeclared names the declared service whose role this one uses too: the contract does not list it, and it reads.
	Undeclared string `json:"undeclared,omitempty"`
}

// Kinds of readers.
const (
	ReaderService    = "service"
	ReaderMayfly     = "mayfly"
	ReaderBreakGlass = "break_glass"
)

// Holder is what somebody with the value could do.
type Holder struct {
	Target  string            `json:"target,omitempty"` // "database orders at db.example:5432"; "" where none is under contract
	Logins  []string          `json:"logins"`           // by which the value logs in, over time
	May     []string          `json:"may"`              // in words
	Takes   []string          `json:"takes"`            // secrets under contract that it can replace
	TTL     contract.Duration `json:"ttl"`              // seconds
	Overlap contract.Duration `json:"max_overlap"`      // seconds that it is honoured beside its successor, at most
	Endless bool              `json:"endless"`          // nothing ends it by itself
	Until   string            `json:"until"`            // in words
}

// Refusal is why no sentence can be derived. It is a finding about a contract, with the place in it.
type Refusal struct {
	Secret string
	contract.Problem
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Secret, r.Message, r.Do) }

// Derive says how far a leak of the secret reaches, under the policy that its contract begins with. Errors: SecretUnknown
// for a secret without a contract, and *Refusal.
func Derive(b contract.Bundle, secret string) (Radius, error) {
	c, ok := b.Find(secret)
	if !ok {
		return Radius{}, fault.New(fault.SecretUnknown, "there is no contract for %s: write one, or correct the name", secret)
	}
	d := derivation{bundle: b, contract: contract.WithDefaults(c)}
	if err := d.prepare(); err != nil {
		return Radius{}, err
	}
	r := Radius{
		Secret: secret, Owner: c.Owner, Environment: c.Environment, Kind: d.contract.Kind, Declared: Level(c.BlastRadius),
		Readers: d.readers(), Holder: d.holder(), Stops: d.stops(), Elsewhere: d.elsewhere(),
	}
	r.Level, r.Because = d.level(r)
	r.Untouched = d.untouched(r)
	if err := d.sentence(&r); err != nil {
		return Radius{}, err
	}
	return r, nil
}

// Problems are the contracts for which no sentence can be derived, or whose resource policy would be too large, as findings
// for whoever checks a folder of contracts.
func Problems(b contract.Bundle) []contract.Clash {
	var found []contract.Clash
	for i, c := range b.Contracts {
		_, err := Derive(b, c.ID())
		switch refused, ok := err.(*Refusal); {
		case ok:
			found = append(found, contract.Clash{Index: i, Problem: refused.Problem})
		case err == nil:
			if p := tooLarge(b, c); p != nil {
				found = append(found, contract.Clash{Index: i, Problem: *p})
			}
		}
	}
	return found
}

// derivation is one secret in the light of all contracts.
type derivation struct {
	bundle   contract.Bundle
	contract contract.Contract // with defaults
	policy   policy.Policy
}

func (d *derivation) refuse(path, code, message, do string) error {
	return &Refusal{d.contract.ID(), contract.Problem{Path: path, Code: code, Message: message, Do: do}}
}

// prepare refuses what nothing can be said about.
func (d *derivation) prepare() error {
	c := d.contract
	if declared := Level(c.BlastRadius); declared.rank() == 0 {
		do := "use one of: " + strings.Join(levelNames(), ", ")
		if meant := spelling.Nearest(c.BlastRadius, levelNames()); meant != "" {
			do = "did you mean " + meant + "?"
		}
		return d.refuse("/blast_radius", "unknown-level", fmt.Sprintf("%q is no level of blast radius", c.BlastRadius), do)
	}
	for i, name := range c.Services {
		if _, ok := d.placement(name, c.Environment); !ok {
			return d.refuse(fmt.Sprintf("/services/%d", i), "no-sentence",
				fmt.Sprintf("what service %q is in %s is not declared, so that nobody can say what stops there", name, c.Environment),
				fmt.Sprintf("add environments.%s to services/%s.yaml", c.Environment, name))
		}
	}
	if c.Target != nil && c.Target.Admin != "" {
		if _, ok := d.bundle.Find(c.Target.Admin); !ok {
			return d.refuse("/target/admin", "no-sentence",
				fmt.Sprintf("%s can take this credential over and has no contract, so that nobody can say who reaches it", c.Target.Admin),
				"write a contract for "+c.Target.Admin)
		}
	}
	var err error
	if d.policy, err = policy.Initial(c); err != nil {
		return d.refuse("/policy", "no-sentence", "the initial policy does not hold, so that nobody can say until when a leak lasts",
			"correct the initial policy, or leave it out for the default")
	}
	return nil
}

func (d *derivation) placement(service, environment string) (contract.Placement, bool) {
	for _, s := range d.bundle.Services {
		if s.Name == service {
			p, ok := s.Environments[environment]
			return p, ok
		}
	}
	return contract.Placement{}, false
}

// readers are the declared services, those that use their roles, Mayfly and the break-glass role, in this order.
func (d *derivation) readers() []Reader {
	var services []Reader
	roles := map[string]string{} // ARN -> declared service
	for _, name := range d.contract.Services {
		if name == Self {
			continue
		}
		p, _ := d.placement(name, d.contract.Environment)
		roles[p.Role] = name
		services = append(services, Reader{Kind: ReaderService, Name: name, Role: p.Role})
	}
	for _, s := range d.bundle.Services {
		p, here := s.Environments[d.contract.Environment]
		if declared, shares := roles[p.Role]; here && shares && !slices.Contains(d.contract.Services, s.Name) {
			services = append(services, Reader{Kind: ReaderService, Name: s.Name, Role: p.Role, Undeclared: declared})
		}
	}
	slices.SortFunc(services, func(x, y Reader) int { return strings.Compare(x.Name, y.Name) })
	return append(services, Reader{Kind: ReaderMayfly, Name: "Mayfly's functions"}, Reader{Kind: ReaderBreakGlass, Name: "the break-glass role"})
}

// elsewhere are the other environments that a leak reaches: where a role that may read it works too, where the same
// database is a target, and those of secrets that it can replace.
func (d *derivation) elsewhere() []string {
	c := d.contract
	found := map[string]bool{}
	for _, r := range d.readers() {
		for _, s := range d.bundle.Services {
			for environment, p := range s.Environments {
				if r.Role != "" && p.Role == r.Role {
					found[environment] = true
				}
			}
		}
	}
	for _, other := range d.bundle.Contracts {
		o := contract.WithDefaults(other)
		if c.Target != nil && o.Target != nil && database(c.Target) == database(o.Target) {
			found[o.Environment] = true
		}
	}
	for _, secret := range d.takes() {
		found[environmentOf(secret)] = true
	}
	delete(found, c.Environment)
	return sorted(found)
}

// takes are the secrets whose credential this one can replace, because it administers them or their admin.
func (d *derivation) takes() []string {
	found := map[string]bool{}
	for grew, from := true, []string{d.contract.ID()}; grew; {
		grew = false
		for _, other := range d.bundle.Contracts {
			if other.Target != nil && slices.Contains(from, other.Target.Admin) && !found[other.ID()] && other.ID() != d.contract.ID() {
				found[other.ID()], grew = true, true
				from = append(from, other.ID())
			}
		}
	}
	return sorted(found)
}

// stops are the services that lose what they work with when the secret is revoked, and the rotations that need it.
func (d *derivation) stops() []string {
	stops := append([]string{}, d.services()...)
	if slices.Contains(d.contract.Services, Self) {
		what := "rotation of " + d.contract.ID()
		if takes := d.takes(); len(takes) > 0 {
			what = "rotation of " + strings.Join(takes, ", ")
		}
		stops = append(stops, what)
	}
	return stops
}

// services are the declared ones but for Mayfly itself.
func (d *derivation) services() []string {
	names := slices.DeleteFunc(slices.Clone(d.contract.Services), func(s string) bool { return s == Self })
	slices.Sort(names)
	return names
}

// untouched is what can be said to be safe, because nothing above reaches it. Secrets of the same target are named, as they
// are what one would fear for.
func (d *derivation) untouched(r Radius) []string {
	reached := append([]string{d.contract.ID()}, r.Holder.Takes...)
	neighbours := map[string]bool{}
	for _, other := range d.bundle.Contracts {
		o := contract.WithDefaults(other)
		if d.contract.Target != nil && o.Target != nil && server(o.Target) == server(d.contract.Target) &&
			!slices.Contains(reached, o.ID()) && !slices.Contains(r.Elsewhere, o.Environment) {
			neighbours[o.ID()] = true
		}
	}
	out := []string{}
	if len(neighbours) > 0 {
		out = append(out, "other secrets of the same target: "+strings.Join(sorted(neighbours), ", "))
	}
	but := "every other secret in " + r.Environment
	if len(r.Holder.Takes) > 0 {
		but += " but " + strings.Join(r.Holder.Takes, ", ")
	}
	out = append(out, but)
	safe := slices.DeleteFunc(d.environments(), func(e string) bool { return e == r.Environment || slices.Contains(r.Elsewhere, e) })
	switch {
	case len(safe) > 0:
		return append(out, "other environments: "+strings.Join(safe, ", "))
	case len(r.Elsewhere) == 0:
		return append(out, "every other environment")
	default:
		return out
	}
}

// environments are all that contracts and services speak of.
func (d *derivation) environments() []string {
	found := map[string]bool{}
	for _, c := range d.bundle.Contracts {
		found[c.Environment] = true
	}
	for _, s := range d.bundle.Services {
		for e := range s.Environments {
			found[e] = true
		}
	}
	return sorted(found)
}

func server(t *contract.Target) string { return fmt.Sprintf("%s:%d", strings.ToLower(t.Host), t.Port) }

func database(t *contract.Target) string { return server(t) + "/" + t.Database }

func environmentOf(secret string) string {
	environment, _, _ := strings.Cut(secret, "/")
	return environment
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
