// Package registry is the words of Mayfly's index: contracts in force, leases, run history. The index itself is in
// DynamoDB (package dynamo below). It can be deleted and rebuilt from the contracts and from Secrets Manager; nothing is
// lost with it but the speed of looking things up.
package registry

import (
	"errors"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Entry is a contract in force, with what the registry knows beside it.
type Entry struct {
	Contract contract.Contract
	Readers  []string // ARNs of the declared services' roles; nil where an earlier version of Mayfly applied the contract
	// ARNs of the roles that the same services have in other environments: they must not read
	Elsewhere []string
	Digest    string
	Commit    string
	Fence     int64
	Head      audit.Head // zero when not known
	Lease     Lease
	Rotated   Rotated          // zero when not known: no run has rotated the secret, or the registry was rebuilt since
	Found     map[string]Found // what each step of an inspection remembers, by step
}

// Rotated is what the last successful run wrote on the secret as tags, which others may overwrite there.
type Rotated struct {
	Version string
	Before  string    // the version in use before it, "" for none
	At      time.Time // tag rotated-at
	Expires time.Time // tag expires-at
}

// Found is what one step of an inspection remembers of the findings that stand, by reason code.
type Found map[string]Noted

// Noted is one finding that stands: on record, and with or without an event that is still to be put.
type Noted struct {
	ID      string    `json:"id"`                // of its record
	Detail  string    `json:"detail"`            // what was found, in short: another detail is another finding
	Day     string    `json:"day"`               // of its record, YYYY-MM-DD: a finding that stands is recorded once a day
	Trigger string    `json:"trigger,omitempty"` // id of the trigger that follows from it; "": none does
	Type    string    `json:"type,omitempty"`    // of that trigger
	Reason  string    `json:"reason,omitempty"`  // of that trigger
	Put     time.Time `json:"put,omitzero"`      // when its event was put on the bus; zero: it is still to be put
}

// Lease is the claim that one run owns the secret.
type Lease struct {
	Run       string // sort key of the run's item in the runs table
	Execution string
	Mode      string
	Until     time.Time
}

// Standing is a contract in force, and when its secret is looked at next.
type Standing struct {
	Entry
	DueAt time.Time
}

// ErrNotInForce says that no contract is in force for the secret.
var ErrNotInForce = errors.New("no contract in force")

// Held says that another run has the lease.
type Held struct{ Entry Entry }

func (h *Held) Error() string { return "the lease is held by run " + h.Entry.Lease.Run }

// Claim asks for the lease of a secret.
type Claim struct {
	Secret string
	Lease
	Now  time.Time
	Over string // take the lease from this run, which is known to have ended or is to be pre-empted; "" for nobody
}

// Run is one run's item in the history: key (secret, run).
type Run struct {
	Secret      string          `json:"secret"`
	Run         string          `json:"run"` // "<start, RFC 3339>#<execution name>": newest last
	Execution   string          `json:"execution"`
	Mode        string          `json:"mode"`
	Trigger     trigger.Trigger `json:"trigger"`
	TriggerIDs  []string        `json:"trigger_ids"` // "<type>:<id>" of every trigger that this run answers
	Status      string          `json:"status"`      // running, closed, or abandoned: its execution ended without closing it
	Outcome     string          `json:"outcome,omitempty"`
	ReasonCode  string          `json:"reason_code,omitempty"`
	Started     string          `json:"started"`
	Ended       string          `json:"ended,omitempty"`
	VersionFrom string          `json:"version_from,omitempty"`
	VersionTo   string          `json:"version_to,omitempty"`
}

// RunKey makes the sort key of a run.
func RunKey(started time.Time, executionName string) string {
	return audit.Stamp(started) + "#" + executionName
}

// Closing is how a run ended.
type Closing struct {
	Secret, Run string
	Outcome     string
	ReasonCode  string
	Ended       time.Time
	VersionTo   string
	DueAt       time.Time
	Head        audit.Head
	Rotated     Rotated  // zero where the run did not rotate the secret
	Fingerprint string   // of VersionTo, where the run knows it
	Revoked     []string // versions that the run saw refused
}

// Fingerprint says which value a version has, without the value: versions that hold one value have one print.
type Fingerprint struct {
	Secret, Version string
	Print           string    // keyed, 64 hex digits: see package fingerprint
	Ended           time.Time // when the version was seen refused; zero as long as somebody could use it
}
