// Package contract says what a secret is allowed to be: who owns it, who uses it, how long it may live, what invalidates
// it and what breaks if it leaks. This package holds the compiled form that functions read; the YAML that people write is
// read by the package source below it.
package contract

import (
	"slices"
	"strings"
)

// Contract is one secret's contract.
type Contract struct {
	Name         string            `json:"name"`
	Owner        string            `json:"owner"`
	Environment  string            `json:"environment"`
	Services     []string          `json:"services"`
	TTL          Duration          `json:"ttl"`
	RotateOn     []string          `json:"rotate_on"` // trigger types; schedule and manual always hold, by ttl and by right
	BlastRadius  string            `json:"blast_radius"`
	Compliance   map[string]string `json:"compliance,omitempty"`
	Kind         string            `json:"kind"`                   // "random" or "postgres"
	Strategy     string            `json:"strategy"`               // "dual" or "single"
	Target       *Target           `json:"target,omitempty"`       // nil for kind random
	CommitPaths  []string          `json:"commit_paths,omitempty"` // see Covers
	Repositories []string          `json:"repositories,omitempty"` // GitHub's owner/name, CodeCommit's name; none: the services' own on GitHub
	KMSKey       string            `json:"kms_key,omitempty"`      // ARN of the KMS key that encrypts the secret; "": the account's own
	Policy       map[string]string `json:"policy,omitempty"`       // initial runtime policy, attribute -> value as in a tag
	Statement    string            `json:"statement,omitempty"`
	OnExpiry     string            `json:"on_expiry,omitempty"`
}

// Target says where the credential is honoured. It never holds a value.
type Target struct {
	Host     string            `json:"host"`
	Port     int               `json:"port"`
	Database string            `json:"database"`
	Owner    string            `json:"owner"`               // the role that owns; dual login roles are its members
	Admin    string            `json:"admin,omitempty"`     // secret id of the credential that rotates this one; empty: itself
	TLS      string            `json:"tls"`                 // sslmode as libpq names it: disable … verify-full
	RootCert string            `json:"root_cert,omitempty"` // PEM of the CA, public by nature
	Must     []string          `json:"must,omitempty"`      // statements that a new credential must be able to run
	Fields   map[string]string `json:"fields,omitempty"`    // further members of the secret's JSON value, none of them secret
}

// ID is the secret's id in Secrets Manager: <environment>/<name>.
func (c *Contract) ID() string { return c.Environment + "/" + c.Name }

// Kinds, strategies, and what happens to a value past its expiry.
const (
	Random   = "random"
	Postgres = "postgres"
	Dual     = "dual"
	Single   = "single"
	Deny     = "deny"
	Keep     = "keep"
)

// WithDefaults fills in what the author may leave out: kind random, verify-full TLS on port 5432, and the strategy. Two
// logins that take turns need somebody else to create them, so dual is the default only where there is an admin.
func WithDefaults(c Contract) Contract {
	if c.Kind == "" {
		c.Kind = Random
	}
	if c.Target != nil {
		t := *c.Target
		if t.Port == 0 {
			t.Port = 5432
		}
		if t.TLS == "" {
			t.TLS = "verify-full"
		}
		c.Target = &t
	}
	if c.Strategy == "" {
		c.Strategy = Single
		if c.Kind == Postgres && c.Target != nil && c.Target.Admin != "" {
			c.Strategy = Dual
		}
	}
	return c
}

// Allows tells whether a trigger of this type may rotate the secret. Schedule holds by ttl, and policy_change with it: a ttl
// that was shortened may have run out already. Manual and annotation hold by right: whoever may write to the secret may ask
// for a new value.
func (c *Contract) Allows(triggerType string) bool {
	switch triggerType {
	case "schedule", "policy_change", "manual", "annotation":
		return true
	default:
		return slices.Contains(c.RotateOn, triggerType)
	}
}

// Slug is the secret's id as one path segment: "prod/orders-db" becomes "prod--orders-db". Names hold no double hyphen
// (the schema sees to that), so that no two secrets share a slug.
func Slug(secret string) string { return strings.ReplaceAll(secret, "/", "--") }
