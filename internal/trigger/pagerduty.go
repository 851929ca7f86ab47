package trigger

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// PagerDutyIncident is an incident that names secrets or services. Most incidents are about availability and none of
// Mayfly's business, so that an incident counts only if somebody says so, in its custom details or custom fields:
//
//	mayfly_secret       prod/orders-db, or several with commas between
//	mayfly_service      orders-service, or several; with mayfly_environment (or environment), or as prod/orders-service
//	mayfly_environment  prod
//	mayfly_role         IAM role name or ARN, or several
//	mayfly_severity     0 to 10 on GuardDuty's scale, or critical, error, warning, info
//
// Without mayfly_severity, urgency high is 7.0 and low 4.0: only who asks for it gets a containment (9.0 and above).
type PagerDutyIncident struct {
	ID       string  `json:"id"`    // of the incident
	Event    string  `json:"event"` // incident.triggered, …
	Actor    string  `json:"actor,omitempty"`
	Service  string  `json:"service,omitempty"` // PagerDuty's name for what is on fire
	Severity float64 `json:"severity"`
	Named
}

// DetailType is TypePagerDuty.
func (PagerDutyIncident) DetailType() string { return TypePagerDuty }

// pagerDutyBody is a V3 webhook: https://developer.pagerduty.com/docs/webhooks-overview
type pagerDutyBody struct {
	Event struct {
		Type  string `json:"event_type"`
		Agent struct {
			Summary string `json:"summary"`
		} `json:"agent"`
		Data pagerDutyData `json:"data"`
	} `json:"event"`
}

type pagerDutyData struct {
	ID      string `json:"id"`
	Urgency string `json:"urgency"`
	Service struct {
		Summary string `json:"summary"`
	} `json:"service"`
	Custom map[string]any `json:"custom_details"`
	Body   struct {
		Details any            `json:"details"` // an object, or text
		Custom  map[string]any `json:"custom_details"`
		CEF     struct {
			Details map[string]any `json:"details"`
		} `json:"cef_details"`
	} `json:"body"`
	Fields []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	} `json:"custom_fields"`
}

// NewPagerDutyIncident reads the body of PagerDuty's V3 webhook, whose signature the caller has checked.
// Errors: InputMalformed.
func NewPagerDutyIncident(body []byte) (PagerDutyIncident, error) {
	var b pagerDutyBody
	if err := outside(body, &b, "the incident"); err != nil {
		return PagerDutyIncident{}, err
	}
	data := b.Event.Data
	said := map[string]string{}
	nested, _ := data.Body.Details.(map[string]any)
	for _, details := range []map[string]any{data.Custom, data.Body.Custom, data.Body.CEF.Details, nested, data.fields()} {
		for name, value := range details {
			if text := plain(value); text != "" && wanted(name) {
				said[name] = text
			}
		}
	}
	i := PagerDutyIncident{
		ID: clip(data.ID, 64), Event: clip(b.Event.Type, 64), Actor: clip(b.Event.Agent.Summary, 100),
		Service: clip(data.Service.Summary, 100), Severity: severity(said["mayfly_severity"], data.Urgency),
		Named: Named{Secrets: list(said["mayfly_secret"]), Roles: list(said["mayfly_role"])},
	}
	environment := said["mayfly_environment"]
	if environment == "" {
		environment = said["environment"]
	}
	for _, service := range list(said["mayfly_service"]) {
		switch {
		case strings.Contains(service, "/"):
			i.Services = append(i.Services, service)
		case environment != "":
			i.Services = append(i.Services, clip(environment, 32)+"/"+service)
		}
	}
	return i, nil
}

// fields are custom fields in the shape of custom details.
func (d pagerDutyData) fields() map[string]any {
	fields := map[string]any{}
	for _, f := range d.Fields {
		fields[f.Name] = f.Value
	}
	return fields
}

func wanted(name string) bool {
	return slices.Contains([]string{"mayfly_secret", "mayfly_service", "mayfly_environment", "mayfly_role", "mayfly_severity", "environment"}, name)
}

// plain is a value as text; lists have commas between, anything else is nothing.
func plain(value any) string {
	switch v := value.(type) {
	case string:
		return clip(v, 4096)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var texts []string
		for _, one := range v[:min(len(v), MaxNamed+1)] {
			if text, ok := one.(string); ok {
				texts = append(texts, text)
			}
		}
		return clip(strings.Join(texts, ","), 4096)
	}
	return ""
}

func list(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// severity puts PagerDuty's words on GuardDuty's scale.
// https://developer.pagerduty.com/docs/events-api-v2-overview
func severity(said, urgency string) float64 {
	if n, err := strconv.ParseFloat(said, 64); err == nil && n >= 0 && n <= 10 {
		return n
	}
	switch said {
	case "critical":
		return Critical
	case "error":
		return 7
	case "warning":
		return 4
	case "info":
		return 1
	}
	if urgency == "low" {
		return 4
	}
	return 7
}

// Resolution affects what the incident names, if it was triggered just now.
func (i PagerDutyIncident) Resolution() (Resolution, error) {
	if i.ID == "" || i.Event == "" || !(i.Severity >= 0 && i.Severity <= 10) {
		return Resolution{}, fault.New(fault.InputMalformed, "the incident lacks id or event, or a severity from 0 to 10")
	}
	t := Trigger{Type: Incident, ID: identity(i.ID), Source: "pagerduty", Actor: clip(i.Actor, 100), Severity: i.Severity}
	if i.Event != "incident.triggered" {
		return ignore(t, clip(i.Event, 64)+" is not incident.triggered"), nil
	}
	t.Reason = "PagerDuty incident " + clip(i.ID, 64)
	if i.Service != "" {
		t.Reason += " at " + clip(i.Service, 100)
	}
	return i.affecting(t)
}

// partner reads PagerDuty's events from its partner bus, aws.partner/pagerduty.com/<id>/<name>. Their detail is what the
// webhook's body is, with or without the member event around it; a webhook and a partner event of one incident are one
// trigger. https://www.pagerduty.com/docs/guides/amazon-eventbridge-integration-guide/
func partner(e envelope) (Resolution, error) {
	body := e.Detail
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil && members["event"] == nil && members["event_type"] != nil {
		body, _ = json.Marshal(map[string]json.RawMessage{"event": body}) // what was parsed marshals
	}
	incident, err := NewPagerDutyIncident(body)
	if err != nil {
		return Resolution{}, err
	}
	return incident.Resolution()
}
