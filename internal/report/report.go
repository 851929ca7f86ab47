// Package report puts together what an auditor, or anybody who would rather look than read, wants to know of every secret
// under contract: what a leak would mean, who reads it, how old it is and when it ends, what its last runs did and what proves
// it, and whether the audit trail is whole. It is plain data (JSON) and one HTML page.
//
// Nothing here calls AWS or reads a file, and nothing here has ever seen a value.
package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// Schema names the shape of a report; it changes when a member changes its meaning.
const Schema = "mayfly.report.v1"

// Facts are what a report is made of.
type Facts struct {
	Now             time.Time
	Account, Region string
	Bucket          string          // of the audit records
	Standing        []Standing      // of every secret under contract
	Written         contract.Bundle // the folder of contracts: what it says of services is believed
	Problems        int             // that lint finds in it
	Folder          string          // its name
	Chains          []audit.Chain
	Records         []audit.Record // of secrets, in the order of each chain
	Environments    []string       // only these; none: all
	Runs            int            // at most so many of each secret, the newest; and as many inspections
}

// Standing is what registry and Secrets Manager say of one secret.
type Standing struct {
	registry.Standing
	Missing bool              // not in Secrets Manager, or marked for deletion
	Tags    map[string]string // of the secret
}

// Report is the whole of it. Lists are never nil; times are RFC 3339, empty where there is none.
type Report struct {
	Schema    string    `json:"schema"`
	Generated string    `json:"generated_at"`
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Findings  []Finding `json:"findings"` // the gravest first
	Audit     Audit     `json:"audit"`
	Secrets   []Secret  `json:"secrets"` // by environment; in each, those with findings first
}

// Audit is what the verification of the audit trail found.
type Audit struct {
	Bucket   string        `json:"bucket"`
	OK       bool          `json:"ok"` // there are records, and nothing is missing or altered
	Records  int           `json:"records"`
	Chains   []audit.Chain `json:"chains"`
	Problems []string      `json:"problems"`
}

// Secret is one secret under contract.
type Secret struct {
	Secret      string               `json:"secret"`
	Environment string               `json:"environment"`
	Owner       string               `json:"owner"`
	Kind        string               `json:"kind"`
	Services    []string             `json:"services"`
	InForce     bool                 `json:"in_force"`
	Sentence    string               `json:"sentence"` // empty: none can be derived, which is a finding
	Level       blastradius.Level    `json:"level"`
	Readers     []blastradius.Reader `json:"readers"`
	Life        Life                 `json:"life"`
	Running     string               `json:"running"`     // run that has the lease; empty: none
	Runs        []Run                `json:"runs"`        // newest first
	Answers     audit.Answer         `json:"answers"`     // the auditor's four questions
	Inspections []Inspection         `json:"inspections"` // newest first
	Compliance  []Clause             `json:"compliance"`
	Digest      string               `json:"contract_digest"`
	Commit      string               `json:"contract_commit"`
	Chain       *audit.Chain         `json:"chain"` // null: it has no record
	Findings    []Finding            `json:"findings"`

	radius *blastradius.Radius // nil: none can be derived
}

