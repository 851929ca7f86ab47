package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Finding is what is not as it should be.
type Finding struct {
	Secret string `json:"secret"` // empty: it concerns no single one
	Code   string `json:"code"`   // never renamed
	Text   string `json:"text"`
}

// The codes, the gravest first.
const (
	Compromised      = "Compromised"      // marked as compromised: containment has not succeeded yet
	FailedDirty      = "FailedDirty"      // the last run ended with a law at risk
	ChainBroken      = "ChainBroken"      // audit records are missing, altered, hidden or not locked
	ValueExpired     = "Expired"          // past its expiry
	Missing          = "Missing"          // not in Secrets Manager
	NotRevoked       = "NotRevoked"       // the last rotation has no proof of revocation, and should have one
	NotRotated       = "Overdue"          // it should have rotated, and did not
	FailedClean      = "FailedClean"      // the last run changed nothing
	Refused          = "Refused"          // the last request was refused
	Unfinished       = "Unfinished"       // the last run never ended
	PolicyInvalid    = "PolicyInvalid"    // a tag does not hold
	NoSentence       = "NoSentence"       // nobody can say what a leak would mean
	KeepsExpired     = "KeepsExpired"     // on_expiry is keep: nothing ends the value by itself
	NotInForce       = "NotInForce"       // written and never applied
	NoRecords        = "NoRecords"        // in force, and without a single record
	ContractsInvalid = "ContractsInvalid" // lint finds problems
	NothingRecorded  = "NothingRecorded"  // the bucket holds no record
	NothingToReport  = "NothingToReport"  // no contract is in force, nor written
)

// Those of an inspection have the codes that it gives them.
var gravity = []string{Compromised, FailedDirty, ChainBroken, NothingRecorded, string(inspection.RevokedHonoured), string(inspection.ProbeFailed),
	string(inspection.CurrentRefused), ValueExpired, Missing, NotRevoked, NotRotated, FailedClean, Refused, Unfinished,
	string(inspection.ValueChanged), string(inspection.PolicyDrift), string(inspection.TagDrift), string(inspection.Unreadable), PolicyInvalid, NoSentence, KeepsExpired, NotInForce, NoRecords, ContractsInvalid, NothingToReport}

// rank is a code's place in that order; one that has none comes last.
func rank(code string) int {
	if i := slices.Index(gravity, code); i >= 0 {
		return i
	}
	return len(gravity) - 1
}

// rank is that of the gravest finding; secrets without one come last.
func (s Secret) rank() int {
	least := len(gravity)
	for _, f := range s.Findings {
		least = min(least, rank(f.Code))
	}
	return least
}

// list collects the findings about one secret.
type list struct {
	secret string
	found  []Finding
}

func (l *list) add(when bool, code, format string, args ...any) {
	if when {
		l.found = append(l.found, Finding{l.secret, code, fmt.Sprintf(format, args...)})
	}
}

// findings are what is wrong with one secret, the gravest first. Runs and inspections are all of them.
func (f Facts) findings(s subject, secret Secret, runs []Run, inspected []Inspection) []Finding {
	l := &list{secret: secret.Secret, found: []Finding{}}
	if !s.inForce {
		l.add(true, NotInForce, "the contract in %s is not in force: mayfly apply", f.Folder)
		return l.found
	}
	mark := s.Tags[policy.Prefix+policy.TagCompromised]
	l.add(mark != "" && mark != "false", Compromised, "it is marked as compromised")
	l.add(s.Missing, Missing, "it is not in Secrets Manager, or is marked for deletion")
	life := secret.Life
	l.add(life.State == Expired, ValueExpired, "its value expired %s ago", Words(f.Now.Sub(life.expires)))
	l.add(life.State == Overdue, NotRotated, "it should have rotated %s ago, and did not", Words(f.Now.Sub(life.due)))
	l.add(life.OnExpiry == contract.Keep, KeepsExpired, "on_expiry is keep: nothing ends its value by itself")
	p, bad := policyOf(s)
	for _, b := range bad {
		l.add(true, PolicyInvalid, "tag %s%s %s", policy.Prefix, b.Attribute, b.Message)
	}
	if _, err := blastradius.Derive(f.bundle(), secret.Secret); err != nil {
		l.add(true, NoSentence, "%s", strings.TrimPrefix(err.Error(), secret.Secret+": "))
	}
	if c := secret.Chain; c != nil && len(c.Problems) > 0 {
		l.add(true, ChainBroken, "%d of its audit records are missing, altered, hidden or not locked", len(c.Problems))
	}
	l.add(secret.Chain == nil, NoRecords, "it has no audit record")
	l.run(runs, p, s.Contract.Target != nil, s.Lease.Execution)
	l.inspected(s, inspected)
	slices.SortFunc(l.found, func(x, y Finding) int {
		return cmp.Or(rank(x.Code)-rank(y.Code), strings.Compare(x.Code, y.Code), strings.Compare(x.Text, y.Text))
	})
	return l.found
}

// run looks at the newest run, and at the newest that rotated.
func (l *list) run(runs []Run, p policy.Policy, target bool, leased string) {
	if len(runs) == 0 {
		return
	}
	last := runs[0]
	l.add(last.Outcome == audit.FailedDirty, FailedDirty, "its last run ended failed_dirty: %s: %s", last.ReasonCode, last.Why)
	l.add(last.Outcome == audit.FailedClean && !last.Refused, FailedClean, "its last run changed nothing: %s: %s", last.ReasonCode, last.Why)
	l.add(last.Refused, Refused, "the last request was refused: %s: %s", last.ReasonCode, last.Why)
	l.add(last.Outcome == "" && last.Execution != leased, Unfinished, "its last run never ended: %s", last.Execution)
	if i := slices.IndexFunc(runs, func(r Run) bool { return r.Outcome == audit.Rotated }); i >= 0 && target && p.RevokeOld {
		r := runs[i]
		l.add(r.VersionFrom != "" && len(r.Proofs) == 0, NotRevoked, "no record proves that the version before its last rotation (%s) is refused", r.Ended)
	}
}

// general are the findings that concern no single secret.
func (f Facts) general(a Audit) []Finding {
	l := &list{found: []Finding{}}
	l.add(len(f.subjects()) == 0, NothingToReport, "no contract is in force, and %s holds none", f.Folder)
	l.add(f.Problems > 0, ContractsInvalid, "lint finds %d problem(s) in %s: mayfly lint %s", f.Problems, f.Folder, f.Folder)
	l.add(a.Records == 0, NothingRecorded, "s3://%s holds no audit record", f.Bucket)
	known := map[string]bool{}
	for _, s := range f.subjects() {
		known[contract.Slug(s.Contract.ID())] = true
	}
	for _, c := range a.Chains {
		l.add(len(c.Problems) > 0 && !known[c.Secret], ChainBroken, "%d audit records of chain %s in %s are missing, altered, hidden or not locked",
			len(c.Problems), c.Secret, c.Environment)
	}
	return l.found
}

// Words writes a length of time for people, in its two largest units: "3 days 4 hours", "20 minutes".
func Words(d time.Duration) string {
	d = max(d, 0)
	units := []struct {
		name   string
		length time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}}
	for i, u := range units {
		n := d / u.length
		if n == 0 && i < len(units)-1 {
			continue
		}
		text := count(int64(n), u.name)
		if i < 2 {
			if rest := (d % u.length) / units[i+1].length; rest > 0 && n < 10 {
				text += " " + count(int64(rest), units[i+1].name)
			}
		}
		return text
	}
	return ""
}

func count(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
