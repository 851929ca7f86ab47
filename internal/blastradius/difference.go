package blastradius

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// mostDifferences bounds what is said of a policy that somebody else wrote, and clipped how much of each.
const (
	mostDifferences = 8
	clipped         = 200
)

// Differences says in what the policy in force ("" for none) is not the compiled one, one line each; nothing where both mean
// the same but for their dates and the ids of versions, which every rotation changes. Lines name roles and statements; they
// are fit for a record.
func Differences(inForce string, compiled []byte) []string {
	if inForce == "" {
		return []string{"no resource policy is in force"}
	}
	is, err := readPolicy([]byte(inForce))
	if err != nil {
		return []string{clip("the policy in force cannot be read: " + err.Error())}
	}
	ought, err := readPolicy(compiled)
	if err != nil {
		return []string{clip("the compiled policy cannot be read: " + err.Error())}
	}
	var found []string
	if is.version != ought.version {
		found = append(found, clip("its version is "+is.version))
	}
	known := map[string]bool{}
	for _, want := range ought.statements {
		at := slices.IndexFunc(is.statements, func(s meaning) bool { return s.timeless().text() == want.timeless().text() })
		if at < 0 {
			at = slices.IndexFunc(is.statements, func(s meaning) bool { return s.sid == want.sid })
		}
		if at < 0 {
			found = append(found, "the statement "+want.sid+" is missing")
			continue
		}
		known[is.statements[at].text()] = true
		found = append(found, is.statements[at].other(want)...)
	}
	for _, s := range is.statements {
		if !known[s.text()] {
			found = append(found, clip(fmt.Sprintf("there is a further statement %q: %s", s.sid, s.text())))
		}
	}
	return found[:min(len(found), mostDifferences)]
}

// Loosened says which dates of the policy in force are later than those of the compiled one, and which versions it lets be read
// by id that the compiled one does not: what Differences passes over. Give a compiled policy with the versions that have a
// label and the latest dates that could be right.
func Loosened(inForce string, compiled []byte) []string {
	is, err := readPolicy([]byte(inForce))
	if err != nil {
		return nil // said by Differences
	}
	ought, err := readPolicy(compiled)
	if err != nil {
		return nil
	}
	var found []string
	for _, want := range ought.statements {
		for _, s := range is.statements {
			if s.sid != want.sid || s.timeless().text() != want.timeless().text() {
				continue
			}
			if was, may := s.date(), want.date(); was.After(may) {
				found = append(found, fmt.Sprintf("%s begins at %s and not at %s", s.sid, was.Format(time.RFC3339), may.Format(time.RFC3339)))
			}
			for _, id := range s.versions() {
				if !slices.Contains(want.versions(), id) {
					found = append(found, clip(fmt.Sprintf("%s spares version %s", s.sid, id)))
				}
			}
		}
	}
	return found[:min(len(found), mostDifferences)]
}

// Dates reads out of a policy that Mayfly compiled when the value in use expires and when the overlap ends; zero where it does
// not say.
func Dates(inForce string) (expires, overlapEnds time.Time) {
	p, err := readPolicy([]byte(inForce))
	if err != nil {
		return expires, overlapEnds
	}
	for _, s := range p.statements {
		switch s.sid {
		case SidExpired:
			expires = s.date()
		case SidOldLabel:
			overlapEnds = s.date()
		}
	}
	return expires, overlapEnds
}

// date is the time past which the statement holds; zero where there is none.
func (m meaning) date() time.Time {
	values := m.conditions["DateGreaterThan"][strings.ToLower(now)]
	if len(values) != 1 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, values[0])
	if err != nil {
		return time.Time{}
	}
	return t
}

// versions are those that the statement spares.
func (m meaning) versions() []string {
	return m.conditions["StringNotEquals"][strings.ToLower(versionID)]
}

// timeless is the statement without what every rotation changes: the date and the ids of versions.
func (m meaning) timeless() meaning {
	out := meaning{sid: m.sid, elements: m.elements}
	if m.conditions != nil {
		out.conditions = map[string]map[string][]string{}
	}
	for operator, keys := range m.conditions {
		out.conditions[operator] = map[string][]string{}
		for key, values := range keys {
			switch {
			case operator == "DateGreaterThan" && key == strings.ToLower(now) && !m.date().IsZero():
				values = []string{"a date"}
			case operator == "StringNotEquals" && key == strings.ToLower(versionID):
				values = []string{"versions"}
			}
			out.conditions[operator][key] = values
		}
	}
	return out
}

// other says in what the statement is not the wanted one of the same Sid.
func (m meaning) other(want meaning) []string {
	if m.timeless().text() == want.timeless().text() {
		return nil
	}
	spared := func(m meaning) []string { return m.conditions["ArnNotEquals"]["aws:principalarn"] }
	principals := func(m meaning) []string {
		p, _ := m.elements["Principal"].(map[string][]string)
		return p["AWS"]
	}
	var found []string
	say := func(more, less string, list func(meaning) []string) {
		for _, role := range list(m) {
			if !slices.Contains(list(want), role) {
				found = append(found, clip(want.sid+" "+more+" "+role))
			}
		}
		for _, role := range list(want) {
			if !slices.Contains(list(m), role) {
				found = append(found, clip(want.sid+" "+less+" "+role))
			}
		}
	}
	say("spares", "does not spare", spared)
	say("names", "does not name", principals)
	if len(found) == 0 {
		found = []string{clip("the statement " + want.sid + " is another one: " + m.text())}
	}
	return found
}

func clip(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > clipped {
		text = strings.ToValidUTF8(text[:clipped], "") + "…"
	}
	return text
}
