package trigger

import (
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// InspectionSource is the source of what Mayfly's own inspections found.
const InspectionSource = "mayfly.inspect"

// TypeSecretDrift is the detail-type of its events.
const TypeSecretDrift = "Secret drift"

// InspectionFinding is the detail of an event of an inspection: something is wrong with a secret, and a rotation follows where
// its contract has it so.
type InspectionFinding struct {
	ID       string  `json:"id"`                 // of the trigger; the event may be put more than once
	Secret   string  `json:"secret"`             // <environment>/<name>
	Finding  string  `json:"finding"`            // reason code: PolicyDrift, ValueChanged, …
	Type     Type    `json:"type"`               // access_change, policy_change, upstream or incident
	Reason   string  `json:"reason"`             // one sentence for the auditor
	Severity float64 `json:"severity,omitempty"` // of an incident
}

// DetailType names the detail on the bus.
func (f InspectionFinding) DetailType() string { return TypeSecretDrift }

// Resolution names the secret that was inspected, and no other.
func (f InspectionFinding) Resolution() (Resolution, error) {
	t := Trigger{Type: f.Type, ID: identity(f.ID), Source: InspectionSource, Actor: "mayfly-inspect", Reason: clip(f.Reason, 512), Severity: f.Severity}
	switch {
	case f.ID == "" || f.Finding == "":
		return Resolution{}, fault.New(fault.InputMalformed, "a finding of an inspection has an id and a reason code; this one lacks one of them")
	case !secretID.MatchString(f.Secret) || len(f.Secret) > 191:
		return Resolution{}, fault.New(fault.InputMalformed, "the finding names no secret; it is written <environment>/<name>")
	case !slices.Contains([]Type{AccessChange, PolicyChange, Upstream, Incident}, f.Type):
		return Resolution{}, fault.New(fault.InputMalformed, "no inspection finds a trigger of type %q", clip(string(f.Type), 40))
	case !(f.Severity >= 0 && f.Severity <= 10) || f.Type != Incident && f.Severity != 0:
		return Resolution{}, fault.New(fault.InputMalformed, "severity %g is not on the scale from 0 to 10, or the finding is no incident", f.Severity)
	}
	return found(t, KeySecret+f.Secret)
}
