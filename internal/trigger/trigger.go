// Package trigger turns any event into a trigger and the secrets that it affects. Everything in it is pure.
package trigger

// Type is why a run happens.
type Type string

// The types, as design section 1 lists them.
const (
	Schedule     Type = "schedule"
	Commit       Type = "commit"
	Deployment   Type = "deployment"
	Incident     Type = "incident"
	AccessChange Type = "access_change"
	PolicyChange Type = "policy_change"
	Annotation   Type = "annotation"
	Upstream     Type = "upstream"
	Manual       Type = "manual"
)

// Types lists every type.
func Types() []Type {
	return []Type{Schedule, Commit, Deployment, Incident, AccessChange, PolicyChange, Annotation, Upstream, Manual}
}

// Trigger is one cause of a run. Two triggers with the same ID are the same trigger, delivered twice.
type Trigger struct {
	Type     Type    `json:"type"`
	ID       string  `json:"id"`                 // of the source: finding id, deployment id, delivery id, evaluation window
	Source   string  `json:"source"`             // "aws.guardduty", "aws.codedeploy", "mayfly.schedule", "cli", …
	Actor    string  `json:"actor,omitempty"`    // who caused it, where the source says so
	Reason   string  `json:"reason,omitempty"`   // one sentence for the auditor
	Severity float64 `json:"severity,omitempty"` // incidents only, GuardDuty's scale 1.0 to 10.0
}

// Mode is how a run goes about it.
type Mode string

// The modes. Contain revokes before it creates.
const (
	Routine Mode = "routine"
	Contain Mode = "contain"
	None    Mode = "none"
)

// Critical is the severity from which an incident contains instead of rotating: GuardDuty's Critical, 9.0 to 10.0
// (https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html).
const Critical = 9.0

// Mode is how the trigger alone asks to be handled; policy and annotations decide in the end.
func (t Trigger) Mode() Mode {
	switch {
	case t.Type == "":
		return None
	case t.Type == Annotation, t.Type == Incident && t.Severity >= Critical:
		return Contain
	default:
		return Routine
	}
}
