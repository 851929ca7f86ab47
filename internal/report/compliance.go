package report

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Clause is a control that the contract's author named, and what it is called.
type Clause struct {
	Framework string    `json:"framework"` // as written: iso_27001, pci_dss, soc_2, …
	Clause    string    `json:"clause"`    // as written
	Note      string    `json:"note"`      // "" where the number stands as it is
	Controls  []Control `json:"controls"`  // what it names today; none: not known here
}

// Control is a control of a framework in its version of today.
type Control struct {
	Number   string `json:"number"`
	Title    string `json:"title"`
	Evidence string `json:"evidence"` // where in the report
}

// Where in the report the evidence for a control is.
const (
	readersAre  = "who can read it"
	lifetimeIs  = "lifetime, last runs"
	runsAre     = "last runs"
	trailIs     = "audit trail"
	contractsIs = "contract digest and commit"
)

// iso2013 leads from numbers of ISO 27001:2013 to those of 2022, as annex B of ISO/IEC 27002:2022 has them, as far as secrets are
// concerned.
var iso2013 = []struct {
	old string
	now []string
}{
	{"9.1.1", []string{"5.15"}}, {"9.1.2", []string{"5.15"}}, {"9.2.1", []string{"5.16"}}, {"9.2.2", []string{"5.18"}},
	{"9.2.3", []string{"8.2"}}, {"9.2.4", []string{"5.17"}}, {"9.3.1", []string{"5.17"}}, {"9.4.1", []string{"8.3"}},
	{"9.4.2", []string{"8.5"}}, {"9.4.3", []string{"5.17"}}, {"10.1.1", []string{"8.24"}}, {"10.1.2", []string{"8.24"}},
	{"12.1.2", []string{"8.32"}}, {"12.1.4", []string{"8.31"}}, {"12.4.1", []string{"8.15"}}, {"12.4.2", []string{"8.15"}},
	{"12.4.3", []string{"8.15"}}, {"14.2.1", []string{"8.25"}}, {"14.2.2", []string{"8.32"}}, {"14.2.6", []string{"8.31"}},
	{"16.1.5", []string{"5.26"}}, {"16.1.7", []string{"5.28"}},
}

// The controls that secrets are about; titles as the frameworks have them, shortened where they are sentences.
var (
	iso2022 = map[string]Control{
		"5.15": {Title: "Access control", Evidence: readersAre}, "5.16": {Title: "Identity management", Evidence: readersAre},
		"5.17": {Title: "Authentication information", Evidence: lifetimeIs}, "5.18": {Title: "Access rights", Evidence: readersAre},
		"5.26": {Title: "Response to information security incidents", Evidence: runsAre}, "5.28": {Title: "Collection of evidence", Evidence: trailIs},
		"8.2": {Title: "Privileged access rights", Evidence: readersAre}, "8.3": {Title: "Information access restriction", Evidence: readersAre},
		"8.5": {Title: "Secure authentication", Evidence: lifetimeIs}, "8.15": {Title: "Logging", Evidence: trailIs},
		"8.24": {Title: "Use of cryptography", Evidence: lifetimeIs}, "8.25": {Title: "Secure development life cycle", Evidence: contractsIs},
		"8.31": {Title: "Separation of development, test and production environments", Evidence: readersAre},
		"8.32": {Title: "Change management", Evidence: contractsIs},
	}
	pci = map[string]Control{
		"3.6":      {Title: "Keys that protect stored account data are secured", Evidence: readersAre},
		"3.7":      {Title: "The life of keys that protect stored account data is managed", Evidence: lifetimeIs},
		"8.6.2":    {Title: "No hard-coded passwords of application and system accounts", Evidence: readersAre},
		"8.6.3":    {Title: "Passwords of application and system accounts are changed, and on suspicion of compromise", Evidence: lifetimeIs},
		"10.2.1.5": {Title: "Changes to credentials are logged", Evidence: trailIs}, "10.2.2": {Title: "What a log entry records", Evidence: trailIs},
		"10.3.2": {Title: "Logs are protected from modification", Evidence: trailIs}, "10.3.4": {Title: "Modification of logs is detected", Evidence: trailIs},
		"10.5.1": {Title: "Logs are kept for 12 months, 3 of them at hand", Evidence: trailIs},
	}
	soc2 = map[string]Control{
		"CC6.1": {Title: "Logical access security", Evidence: readersAre}, "CC6.2": {Title: "Credentials are issued and withdrawn", Evidence: lifetimeIs},
		"CC6.3": {Title: "Access is by role and least privilege", Evidence: readersAre}, "CC7.2": {Title: "Monitoring for anomalies", Evidence: runsAre},
		"CC7.3": {Title: "Events are evaluated", Evidence: runsAre}, "CC7.4": {Title: "Response to incidents", Evidence: runsAre},
		"CC8.1": {Title: "Change management", Evidence: contractsIs},
	}
)

// clauses explains what a contract names, by framework.
func clauses(compliance map[string]string) []Clause {
	all := []Clause{}
	for _, framework := range slices.Sorted(maps.Keys(compliance)) {
		c := Clause{Framework: framework, Clause: compliance[framework], Controls: []Control{}}
		number := strings.TrimPrefix(c.Clause, "A.")
		switch name := plain.ReplaceAllString(strings.ToLower(framework), ""); {
		case strings.HasPrefix(name, "iso27001") && of2013(number):
			c.Note = "a number of ISO 27001:2013"
			for _, n := range successors(number) {
				c.control("A.", n, iso2022)
			}
		case strings.HasPrefix(name, "iso27001"):
			c.control("A.", number, iso2022)
		case strings.HasPrefix(name, "pci"):
			c.control("", number, pci)
		case strings.HasPrefix(name, "soc2"):
			c.control("", number, soc2)
		}
		all = append(all, c)
	}
	return all
}

var plain = regexp.MustCompile(`[^a-z0-9]`)

func (c *Clause) control(prefix, number string, catalogue map[string]Control) {
	if k, known := catalogue[number]; known {
		c.Controls = append(c.Controls, Control{prefix + number, k.Title, k.Evidence})
	}
}

// of2013 tells numbers of 2013 from those of 2022, which has A.5 to A.8 and two levels only.
func of2013(number string) bool {
	first, rest, _ := strings.Cut(number, ".")
	return strings.Contains(rest, ".") || slices.Contains([]string{"9", "10", "11", "12", "13", "14", "15", "16", "17", "18"}, first)
}

// successors are the numbers of 2022 for one of 2013, or for all that is below it.
func successors(number string) []string {
	var now []string
	for _, m := range iso2013 {
		if m.old == number || strings.HasPrefix(m.old, number+".") {
			now = append(now, m.now...)
		}
	}
	slices.SortFunc(now, compareNumbers)
	return slices.Compact(now)
}

// compareNumbers puts 8.2 before 8.15.
func compareNumbers(x, y string) int {
	a, b := strings.Split(x, "."), strings.Split(y, ".")
	return slices.CompareFunc(a, b, func(m, n string) int {
		if len(m) != len(n) {
			return len(m) - len(n)
		}
		return strings.Compare(m, n)
	})
}
