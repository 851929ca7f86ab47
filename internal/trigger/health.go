package trigger

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// exposed is the severity of a credential that was seen in public: critical, whoever found it.
const exposed = 9.5

// healthEvent holds the members of an AWS Health event that say who is meant.
type healthEvent struct {
	ARN      string `json:"eventArn"`
	Code     string `json:"eventTypeCode"`
	Status   string `json:"statusCode"`
	Entities []struct {
		Value string `json:"entityValue"`
	} `json:"affectedEntities"`
}

// health reads the "AWS Health Event" that an access key was found in public:
// https://docs.aws.amazon.com/health/latest/ug/cloudwatch-events-health.html
// Everything that the key's user may read may be in the same hands.
func health(e envelope) (Resolution, error) {
	var d healthEvent
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.ARN == "" || d.Code == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "AWS Health event %q lacks eventArn or eventTypeCode", clip(e.ID, 64))
	}
	t := Trigger{Type: Incident, ID: identity(d.ARN), Source: e.Source, Severity: exposed}
	if !strings.HasPrefix(d.Code, "AWS_RISK_CREDENTIALS_") { // EXPOSED, EXPOSURE_SUSPECTED
		t.Severity = 0
		return ignore(t, clip(d.Code, 80)+" is not about credentials"), nil
	}
	var keys []string
	for _, entity := range d.Entities {
		keys = append(keys, accessKeyKeys(entity.Value)...)
		keys = append(keys, principalKeys(entity.Value)...)
	}
	switch {
	case d.Status == "closed":
		return ignore(t, "the event is closed"), nil
	case len(keys) == 0:
		return ignore(t, "the event names no access key and no user"), nil
	}
	t.Reason = "AWS Health " + clip(d.Code, 80)
	return found(t, keys...)
}
