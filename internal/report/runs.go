package report

import (
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// Run is one run, or one request that was refused, as its records tell it.
type Run struct {
	Execution   string   `json:"execution_arn"`
	Started     string   `json:"started_at"`
	Ended       string   `json:"ended_at"` // empty: it has not, or nothing says so
	Seconds     *float64 `json:"seconds"`  // null: likewise
	TriggerType string   `json:"trigger_type"`
	TriggerID   string   `json:"trigger_id"`
	Source      string   `json:"trigger_source"`
	Actor       string   `json:"actor"`
	Reason      string   `json:"reason"` // why it was admitted
	Contained   bool     `json:"contained"`
	Refused     bool     `json:"refused"`     // it was not admitted
	Outcome     string   `json:"outcome"`     // rotated, failed_clean, failed_dirty, running; empty: it never ended
	ReasonCode  string   `json:"reason_code"` // of the end
	Why         string   `json:"why"`         // of the end, in a sentence
	VersionFrom string   `json:"version_from"`
	VersionTo   string   `json:"version_to"`
	Proofs      []Proof  `json:"proofs"`
}

// Running is the outcome of a run that has the lease. All others are those of the audit records.
const Running = "running"

// Proof is what the target answered to a login with the old credential.
type Proof struct {
	Time    string `json:"time"`
	Outcome string `json:"outcome"` // refused, no_target or untried
	Version string `json:"version"`
	Text    string `json:"text"`
}

// runsOf reads runs out of records, which come in the order of each chain: by secret, newest first. Requests that were skipped
// or joined another run are none.
func runsOf(records []audit.Record) map[string][]Run {
	runs := map[string][]Run{}
	for _, r := range records {
		list := runs[r.Secret]
		i := slices.IndexFunc(list, func(x Run) bool { return x.Execution == r.ExecutionARN })
		switch r.Event {
		case rotation.EventAdmitted, rotation.EventRefused:
			if r.Step != "AdmitRotation" {
				continue
			}
			if i < 0 {
				list, i = append(list, Run{Execution: r.ExecutionARN, Started: r.Time, Proofs: []Proof{}}), len(list)
			}
			list[i].admitted(r)
		default:
			if i >= 0 {
				list[i].told(r)
			}
		}
		runs[r.Secret] = list
	}
	for _, list := range runs {
		slices.Reverse(list)
	}
	return runs
}

func (x *Run) admitted(r audit.Record) {
	x.TriggerType, x.TriggerID, x.Source, x.Actor = r.TriggerType, r.TriggerID, r.TriggerSource, r.Actor
	x.VersionFrom, x.VersionTo = r.VersionFrom, r.VersionTo
	if x.Refused = r.Event == rotation.EventRefused; !x.Refused {
		x.Reason = r.Reason
		return
	}
	x.Outcome, x.ReasonCode, x.Ended = r.Outcome, r.ReasonCode, r.Time
	x.Why = why(r.ReasonCode, r.Reason)
}

// told takes what a later record of the run says.
func (x *Run) told(r audit.Record) {
	switch r.Event {
	case rotation.EventContaining:
		x.Contained = true
	case rotation.EventRevoked:
		x.Proofs = append(x.Proofs, Proof{r.Time, r.Outcome, r.VersionFrom, r.Reason})
	case rotation.EventClosed:
		x.Outcome, x.ReasonCode, x.Ended, x.VersionTo = r.Outcome, r.ReasonCode, r.Time, r.VersionTo
		if r.Outcome != audit.Rotated {
			x.Why = why(r.ReasonCode, r.Reason)
		}
		started, before := time.Parse(time.RFC3339, x.Started)
		ended, after := time.Parse(time.RFC3339, r.Time)
		if before == nil && after == nil {
			seconds := ended.Sub(started).Seconds()
			x.Seconds = &seconds
		}
	}
}
