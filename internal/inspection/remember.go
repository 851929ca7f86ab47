package inspection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// again is how often a finding that stands asks for its rotation: each asking is an execution with records of its own.
const again = time.Hour

// severity of an incident that an inspection found: High on GuardDuty's scale, above what policies wait for by default, and
// below what contains. The next value ends it; services need not be locked out for it.
const severity = 8.0

// outlook is what a rotation would be decided on.
type outlook struct {
	registry.Standing
	Policy policy.Policy
	Facts  policy.Facts
	Now    time.Time
}

// follows asks what AdmitRotation would say to a trigger: whether a rotation follows, whether only the cool-down is in its way,
// and why not.
func (o outlook) follows(t trigger.Trigger) (yes, wait bool, why string) {
	d := policy.Decide(policy.Input{Contract: o.Contract, Policy: o.Policy, Trigger: t, Facts: o.Facts, Now: o.Now})
	return !d.Skip, d.Reason == policy.CoolingDown, d.Message
}

// fresh is a finding to be put on record.
type fresh struct {
	Finding
	Noted registry.Noted
}

// remember compares findings with those that stand, and says which are to be put on record, and what is to be remembered: the
// findings of now, and those of before whose event is still to be put. What is put back is put on record every time, for it is
// an act; what merely stands, once a day.
func remember(before registry.Found, findings []Finding, o outlook) (record []fresh, after registry.Found) {
	after = registry.Found{}
	day := o.Now.UTC().Format(time.DateOnly)
	for _, f := range findings {
		was, known := before[string(f.Code)]
		known = known && was.Detail == f.Detail
		is := registry.Noted{ID: findingID(o, f), Detail: f.Detail, Day: day}
		asked := known && was.Trigger != "" && (was.Put.IsZero() || o.Now.Sub(was.Put) < again)
		if asked {
			is.Trigger, is.Type, is.Reason, is.Put = was.Trigger, was.Type, was.Reason, was.Put
		} else if f.Type != "" {
			yes, wait, why := o.follows(triggerOf(f.Type, is.ID, f.Reason))
			if yes || wait {
				is.Trigger, is.Type, is.Reason = is.ID, string(f.Type), string(f.Code)+": "+f.Reason
			} else {
				f.Reason += "; no rotation follows: " + why
			}
		}
		if known && was.Day == day && (f.Repair.none() || was.ID == is.ID) {
			is.ID = was.ID
		} else {
			record = append(record, fresh{f, is})
		}
		after[string(f.Code)] = is
	}
	for code, was := range before {
		if _, stands := after[code]; !stands && was.Trigger != "" && was.Put.IsZero() {
			after[code] = was
		}
	}
	return record, after
}

// triggerOf is the trigger that a finding becomes, as package trigger reads it from the event.
func triggerOf(kind trigger.Type, id, reason string) trigger.Trigger {
	t := trigger.Trigger{Type: kind, ID: id, Source: trigger.InspectionSource, Reason: reason}
	if kind == trigger.Incident {
		t.Severity = severity
	}
	return t
}

// due are the remembered findings whose event can be put now, by code.
func due(found registry.Found, o outlook) []string {
	var codes []string
	for code, n := range found {
		if n.Trigger == "" || !n.Put.IsZero() {
			continue
		}
		if yes, wait, _ := o.follows(triggerOf(trigger.Type(n.Type), n.Trigger, n.Reason)); yes || !wait {
			codes = append(codes, code) // what is skipped now for another reason than before is skipped there, on record
		}
	}
	return codes
}

// same tells whether there is nothing new to remember.
func same(a, b registry.Found) bool {
	return maps.EqualFunc(a, b, func(x, y registry.Noted) bool {
		put := x.Put.Equal(y.Put)
		x.Put, y.Put = time.Time{}, time.Time{}
		return put && x == y
	})
}

// findingID is the same for every attempt of one inspection, and another for every other one.
func findingID(o outlook, f Finding) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", o.Contract.ID(), f.Code, f.Detail, o.Now.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:16])
}
