package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Reason is the reason_code of a decision in the audit; a reason is never renamed.
type Reason string

// Reasons to leave the secret alone.
const (
	Withdrawn       Reason = "Withdrawn"       // the contract is no longer in force
	NotListed       Reason = "NotListed"       // rotate_on does not list the trigger
	BelowThreshold  Reason = "BelowThreshold"  // the incident is less severe than incident_severity
	CoolingDown     Reason = "CoolingDown"     // a run rotated the secret a moment ago
	NotDue          Reason = "NotDue"          // expiry minus rotate_before is still to come
	HeldAfterFailed Reason = "HeldAfterFailed" // the last run failed, and failure_strategy is hold
)

// Reasons to rotate.
const (
	Compromised      Reason = "Compromised"      // mayfly:compromised is set, or the value is known to be in wrong hands: contain
	CriticalIncident Reason = "CriticalIncident" // severity 9.0 or above: contain
	ByHand           Reason = "ByHand"           // a person asked
	UnfinishedRun    Reason = "UnfinishedRun"    // a run died half-way: its traces have to go
	NoCurrentVersion Reason = "NoCurrentVersion" // nothing carries AWSCURRENT
	AgeUnknown       Reason = "AgeUnknown"       // nothing says how old the value is, so nothing says it is fresh
	Due              Reason = "Due"              // expiry minus rotate_before has come
	Listed           Reason = "Listed"           // rotate_on lists the trigger
)

// Critical is the severity from which an incident contains: GuardDuty's Critical begins at 9.0
// (https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html).
const Critical = trigger.Critical

// CoolDown is how soon after a run another event may rotate the same secret. Secrets Manager advises against a sustained
// rate of more than one new version per ten minutes
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html).
const CoolDown = 10 * time.Minute

// Facts are what the secret and the registry say at the moment of the decision. The zero value of a time is "unknown".
type Facts struct {
	Withdrawn   bool      // the registry has the contract as withdrawn
	NoCurrent   bool      // no version carries AWSCURRENT
	Unfinished  bool      // a run of this secret began and was not closed
	RotatedAt   time.Time // when the value in use came into force, tag rotated-at
	ExpiresAt   time.Time // tag expires-at
	LastRun     time.Time // RotatedAt, if a run and not the secret's creation brought the value
	LastOutcome string    // tag last-outcome
	Compromised bool      // tag compromised
	Exposed     string    // why the value itself is known to be in wrong hands, a sentence; "" if it is not
}

// FactsFromTags reads the facts that are kept as tags; the others are the caller's to fill in. A time that does not parse
// is PolicyInvalid.
func FactsFromTags(tags map[string]string) (Facts, error) {
	f := Facts{LastOutcome: tags[Prefix+TagLastOutcome]}
	for name, into := range map[string]*time.Time{TagRotatedAt: &f.RotatedAt, TagExpiresAt: &f.ExpiresAt} {
		text := tags[Prefix+name]
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return Facts{}, fault.New(fault.PolicyInvalid, "tag %s%s is %q, which is no RFC 3339 time; correct or remove it", Prefix, name, text)
		}
		*into = at
	}
	if tags[Prefix+TagLastExecution] != "" {
		f.LastRun = f.RotatedAt
	}
	mark := tags[Prefix+TagCompromised]
	f.Compromised = mark != "" && mark != "false"
	return f, nil
}

// Input is everything a decision rests on.
type Input struct {
	Contract contract.Contract
	Policy   Policy
	Trigger  trigger.Trigger
	Facts    Facts
	Now      time.Time
}

// Decision is what happens. Skip and Mode None go together.
type Decision struct {
	Mode    trigger.Mode `json:"mode"`
	Reason  Reason       `json:"reason_code"`
	Message string       `json:"reason"` // one sentence for the auditor
	Skip    bool         `json:"skip"`
}

// A check looks at one thing. It gives a decision, or ok = false when it has nothing to say. It relies on no other check
// having run before it.
type check func(Input) (d Decision, ok bool)

// chain is the order of precedence: the first check that speaks decides.
//  1. No contract, no rotation, whoever asks.
//  2. What is known to be in wrong hands is contained, whatever brought us here.
//  3. A person is never refused, and a broken state is mended before anything else is asked.
//  4. Then the contract's and the policy's bounds.
//  5. What remains is due, or listed.
var chain = []check{
	withdrawn, compromised, criticalIncident, byHand, heldAfterFailed, unfinishedRun, noCurrentVersion,
	notListed, belowThreshold, coolingDown, schedule, listed,
}

// Decide says whether and how the trigger rotates the secret.
func Decide(in Input) Decision {
	for _, c := range chain {
		if d, ok := c(in); ok {
			return d
		}
	}
	return skip(NotListed, "no rule lets trigger type %q rotate the secret", in.Trigger.Type)
}

func skip(r Reason, format string, args ...any) Decision {
	return Decision{Mode: trigger.None, Reason: r, Message: fmt.Sprintf(format, args...), Skip: true}
}

func rotate(m trigger.Mode, r Reason, format string, args ...any) Decision {
	return Decision{Mode: m, Reason: r, Message: fmt.Sprintf(format, args...)}
}

func withdrawn(in Input) (Decision, bool) {
	return skip(Withdrawn, "the contract of %s was withdrawn; put it back to rotate the secret", in.Contract.ID()), in.Facts.Withdrawn
}

