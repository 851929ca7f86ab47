package blastradius

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Guardrails are the organisation's rules over contracts. The head of contracts/guardrails.cedar documents what they may
// speak of. The zero value has no rules and finds nothing.
type Guardrails struct{ policies *cedar.PolicySet }

// noRules is what stands where there are no rules, so that a file of rules that got lost is not taken for that.
const noRules = `// The folder of contracts has no guardrails.cedar: everything is allowed.
@id("no-rules")
permit (principal, action, resource);
`

// Rules is the text of a bundle's guardrails, as admission gets it.
func Rules(b contract.Bundle) []byte {
	if b.Guardrails == nil {
		return []byte(noRules)
	}
	return b.Guardrails
}

// Finding is a rule that a contract breaks.
type Finding struct {
	Secret string `json:"secret"`
	Rule   string `json:"rule"`   // the policy's @id
	Reason string `json:"reason"` // its @reason
	At     string `json:"at"`     // its @at: JSON pointer into the contract; "" is the whole
	Do     string `json:"do"`     // its @do
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Secret, f.Rule, f.Reason) }

// Ids of findings that are no rule of the file.
const (
	NotPermitted = "not-permitted" // no permit allows the contract
	RuleBroken   = "rule-broken"   // a rule could not be evaluated, and what cannot be evaluated is not passed
)

// BadRule is text that is no set of rules. Line and Column count from 1.
type BadRule struct {
	Line, Column int
	Message      string
}

func (e *BadRule) Error() string {
	return fmt.Sprintf("guardrails, line %d, column %d: %s", e.Line, e.Column, e.Message)
}

var parsePlace = regexp.MustCompile(`parse error at \S*?:(\d+):(\d+) (.*)`)

// ReadGuardrails reads rules in Cedar. The error is a *BadRule: the text does not parse, an @id is missing or given twice,
// a forbid has no @reason, or an annotation is unknown, which would be a misspelled one.
func ReadGuardrails(text []byte) (Guardrails, error) {
	rules, err := cedar.NewPolicyListFromBytes("", text)
	if err != nil {
		bad := &BadRule{Line: 1, Column: 1, Message: err.Error()}
		if m := parsePlace.FindStringSubmatch(err.Error()); m != nil {
			bad.Line, _ = strconv.Atoi(m[1])
			bad.Column, _ = strconv.Atoi(m[2])
			bad.Message = "Cedar cannot read this: " + m[3]
		}
		return Guardrails{}, bad
	}
	set := cedar.NewPolicySet()
	for _, rule := range rules {
		complain := func(format string, args ...any) error {
			return &BadRule{Line: rule.Position().Line, Column: rule.Position().Column, Message: fmt.Sprintf(format, args...)}
		}
		notes := rule.Annotations()
		for name := range notes {
			if !slices.Contains([]string{"id", "reason", "at", "do"}, string(name)) {
				return Guardrails{}, complain("@%s is no annotation here; use @id, @reason, @at and @do", name)
			}
		}
		id := notes["id"]
		switch {
		case id == "" || id == NotPermitted || id == RuleBroken:
			return Guardrails{}, complain("the rule has no @id of its own; findings need one")
		case rule.Effect() == cedar.Forbid && notes["reason"] == "":
			return Guardrails{}, complain("rule %q has no @reason; whoever breaks it needs one", id)
		case !set.Add(cedar.PolicyID(id), rule):
			return Guardrails{}, complain("the @id %q is given twice", id)
		}
	}
	return Guardrails{policies: set}, nil
}

// Evaluate applies the rules to every contract, as Action::"lint", and gives every finding: by contract in the order of the
// bundle, then by rule. What admission would find beside that under the initial policy is found too, such as a rule over what is
// known at lint only, which would refuse every run. A contract for which no radius can be derived is passed over; Problems says why.
func (g Guardrails) Evaluate(b contract.Bundle) []Finding {
	found := []Finding{}
	for _, c := range b.Contracts {
		if e, ok := lintEntity(b, c); ok {
			at := len(found)
			found = append(found, g.decide(c, "lint", e)...)
			known := func(f Finding) bool {
				return slices.ContainsFunc(found[at:], func(k Finding) bool { return k.Rule == f.Rule })
			}
			if p, err := policy.Initial(c); err == nil {
				found = append(found, slices.DeleteFunc(g.Admit(c, p), known)...)
			}
		}
	}
	return found
}

// Admit applies the rules to one contract under the policy in force, as Action::"admit". Nothing is known then of other
// contracts. No finding means that the run may go on. Containment must not wait for a rule: record what is found, and go on.
func (g Guardrails) Admit(c contract.Contract, p policy.Policy) []Finding {
	c = contract.WithDefaults(c)
	return g.decide(c, "admit", entity(c, contractFacts(c, p)))
}

// Clashes are the findings over a bundle, as whoever checks a folder of contracts reports them.
func (g Guardrails) Clashes(b contract.Bundle) []contract.Clash {
	var clashes []contract.Clash
	for _, f := range g.Evaluate(b) {
		i := slices.IndexFunc(b.Contracts, func(c contract.Contract) bool { return c.ID() == f.Secret })
		clashes = append(clashes, contract.Clash{Index: i, Problem: contract.Problem{Path: f.At, Code: f.Rule, Message: f.Reason, Do: f.Do}})
	}
	return clashes
}

// decide asks Cedar about one contract. Every forbid that applies is a finding, not only the first.
func (g Guardrails) decide(c contract.Contract, action string, e cedar.Entity) []Finding {
	if g.policies == nil {
		return nil
	}
	decision, why := cedar.Authorize(g.policies, cedar.EntityMap{e.UID: e}, cedar.Request{
		Principal: cedar.NewEntityUID("Team", cedar.String(c.Owner)), Action: cedar.NewEntityUID("Action", cedar.String(action)), Resource: e.UID,
	})
	var found []Finding
	for _, broken := range why.Errors {
		found = append(found, Finding{Secret: c.ID(), Rule: RuleBroken,
			Reason: fmt.Sprintf("rule %s could not be evaluated: %s", broken.PolicyID, broken.Message),
			Do:     "correct the rule in guardrails.cedar"})
	}
	if decision == cedar.Deny {
		for _, reason := range why.Reasons {
			notes := g.policies.Get(reason.PolicyID).Annotations()
			found = append(found, Finding{Secret: c.ID(), Rule: string(reason.PolicyID), Reason: string(notes["reason"]), At: string(notes["at"]), Do: string(notes["do"])})
		}
	}
	if decision == cedar.Deny && len(found) == 0 {
		found = append(found, Finding{Secret: c.ID(), Rule: NotPermitted, Reason: "no rule permits the contract", Do: "change the contract, or permit it in guardrails.cedar"})
	}
	slices.SortFunc(found, func(x, y Finding) int {
		return cmp.Or(strings.Compare(x.Rule, y.Rule), strings.Compare(x.Reason, y.Reason))
	})
	return found
}
