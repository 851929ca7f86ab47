// Package inspection looks, every 15 minutes, whether what Mayfly put in force is in force still, and whether what should have
// happened did. It believes nobody's account of it: no event, no error and no success that is merely not contradicted.
//
// Its steps are the states of mayfly-inspect: ListSecrets parts what is under contract into batches, InspectSecrets looks at
// each secret without its value, ProbeTargets logs in, ProbeAccess tries to read as others would. Each gathers what is, decides
// by pure checks what is wrong with it, and acts. What is wrong is a finding: on record once a day while it stands, a line in
// the log at every inspection, put back where there is something to put back, and an event on the bus where a rotation follows.
//
// Acting has this order, and every prefix of it is a state that the next attempt, or the next inspection, goes on from:
//
//	I1  the record is there, nothing else     the finding stands: it is recorded once more, and acted upon
//	I2  remembered, with its event to be put  the finding stands: not recorded again, acted upon
//	I3  put back, its event still to be put   nothing is found any more; what is remembered says that the event is missing
//	I4  the event is on the bus, unremembered it is put again: its id is the same, so it joins what it started
package inspection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Code says what was found; it is the reason_code of the record and never renamed.
type Code string

// The findings.
const (
	PolicyDrift  Code = "PolicyDrift"  // the resource policy is not the compiled one
	TagDrift     Code = "TagDrift"     // a mayfly:* tag is not what the contract allows, or not what the last run wrote
	ValueChanged Code = "ValueChanged" // AWSCURRENT is on a version that no run of Mayfly's left it on
	Deleted      Code = "Deleted"      // the secret is marked for deletion
	Missing      Code = "Missing"      // there is no such secret
	Unreadable   Code = "Unreadable"   // Mayfly is denied to look at it
	Late         Code = "Late"         // due for a while, and not rotated
	Overdue      Code = "Overdue"      // half of the time between due date and expiry is gone
	Expired      Code = "Expired"      // past its ttl: nobody may read it
	KeepsExpired Code = "KeepsExpired" // past its ttl, and kept by on_expiry

	KeyDrift     Code = "KeyDrift"     // the secret lies under another key than its contract names
	OldKey       Code = "OldKey"       // the value in use is decrypted by another key, too
	GrantDrift   Code = "GrantDrift"   // a grant on the secret's key names it and is none of the contract's
	GrantMissing Code = "GrantMissing" // a declared service has no grant
	WideGrant    Code = "WideGrant"    // a grant on the secret's key reaches everything under it

	SharedValue     Code = "SharedValue"     // another secret holds the same value
	CurrentRefused  Code = "CurrentRefused"  // the target refuses the value in use
	RevokedHonoured Code = "RevokedHonoured" // a revoked value logs in
	Untried         Code = "Untried"         // the target could not be asked

	ProbeFailed Code = "ProbeFailed" // somebody reads who must not, or somebody does not who must
)

// Grade is how much a finding matters; it is the outcome of its record, and what alarms are made of.
type Grade string

// The grades, from what can wait to what cannot.
const (
	Warning Grade = "warning"      // no alarm: it may pass by itself
	Behind  Grade = "overdue"      // what should have rotated did not
	Drift   Grade = "drift"        // somebody changed what Mayfly had put in force
	Breach  Grade = "probe_failed" // what must be refused is not
)

var grades = map[Code]Grade{
	PolicyDrift: Drift, TagDrift: Drift, ValueChanged: Drift, Deleted: Drift, Missing: Drift, Unreadable: Drift, CurrentRefused: Drift, SharedValue: Drift,
	KeyDrift: Drift, GrantDrift: Drift, OldKey: Warning, GrantMissing: Warning, WideGrant: Warning,
	Late: Warning, Untried: Warning, Overdue: Behind, Expired: Behind, KeepsExpired: Behind, RevokedHonoured: Breach, ProbeFailed: Breach,
}

// Grade of a finding.
func (c Code) Grade() Grade { return grades[c] }

// Finding is one thing that is wrong with a secret.
type Finding struct {
	Code   Code
	Detail string       // what exactly, in short and without any value: two findings of one detail are the same finding
	Reason string       // one sentence for the auditor
	Type   trigger.Type // of the rotation that should follow, if the contract has it so; "": none
	Repair Repair
}

// Repair is what puts a finding right. The zero Repair puts nothing right.
type Repair struct {
	Tags    map[string]string    // to be written over what is there
	Access  *blastradius.Options // of the resource policy to be put
	Restore bool                 // take the mark for deletion off
	Key     string               // the key to put the secret under
	Grants  Regrant              // of its key
}

func (r Repair) none() bool {
	return len(r.Tags) == 0 && r.Access == nil && !r.Restore && r.Key == "" && r.Grants.Key == ""
}

// identity names what a finding is about without repeating it: tags and policies are other people's text.
func identity(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return hex.EncodeToString(sum[:8])
}
