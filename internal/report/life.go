package report

import (
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Life is how old a value is, and when it ends.
type Life struct {
	State     string            `json:"state"` // one of the states below
	TTL       contract.Duration `json:"ttl"`   // seconds; of the policy in force
	RotatedAt string            `json:"rotated_at"`
	DueAt     string            `json:"due_at"` // by policy; where nothing says how old the value is, when the registry looks at it next
	ExpiresAt string            `json:"expires_at"`
	Age       *int64            `json:"age"` // seconds; null: nothing says how old it is
	OnExpiry  string            `json:"on_expiry"`

	now, rotated, due, expires time.Time
}

// States of a life.
const (
	Fresh   = "fresh"
	Due     = "due"
	Overdue = "overdue" // due for longer than an evaluation and a run take
	Expired = "expired"
	Unknown = "unknown" // nothing says how old it is
)

// grace is how long a due secret may wait: evaluations come every 15 minutes, and a run may take as long to its commit point,
// more than once where it has to be tried again.
const grace = time.Hour

func lifeOf(s subject, now time.Time) Life {
	p, _ := policyOf(s)
	at := func(tag string) time.Time {
		t, _ := time.Parse(time.RFC3339, s.Tags[policy.Prefix+tag]) // what does not parse is none, and a finding
		return t
	}
	l := Life{State: Fresh, TTL: p.TTL, OnExpiry: p.OnExpiry, now: now, rotated: at(policy.TagRotatedAt), expires: at(policy.TagExpiresAt), due: s.DueAt}
	if !l.rotated.IsZero() {
		l.due = policy.Input{Contract: s.Contract, Policy: p, Facts: policy.Facts{RotatedAt: l.rotated, ExpiresAt: l.expires}}.Due()
		age := int64(now.Sub(l.rotated) / time.Second)
		l.Age = &age
	}
	switch {
	case l.rotated.IsZero() && l.expires.IsZero():
		if l.State = Unknown; s.Missing {
			l.due = time.Time{}
		}
	case !l.expires.IsZero() && !l.expires.After(now):
		l.State = Expired
	case l.due.Add(grace).Before(now) && s.Lease.Run == "":
		l.State = Overdue
	case !l.due.After(now):
		l.State = Due
	}
	l.RotatedAt, l.DueAt, l.ExpiresAt = stamp(l.rotated), stamp(l.due), stamp(l.expires)
	return l
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
