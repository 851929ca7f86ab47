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
	// Exposed says that the value itself was found in wrong hands, which counts whatever rotate_on says; "" if it was not.
	Exposed string `json:"exposed,omitempty"`
}

// Affected parts the candidates into secrets that the trigger affects and secrets that it spares, because their contract's
// rotate_on does not list it, or because it happened to files or in an environment that are not the contract's. Both are
// sorted by secret, each secret once. A resolution that is ignored affects nothing.
func Affected(r Resolution, candidates []Candidate) (affected, spared []Match) {
	matches := map[string]*match{}
	for _, c := range candidates {
		if !slices.Contains(r.Keys, c.Via) {
			continue
		}
		id := c.Contract.ID()
		if matches[id] == nil {
			matches[id] = &match{contract: c.Contract}
		}
		m := matches[id]
		if why := r.elsewhere(c); why != "" {
			m.against = append(m.against, why)
			continue
		}
		m.reasons = append(m.reasons, because(c.Via))
		if strings.HasPrefix(c.Via, KeyFingerprint) {
			m.exposed = "its value was found in the open"
		}
	}
	for id, m := range matches {
		why, ok := r.concerns(m)
		if ok {
			affected = append(affected, Match{id, why, m.exposed})
		} else {
			spared = append(spared, Match{Secret: id, Because: why})
		}
	}
	bySecret := func(x, y Match) int { return strings.Compare(x.Secret, y.Secret) }
	slices.SortFunc(affected, bySecret)
	slices.SortFunc(spared, bySecret)
	return affected, spared
}

// match is what speaks for and against one contract.
type match struct {
	contract         contract.Contract
	reasons, against []string
	exposed          string
}

// elsewhere says that a deployment was to another environment than the contract's; "" if it was not. Where a service
// declares its repository without an environment, GitHub's name for it has to be the contract's, or its usual long form.
func (r Resolution) elsewhere(c Candidate) string {
	if !strings.HasPrefix(c.Via, "github:") || strings.Contains(c.Via, "@") || r.Environment == "" || sameEnvironment(r.Environment, c.Contract) {
		return ""
	}
	return "the deployment was to environment " + clip(r.Environment, 64)
}

// concerns decides on one contract that the event's keys led to, and says why.
func (r Resolution) concerns(m *match) (why string, ok bool) {
	if !m.contract.Allows(string(r.Trigger.Type)) && m.exposed == "" {
		return "rotate_on does not list " + string(r.Trigger.Type), false
	}
	if len(m.reasons) == 0 {
		return m.against[0], false
	}
	slices.Sort(m.reasons)
	because := strings.Join(slices.Compact(m.reasons), "; ")
	if r.Changes == nil || len(m.contract.CommitPaths) == 0 {
		return because, true
	}
	for _, file := range r.Changes.Files {
		if pattern, covered := m.contract.Covers(file); covered {
			return because + ": " + clip(file, 200) + " is in " + clip(pattern, 100), true
		}
	}
	if r.Changes.Unknown != "" {
		return because + ": any file may have changed, " + r.Changes.Unknown, true
	}
	return "no file that changed is in commit_paths", false
}

// sameEnvironment tells whether a deploy tool's name for an environment means the contract's.
func sameEnvironment(theirs string, c contract.Contract) bool {
	usual := map[string]string{
		"production": "prod", "live": "prod", "staging": "stage", "stg": "stage", "development": "dev", "testing": "test",
	}
	plain := func(name string) string {
		name = strings.ToLower(name)
		if short, ok := usual[name]; ok {
			return short
		}
		return name
	}
	return plain(theirs) == plain(c.Environment)
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
	case "fingerprint":
		return "its value has the fingerprint " + name
	case "role":
		return "a service reads it with role " + name
	case "dbuser":
		return "it is the credential of " + name
	case "environment":
		return "it is in environment " + name
	case "service":
		return "service " + name + " uses it"
	case "repository", "codecommit":
		return "commits in " + name + " count"
	case "kms":
		return "it is encrypted with KMS key " + name
	case "user", "group", "policy":
		return "a service reads it with IAM " + kind + " " + name
	case "profile", "accesskey":
		return "a service reads it with " + map[string]string{"profile": "instance profile", "accesskey": "access key"}[kind] + " " + name
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
