package trigger

import (
	"fmt"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// SIEMAlert is what any system for security events sends to the generic webhook, in exactly this shape.
type SIEMAlert struct {
	ID       string  `json:"id"`               // the same alert keeps it
	System   string  `json:"system"`           // who says so
	Severity float64 `json:"severity"`         // 0 to 10, GuardDuty's scale; 9.0 and above contains
	Title    string  `json:"title,omitempty"`  // for the audit record: no secret value
	Actor    string  `json:"actor,omitempty"`  // who is thought to have done it
	Sample   bool    `json:"sample,omitempty"` // a test of the connection
	Named
}

// DetailType is TypeSIEMAlert.
func (SIEMAlert) DetailType() string { return TypeSIEMAlert }

// NewSIEMAlert reads the body of the generic webhook, whose signature the caller has checked. Errors: InputMalformed, also
// for members that SIEMAlert does not have.
func NewSIEMAlert(body []byte) (SIEMAlert, error) {
	var a SIEMAlert
	err := strict(body, &a, "the alert is not {id, system, severity, title, actor, sample, secrets, services, roles, users, access_keys, logins}")
	return a, err
}

// Resolution affects what the alert names.
func (a SIEMAlert) Resolution() (Resolution, error) {
	if a.ID == "" || a.System == "" || !(a.Severity >= 0 && a.Severity <= 10) {
		return Resolution{}, fault.New(fault.InputMalformed, "the alert lacks id or system, or a severity from 0 to 10")
	}
	t := Trigger{Type: Incident, ID: identity(a.ID), Source: clip("siem:"+a.System, 128), Actor: clip(a.Actor, 256), Severity: a.Severity}
	if a.Sample {
		return ignore(t, "it is a sample alert"), nil
	}
	t.Reason = fmt.Sprintf("%s: %s, severity %.1f", clip(a.System, 64), clip(a.Title, 200), a.Severity)
	return a.affecting(t)
}

// ProviderChange says that the other side of a credential changed: the provider ended a key, changed its keys' form, or was
// broken into.
type ProviderChange struct {
	ID       string   `json:"id"`       // the same change keeps it
	Provider string   `json:"provider"` // who says so
	Change   string   `json:"change"`   // what happened, for the audit record: no secret value
	Secrets  []string `json:"secrets"`  // <environment>/<name>
}

// DetailType is TypeProviderChange.
func (ProviderChange) DetailType() string { return TypeProviderChange }

// NewProviderChange reads the body of a provider's webhook, whose signature the caller has checked. Errors: InputMalformed,
// also for members that ProviderChange does not have.
func NewProviderChange(body []byte) (ProviderChange, error) {
	var c ProviderChange
	err := strict(body, &c, "the change is not {id, provider, change, secrets}")
	return c, err
}

// Resolution affects the secrets that the provider names.
func (c ProviderChange) Resolution() (Resolution, error) {
	if c.ID == "" || c.Provider == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "the change lacks id or provider")
	}
	t := Trigger{
		Type: Upstream, ID: identity(c.ID), Source: clip("provider:"+c.Provider, 128),
		Reason: clip(c.Provider, 64) + ": " + clip(c.Change, 200),
	}
	return Named{Secrets: c.Secrets}.affecting(t)
}
