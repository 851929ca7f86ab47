package inspection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Sight is what InspectSecrets sees of one secret.
type Sight struct {
	registry.Standing
	Secret     authority.Secret
	InForce    string   // its resource policy
	Mayfly     []string // ARNs of the roles of Mayfly's functions that read
	BreakGlass string   // ARN of the role for emergencies; "" for none
	Gone       bool     // Secrets Manager does not have it
	Denied     error    // by which Mayfly is kept from looking at it
	Keyed      Keyed    // its key
	Now        time.Time
}

// A check looks at one thing of a secret that is there to be looked at, and relies on no other check.
type check func(Sight) (Finding, bool)

var checks = []check{tags, access, value, age, key, keyRefuses, oldKey, grants, ungranted, wide}

// Decide says everything that is wrong with a secret, from what was seen of it.
func Decide(s Sight) []Finding {
	switch {
	case s.Denied != nil:
		return []Finding{{Code: Unreadable, Detail: "denied", Reason: "Mayfly may not look at the secret: " + s.Denied.Error()}}
	case s.Gone:
		return []Finding{{Code: Missing, Detail: "missing",
			Reason: "Secrets Manager does not have the secret: apply the contracts, which makes it anew, or withdraw its contract"}}
	case !s.Secret.Deleted.IsZero():
		return []Finding{{Code: Deleted, Detail: s.Secret.Deleted.UTC().Format(time.RFC3339), Repair: Repair{Restore: true},
			Reason: "the secret was marked for deletion while its contract is in force; it is restored: withdraw the contract first"}}
	}
	var found []Finding
	for _, c := range checks {
		if f, wrong := c(s); wrong {
			found = append(found, f)
		}
	}
	return found
}

// tags compares what the secret says about itself with what the contract allows and with what the last run wrote. Whoever may
// tag may tighten the policy; loosening it past the contract, or lending a value more life than it has, is put back.
func tags(s Sight) (Finding, bool) {
	want, misspelled := policyTags(s)
	maps.Copy(want, factTags(s))
	want[policy.Prefix+policy.TagOwner], want[policy.Prefix+policy.TagEnvironment] = s.Contract.Owner, s.Contract.Environment
	maps.DeleteFunc(want, func(name, text string) bool { return s.Secret.Tags[name] == tagged(text) })
	if len(want) == 0 && len(misspelled) == 0 {
		return Finding{}, false
	}
	var said, is []string
	if len(want) > 0 {
		said = append(said, "tags are not what the contract and the last run have them be, and are put back: "+names(want))
	}
	if len(misspelled) > 0 {
		said = append(said, "tags are no attributes of the policy, so that no routine run goes by it: "+strings.Join(misspelled, ", ")+"; correct or remove them")
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		is = append(is, name, s.Secret.Tags[name])
	}
	return Finding{Code: TagDrift, Detail: identity(is, misspelled), Type: trigger.PolicyChange,
		Reason: strings.Join(said, "; "), Repair: Repair{Tags: want}}, true
}

func names(of map[string]string) string { return strings.Join(slices.Sorted(maps.Keys(of)), ", ") }

// tagged is text as Secrets Manager holds it in a tag.
func tagged(text string) string { return *authority.List(map[string]string{"": text})[0].Value }

// policyTags are the attributes that do not hold, each with the contract's initial value, or with the default where that does
// not hold beside the others. The attributes that are none, only their author can put right.
func policyTags(s Sight) (want map[string]string, misspelled []string) {
	want = map[string]string{}
	inForce, bad := policy.Check(s.Secret.Tags, s.Contract)
	initial, err := policy.Initial(s.Contract)
	if err != nil {
		initial = policy.Default(s.Contract)
	}
	for _, b := range bad {
		if name := policy.Prefix + b.Attribute; slices.Contains(policy.Attributes(), b.Attribute) {
			want[name] = initial.Tags()[name]
		} else {
			misspelled = append(misspelled, name)
		}
	}
	_, bad = policy.Check(with(s.Secret.Tags, want), s.Contract)
	for _, b := range bad {
		if name := policy.Prefix + b.Attribute; slices.Contains(policy.Attributes(), b.Attribute) {
			want[name] = inForce.Tags()[name]
		}
	}
	return want, misspelled
}

// with gives tags with others over them.
func with(tags, over map[string]string) map[string]string {
	all := maps.Clone(tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, over)
	return all
}

