package trigger_test

import (
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

func TestInspections(t *testing.T) {
	finding := func(rest string) string {
		return event(trigger.InspectionSource, trigger.TypeSecretDrift, `{"id":"f-1","secret":"prod/orders-db","finding":"PolicyDrift","reason":"why"`+rest+`}`)
	}
	check(t, []sourceCase{
		{"access", finding(`,"type":"access_change"`), "access_change routine secret:prod/orders-db"},
		{"policy", finding(`,"type":"policy_change"`), "policy_change routine secret:prod/orders-db"},
		{"value", finding(`,"type":"upstream"`), "upstream routine secret:prod/orders-db"},
		{"breach", finding(`,"type":"incident","severity":8`), "incident routine secret:prod/orders-db"},
		{"critical", finding(`,"type":"incident","severity":9`), "incident contain secret:prod/orders-db"},
		{"by hand", finding(`,"type":"manual"`), "InputMalformed"},
		{"no type", finding(``), "InputMalformed"},
		{"severity of what is no incident", finding(`,"type":"upstream","severity":9.5`), "InputMalformed"},
		{"severity off the scale", finding(`,"type":"incident","severity":11`), "InputMalformed"},
		{"a member of nobody's", finding(`,"type":"upstream","value":"hunter2"`), "InputMalformed"},
		{"no secret", event(trigger.InspectionSource, trigger.TypeSecretDrift, `{"id":"f-1","secret":"*","finding":"X","type":"upstream","reason":""}`), "InputMalformed"},
		{"no id", event(trigger.InspectionSource, trigger.TypeSecretDrift, `{"id":"","secret":"prod/x","finding":"X","type":"upstream","reason":""}`), "InputMalformed"},
		{"another detail-type", event(trigger.InspectionSource, "Secret joy", `{}`), "ignored: not known"},
	})
	r, err := trigger.Resolve([]byte(finding(`,"type":"incident","severity":8`)))
	want := trigger.Trigger{Type: trigger.Incident, ID: "f-1", Source: "mayfly.inspect", Actor: "mayfly-inspect", Reason: "why", Severity: 8}
	if err != nil || r.Trigger != want {
		t.Errorf("%+v, %v; want %+v", r.Trigger, err, want)
	}
}
