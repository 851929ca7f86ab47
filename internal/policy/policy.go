// Package policy is the runtime policy of a secret: data kept on the secret itself as mayfly:* tags, never in Git. It may
// tighten what the contract says and never loosen it. The package also decides, by one ordered list of small pure checks,
// whether and how a trigger rotates a secret.
package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/spelling"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Prefix of every tag that Mayfly reads or writes.
const Prefix = "mayfly:"

// Tags on the secret that are no policy but facts, without Prefix (design, section 6). Times are RFC 3339 in UTC.
const (
	TagOwner         = "owner"
	TagEnvironment   = "environment"
	TagRotatedAt     = "rotated-at"
	TagExpiresAt     = "expires-at"
	TagLastTrigger   = "last-trigger"
	TagLastExecution = "last-execution"
	TagLastOutcome   = "last-outcome"
	TagVersion       = "version"     // id of the version that the last finished run brought: what differs from AWSCURRENT is unfinished
	TagCompromised   = "compromised" // set by hand; any value but "" and "false" starts containment
)

// Policy is the runtime policy of one secret. Durations are whole seconds.
type Policy struct {
	RotationType     string            `json:"rotation_type"` // "static" or "dynamic"
	TTL              contract.Duration `json:"ttl"`
	RotateBefore     contract.Duration `json:"rotate_before"` // due at expiry minus this
	RevokeOld        bool              `json:"revoke_old"`
	MaxOverlap       contract.Duration `json:"max_overlap"`  // how long both are honoured at most
	QuietPeriod      contract.Duration `json:"quiet_period"` // the old credential unseen this long counts as adopted
	EndSessions      bool              `json:"end_sessions"`
	FailureStrategy  string            `json:"failure_strategy"`  // "retry", "rollback", "hold" or "fail_closed"
	OnExpiry         string            `json:"on_expiry"`         // contract.Deny or contract.Keep
	IncidentSeverity float64           `json:"incident_severity"` // GuardDuty's scale, 1.0 to 10.0
}

// Failure strategies.
const (
	FailRetry    = "retry"
	FailRollback = "rollback"
	FailHold     = "hold"
	FailClosed   = "fail_closed"
)

// Rotation types.
const (
	Static  = "static"
	Dynamic = "dynamic"
)

// Bad is one tag that does not hold.
type Bad struct {
	Attribute string // without Prefix
	Message   string
}

// Default is the policy of a secret without policy tags: the table in design section 4.
func Default(c contract.Contract) Policy {
	onExpiry := c.OnExpiry
	if onExpiry == "" {
		onExpiry = contract.Deny
	}
	p := Policy{
		RotationType: Static, TTL: c.TTL, RevokeOld: true, QuietPeriod: contract.Duration(5 * time.Minute),
		FailureStrategy: FailRetry, OnExpiry: onExpiry, IncidentSeverity: 7.0,
	}
	p.RotateBefore, p.MaxOverlap = derived(p.TTL)
	return p
}

// derived are the defaults that follow from the ttl in force.
func derived(ttl contract.Duration) (rotateBefore, maxOverlap contract.Duration) {
	whole := func(d time.Duration) contract.Duration { return contract.Duration(d.Truncate(time.Second)) }
	return whole(min(7*24*time.Hour, ttl.Std()/3)), whole(min(time.Hour, ttl.Std()/4))
}

// FromTags reads the policy from all tags of the secret; other tags are passed over. The error (PolicyInvalid) lists every
// tag that does not hold.
func FromTags(tags map[string]string, c contract.Contract) (Policy, error) {
	p, bad := Check(tags, c)
	if len(bad) == 0 {
		return p, nil
	}
	lines := make([]string, len(bad))
	for i, b := range bad {
		lines[i] = "tag " + Prefix + b.Attribute + " " + b.Message
	}
	return Policy{}, fault.New(fault.PolicyInvalid, "the policy on secret %s does not hold: %s; correct or remove these tags",
		c.ID(), strings.Join(lines, "; "))
}

// Check reads the policy like FromTags and lists what does not hold, in the order of the table.
func Check(tags map[string]string, c contract.Contract) (Policy, []Bad) {
	r := reading{tags: tags}
	p := Default(c)
	r.choice("rotation_type", &p.RotationType, Static, Dynamic)
	ttl := p.TTL
	if r.length("ttl", &ttl) {
		switch {
		case ttl <= 0:
			r.complain("ttl", "is zero: a credential without a life cannot be used")
		case ttl > c.TTL:
			r.complain("ttl", fmt.Sprintf("is %s, longer than the contract's %s; a longer life needs a new contract", ttl, c.TTL))
		default:
			p.TTL = ttl
			p.RotateBefore, p.MaxOverlap = derived(ttl)
		}
	}
	r.below("rotate_before", &p.RotateBefore, p.TTL)
	r.flag("revoke_old", &p.RevokeOld)
	r.below("max_overlap", &p.MaxOverlap, p.TTL)
	r.length("quiet_period", &p.QuietPeriod)
	r.flag("end_sessions", &p.EndSessions)
	r.choice("failure_strategy", &p.FailureStrategy, FailRetry, FailRollback, FailHold, FailClosed)
	if r.choice("on_expiry", &p.OnExpiry, contract.Deny, contract.Keep) && p.OnExpiry == contract.Keep && c.OnExpiry == contract.Deny {
		r.complain("on_expiry", "is keep, but the contract says deny")
		p.OnExpiry = contract.Deny
	}
	r.number("incident_severity", &p.IncidentSeverity, 0, 10)
	r.misspelled()
	return p, r.bad
}

// Tags writes the policy as tags, with Prefix. FromTags of them is the policy again.
func (p Policy) Tags() map[string]string {
	tags := map[string]string{
		"rotation_type": p.RotationType, "ttl": p.TTL.String(), "rotate_before": p.RotateBefore.String(),
		"revoke_old": strconv.FormatBool(p.RevokeOld), "max_overlap": p.MaxOverlap.String(),
		"quiet_period": p.QuietPeriod.String(), "end_sessions": strconv.FormatBool(p.EndSessions),
		"failure_strategy": p.FailureStrategy, "on_expiry": p.OnExpiry,
		"incident_severity": strconv.FormatFloat(p.IncidentSeverity, 'f', -1, 64),
	}
	return prefixed(tags)
}

// Initial is the policy that a contract's new secret begins with: its policy member over the defaults.
func Initial(c contract.Contract) (Policy, error) { return FromTags(prefixed(c.Policy), c) }

// Digest is the SHA-256, in 64 hex digits, of the policy's JSON.
func (p Policy) Digest() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic("a policy is strings, numbers and flags, which always marshal: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Attributes are the names of the policy's attributes, in the order of the table.
func Attributes() []string {
	return []string{
		"rotation_type", "ttl", "rotate_before", "revoke_old", "max_overlap", "quiet_period", "end_sessions",
		"failure_strategy", "on_expiry", "incident_severity",
	}
}

func prefixed(attributes map[string]string) map[string]string {
	tags := make(map[string]string, len(attributes))
	for name, value := range attributes {
		tags[Prefix+name] = value
	}
	return tags
}

// near gives the attribute that a tag's name was meant to be, "" if it is one or is something else altogether.
func near(name string) string {
	switch name {
	case TagOwner, TagEnvironment, TagRotatedAt, TagExpiresAt, TagLastTrigger, TagLastExecution, TagLastOutcome, TagVersion, TagCompromised:
		return ""
	}
	if meant := spelling.Nearest(name, Attributes()); meant != name {
		return meant
	}
	return ""
}
