// Package conformance is what every rotator must pass, against the real system that it changes. Its proof is always the
// same: logging in with the one value, and being refused with the other.
package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
)

// Fixture is one fresh secret, at a target where nobody else is. A nil function means that the target cannot do it, and
// what needs it is skipped.
type Fixture struct {
	Rotator rotator.Rotator
	Change  rotator.Change   // Secret, Target, Strategy, Admin, From
	Current credential.Value // of From, honoured; zero for a kind without target

	Fences     bool                                                     // the target knows older runs from newer
	Now        func() time.Time                                         // of the target; nil: the machine's
	Advance    func(time.Duration) error                                // moves the target's clock forward
	Open       func(context.Context, credential.Value) (Session, error) // a service's own session
	Statements func() (string, error)                                   // everything that the target wrote down
	Cut        func(after bool) (fired func() bool)                     // loses the next write, or its answer
	Refuse     func(bool)                                               // makes the target unreachable
}

// Session is a service's open connection.
type Session interface {
	Alive(context.Context) bool
	Close(context.Context) error
}

// Run runs the suite. Each part asks for a fixture of its own.
func Run(t *testing.T, make func(*testing.T) Fixture) {
	parts := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"rotates again and again", rotates},
		{"doing it twice is doing it once", idempotent},
		{"restores", restores},
		{"fences older runs", fences},
		{"expires by itself", expires},
		{"leaves sessions alone until it may end them", sessions},
		{"contains before it sets", contains},
		{"refuses a clock that is off", skew},
		{"refuses values that are not its own", foreign},
		{"survives a lost write and a lost answer", faults},
		{"says when it cannot reach the target", unreachable},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			b := &bench{T: t, Fixture: make(t), fence: 1}
			b.values = append(b.values, b.Current, b.Change.Admin)
			if b.Now == nil {
				b.Now = time.Now
			}
			part.run(t, b)
			b.silent()
		})
	}
}

// bench is one part's secret as it goes from version to version.
type bench struct {
	*testing.T
	Fixture
	fence  int64
	values []credential.Value // every value there ever was
	errs   []error            // every error there ever was
}

func (b *bench) targeted() {
	if b.Change.Target == nil {
		b.Skip("this kind has no target")
	}
}

func (b *bench) dual() bool { return b.Change.Strategy == contract.Dual }

// next is the change to a fresh value; b.Current stays what it is until commit.
func (b *bench) next() rotator.Change {
	b.Helper()
	c := b.Change
	b.fence++
	c.Fence, c.Now, c.Old = b.fence, b.Now(), b.Current
	c.To.Slot = credential.NextSlot(c.Strategy, c.From.Slot)
	c.To.ID = credential.Token(fmt.Sprint(b.Name(), b.fence), c.To.Slot)
	c.To.User = credential.User(c.Target, c.To.Slot)
	var err error
	if c.New, err = credential.Compose(c.Target, c.To.User, rand.Reader); err != nil {
		b.Fatal(err)
	}
	if c.Target != nil && c.Target.Admin == "" {
		c.Admin = credential.Value{}
	}
	b.values = append(b.values, c.New)
	return c
}

// commit is what FinishSecret does at the authority: from now on the new value is the one in use.
func (b *bench) commit(c rotator.Change) {
	b.Change.From, b.Current = c.To, c.New
}

// must fails the test for an error, and keeps it for the search for values.
func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.errs = append(b.errs, err)
		b.Fatal(err)
	}
}

// fails wants an error with one of the codes.
func (b *bench) fails(err error, doing string, codes ...fault.Code) {
	b.Helper()
	if err == nil {
		b.Errorf("%s: no error, want %v", doing, codes)
		return
	}
	b.errs = append(b.errs, err)
	for _, code := range codes {
		if fault.CodeOf(err) == code {
			return
		}
	}
	b.Errorf("%s: %v, want %v", doing, err, codes)
}

func (b *bench) probe(c rotator.Change, v credential.Value, want rotator.Verdict, when string) {
	b.Helper()
	if c.Target == nil {
		want = rotator.NoTarget
	}
	got, err := b.Rotator.Probe(b.Context(), c, v)
	if err != nil {
		b.errs = append(b.errs, err)
		b.Fatalf("%s: probe: %v", when, err)
	}
	if got != want {
		b.Fatalf("%s: the target says %s, want %s", when, got, want)
	}
}

// set brings the new value to the target and sees what that did to both values.
func (b *bench) set(c rotator.Change) {
	b.Helper()
	b.must(b.Rotator.Set(b.Context(), c))
	b.afterSet(c)
}

func (b *bench) afterSet(c rotator.Change) {
	b.Helper()
	b.probe(c, c.New, rotator.Honoured, "the new value after Set")
	if b.dual() {
		b.probe(c, c.Old, rotator.Honoured, "the value in use after Set")
	} else {
		b.probe(c, c.Old, rotator.Refused, "the old value, replaced in place")
	}
}

func (b *bench) adopt(c rotator.Change, want rotator.Adoption) {
	b.Helper()
	got, err := b.Rotator.Adoption(b.Context(), c)
	b.must(err)
	if got != want {
		b.Fatalf("adoption: %+v, want %+v", got, want)
	}
}

// silent searches everything that was written down for values.
func (b *bench) silent() {
	b.Helper()
	texts := map[string]string{"an error": fmt.Sprint(errors.Join(b.errs...))}
	if b.Statements != nil {
		log, err := b.Statements()
		if err != nil {
			b.Fatal(err)
		}
		if !strings.Contains(log, "\n") {
			b.Error("the target wrote nothing down, so the search for values proves nothing")
		}
		texts["the target's statement log"] = log
	}
	for where, text := range texts {
		for _, v := range b.values {
			for _, secret := range []string{v.Password(), v.Reveal()} {
				if secret != "" && strings.Contains(text, secret) {
					b.Errorf("a value is in %s", where)
				}
			}
		}
	}
}
