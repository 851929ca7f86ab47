package report

import (
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
)

// Inspection is what a step of mayfly-inspect put on record of a secret: something that is wrong, or what a trial showed.
type Inspection struct {
	Time    string `json:"time"`
	Step    string `json:"step"`
	Event   string `json:"event"`
	Outcome string `json:"outcome"` // of a finding, its grade
	Code    string `json:"code"`    // of a finding
	Text    string `json:"text"`
}

// inspectionsOf reads inspections out of records: by secret, newest first.
func inspectionsOf(records []audit.Record) map[string][]Inspection {
	found := map[string][]Inspection{}
	for _, r := range records {
		if slices.Contains([]string{"InspectSecrets", "ProbeTargets", "ProbeAccess"}, r.Step) && r.Event != audit.EventSealed {
			found[r.Secret] = append(found[r.Secret], Inspection{r.Time, r.Step, r.Event, r.Outcome, r.ReasonCode, r.Reason})
		}
	}
	for _, list := range found {
		slices.Reverse(list)
	}
	return found
}

// ours are findings of an inspection that a report makes by itself, from what is now.
var ours = []inspection.Code{inspection.Missing, inspection.Deleted, inspection.Late, inspection.Overdue, inspection.Expired, inspection.KeepsExpired}

// inspected are the findings that stood at the last inspection, in the words of their records.
func (l *list) inspected(s subject, records []Inspection) {
	for _, step := range s.Found {
		for code := range step {
			if slices.Contains(ours, inspection.Code(code)) {
				continue
			}
			text := "found by the last inspection"
			if i := slices.IndexFunc(records, func(x Inspection) bool { return x.Code == code }); i >= 0 {
				text = records[i].Text
			}
			l.add(true, code, "%s", text)
		}
	}
}
