package blastradius

import (
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// holder says what somebody with the value could do, and until when.
func (d *derivation) holder() Holder {
	c := d.contract
	h := Holder{
		Logins: []string{}, May: []string{}, Takes: d.takes(), TTL: d.policy.TTL, Overlap: d.policy.MaxOverlap,
		Endless: d.policy.OnExpiry == contract.Keep || !d.policy.RevokeOld,
	}
	switch c.Kind {
	case contract.Random:
		h.May = append(h.May, "pass for "+d.asWhom()+" wherever the value is accepted")
	case contract.Postgres:
		h.Target = fmt.Sprintf("database %s at %s", c.Target.Database, server(c.Target))
		h.Logins = append(h.Logins, contract.Logins(c)...)
		h.May = append(h.May, fmt.Sprintf("log in to %s with the rights of %s", h.Target, c.Target.Owner))
	}
	if len(h.Takes) > 0 {
		h.May = append(h.May, "replace the credentials of "+and(h.Takes))
	}
	h.Until = d.until()
	return h
}

// until says what ends it, and is careful with what nothing enforces.
func (d *derivation) until() string {
	p := d.policy
	switch {
	case p.OnExpiry == contract.Keep:
		return "until somebody rotates it: on_expiry is keep, so that nothing ends it by itself"
	case !p.RevokeOld:
		return fmt.Sprintf("without end at the target: revoke_old is false; from Secrets Manager it is read for at most %s", words(p.TTL))
	case d.contract.Target == nil:
		return fmt.Sprintf("until whatever accepts it stops to: from Secrets Manager it is read for at most %s, and its successor takes over within %s",
			words(p.TTL), words(p.MaxOverlap))
	default:
		return fmt.Sprintf("for at most %s, when the target itself refuses the login, and at most %s beside its successor; %s",
			words(p.TTL), words(p.MaxOverlap), d.sessions())
	}
}

// sessions says what outlives the login: refusing it ends no session that is open.
func (d *derivation) sessions() string {
	said := "sessions that are open at its revocation stay open, but for containment: end_sessions is false"
	if d.policy.EndSessions {
		said = "its revocation ends its sessions"
	}
	if len(d.takes()) > 0 {
		said += "; what was made at the target with it outlives it"
	}
	return said
}

// sentence is the answer in one sentence: the contract's own, or one that follows from what was derived.
func (d *derivation) sentence(r *Radius) error {
	if d.contract.Statement != "" {
		r.Sentence, r.Written = strings.Join(strings.Fields(d.contract.Statement), " "), true
		return nil
	}
	if len(r.Holder.May) == 0 {
		return d.refuse("/kind", "no-sentence",
			fmt.Sprintf("what the holder of a secret of kind %q could do is not known", d.contract.Kind),
			"write the sentence yourself: statement: If this leaks, …; … is untouched.")
	}
	stops := "revoking it stops " + and(r.Stops) + " until the next value is read"
	r.Sentence = fmt.Sprintf("If this leaks, its holder can %s, %s; %s; %s.", d.can(r), d.howLong(), stops, d.safe(r))
	return nil
}

// can is what the holder may do, with servers as people call them.
func (d *derivation) can(r *Radius) string {
	text := and(r.Holder.May)
	if t := d.contract.Target; t != nil {
		text = strings.ReplaceAll(text, server(t), contract.Server(t.Host))
	}
	return text
}

func (d *derivation) howLong() string {
	switch p := d.policy; {
	case p.OnExpiry == contract.Keep:
		return "until somebody rotates it"
	case !p.RevokeOld:
		return "without end, as old values are not revoked"
	case d.contract.Target == nil:
		if p.MaxOverlap == 0 {
			return "until it is replaced within " + words(p.TTL)
		}
		return fmt.Sprintf("until it is replaced within %s, and at most %s longer beside its successor", words(p.TTL), words(p.MaxOverlap))
	default:
		return "for at most " + words(p.TTL)
	}
}

// safe ends the sentence with what is untouched.
func (d *derivation) safe(r *Radius) string {
	switch {
	case len(r.Elsewhere) > 0:
		return fmt.Sprintf("it reaches %s too, and every environment but %s is untouched",
			and(r.Elsewhere), and(append([]string{r.Environment}, r.Elsewhere...)))
	case len(r.Holder.Takes) > 0:
		return fmt.Sprintf("every secret but %s, and every other environment is untouched", and(append([]string{"this"}, r.Holder.Takes...)))
	default:
		return "every other secret and environment is untouched"
	}
}

// asWhom names the declared services.
func (d *derivation) asWhom() string {
	names := d.services()
	if len(names) == 0 {
		return "Mayfly in " + d.contract.Environment
	}
	return and(names) + " in " + d.contract.Environment
}

// and lists in words: "a", "a and b", "a, b and c".
func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// words writes a length of time for people: "1 day", "36 hours", "90 seconds".
func words(d contract.Duration) string {
	for _, u := range []struct {
		name   string
		length time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d != 0 && d.Std()%u.length == 0 {
			return plural(int64(d.Std()/u.length), u.name)
		}
	}
	return plural(int64(d.Std()/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
