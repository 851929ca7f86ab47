package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// AdmitRotation decides whether the run happens and how: it takes the lease, reads contract, policy and labels, and fixes
// which version the run brings. It reads no value.
type AdmitRotation struct {
	Log      Log
	Registry interface {
		Acquire(ctx context.Context, claim registry.Claim) (registry.Entry, error)
		Release(ctx context.Context, secret, run string, dueAt time.Time, head audit.Head) error
		Open(ctx context.Context, run registry.Run) error
		Abandon(ctx context.Context, secret, run string, now time.Time) error
		Join(ctx context.Context, secret, run string, t trigger.Trigger) error
	}
	Secrets interface {
		authority.Describer
		authority.Lister
	}
	Executions interface {
		// Alive tells whether an execution still runs. Errors: RegistryUnavailable.
		Alive(ctx context.Context, execution string) (bool, error)
	}
	Rules func() (blastradius.Guardrails, error) // the organisation's, as the deployment brought them
}

// untilCommit is how long a run may take to its commit point before another one may take over: all steps up to there with
// all their retries. FinishSecret renews the lease for the overlap.
const untilCommit = 15 * time.Minute

// Counted repeats would be unrolled while every function starts; the length is looked at by itself.
var secretID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$`)

const longestSecretID = 191

// Admission is what the state machine hands to AdmitRotation. The input is the execution's, as it came: anybody's.
type Admission struct {
	Input   json.RawMessage `json:"run"`
	Context Context         `json:"context"`
}

// Handle admits, joins, skips or refuses. Whatever it decides is on record with a reason code.
func (s *AdmitRotation) Handle(ctx context.Context, a Admission) (Run, error) {
	run, err := a.request()
	if err != nil {
		return run, s.refuse(ctx, a.Context, run, err)
	}
	entry, held, err := s.lease(ctx, &run, a.Context)
	switch {
	case errors.Is(err, registry.ErrNotInForce):
		err = fault.New(fault.SecretUnknown, "no contract is in force for %s: write one, or correct the name", run.Secret)
		return run, s.refuse(ctx, a.Context, run, err)
	case err != nil:
		return run, err
	}
	run.Contract, run.ContractDigest, run.ContractCommit = entry.Contract, entry.Digest, entry.Commit
	run.Readers, run.Fence, run.Head, run.Last = entry.Readers, entry.Fence, entry.Head, entry.Rotated.Version
	if held {
		return s.join(ctx, run, entry, a.Context)
	}
	err = s.decide(ctx, &run, a.Context)
	if err != nil && fault.CodeOf(err).Class() == fault.StopClean {
		return run, s.refuse(ctx, a.Context, run, err)
	}
	return run, err
}

// request takes from the input what a caller may say, and nothing else: whoever may start an execution must not be able to
// plant a fence or a contract in the state.
func (a Admission) request() (Run, error) {
	var asked struct {
		Secret      string          `json:"secret"`
		Trigger     trigger.Trigger `json:"trigger"`
		Compromised string          `json:"compromised"`
	}
	if json.Unmarshal(a.Input, &asked) != nil {
		return Run{}, fault.New(fault.InputMalformed, `the input is not {"secret": "<environment>/<name>", "trigger": {"type", "id", "source", "actor", "reason"}}`)
	}
	if len(asked.Compromised) > 512 {
		return Run{}, fault.New(fault.InputMalformed, "why the value is compromised takes more than 512 bytes")
	}
	if t := asked.Trigger; len(t.ID) > 256 || len(t.Source) > 128 || len(t.Actor) > 256 || len(t.Reason) > 512 || t.Severity < 0 || t.Severity > 10 {
		return Run{}, fault.New(fault.InputMalformed, "the trigger has an id or actor longer than 256 bytes, a source longer than 128, a reason longer than 512, or a severity beyond 0 to 10")
	}
	req := Request{Run: Run{Secret: asked.Secret, Trigger: asked.Trigger}, Context: a.Context}
	if err := req.check(); err != nil {
		return req.Run, err
	}
	run := Run{Secret: asked.Secret, Trigger: asked.Trigger, Compromised: asked.Compromised, Execution: a.Context.Execution.ID}
	run.ID = registry.RunKey(a.Context.Execution.StartTime, a.Context.Execution.Name)
	if run.Trigger.Type == "" {
		run.Trigger.Type = trigger.Manual
	}
	if run.Trigger.ID == "" {
		run.Trigger.ID = a.Context.Execution.Name
	}
	if run.Trigger.Source == "" {
		run.Trigger.Source = "aws.states"
	}
	if len(run.Secret) > longestSecretID || !secretID.MatchString(run.Secret) {
		return run, fault.New(fault.InputMalformed, "secret %.80q is not <environment>/<name>", run.Secret)
	}
	if !slices.Contains(trigger.Types(), run.Trigger.Type) {
		return run, fault.New(fault.InputMalformed, "trigger type %.40q is none of %v", run.Trigger.Type, trigger.Types())
	}
	return run, nil
}

// lease takes the secret, or says that a run under way has it. A holder whose execution has ended is taken over (S3, S4);
// a routine run does not keep containment waiting: its fence is outdated from here on, and it ends clean (S5).
func (s *AdmitRotation) lease(ctx context.Context, run *Run, c Context) (entry registry.Entry, held bool, err error) {
	claim := registry.Claim{Secret: run.Secret, Now: c.Now(), Lease: registry.Lease{
		Run: run.ID, Execution: run.Execution, Mode: string(run.Trigger.Mode()), Until: c.Now().Add(untilCommit),
	}}
	dead := "" // a run whose execution has ended without closing it
	for range 3 {
		entry, err = s.Registry.Acquire(ctx, claim)
		var other *registry.Held
		if !errors.As(err, &other) {
			if err == nil && dead != "" {
				err = s.Registry.Abandon(ctx, run.Secret, dead, c.Now())
			}
			return entry, false, err
		}
		entry = other.Entry
		preempts := run.Trigger.Mode() == trigger.Contain && entry.Lease.Mode != string(trigger.Contain) &&
			entry.Contract.Allows(string(run.Trigger.Type))
		if !preempts {
			alive, err := s.Executions.Alive(ctx, entry.Lease.Execution)
			if err != nil || alive {
				return entry, true, err
			}
			dead = entry.Lease.Run
		}
		claim.Over = entry.Lease.Run
	}
	return entry, false, fault.New(fault.RegistryUnavailable, "the lease of %s changes hands too fast", run.Secret)
}

// join leaves the work to the run that has the lease: one rotation answers both triggers. That run must have begun: one
// that is still being admitted may yet be skipped or refused, and one that has closed answers nobody any more; then Join
// fails, and the next attempt finds out.
func (s *AdmitRotation) join(ctx context.Context, run Run, entry registry.Entry, c Context) (Run, error) {
	if err := s.Registry.Join(ctx, run.Secret, entry.Lease.Run, run.Trigger); err != nil {
		return run, err
	}
	rec := run.record(c, EventJoined)
	rec.Outcome, rec.ReasonCode = audit.Skipped, "Joined"
	rec.Reason = "run " + entry.Lease.Run + " is under way and answers this trigger too"
	run.Next, run.Outcome, run.ReasonCode = NextSkip, rec.Outcome, rec.ReasonCode
	return run, note(ctx, s.Log, &run, rec)
}

// decide gathers what there is to know, decides, and puts the decision on record.
func (s *AdmitRotation) decide(ctx context.Context, run *Run, c Context) error {
	if run.Readers == nil {
		return fault.New(fault.ContractInvalid, "the registry does not say who reads %s, and a rotation would lock all services out: apply the contracts again", run.Secret)
	}
	secret, err := authority.Describe(ctx, s.Secrets, run.Secret)
	if err != nil {
		return err
	}
	facts, err := s.gather(secret, run)
	if err != nil {
		return err
	}
	decision := policy.Decide(policy.Input{Contract: run.Contract, Policy: run.Policy, Trigger: run.Trigger, Facts: facts, Now: c.Now()})
	run.Mode = decision.Mode
	rec := run.record(c, EventAdmitted)
	rec.ReasonCode, rec.Reason = string(decision.Reason), decision.Message
	if decision.Skip {
		rec.ID, rec.Event, rec.Outcome = recordID(c, EventSkipped), EventSkipped, audit.Skipped
		run.Next, run.Outcome, run.ReasonCode = NextSkip, audit.Skipped, rec.ReasonCode
		if err := note(ctx, s.Log, run, rec); err != nil {
			return err
		}
		return s.Registry.Release(ctx, run.Secret, run.ID, dueAfterSkip(run, facts, c.Now()), run.Head)
	}
	noted, err := s.guard(run, decision)
	if err != nil {
		return err
	}
	if err := s.versions(ctx, secret, run, c.Now()); err != nil {
		return err
	}
	rec.VersionFrom, rec.VersionTo = run.From.ID, run.To.ID
	if run.Trigger.Reason != "" {
		rec.Reason = run.Trigger.Reason + " (" + decision.Message + ")"
	}
	rec.Reason += noted
	if err := note(ctx, s.Log, run, rec); err != nil {
		return err
	}
	return s.Registry.Open(ctx, registry.Run{
		Secret: run.Secret, Run: run.ID, Execution: run.Execution, Mode: string(run.Mode), Trigger: run.Trigger,
		Started: audit.Stamp(c.Execution.StartTime), VersionFrom: run.From.ID, VersionTo: run.To.ID,
	})
}

// gather reads policy and facts from the secret's tags and labels. A policy that does not hold stops a routine run, for its
// author to mend; it does not stop containment, which then goes by the defaults.
func (s *AdmitRotation) gather(secret authority.Secret, run *Run) (policy.Facts, error) {
	facts, err := policy.FactsFromTags(secret.Tags)
	if err == nil {
		run.Policy, err = policy.FromTags(secret.Tags, run.Contract)
	}
	if err != nil {
		if run.Trigger.Mode() != trigger.Contain {
			return facts, err
		}
		run.Policy = policy.Default(run.Contract)
	}
	facts.NoCurrent, facts.Exposed = secret.Current == "", run.Compromised
	facts.Unfinished = unfinished(secret)
	return facts, nil
}

// dueAfterSkip is when the secret is looked at again by itself.
func dueAfterSkip(run *Run, facts policy.Facts, now time.Time) time.Time {
	soonest := now.Add(retryAfter)
	if due := policy.DueAt(run.Policy, facts.RotatedAt, run.Secret); due.After(soonest) {
		return due
	}
	return soonest
}

// refuse puts a refusal on record and gives a lease back that the run may hold. It returns the error it was given: that is
// what the state machine ends with, unless the record itself could not be written.
func (s *AdmitRotation) refuse(ctx context.Context, c Context, run Run, cause error) error {
	known := run.Contract.Name != ""
	rec := run.record(c, EventRefused)
	if !known {
		rec.Environment, rec.Secret = audit.NoEnvironment, audit.NoSecret
	}
	rec.Outcome, rec.ReasonCode, rec.Reason = audit.FailedClean, string(fault.CodeOf(cause)), cause.Error()
	if rec.Time == audit.Stamp(time.Time{}) {
		return cause // not called by a state machine: there is no time to put on a record
	}
	if err := note(ctx, s.Log, &run, rec); err != nil {
		return err
	}
	if !known {
		return cause
	}
	if err := s.Registry.Release(ctx, run.Secret, run.ID, c.Now().Add(retryAfter), run.Head); err != nil {
		return err
	}
	return cause
}
