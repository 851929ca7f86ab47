// Package fault is the closed table of what can go wrong: every error that leaves a function has one of these codes,
// and each code has a class that says what the state machine does about it.
package fault

import (
	"errors"
	"fmt"
)

// Code names one kind of fault. It is the error name in the state machines (ErrorEquals) and the reason_code in the
// audit, so a code is never renamed.
type Code string

// Class says what follows from a fault.
type Class string

// The classes, from harmless to alarming.
const (
	StopClean Class = "stop_clean"   // nothing was changed and nothing will be
	Retry     Class = "retry"        // nothing is known to be wrong; the same step may be tried again
	Verify    Class = "verify_first" // the outcome is unknown; every step probes before it acts, so: again
	Undo      Class = "roll_back"    // cannot succeed; before the commit point the run goes back
	Dirty     Class = "dirty"        // a law is at risk: alarm and runbook
)

// The codes.
const (
	InputMalformed    Code = "InputMalformed"    // the input of an execution or event is not what its schema says
	SecretUnknown     Code = "SecretUnknown"     // no contract in force for this secret
	SecretMissing     Code = "SecretMissing"     // the secret is not in Secrets Manager, or is marked for deletion
	ContractInvalid   Code = "ContractInvalid"   // a contract does not parse or contradicts itself
	PolicyInvalid     Code = "PolicyInvalid"     // a mayfly:* tag does not parse or loosens the contract
	PendingForeign    Code = "PendingForeign"    // AWSPENDING sits on a fresh version that Mayfly did not make
	LeaseLost         Code = "LeaseLost"         // another run owns the secret now; this one changes nothing more
	GuardrailDenied   Code = "GuardrailDenied"   // an organisation rule forbids this
	GuardrailsInvalid Code = "GuardrailsInvalid" // the organisation's rules cannot be read, so nothing is known to be allowed

	AuthorityUnavailable Code = "AuthorityUnavailable" // Secrets Manager throttled or did not answer
	RegistryUnavailable  Code = "RegistryUnavailable"  // DynamoDB throttled or did not answer
	KeyUnavailable       Code = "KeyUnavailable"       // KMS throttled, refused or did not answer
	AuditUnavailable     Code = "AuditUnavailable"     // the audit record could not be written, so the step did not proceed
	TargetUnavailable    Code = "TargetUnavailable"    // the target could not be reached or refused for want of resources
	OutcomeUnknown       Code = "OutcomeUnknown"       // a write was sent and its answer never came
	Internal             Code = "Internal"             // a fault without a code of its own: a defect in Mayfly

	AdminMissing  Code = "AdminMissing"  // the admin secret has no value
	AdminRefused  Code = "AdminRefused"  // the target refuses the admin credential, or it lacks a privilege
	ValueInvalid  Code = "ValueInvalid"  // a secret's value is not what its kind needs
	TargetRefused Code = "TargetRefused" // the target refused the change for good
	TestRefused   Code = "TestRefused"   // the new credential does not log in, or cannot do what the contract says
	Fenced        Code = "Fenced"        // the target has seen a newer run for this secret
	ClockSkew     Code = "ClockSkew"     // the target's clock and the run's differ too much for expiries to mean anything
	CurrentMoved  Code = "CurrentMoved"  // AWSCURRENT moved to a version that is not this run's

	CurrentDead        Code = "CurrentDead"        // the value labelled AWSCURRENT does not log in
	RevocationUnproven Code = "RevocationUnproven" // the old credential still logs in after its revocation
	ContainmentFailed  Code = "ContainmentFailed"  // contained, and no working credential could be put in place
)

var classes = map[Code]Class{
	InputMalformed: StopClean, SecretUnknown: StopClean, SecretMissing: StopClean, ContractInvalid: StopClean,
	PolicyInvalid: StopClean, PendingForeign: StopClean, LeaseLost: StopClean, GuardrailDenied: StopClean, GuardrailsInvalid: StopClean,

	AuthorityUnavailable: Retry, RegistryUnavailable: Retry, KeyUnavailable: Retry, AuditUnavailable: Retry, TargetUnavailable: Retry,
	OutcomeUnknown: Verify, Internal: Verify,

	AdminMissing: Undo, AdminRefused: Undo, ValueInvalid: Undo, TargetRefused: Undo, TestRefused: Undo, Fenced: Undo,
	ClockSkew: Undo, CurrentMoved: Undo,

	CurrentDead: Dirty, RevocationUnproven: Dirty, ContainmentFailed: Dirty,
}

// Codes lists every code, unordered.
func Codes() []Code {
	codes := make([]Code, 0, len(classes))
	for c := range classes {
		codes = append(codes, c)
	}
	return codes
}

// Class says what follows from a fault with this code.
func (c Code) Class() Class { return classes[c] }

// Error is a fault with its code. Message says what happened, to what, and what to do next; it holds no secret value.
type Error struct {
	Code    Code
	Message string
	cause   error
}

func (e *Error) Error() string {
	if e.cause == nil {
		return string(e.Code) + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
}

// Unwrap gives the cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// New makes a fault.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault of another error. Where the cause already has a code, that code stands: the innermost classification
// is the one that knew most. Returns nil for a nil cause.
func Wrap(cause error, code Code, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	var e *Error
	if errors.As(cause, &e) {
		code = e.Code
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

// CodeOf finds the code of an error, Internal for one without.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
