// Package rotation is the steps of a run and their recovery: one file per state of mayfly-rotate.
//
// The commit point is FinishSecret's move of AWSCURRENT. Before it, a run can always go back (RollBack); from there on,
// only forward. Every step may be repeated after any failure, whether its writes took effect or not:
//
//	S1  the record of a step is there, its effect is not       the next attempt records itself and acts
//	S2  the effect is there, the answer was lost               each write recognises its own earlier self
//	S3  the run died before the commit point                   the next run takes over AWSPENDING and goes on with it
//	S4  the run died after the commit point                    the next run goes on at PropagateSecret
//	S5  another run took the secret over                       lease and fence refuse this run's writes; it ends clean
//	S6  the first version ever (no AWSCURRENT before)          there is nothing to go back to; the next run goes on with it
package rotation

import (
	"encoding/json"
	"sort"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Request is what the state machine hands to a step.
type Request struct {
	Run     Run     `json:"run"`
	Context Context `json:"context"`
}

// Context is the part of Step Functions' context object that steps use.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
type Context struct {
	Execution struct {
		ID        string    `json:"Id"`
		Name      string    `json:"Name"`
		StartTime time.Time `json:"StartTime"`
	} `json:"Execution"`
	State struct {
		Name        string    `json:"Name"`
		EnteredTime time.Time `json:"EnteredTime"`
		RetryCount  int       `json:"RetryCount"`
	} `json:"State"`
}

// Now is the run's clock: the time at which the state was entered, the same for every attempt, and the same clock for all
// steps whatever machine they run on.
func (c Context) Now() time.Time { return c.State.EnteredTime.UTC() }

// Run is the state of a run: what one step leaves for the next. It holds no secret value.
type Run struct {
	Secret         string            `json:"secret"`
	Trigger        trigger.Trigger   `json:"trigger"`
	ID             string            `json:"run_id,omitempty"` // sort key in the run history
	Execution      string            `json:"execution_arn,omitempty"`
	Compromised    string            `json:"compromised,omitempty"` // why the value is known to be in wrong hands, whatever rotate_on says
	Mode           trigger.Mode      `json:"mode,omitempty"`
	Next           string            `json:"next,omitempty"` // one of the Next constants: what the state machine's questions read
	Fence          int64             `json:"fence,omitempty"`
	Contract       contract.Contract `json:"contract"`
	ContractDigest string            `json:"contract_digest,omitempty"`
	ContractCommit string            `json:"contract_commit,omitempty"`
	Readers        []string          `json:"readers"` // ARNs of the declared services' roles
	Policy         policy.Policy     `json:"policy"`
	From           rotator.Version   `json:"from"`                   // the version in use when the run began; no id: there was none (S6)
	Before         rotator.Version   `json:"before,omitzero"`        // AWSPREVIOUS when the run began, with strategy dual: its login may be honoured still
	To             rotator.Version   `json:"to"`                     // the version that the run brings
	Fingerprint    string            `json:"fingerprint,omitempty"`  // of To's value, keyed; "" where it is not known (S4)
	Revoked        []string          `json:"revoked,omitempty"`      // versions that the run saw refused
	Last           string            `json:"last,omitempty"`         // the version that the last successful run brought: From, unless that was put by hand
	Head           audit.Head        `json:"head"`                   // of the secret's audit chain
	SetAt          time.Time         `json:"set_at,omitzero"`        // when the target was given the new value: its life counts from here
	PendingLeft    bool              `json:"pending_left,omitempty"` // AWSPENDING is still on To, which is current: CloseRun drops it
	WaitSeconds    int64             `json:"wait_seconds"`           // never absent: AwaitQuiet reads it, and 0 is a time to wait
	OverlapEnds    time.Time         `json:"overlap_ends,omitzero"`  // when the old credential is barred, used or not
	Outcome        string            `json:"outcome,omitempty"`
	ReasonCode     string            `json:"reason_code,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	Error          *StateError       `json:"error,omitempty"` // put here by a Catch
}

// What the state machine does next.
const (
	NextRotate  = "rotate"
	NextContain = "contain"
	NextResume  = "resume" // the value is committed: go on at PropagateSecret
	NextSkip    = "skip"
	NextConfirm = "confirm"
	NextRevoke  = "revoke"
	NextClose   = "close"
)

// StateError is what a Catch writes: the error's name, which is a fault code or a name of AWS's, and Lambda's cause.
type StateError struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}

// Code is the fault code of a caught error. A name that is not ours (States.Timeout, Lambda.Unknown, …) says nothing about
// the outcome of the step.
func (e *StateError) Code() fault.Code {
	if code := fault.Code(e.Error); code.Class() != "" {
		return code
	}
	return fault.OutcomeUnknown
}

// Message is the error's text, out of the JSON that Lambda wraps it in.
func (e *StateError) Message() string {
	var cause struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal([]byte(e.Cause), &cause) == nil && cause.Message != "" {
		return cause.Message
	}
	return strings.TrimSpace(e.Error + " " + e.Cause)
}

// born says that the secret had no version before this run's (S6).
func (r *Run) born() bool { return r.From.ID == "" }

// record starts the audit record of an event of this run.
func (r *Run) record(c Context, event string) audit.Record {
	return audit.Record{
		ID:   recordID(c, event),
		Time: audit.Stamp(c.Now()), Environment: r.Contract.Environment, Secret: r.Secret, Owner: r.Contract.Owner,
		Services: strings.Join(r.Contract.Services, ","), Event: event, Step: c.State.Name,
		TriggerType: string(r.Trigger.Type), TriggerID: r.Trigger.ID, TriggerSource: r.Trigger.Source, Actor: r.Trigger.Actor,
		Reason: r.Trigger.Reason, RunID: r.ID, ExecutionARN: c.Execution.ID, Attempt: c.State.RetryCount + 1,
		VersionFrom: r.From.ID, VersionTo: r.To.ID, ContractDigest: r.ContractDigest, ContractCommit: r.ContractCommit,
		PolicyDigest: r.Policy.Digest(), Compliance: Compliance(r.Contract.Compliance),
	}
}

// Compliance writes a contract's compliance as records have it: "iso_27001=A.9.2;pci_dss=3.6".
func Compliance(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ";")
}
