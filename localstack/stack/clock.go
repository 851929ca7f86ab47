package stack

import (
	"context"
	"sort"
	"sync"
	"time"
)

// Clock is the local stack's time: the machine's time plus an offset that only grows. Everything that waits, waits on
// it, so that a test can let a day pass in an instant.
type Clock struct {
	mu       sync.Mutex
	offset   time.Duration
	timers   map[*Timer]struct{}
	watchers []func(offset time.Duration)
}

// Timer is one thing that will happen at a time of the stack's clock.
type Timer struct {
	clock *Clock
	at    time.Time
	f     func()
	real  *time.Timer
}

// NewClock starts at the machine's time.
func NewClock() *Clock { return &Clock{timers: map[*Timer]struct{}{}} }

// Now is the stack's time, UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time { return time.Now().Add(c.offset).UTC() }

// Offset is how far the stack's clock is ahead of the machine's.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Advance moves the clock forward and runs, each on its own goroutine, what became due, the earliest first.
func (c *Clock) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	c.offset += d
	offset, watchers := c.offset, append([]func(time.Duration){}, c.watchers...)
	c.mu.Unlock()
	// Watchers first: a database server that follows the clock must have moved before anything due now talks to it.
	for _, w := range watchers {
		w(offset)
	}
	c.mu.Lock()
	now := c.now()
	var due []*Timer
	for t := range c.timers {
		if !t.at.After(now) {
			due = append(due, t)
			delete(c.timers, t)
			t.real.Stop()
		} else {
			t.real.Reset(t.at.Sub(now))
		}
	}
	c.mu.Unlock()
	sort.Slice(due, func(i, j int) bool { return due[i].at.Before(due[j].at) })
	for _, t := range due {
		go t.f()
	}
}

// AfterFunc runs f on its own goroutine when d has passed on the stack's clock.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &Timer{clock: c, at: c.now().Add(d), f: f}
	t.real = time.AfterFunc(d, func() {
		if t.Stop() {
			f()
		}
	})
	c.timers[t] = struct{}{}
	return t
}

// Stop keeps the timer from running and reports whether it did so in time.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if _, ok := t.clock.timers[t]; !ok {
		return false
	}
	delete(t.clock.timers, t)
	t.real.Stop()
	return true
}

// Sleep waits until d has passed on the stack's clock or ctx ends.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	done := make(chan struct{})
	t := c.AfterFunc(d, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		t.Stop()
		return ctx.Err()
	}
}

// Next is the time of the earliest timer, or false when nothing waits.
func (c *Clock) Next() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next time.Time
	for t := range c.timers {
		if next.IsZero() || t.at.Before(next) {
			next = t.at
		}
	}
	return next, !next.IsZero()
}

// Watch calls f with the new offset after every Advance, before anything that became due runs.
func (c *Clock) Watch(f func(offset time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, f)
}
