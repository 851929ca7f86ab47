package blastradius

import (
	"github.com/cedar-policy/cedar-go"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// contractFacts are what the rules may know of one contract and its policy; see the head of contracts/guardrails.cedar.
func contractFacts(c contract.Contract, p policy.Policy) cedar.RecordMap {
	return cedar.RecordMap{
		"name":             cedar.String(c.Name),
		"owner":            cedar.String(c.Owner),
		"environment":      cedar.String(c.Environment),
		"kind":             cedar.String(c.Kind),
		"strategy":         cedar.String(c.Strategy),
		"services":         set(c.Services),
		"triggers":         set(c.RotateOn),
		"blast_radius":     cedar.Long(Level(c.BlastRadius).rank()),
		"ttl":              seconds(p.TTL),
		"rotate_before":    seconds(p.RotateBefore),
		"max_overlap":      seconds(p.MaxOverlap),
		"on_expiry":        cedar.String(p.OnExpiry),
		"failure_strategy": cedar.String(p.FailureStrategy),
		"revoke_old":       cedar.Boolean(p.RevokeOld),
		"end_sessions":     cedar.Boolean(p.EndSessions),
	}
}

// lintEntity is the secret as the rules see it at lint, in the light of all contracts. It is not ok where no radius can be
// derived, unless that is because of services that are absent: the rules may speak of those.
func lintEntity(b contract.Bundle, c contract.Contract) (e cedar.Entity, ok bool) {
	d := derivation{bundle: b, contract: contract.WithDefaults(c)}
	p, err := policy.Initial(d.contract)
	if err != nil {
		return cedar.Entity{}, false
	}
	p.TTL = c.TTL
	facts := contractFacts(d.contract, p)
	var absent, undeclared []string
	for _, name := range c.Services {
		if _, here := d.placement(name, c.Environment); !here {
			absent = append(absent, name)
		}
	}
	r, err := Derive(b, c.ID())
	if err != nil && len(absent) == 0 {
		return cedar.Entity{}, false
	}
	if err != nil { // as far as it is known
		r.Level = Minimal
	}
	for _, reader := range r.Readers {
		if reader.Undeclared != "" {
			undeclared = append(undeclared, reader.Name)
		}
	}
	facts["absent"], facts["undeclared"], facts["elsewhere"] = set(absent), set(undeclared), set(r.Elsewhere)
	facts["computed"] = cedar.Long(r.Level.rank())
	return entity(c, facts), true
}

// entity is the secret, in its environment.
func entity(c contract.Contract, facts cedar.RecordMap) cedar.Entity {
	return cedar.Entity{
		UID:        cedar.NewEntityUID("Secret", cedar.String(c.ID())),
		Parents:    cedar.NewEntityUIDSet(cedar.NewEntityUID("Environment", cedar.String(c.Environment))),
		Attributes: cedar.NewRecord(facts),
	}
}

func seconds(d contract.Duration) cedar.Long { return cedar.Long(d.Std().Seconds()) }

func set(list []string) cedar.Set {
	values := make([]cedar.Value, len(list))
	for i, v := range list {
		values[i] = cedar.String(v)
	}
	return cedar.NewSet(values...)
}
