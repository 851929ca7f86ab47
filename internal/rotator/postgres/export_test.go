package postgres

import "time"

// Hasten shortens the wait between two looks at the sessions, which is all about people who come back after a moment; the
// tests' sessions stay open.
func (r *Rotator) Hasten() *Rotator {
	r.pause = 10 * time.Millisecond
	return r
}
