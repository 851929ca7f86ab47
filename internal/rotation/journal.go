package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Log is the audit, as steps use it. Append returns once the record is durable, and the new head; when it fails, the step
// must not proceed.
type Log interface {
	Append(ctx context.Context, head audit.Head, rec audit.Record) (audit.Head, error)
}

// The events, one or more per step.
const (
	EventAdmitted    = "admitted"
	EventJoined      = "joined"
	EventSkipped     = "skipped"
	EventRefused     = "refused"
	EventContaining  = "containing"
	EventCreating    = "creating"
	EventSetting     = "setting"
	EventTesting     = "testing"
	EventUntraced    = "untraced" // the new value has no fingerprint, so nobody would know it again
	EventFinishing   = "finishing"
	EventPropagating = "propagating"
	EventConfirming  = "confirming"
	EventRevoking    = "revoking"
	EventRevoked     = "revoked" // evidence: the target was asked, and refused
	EventRollingBack = "rolling_back"
	EventClosed      = "closed"

	EventKeyChanged    = "key_changed"    // the key of a secret, or the grants on it, are about to change; or somebody has too wide a grant
	EventKeyIncomplete = "key_incomplete" // a declared role does not exist, so that it has no grant
)

// note appends a record of this run and moves its head on.
func note(ctx context.Context, log Log, run *Run, rec audit.Record) error {
	head, err := log.Append(ctx, run.Head, rec)
	if err == nil {
		run.Head = head
	}
	return err
}

// begin is how every step starts: what it is about to do is on record before it does it. A step whose effect follows a
// crash is therefore always preceded by a record, and never the other way round.
func begin(ctx context.Context, log Log, req *Request, event string) error {
	if err := req.check(); err != nil {
		return err
	}
	return note(ctx, log, &req.Run, req.Run.record(req.Context, event))
}

// check refuses a request that no state machine of ours would send, before anything is done with it.
func (r *Request) check() error {
	if r.Run.Secret == "" || r.Context.Execution.ID == "" || r.Context.State.EnteredTime.IsZero() {
		return fault.New(fault.InputMalformed, "the request has no secret, execution or time: steps are called by mayfly-rotate")
	}
	return nil
}

// recordID is the same for a repeated write of the same attempt, and different for everything else. A state that is entered
// again (ConfirmAdoption) has another EnteredTime.
func recordID(c Context, event string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d\x00%s",
		c.Execution.ID, c.State.Name, c.State.EnteredTime.UTC().Format("20060102T150405.000"), c.State.RetryCount, event))
	return hex.EncodeToString(sum[:16])
}
