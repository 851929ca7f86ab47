package blastradius

import (
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Level is how far a leak reaches, in one word: the scale of blast_radius in a contract.
type Level string

// The scale.
const (
	Minimal Level = "minimal" // one credential of a few services, which ends by itself
	Limited Level = "limited" // beyond that, within the environment: other secrets, more services, or no end in time
	Broad   Level = "broad"   // another environment, or more services than anybody keeps in mind
)

// Bounds of the scale, in services that read the secret.
const (
	fewServices  = 3  // more are not minimal
	manyServices = 10 // more are broad
)

// rank is 1 to 3; 0 for a word that is not on the scale.
func (l Level) rank() int {
	switch l {
	case Minimal:
		return 1
	case Limited:
		return 2
	case Broad:
		return 3
	default:
		return 0
	}
}

func levelNames() []string { return []string{string(Minimal), string(Limited), string(Broad)} }

// level computes the reach, and says why it is not minimal.
func (d *derivation) level(r Radius) (Level, []string) {
	level, because := Minimal, []string{}
	at := func(l Level, format string, args ...any) {
		if l.rank() > level.rank() {
			level = l
		}
		because = append(because, fmt.Sprintf(format, args...))
	}
	if len(r.Elsewhere) > 0 {
		at(Broad, "it reaches beyond %s: %s", r.Environment, strings.Join(r.Elsewhere, ", "))
	}
	services := 0
	for _, reader := range r.Readers {
		if reader.Kind == ReaderService {
			services++
		}
		if reader.Undeclared != "" {
			at(Limited, "%s is not declared and uses the role of %s", reader.Name, reader.Undeclared)
		}
	}
	switch {
	case services > manyServices:
		at(Broad, "%d services read it, more than %d", services, manyServices)
	case services > fewServices:
		at(Limited, "%d services read it, more than %d", services, fewServices)
	}
	if len(r.Holder.Takes) > 0 {
		at(Limited, "whoever has it can replace %s", strings.Join(r.Holder.Takes, ", "))
	}
	if d.policy.OnExpiry == contract.Keep {
		at(Limited, "on_expiry keep: it does not end by itself")
	}
	if !d.policy.RevokeOld {
		at(Limited, "revoke_old false: it is honoured after its successor is in place")
	}
	return level, because
}
