// Package fingerprint makes keyed fingerprints of values: equal values have equal fingerprints, and without the key nobody
// can try a value against one. They find the secret that a leaked token belongs to, and the secrets that hold one value.
package fingerprint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Maker makes fingerprints with an HMAC_256 key that never leaves KMS. It may be used concurrently.
type Maker struct {
	kms kms
	key string
}

// New makes a Maker with the credentials, Region and endpoint of a configuration. The key is an id, an ARN or an alias.
func New(cfg aws.Config, key string) Maker { return Maker{newKMS(cfg, key), key} }

// Of is the fingerprint of a value's secret part, in 64 hex digits: HMAC-SHA256 over the SHA-256 of its password, or of the
// whole text where it has none. So a password that was found by itself has the fingerprint of the credential that it is part
// of. KMS is given the hash: a message has 4,096 bytes at most, a value up to 65,536, and no value is to leave the function.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
// Errors: KeyUnavailable.
func (m Maker) Of(ctx context.Context, v credential.Value) (string, error) {
	secret := v.Password()
	if secret == "" {
		secret = v.Reveal()
	}
	sum := sha256.Sum256([]byte(secret))
	mac, err := m.kms.generateMac(ctx, m.key, sum[:])
	if err != nil {
		return "", fault.Wrap(err, fault.KeyUnavailable, "make a fingerprint with %s", m.key)
	}
	return hex.EncodeToString(mac), nil
}
