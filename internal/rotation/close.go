package rotation

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// CloseRun ends every run, well or badly: labels, metadata on the secret, history, next due date, lease. It reads no value.
type CloseRun struct {
	Log      Log
	Registry interface {
		Owns(ctx context.Context, secret, run string) (bool, error)
		Close(ctx context.Context, c registry.Closing) error
	}
	Secrets interface {
		authority.Labeller
		authority.Tagger
		Untagger
	}
}

// Untagger takes a tag off a secret.
type Untagger interface {
	UntagResource(ctx context.Context, in *secretsmanager.UntagResourceInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.UntagResourceOutput, error)
}

// retryAfter is when a failed run's secret is looked at again: at the next evaluation. That one comes up to 15 minutes
// later, so a due date 15 minutes from now would only be met by the one after it.
const retryAfter = time.Minute

// Handle writes how the run ended and then makes it so, in an order in which every prefix is a state that the next run can
// go on from: tags (of which mayfly:version says that the version is closed), labels, then history and lease at once.
func (s *CloseRun) Handle(ctx context.Context, req Request) (Run, error) {
	if err := req.check(); err != nil {
		return req.Run, err
	}
	run := req.Run
	owns, err := s.Registry.Owns(ctx, run.Secret, run.ID)
	if err != nil {
		return run, err
	}
	conclude(&run, owns)
	rec := run.record(req.Context, EventClosed)
	rec.Outcome, rec.ReasonCode = run.Outcome, run.ReasonCode
	if run.Reason != "" {
		rec.Reason = run.Reason
	}
	if err := note(ctx, s.Log, &run, rec); err != nil {
		return run, err
	}
	if err := s.settle(ctx, &run); err != nil && fault.CodeOf(err) != fault.SecretMissing {
		return run, err
	}
	err = s.Registry.Close(ctx, registry.Closing{
		Secret: run.Secret, Run: run.ID, Outcome: run.Outcome, ReasonCode: run.ReasonCode, Ended: req.Context.Now(),
		VersionTo: run.To.ID, DueAt: nextDue(&run, req.Context.Now()), Head: run.Head, Fingerprint: fingerprint(&run), Revoked: run.Revoked,
		Rotated: rotated(&run),
	})
	return run, err
}

// conclude fills in the outcome where no step has: a run that got here without an error rotated the secret; an error that
// was caught after the commit point means that the new value is in use and the old one not seen refused. A run that another
// one overtook (S5) ends clean whatever it did: what it left, the other one cares for.
func conclude(run *Run, owns bool) {
	switch {
	case !owns:
		run.Outcome, run.ReasonCode, run.Reason = audit.FailedClean, string(fault.LeaseLost), "a newer run owns the secret; this one changes nothing more"
	case run.Error != nil && run.Outcome == "":
		run.Outcome, run.ReasonCode, run.Reason = audit.FailedDirty, string(run.Error.Code()), run.Error.Message()
	case run.Outcome == "":
		run.Outcome, run.ReasonCode = audit.Rotated, ""
	}
}

// settle writes metadata and labels. A run that another one overtook (S5) leaves both alone, but for AWSPENDING where it put
// that on a version of its own, behind the newer run's back: nobody else would take it off again. Not where a secret
// changes itself: there that version may be the only one that logs in.
func (s *CloseRun) settle(ctx context.Context, run *Run) error {
	if run.ReasonCode == string(fault.LeaseLost) {
		if selfAdministered(run) || run.To.ID != credential.Token(run.Execution, run.To.Slot) {
			return nil
		}
		return s.unlabel(ctx, run.Secret, authority.Pending, run.To.ID)
	}
	if err := authority.Tag(ctx, s.Secrets, run.Secret, metadata(run)); err != nil {
		return err
	}
	stage, version := "", ""
	switch {
	case run.Outcome == audit.Rotated && run.PendingLeft:
		stage, version = authority.Pending, run.To.ID
	case run.dropsPending():
		stage, version = authority.Pending, run.To.ID
	case run.Outcome == audit.Rotated && run.Contract.Kind == contract.Random && run.Policy.RevokeOld && !run.born():
		// Nothing at a target can refuse the old value, so at least no label leads to it any more.
		stage, version = authority.Previous, run.From.ID
	}
	if stage != "" {
		if err := s.unlabel(ctx, run.Secret, stage, version); err != nil {
			return err
		}
	}
	if run.Outcome != audit.Rotated || run.Mode != trigger.Contain {
		return nil
	}
	_, err := s.Secrets.UntagResource(ctx, &secretsmanager.UntagResourceInput{
		SecretId: &run.Secret, TagKeys: []string{policy.Prefix + policy.TagCompromised},
	})
	return fault.Wrap(err, fault.AuthorityUnavailable, "take the tag %s%s off %s", policy.Prefix, policy.TagCompromised, run.Secret)
}

// unlabel takes a label off a version, if it is there.
func (s *CloseRun) unlabel(ctx context.Context, secret, stage, version string) error {
	err := authority.Unlabel(ctx, s.Secrets, secret, stage, version)
	if errors.Is(err, authority.ErrElsewhere) {
		return nil
	}
	return err
}

// metadata is what the secret itself says of the run. After a containment that failed, it says so until one succeeds: a
// credential in wrong hands is not to wait for its next rotation.
func metadata(run *Run) map[string]string {
	tags := map[string]string{
		policy.TagLastTrigger:   string(run.Trigger.Type) + ":" + run.Trigger.ID,
		policy.TagLastExecution: run.Execution,
		policy.TagLastOutcome:   run.Outcome,
	}
	if run.Outcome == audit.Rotated {
		tags[policy.TagVersion] = run.To.ID
		tags[policy.TagRotatedAt] = run.SetAt.UTC().Format(time.RFC3339)
		tags[policy.TagExpiresAt] = run.SetAt.UTC().Add(time.Duration(run.Policy.TTL)).Format(time.RFC3339)
		tags[policy.TagOwner] = run.Contract.Owner
		tags[policy.TagEnvironment] = run.Contract.Environment
	}
	if run.Mode == trigger.Contain && run.Outcome != audit.Rotated {
		tags[policy.TagCompromised] = tags[policy.TagLastTrigger]
	}
	prefixed := make(map[string]string, len(tags))
	for k, v := range tags {
		prefixed[policy.Prefix+k] = v
	}
	return prefixed
}

// fingerprint is that of the new value, if somebody could use it: not where a failed run takes its version back.
func fingerprint(run *Run) string {
	if run.dropsPending() {
		return ""
	}
	return run.Fingerprint
}

// dropsPending says that a run failed clean and its version is nobody's any more.
func (r *Run) dropsPending() bool {
	return r.Outcome == audit.FailedClean && r.To.ID != "" && !r.born() && r.Policy.FailureStrategy != policy.FailHold
}

// rotated is what the tags of a run that rotated the secret say, for the registry: tags can be overwritten.
func rotated(run *Run) registry.Rotated {
	if run.Outcome != audit.Rotated {
		return registry.Rotated{}
	}
	at := run.SetAt.UTC().Truncate(time.Second)
	return registry.Rotated{Version: run.To.ID, Before: run.From.ID, At: at, Expires: at.Add(time.Duration(run.Policy.TTL))}
}

// nextDue is when the registry offers the secret for evaluation again.
func nextDue(run *Run, now time.Time) time.Time {
	if run.Outcome == audit.Rotated {
		return policy.DueAt(run.Policy, run.SetAt, run.Secret)
	}
	return now.Add(retryAfter)
}
