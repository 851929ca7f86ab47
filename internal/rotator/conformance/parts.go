package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// rotates goes through three runs, so that a login that was barred comes back into use.
func rotates(t *testing.T, b *bench) {
	for range 3 {
		c := b.next()
		started := time.Now()
		b.set(c)
		t.Logf("Set and two probes: %v", time.Since(started).Round(time.Millisecond))
		b.must(b.Rotator.Test(t.Context(), c))
		look := c
		look.LookOnly = true
		b.adopt(look, rotator.Adoption{})
		if b.dual() {
			b.probe(c, c.Old, rotator.Honoured, "the old value after a mere look")
		}
		b.adopt(c, rotator.Adoption{Barred: true})
		b.probe(c, c.Old, rotator.Refused, "the old value after its adoption")
		b.must(b.Rotator.Revoke(t.Context(), c))
		b.probe(c, c.Old, rotator.Refused, "the old value after its revocation")
		b.probe(c, c.New, rotator.Honoured, "the new value in the end")
		b.commit(c)
	}
}

func idempotent(t *testing.T, b *bench) {
	c := b.next()
	for range 2 {
		b.set(c)
		b.must(b.Rotator.Test(t.Context(), c))
	}
	for range 2 {
		b.must(b.Rotator.Restore(t.Context(), c))
		b.probe(c, c.Old, rotator.Honoured, "the old value after Restore")
		b.probe(c, c.New, rotator.Refused, "the new value after Restore")
	}
	b.set(c)
	for range 2 {
		b.adopt(c, rotator.Adoption{Barred: true})
		b.must(b.Rotator.Revoke(t.Context(), c))
		b.probe(c, c.Old, rotator.Refused, "the old value")
		b.probe(c, c.New, rotator.Honoured, "the new value")
	}
}

// restores before anything was set, after it was set, and in a run that follows another.
func restores(t *testing.T, b *bench) {
	for range 2 {
		c := b.next()
		b.must(b.Rotator.Restore(t.Context(), c))
		b.probe(c, c.Old, rotator.Honoured, "the value in use, nothing having been set")
		b.set(c)
		b.must(b.Rotator.Restore(t.Context(), c))
		b.probe(c, c.Old, rotator.Honoured, "the old value after Restore")
		b.probe(c, c.New, rotator.Refused, "the new value after Restore")

		c = b.next()
		b.set(c)
		b.must(b.Rotator.Revoke(t.Context(), c))
		b.commit(c)
	}
}

// fences sees that a run whose lease is gone changes nothing, whatever it tries.
func fences(t *testing.T, b *bench) {
	if !b.Fences {
		t.Skip("this target cannot fence")
	}
	late, c := b.next(), b.next()
	b.set(c)
	for name, err := range map[string]error{
		"Set":      b.Rotator.Set(t.Context(), late),
		"Restore":  b.Rotator.Restore(t.Context(), late),
		"Revoke":   b.Rotator.Revoke(t.Context(), late),
		"Adoption": adoption(t.Context(), b, late),
	} {
		if name == "Adoption" && !b.dual() && err == nil {
			continue // replaced in place: there is nothing left to bar, so nothing was written
		}
		b.fails(err, name+" of an older run", fault.Fenced)
	}
	b.afterSet(c)
	b.probe(c, late.New, rotator.Refused, "the value of the older run")
}

func adoption(ctx context.Context, b *bench, c rotator.Change) error {
	_, err := b.Rotator.Adoption(ctx, c)
	return err
}

// quiet waits until the target has seen the last login of a probe end, which it does a moment after the client: adoption would
// take that one for a service's.
func (b *bench) quiet(c rotator.Change) {
	b.Helper()
	c.LookOnly = true
	for range 50 {
		seen, err := b.Rotator.Adoption(b.Context(), c)
		b.must(err)
		if seen.Sessions == 0 {
			return
		}
	}
	b.Fatal("sessions of the old login do not end")
}

func expires(t *testing.T, b *bench) {
	b.targeted()
	if b.Advance == nil || !b.Fences {
		t.Skip("this target's expiries cannot be tried")
	}
	const life = time.Hour
	c := b.next()
	c.ExpiresIn = life
	b.set(c)
	b.must(b.Advance(life - time.Minute))
	b.probe(c, c.New, rotator.Honoured, "a minute before the expiry")
	b.must(b.Advance(2 * time.Minute))
	b.probe(c, c.New, rotator.Refused, "a minute after the expiry")
	if b.dual() {
		b.probe(c, c.Old, rotator.Honoured, "the value in use")
	}
	b.commit(c)
	c = b.next()
	b.must(b.Rotator.Set(t.Context(), c))
	b.must(b.Advance(10 * life))
	b.probe(c, c.New, rotator.Honoured, "a value without end")
}

