package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Keys are the signing keys that Mayfly shares with senders: the secrets <environment>/webhook-<route>, of kind random,
// under contract like any other. While a rotation's overlap lasts, both versions sign: AWSCURRENT and AWSPREVIOUS. At the
// end of the overlap CloseRun takes AWSPREVIOUS off, and the old key signs nothing any more.
type Keys struct {
	Secrets     authority.Reader
	Environment string

	mu    sync.Mutex
	cache map[string]pair
}

// pair is the keys of one route as they were read.
type pair struct {
	current, previous []byte
	read              time.Time
}

// How old a pair may be. A key that is in use is good for a minute. What looks wrong, and what only the old key signed, is
// looked at with a pair that is nearly fresh: a key that was just rotated in works at once, and one that was rotated out
// ends within seconds. Fresher still would let anyone make this function call Secrets Manager as often as they like.
const (
	cached = time.Minute
	fresh  = 5 * time.Second
)

// Secret is the id of the secret that holds a route's key.
func (k *Keys) Secret(route string) string { return k.Environment + "/webhook-" + route }

// verify checks a claim against the keys of a route. Error: *Refusal, AuthorityUnavailable.
func (k *Keys) verify(ctx context.Context, route string, c claim, now time.Time) error {
	p, err := k.get(ctx, route, now, cached)
	if err != nil {
		return err
	}
	if c.by(p.current) {
		return nil
	}
	if p, err = k.get(ctx, route, now, fresh); err != nil {
		return err
	}
	current, previous := c.by(p.current), c.by(p.previous)
	switch {
	case len(p.current) == 0:
		return unauthorized(KeyUnknown, "no key of this route may be read: "+k.Secret(route)+" is not under contract, or has expired")
	case !current && !previous:
		return unauthorized(SignatureWrong, "neither the current nor the previous key of "+k.Secret(route)+" signed this body")
	}
	return nil
}

// get gives a pair that is at most so old.
func (k *Keys) get(ctx context.Context, route string, now time.Time, age time.Duration) (pair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.cache[route]
	if ok && now.Sub(p.read) < age {
		return p, nil
	}
	p = pair{read: now}
	var err error
	if p.current, err = k.read(ctx, route, authority.Current); err != nil {
		return p, err
	}
	if p.previous, err = k.read(ctx, route, authority.Previous); err != nil {
		return p, err
	}
	if k.cache == nil {
		k.cache = map[string]pair{}
	}
	k.cache[route] = p
	return p, nil
}

// read gives the key with a label, nil if there is none.
func (k *Keys) read(ctx context.Context, route, label string) ([]byte, error) {
	v, err := authority.ReadLabelled(ctx, k.Secrets, k.Secret(route), label)
	// The key's resource policy is all that lets the receiver read: what is not there, has expired or is past its overlap is denied.
	if fault.CodeOf(err) == fault.SecretMissing || authority.Denied(err) {
		return nil, nil
	}
	return []byte(v.Reveal()), err
}