func compromised(in Input) (Decision, bool) {
	if in.Facts.Exposed != "" {
		return rotate(trigger.Contain, Compromised, "%s", in.Facts.Exposed), true
	}
	hit := in.Facts.Compromised || in.Trigger.Type == trigger.Annotation
	return rotate(trigger.Contain, Compromised, "the secret is marked as compromised"), hit
}

func criticalIncident(in Input) (Decision, bool) {
	hit := in.Trigger.Mode() == trigger.Contain && in.Contract.Allows(string(in.Trigger.Type))
	return rotate(trigger.Contain, CriticalIncident, "severity %.1f is critical", in.Trigger.Severity), hit
}

func byHand(in Input) (Decision, bool) {
	return rotate(trigger.Routine, ByHand, "a person asked for it"), in.Trigger.Type == trigger.Manual
}

// heldAfterFailed holds for everything that can wait for a person; incidents cannot.
func heldAfterFailed(in Input) (Decision, bool) {
	failed := slices.Contains([]string{"failed_clean", "failed_dirty"}, in.Facts.LastOutcome)
	hit := failed && in.Policy.FailureStrategy == FailHold && in.Trigger.Type != trigger.Manual && in.Trigger.Type != trigger.Incident
	return skip(HeldAfterFailed, "the last run ended %s and failure_strategy is hold; rotate by hand when the cause is gone", in.Facts.LastOutcome), hit
}

func unfinishedRun(in Input) (Decision, bool) {
	return rotate(trigger.Routine, UnfinishedRun, "an earlier run was not finished"), in.Facts.Unfinished
}

func noCurrentVersion(in Input) (Decision, bool) {
	return rotate(trigger.Routine, NoCurrentVersion, "no version carries AWSCURRENT"), in.Facts.NoCurrent
}

func notListed(in Input) (Decision, bool) {
	return skip(NotListed, "rotate_on of %s does not list %q", in.Contract.ID(), in.Trigger.Type), !in.Contract.Allows(string(in.Trigger.Type))
}

func belowThreshold(in Input) (Decision, bool) {
	hit := in.Trigger.Type == trigger.Incident && in.Trigger.Severity < in.Policy.IncidentSeverity
	return skip(BelowThreshold, "severity %.1f is below the policy's %.1f", in.Trigger.Severity, in.Policy.IncidentSeverity), hit
}

// coolingDown holds back what happens in bursts. A schedule is due or not, a person decides, and a credential that may be
// in wrong hands does not wait.
func coolingDown(in Input) (Decision, bool) {
	switch in.Trigger.Type {
	case trigger.Schedule, trigger.PolicyChange, trigger.Manual, trigger.Annotation, trigger.Incident:
		return Decision{}, false
	}
	over := in.Facts.LastRun.Add(CoolDown)
	hit := !in.Facts.LastRun.IsZero() && in.Now.Before(over)
	return skip(CoolingDown, "a run rotated the secret at %s; the next event counts from %s",
		in.Facts.LastRun.UTC().Format(time.RFC3339), over.UTC().Format(time.RFC3339)), hit
}

// schedule also answers a change of policy: it rotates what has become due by it, and nothing else.
func schedule(in Input) (Decision, bool) {
	if in.Trigger.Type != trigger.Schedule && in.Trigger.Type != trigger.PolicyChange {
		return Decision{}, false
	}
	if in.Facts.RotatedAt.IsZero() && in.Facts.ExpiresAt.IsZero() {
		return rotate(trigger.Routine, AgeUnknown, "nothing says when the value came into force"), true
	}
	due := in.Due()
	if in.Now.Before(due) {
		return skip(NotDue, "due at %s", due.UTC().Format(time.RFC3339)), true
	}
	return rotate(trigger.Routine, Due, "due since %s", due.UTC().Format(time.RFC3339)), true
}

// Due is the earlier of what the policy in force says and what was promised when the value came into force: a ttl that was
// tightened since counts, one that was loosened does not. It means something only where Facts know one of the two times.
func (in Input) Due() time.Time {
	seed := in.Contract.ID()
	promised := DueAt(in.Policy, in.Facts.ExpiresAt.Add(-in.Policy.TTL.Std()), seed)
	byPolicy := DueAt(in.Policy, in.Facts.RotatedAt, seed)
	switch {
	case in.Facts.RotatedAt.IsZero():
		return promised
	case in.Facts.ExpiresAt.IsZero() || byPolicy.Before(promised):
		return byPolicy
	default:
		return promised
	}
}

func listed(in Input) (Decision, bool) {
	return rotate(trigger.Routine, Listed, "rotate_on lists %q", in.Trigger.Type), in.Contract.Allows(string(in.Trigger.Type))
}

// DueAt is when a value that came into force at rotatedAt is due: at its expiry minus rotate_before, and up to a tenth of
// rotate_before earlier, never later. How much earlier follows from the seed (the secret's id), so that secrets created
// together do not all rotate together, and the same secret always gets the same answer. A rotate_before close to the ttl
// leaves at least half of the time between, or the secret would be due as soon as it was rotated.
func DueAt(p Policy, rotatedAt time.Time, seed string) time.Time {
	sum := sha256.Sum256([]byte(seed))
	fraction := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32) // [0, 1)
	fresh := p.TTL.Std() - p.RotateBefore.Std()
	early := time.Duration(fraction * float64(min(p.RotateBefore.Std()/10, fresh/2))).Truncate(time.Second)
	return rotatedAt.Add(fresh - early)
}