// factTags are the facts about the value in use that are not what they must be: those that the registry has of the last run,
// and otherwise a life that no contract gives. An expiry that was brought forward is nobody's harm.
func factTags(s Sight) map[string]string {
	const version, since, until = policy.Prefix + policy.TagVersion, policy.Prefix + policy.TagRotatedAt, policy.Prefix + policy.TagExpiresAt
	want := map[string]string{}
	life := s.Contract.TTL.Std()
	at, expires := instant(s.Secret.Tags[since]), instant(s.Secret.Tags[until])
	if r := s.Rotated; r.Version != "" {
		if r.Version != s.Secret.Current {
			return want // the value itself was changed, which is another finding
		}
		want[version], want[since] = r.Version, r.At.Format(time.RFC3339)
		at = r.At
		if latest := earlier(r.Expires, at.Add(life)); expires.IsZero() || expires.After(latest) {
			want[until] = latest.Format(time.RFC3339)
		}
		return want
	}
	const skew = 5 * time.Minute
	switch {
	case s.Secret.Tags[since] == "" && s.Secret.Tags[until] == "": // never rotated
	case at.IsZero(), at.After(s.Now.Add(skew)):
		want[since] = s.Secret.Created.UTC().Format(time.RFC3339) // no value is younger than its secret, whatever a tag says
		want[until] = s.Secret.Created.UTC().Add(life).Format(time.RFC3339)
	case expires.IsZero(), expires.After(at.Add(life)):
		want[until] = at.Add(life).Format(time.RFC3339)
	}
	return want
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// instant reads a time of a tag; what is none is the zero time.
func instant(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// left is the version that the last finished run left AWSCURRENT on, "" where none did yet.
func left(s registry.Standing, secret authority.Secret) string {
	if s.Rotated.Version != "" {
		return s.Rotated.Version
	}
	return secret.Tags[policy.Prefix+policy.TagVersion]
}

// value finds AWSCURRENT where no run left it. A run under way moves it too, but then nobody looks.
func value(s Sight) (Finding, bool) {
	was := left(s.Standing, s.Secret)
	if was == "" || s.Secret.Current == was {
		return Finding{}, false
	}
	f := Finding{Code: ValueChanged, Detail: "AWSCURRENT on " + s.Secret.Current, Type: trigger.Upstream}
	_, ours := credential.SlotOf(s.Secret.Current)
	switch {
	case s.Secret.Current == "":
		f.Reason = "no version carries AWSCURRENT, which the last run left on " + was
	case ours:
		f.Reason = fmt.Sprintf("AWSCURRENT was moved to version %s; the last run left it on %s", s.Secret.Current, was)
	default:
		f.Reason = fmt.Sprintf("version %s, which Mayfly did not make, is in use; the last run left AWSCURRENT on %s", s.Secret.Current, was)
	}
	return f, true
}

// Patience says how long after its due date a secret is late, and how long after it is overdue: two evaluations, and half of
// the time that the policy sets aside for rotating; or less, where that is short.
func Patience(p policy.Policy) (late, overdue time.Duration) {
	before := p.RotateBefore.Std()
	return min(30*time.Minute, before/4), before / 2
}

// age looks for missing success: it asks when the value came into force, not whether anything has failed since.
func age(s Sight) (Finding, bool) {
	held := with(s.Secret.Tags, factTags(s))
	p, _ := policy.Check(held, s.Contract)
	facts, err := policy.FactsFromTags(held)
	if err != nil || facts.RotatedAt.IsZero() && facts.ExpiresAt.IsZero() {
		return unborn(s, facts)
	}
	due := policy.Input{Contract: s.Contract, Policy: p, Facts: facts, Now: s.Now}.Due()
	expires := facts.ExpiresAt
	if expires.IsZero() {
		expires = facts.RotatedAt.Add(p.TTL.Std())
	}
	late, overdue := Patience(p)
	f := Finding{Detail: expires.UTC().Format(time.RFC3339)}
	switch {
	case !s.Now.Before(expires) && p.OnExpiry == contract.Keep:
		f.Code, f.Reason = KeepsExpired, "the value expired at "+f.Detail+" and stays readable: on_expiry is keep"
	case !s.Now.Before(expires):
		f.Code, f.Reason = Expired, "the value expired at "+f.Detail+": nobody may read it until it is rotated"
	case !s.Now.Before(due.Add(overdue)):
		f.Code, f.Reason = Overdue, "not rotated, and expires at "+f.Detail
	case !s.Now.Before(due.Add(late)):
		f.Code, f.Reason = Late, "not rotated yet, and expires at "+f.Detail
	default:
		return Finding{}, false
	}
	f.Reason += fmt.Sprintf("; due since %s, last run: %s%s", due.UTC().Format(time.RFC3339), lastRun(facts), heldBack(p, facts))
	return f, true
}

// unborn is a secret whose value nothing is known about: it is due at once, and stays so until its first run succeeds.
func unborn(s Sight, facts policy.Facts) (Finding, bool) {
	const soon = 30 * time.Minute
	f := Finding{Code: Late, Detail: "no run has rotated it", Reason: "nothing says when the value came into force, and no run has rotated it yet"}
	if facts.LastOutcome != "" {
		f.Code = Overdue
		f.Reason += "; last run: " + lastRun(facts)
	}
	return f, f.Code == Overdue || s.Now.Sub(s.DueAt) > soon
}

func lastRun(f policy.Facts) string {
	if f.LastOutcome == "" {
		return "none"
	}
	return f.LastOutcome
}

func heldBack(p policy.Policy, f policy.Facts) string {
	if p.FailureStrategy == policy.FailHold && strings.HasPrefix(f.LastOutcome, "failed_") {
		return ", and failure_strategy hold waits for somebody to rotate by hand"
	}
	return ""
}
