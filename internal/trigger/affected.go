package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Candidate is a contract that one of a resolution's keys led to.
type Candidate struct {
	Contract contract.Contract
	Via      string // the key
}

// Match is one secret, and why it is in the list that it is in.
type Match struct {
	Secret  string `json:"secret"`
	Because string `json:"because"`
}

// Affected parts the candidates into secrets that the trigger affects and secrets that it spares, because their contract's
// rotate_on does not list it. Both are sorted by secret, each secret once. A resolution that is ignored affects nothing.
func Affected(r Resolution, candidates []Candidate) (affected, spared []Match) {
	via := map[string][]string{}
	contracts := map[string]contract.Contract{}
	for _, c := range candidates {
		if !slices.Contains(r.Keys, c.Via) {
			continue
		}
		id := c.Contract.ID()
		contracts[id] = c.Contract
		via[id] = append(via[id], because(c.Via))
	}
	for id, reasons := range via {
		slices.Sort(reasons)
		c := contracts[id]
		if !c.Allows(string(r.Trigger.Type)) {
			spared = append(spared, Match{id, "rotate_on does not list " + string(r.Trigger.Type)})
			continue
		}
		affected = append(affected, Match{id, strings.Join(slices.Compact(reasons), "; ")})
	}
	bySecret := func(x, y Match) int { return strings.Compare(x.Secret, y.Secret) }
	slices.SortFunc(affected, bySecret)
	slices.SortFunc(spared, bySecret)
	return affected, spared
}

// Candidates finds what the registry's index would find, in a bundle. KeyDue finds nothing: what is due, only the registry
// knows.
func Candidates(r Resolution, b contract.Bundle) []Candidate {
	var found []Candidate
	for _, c := range b.Contracts {
		keys := append(contract.Keys(c, b.Services), KeySecret+c.ID())
		for _, k := range r.Keys {
			if slices.Contains(keys, k) {
				found = append(found, Candidate{Contract: c, Via: k})
			}
		}
	}
	return found
}

// because says in words how a key leads to a secret.
func because(key string) string {
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case KeyDue:
		return "it is due"
	case "secret":
		return "it was named"
	case "role":
		return "a service reads it with role " + name
	case "dbuser":
		return "it is the credential of " + name
	case "environment":
		return "it is in environment " + name
	case "service":
		return "service " + name + " uses it"
	default:
		return "a service that uses it is known as " + name + " to " + kind
	}
}

// ExecutionName is the name of the execution of mayfly-rotate for a secret and a trigger: at most 80 characters of
// [A-Za-z0-9-_] (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html). The same trigger
// for the same secret always gives the same name, so that a repeated event joins the execution that it already started. A
// finding that grew critical is another: what was a rotation must become a containment.
func ExecutionName(secret string, t Trigger) string {
	const digits = 40
	parts := []string{secret, string(t.Type), t.Source, t.ID, string(t.Mode())}
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, contract.Slug(secret))
	readable = readable[:min(len(readable), 80-digits-1)]
	return readable + "-" + hex.EncodeToString(h.Sum(nil))[:digits]
}
