package contract

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Problem is one thing wrong with a contract.
type Problem struct {
	Path    string // JSON pointer to the member that is wrong: "/target/host"
	Code    string // stable, for scripts: "no-expiry"
	Message string // what is wrong, with what
	Do      string // what to do about it
}

// MaxTTL is the longest life that a contract may promise. A year and a month: beyond that, nobody is left who knows the
// secret.
const MaxTTL = Duration(400 * 24 * time.Hour)

// TriggerTypes are the causes that rotate_on may list.
func TriggerTypes() []string {
	return []string{
		"schedule", "commit", "deployment", "incident", "access_change", "policy_change", "annotation", "upstream", "manual",
	}
}

var (
	name       = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
)

// reserved members of a database secret's value are composed from the target and the new password.
var reserved = []string{"engine", "host", "port", "dbname", "username", "password"}

// ValueInContract is the code of a problem whose source line may hold a secret value and is not to be shown.
const ValueInContract = "value-in-contract"

// Compiled when it is first needed: no function needs it, and every function would pay for it when it starts.
var secretish = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)pass(word|wd|phrase)|secret|token|credential|private|api_?key`)
})

// Validate says everything that is wrong with one contract, given the declared services, in the order of its fields. It
// takes the contract with or without defaults. What two contracts do to each other is Clashes.
func Validate(c Contract, services []Service) []Problem {
	c = WithDefaults(c)
	var ps []Problem
	for _, check := range []func(Contract) []Problem{names, lifetime, causes, kinds, globs} {
		ps = append(ps, check(c)...)
	}
	ps = append(ps, consumers(c, services)...)
	if c.KMSKey != "" {
		ps = append(ps, keyProblems(c, services)...)
	}
	if c.Target != nil {
		ps = append(ps, targetProblems(c)...)
	}
	return ps
}

func names(c Contract) []Problem {
	var ps []Problem
	for _, f := range []struct {
		path, value string
		most        int
	}{{"/name", c.Name, 64}, {"/owner", c.Owner, 64}, {"/environment", c.Environment, 32}} {
		if !name.MatchString(f.value) || len(f.value) > f.most {
			ps = append(ps, Problem{f.path, "bad-name", fmt.Sprintf("%q is not a name", f.value),
				fmt.Sprintf("use lowercase letters, digits and single hyphens, at most %d characters", f.most)})
		}
	}
	if c.BlastRadius == "" {
		ps = append(ps, Problem{"/blast_radius", "missing-field", "the contract does not say its blast radius",
			"add blast_radius, for example minimal"})
	}
	return ps
}

func lifetime(c Contract) []Problem {
	switch {
	case c.TTL <= 0:
		return []Problem{{"/ttl", "no-expiry", "a contract without an expiry is refused",
			"give ttl a length above zero, for example 24h"}}
	case c.TTL > MaxTTL:
		return []Problem{{"/ttl", "ttl-too-long", fmt.Sprintf("ttl %s is longer than %s", c.TTL, MaxTTL), "shorten ttl"}}
	case c.OnExpiry != "" && c.OnExpiry != Deny && c.OnExpiry != Keep:
		return []Problem{{"/on_expiry", "bad-value", fmt.Sprintf("on_expiry %q is unknown", c.OnExpiry), "use deny or keep"}}
	}
	return nil
}

func causes(c Contract) []Problem {
	if len(c.RotateOn) == 0 {
		return []Problem{{"/rotate_on", "no-trigger", "a contract without a trigger is refused",
			"list at least one of: " + strings.Join(TriggerTypes(), ", ")}}
	}
	var ps []Problem
	for i, t := range c.RotateOn {
		path := fmt.Sprintf("/rotate_on/%d", i)
		if !slices.Contains(TriggerTypes(), t) {
			ps = append(ps, Problem{path, "unknown-trigger", fmt.Sprintf("%q is not a trigger", t),
				"use one of: " + strings.Join(TriggerTypes(), ", ")})
		}
		if slices.Index(c.RotateOn, t) < i {
			ps = append(ps, Problem{path, "listed-twice", fmt.Sprintf("%q is listed twice", t), "remove one"})
		}
	}
	return ps
}

func kinds(c Contract) []Problem {
	var ps []Problem
	switch {
	case c.Kind != Random && c.Kind != Postgres:
		return []Problem{{"/kind", "unknown-kind", fmt.Sprintf("kind %q is unknown", c.Kind), "use random or postgres"}}
	case c.Kind == Random && c.Target != nil:
		ps = append(ps, Problem{"/target", "target-not-needed", "kind random has no target",
			"remove target, or say which kind of target it is with kind"})
	case c.Kind == Postgres && c.Target == nil:
		ps = append(ps, Problem{"/target", "target-missing", "kind postgres needs a target",
			"add target with host, database and owner"})
	}
	switch {
	case c.Strategy != Dual && c.Strategy != Single:
		ps = append(ps, Problem{"/strategy", "bad-value", fmt.Sprintf("strategy %q is unknown", c.Strategy), "use dual or single"})
	case c.Strategy == Dual && c.Kind == Random:
		ps = append(ps, Problem{"/strategy", "strategy-impossible", "a secret without a target has no two logins", "use single"})
	case c.Strategy == Dual && c.Target != nil && c.Target.Admin == "":
		ps = append(ps, Problem{"/strategy", "strategy-impossible", "dual needs another credential that makes the two logins",
			"add target.admin, or use single"})
	}
	return ps
}

func consumers(c Contract, services []Service) []Problem {
	if len(c.Services) == 0 {
		return []Problem{{"/services", "no-service", "the contract names no service", "list the services that use the secret"}}
	}
	var ps []Problem
	for i, want := range c.Services {
		path := fmt.Sprintf("/services/%d", i)
		at := slices.IndexFunc(services, func(s Service) bool { return s.Name == want })
		switch {
		case slices.Index(c.Services, want) < i:
			ps = append(ps, Problem{path, "listed-twice", fmt.Sprintf("%q is listed twice", want), "remove one"})
		case at < 0:
			ps = append(ps, Problem{path, "unknown-service", fmt.Sprintf("service %q is not declared", want),
				fmt.Sprintf("declare it in services/%s.yaml", want)})
		default:
			if _, here := services[at].Environments[c.Environment]; !here {
				ps = append(ps, Problem{path, "service-not-here",
					fmt.Sprintf("service %q is not declared in environment %q", want, c.Environment),
					fmt.Sprintf("add environments.%s to services/%s.yaml", c.Environment, want)})
			}
		}
	}
	return ps
}

func targetProblems(c Contract) []Problem {
	t := c.Target
	var ps []Problem
	if t.Host == "" || strings.ContainsAny(t.Host, " /@") {
		ps = append(ps, Problem{"/target/host", "bad-value", fmt.Sprintf("host %q is not a host name", t.Host), "give a host name or address"})
	}
	if t.Port < 1 || t.Port > 65535 {
		ps = append(ps, Problem{"/target/port", "bad-value", fmt.Sprintf("port %d is not a port", t.Port), "use 1 to 65535"})
	}
	if t.Database == "" || len(t.Database) > 63 {
		ps = append(ps, Problem{"/target/database", "bad-value", fmt.Sprintf("database %q is not a name of 1 to 63 bytes", t.Database), "name the database"})
	}
	// PostgreSQL cuts names at 63 bytes, so that owner_a and owner_b would become one role:
	// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
	most := 63
	if c.Strategy == Dual {
		most -= len("_a")
	}
	if !identifier.MatchString(t.Owner) || len(t.Owner) > most {
		ps = append(ps, Problem{"/target/owner", "bad-name", fmt.Sprintf("owner %q is not a role name", t.Owner),
			fmt.Sprintf("use lowercase letters, digits and underscores, at most %d bytes", most)})
	}
	if t.Admin == c.ID() {
		ps = append(ps, Problem{"/target/admin", "own-admin", "the secret names itself as its admin",
			"leave admin out: without one the secret rotates itself"})
	}
	if !slices.Contains([]string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}, t.TLS) {
		ps = append(ps, Problem{"/target/tls", "bad-value", fmt.Sprintf("tls %q is not an sslmode", t.TLS), "use verify-full"})
	}
	for _, field := range slices.Sorted(maps.Keys(t.Fields)) {
		path := "/target/fields/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(field)
		switch {
		case secretish().MatchString(field):
			ps = append(ps, Problem{path, ValueInContract, fmt.Sprintf("%q sounds like a secret value, and a contract never holds one", field),
				"remove it, and treat what stood there as leaked: it is in Git"})
		case slices.Contains(reserved, field):
			ps = append(ps, Problem{path, "reserved-field", fmt.Sprintf("the rotation itself composes the member %q of the value", field), "remove it"})
		}
	}
	if strings.Contains(t.RootCert, "PRIVATE KEY") {
		ps = append(ps, Problem{"/target/root_cert", ValueInContract, "root_cert holds a private key, and a contract never holds a secret value",
			"put the certificate of the authority there, and treat the key as leaked: it is in Git"})
	}
	return ps
}

// Clash is one contract in contradiction with an earlier one; Index is its place in the list.
type Clash struct {
	Index int
	Problem
}

// Clashes says where two contracts claim one secret or one login. Two secrets for one login would lock each other's
// services out at every rotation.
func Clashes(contracts []Contract) []Clash {
	ids, logins := map[string]int{}, map[string]int{}
	var clashes []Clash
	for i, c := range contracts {
		c = WithDefaults(c)
		if _, taken := ids[c.ID()]; taken {
			clashes = append(clashes, Clash{i, Problem{"/name", "duplicate-id",
				fmt.Sprintf("secret %s has a contract already", c.ID()), "rename or remove one of the two"}})
			continue
		}
		ids[c.ID()] = i
		for _, login := range Logins(c) {
			key := fmt.Sprintf("%s:%d/%s", c.Target.Host, c.Target.Port, login)
			if first, taken := logins[key]; taken {
				clashes = append(clashes, Clash{i, Problem{"/target/owner", "duplicate-login",
					fmt.Sprintf("login %s at %s is already under the contract of %s", login, c.Target.Host, contracts[first].ID()),
					"one login has one secret: let the services share it, or give this one its own login"}})
				break
			}
			logins[key] = i
		}
	}
	return clashes
}