func sessions(t *testing.T, b *bench) {
	if b.Open == nil {
		t.Skip("this target has no sessions")
	}
	ctx := t.Context()
	c := b.next()
	open := func(v credential.Value) Session {
		s, err := b.Open(ctx, v)
		b.must(err)
		t.Cleanup(func() { _ = s.Close(context.WithoutCancel(ctx)) })
		return s
	}
	service := open(c.Old)
	b.set(c)
	if !service.Alive(ctx) {
		t.Fatal("Set ended a session of the value in use")
	}
	adopted := open(c.New)
	ends := c
	ends.EndSessions = true
	if b.Fences { // without, sessions of the two values cannot be told apart
		b.adopt(ends, rotator.Adoption{Sessions: 1})
		if !service.Alive(ctx) {
			t.Fatal("a look ended a session in use")
		}
	}
	b.must(b.Rotator.Revoke(ctx, c))
	b.probe(c, c.Old, rotator.Refused, "the revoked value")
	if !service.Alive(ctx) {
		t.Error("Revoke ended a session that policy leaves alone")
	}
	if b.Fences {
		b.adopt(func() rotator.Change { f := c; f.Force = true; return f }(), rotator.Adoption{Sessions: 1, Barred: true})
		ends.Force = true
		b.adopt(ends, rotator.Adoption{Barred: true})
		if service.Alive(ctx) {
			t.Error("the old session outlived its end")
		}
		if !adopted.Alive(ctx) {
			t.Error("a session of the new value was ended")
		}
	}
	b.must(b.Rotator.Revoke(ctx, ends))
	if service.Alive(ctx) {
		t.Error("the old session outlived its revocation")
	}
	b.probe(c, c.New, rotator.Honoured, "the new value")
}

// contains revokes the value in use before there is another one.
func contains(t *testing.T, b *bench) {
	b.targeted()
	if !b.Fences {
		t.Skip("a credential that changes itself is contained by replacing it")
	}
	for range 2 {
		c := b.next()
		c.EndSessions = true
		service, err := b.Open(t.Context(), c.Old)
		b.must(err)
		b.must(b.Rotator.Revoke(t.Context(), c))
		b.probe(c, c.Old, rotator.Refused, "the contained value")
		if service.Alive(t.Context()) {
			t.Error("a session of the contained value lives on")
		}
		_ = service.Close(t.Context()) // ended by the target
		b.must(b.Rotator.Set(t.Context(), c))
		b.must(b.Rotator.Test(t.Context(), c))
		b.must(b.Rotator.Revoke(t.Context(), c))
		b.probe(c, c.New, rotator.Honoured, "the value that replaces it")
		b.probe(c, c.Old, rotator.Refused, "the contained value in the end")
		b.commit(c)
	}
}

func skew(t *testing.T, b *bench) {
	b.targeted()
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		c := b.next()
		c.Now = c.Now.Add(off)
		b.fails(b.Rotator.Set(t.Context(), c), "Set with a clock that is off", fault.ClockSkew)
		b.probe(c, c.Old, rotator.Honoured, "the value in use")
		b.probe(c, c.New, rotator.Refused, "the value that was not set")
	}
}

func foreign(t *testing.T, b *bench) {
	b.targeted()
	c := b.next()
	other := c
	other.New, _ = credential.Compose(c.Target, "somebody_else", zeros{})
	b.fails(b.Rotator.Set(t.Context(), other), "Set of a value for another login", fault.ValueInvalid)
	b.fails(b.Rotator.Test(t.Context(), other), "Test of a value for another login", fault.ValueInvalid)
	other = c
	other.From.User = "somebody_else"
	b.fails(b.Rotator.Revoke(t.Context(), other), "Revoke of another login", fault.ValueInvalid)
	b.fails(b.Rotator.Test(t.Context(), c), "Test of a value that was never set", fault.TestRefused)
	if b.dual() {
		other = c
		other.From = other.To
		b.fails(b.Rotator.Set(t.Context(), other), "Set of the login in use", fault.TargetRefused)
	}
	b.probe(c, c.Old, rotator.Honoured, "the value in use")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// faults loses each write once before and once after it took effect. The caller cannot tell which, so it does the same
// again, and that must end where an undisturbed call ends.
func faults(t *testing.T, b *bench) {
	if b.Cut == nil {
		t.Skip("this target's connection cannot be cut")
	}
	for _, after := range []bool{false, true} {
		lose := func(name string, call func() error) {
			t.Helper()
			fired := b.Cut(after)
			err := call()
			if !fired() {
				t.Fatalf("%s wrote nothing", name)
			}
			b.fails(err, name+" without an answer", fault.OutcomeUnknown)
			b.must(call())
		}
		c := b.next()
		lose("Set", func() error { return b.Rotator.Set(t.Context(), c) })
		b.afterSet(c)
		lose("Restore", func() error { return b.Rotator.Restore(t.Context(), c) })
		b.probe(c, c.Old, rotator.Honoured, "the old value after Restore")
		b.probe(c, c.New, rotator.Refused, "the new value after Restore")
		b.set(c)
		if b.dual() {
			b.quiet(c)
			lose("Adoption", func() error { return adoption(t.Context(), b, c) })
			b.probe(c, c.Old, rotator.Refused, "the old value after its adoption")
		}
		if b.Fences {
			lose("Revoke", func() error { return b.Rotator.Revoke(t.Context(), c) })
		}
		b.probe(c, c.Old, rotator.Refused, "the old value after its revocation")
		b.probe(c, c.New, rotator.Honoured, "the new value")
		b.commit(c)
	}
}

func unreachable(t *testing.T, b *bench) {
	if b.Refuse == nil {
		t.Skip("this target is always there")
	}
	c := b.next()
	b.Refuse(true)
	_, probe := b.Rotator.Probe(t.Context(), c, c.Old)
	for name, err := range map[string]error{
		"Set": b.Rotator.Set(t.Context(), c), "Test": b.Rotator.Test(t.Context(), c),
		"Restore": b.Rotator.Restore(t.Context(), c), "Revoke": b.Rotator.Revoke(t.Context(), c),
		"Adoption": adoption(t.Context(), b, c), "Probe": probe,
	} {
		b.fails(err, name, fault.TargetUnavailable)
	}
	b.Refuse(false)
	b.probe(c, c.Old, rotator.Honoured, "the value in use")
	b.probe(c, c.New, rotator.Refused, "the value that was not set")
}