// Build makes the report. It decides nothing that needs more than the facts.
func Build(f Facts) Report {
	r := Report{Schema: Schema, Generated: f.Now.UTC().Format(time.RFC3339), Account: f.Account, Region: f.Region,
		Findings: []Finding{}, Secrets: []Secret{}, Audit: trail(f)}
	bundle := f.bundle()
	answers, runs, inspections := audit.Answers(f.Records), runsOf(f.Records), inspectionsOf(f.Records)
	for _, s := range f.subjects() {
		if len(f.Environments) > 0 && !slices.Contains(f.Environments, s.Contract.Environment) {
			continue
		}
		secret := f.secret(s, bundle)
		i := slices.IndexFunc(answers, func(a audit.Answer) bool { return a.Secret == secret.Secret })
		if secret.Answers = (audit.Answer{Environment: secret.Environment, Secret: secret.Secret, Owner: secret.Owner}); i >= 0 {
			secret.Answers = answers[i]
		}
		all := runs[secret.Secret]
		secret.Runs = append(secret.Runs, all[:min(f.Runs, len(all))]...)
		if len(secret.Runs) > 0 && secret.Runs[0].Outcome == "" && s.Lease.Execution == secret.Runs[0].Execution {
			secret.Runs[0].Outcome = Running
		}
		inspected := inspections[secret.Secret]
		secret.Inspections = append(secret.Inspections, inspected[:min(f.Runs, len(inspected))]...)
		secret.Findings = f.findings(s, secret, all, inspected)
		r.Findings = append(r.Findings, secret.Findings...)
		r.Secrets = append(r.Secrets, secret)
	}
	r.Findings = append(r.Findings, f.general(r.Audit)...)
	slices.SortStableFunc(r.Findings, func(x, y Finding) int { return cmp.Compare(rank(x.Code), rank(y.Code)) })
	slices.SortStableFunc(r.Secrets, func(x, y Secret) int {
		return cmp.Or(strings.Compare(x.Environment, y.Environment), cmp.Compare(x.rank(), y.rank()), strings.Compare(x.Secret, y.Secret))
	})
	return r
}

// subject is a secret to report on.
type subject struct {
	Standing
	inForce bool
}

// subjects are the secrets whose contracts are in force, and those of contracts that were written and never applied.
func (f Facts) subjects() []subject {
	var all []subject
	known := map[string]bool{}
	for _, s := range f.Standing {
		known[s.Contract.ID()] = true
		all = append(all, subject{s, true})
	}
	for _, c := range f.Written.Contracts {
		if !known[c.ID()] {
			all = append(all, subject{Standing{Standing: registry.Standing{Entry: registry.Entry{Contract: c}}}, false})
		}
	}
	return all
}

// bundle is what is in force, which is what a leak would meet; and beside it what was written only.
func (f Facts) bundle() contract.Bundle {
	b := contract.Bundle{Services: f.Written.Services}
	for _, s := range f.subjects() {
		b.Contracts = append(b.Contracts, s.Contract)
	}
	return b
}

// secret is what can be said of a secret without its records.
func (f Facts) secret(s subject, b contract.Bundle) Secret {
	c := contract.WithDefaults(s.Contract)
	secret := Secret{Secret: c.ID(), Environment: c.Environment, Owner: c.Owner, Kind: c.Kind, Services: slices.Clone(c.Services), InForce: s.inForce,
		Readers: []blastradius.Reader{}, Runs: []Run{}, Inspections: []Inspection{}, Compliance: clauses(c.Compliance), Digest: s.Digest, Commit: s.Commit,
		Running: s.Lease.Run, Life: lifeOf(s, f.Now)}
	if r, err := blastradius.Derive(b, c.ID()); err == nil {
		secret.radius, secret.Sentence, secret.Level, secret.Readers = &r, r.Sentence, r.Level, r.Readers
	}
	for i := range f.Chains {
		if f.Chains[i].Environment == c.Environment && f.Chains[i].Secret == contract.Slug(c.ID()) {
			secret.Chain = &f.Chains[i]
		}
	}
	return secret
}

// trail sums the chains up.
func trail(f Facts) Audit {
	a := Audit{Bucket: f.Bucket, Chains: f.Chains, Problems: []string{}}
	if a.Chains == nil {
		a.Chains = []audit.Chain{}
	}
	for _, c := range a.Chains {
		a.Records += c.Records
		a.Problems = append(a.Problems, c.Problems...)
	}
	a.OK = a.Records > 0 && len(a.Problems) == 0
	return a
}

// policyOf is the policy in force, or, where tags do not hold, what the rest of them says.
func policyOf(s subject) (policy.Policy, []policy.Bad) {
	return policy.Check(s.Tags, contract.WithDefaults(s.Contract))
}
