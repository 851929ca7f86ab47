package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// fingerprints names the key of fingerprints, as a route names its signing key: <environment>/webhook-fingerprint.
const fingerprints = "fingerprint"

// Fingerprint is how a leaked token is matched without being kept: HMAC-SHA256 of the token's SHA-256, in 64 hex digits.
// Without the key, neither a fingerprint nor an index of them tells anything about a token.
//
// The index is the registry's: the lookup key "fingerprint:<64 hex digits>" leads to the secret. Whoever stores a value
// writes that key for it; as long as nobody does, no token is anybody's.
func Fingerprint(key []byte, token string) string {
	sum := sha256.Sum256([]byte(token))
	mac := hmac.New(sha256.New, key)
	mac.Write(sum[:])
	return hex.EncodeToString(mac.Sum(nil))
}

// fingerprint gives the key of fingerprints: the current one alone, for it is the one that values are indexed under.
// Errors: SecretMissing, so that GitHub sends again what could not be matched; AuthorityUnavailable.
func (k *Keys) fingerprint(ctx context.Context, now time.Time) ([]byte, error) {
	p, err := k.get(ctx, fingerprints, now, cached)
	if err == nil && len(p.current) == 0 {
		err = fault.New(fault.SecretMissing, "no key of fingerprints is under contract: it would be %s", k.Secret(fingerprints))
	}
	return p.current, err
}
