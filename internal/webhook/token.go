package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Fingerprints is how a leaked token is matched without being kept: its fingerprint is a MAC under a key that never leaves
// KMS, so that neither an index of fingerprints nor the code that made it tells anything about a token. KMS is given the
// token's SHA-256, not the token.
//
// The index is the registry's: the lookup key "fingerprint:<64 hex digits>" leads to the secret. Whoever stores a value
// writes that key for it with Key; as long as nobody does, no token is anybody's.
type Fingerprints struct {
	KMS      MACs
	KeyID    string // of a KMS key with usage GENERATE_VERIFY_MAC and spec HMAC_256
	Registry interface {
		Lookup(ctx context.Context, keys []string) (secrets []string, err error)
	}
}

// MACs is the one call that Fingerprints makes to KMS.
type MACs interface {
	GenerateMac(ctx context.Context, in *kms.GenerateMacInput, opts ...func(*kms.Options)) (*kms.GenerateMacOutput, error)
}

// Key is the lookup key of a token.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
func (f *Fingerprints) Key(ctx context.Context, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	out, err := f.KMS.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: &f.KeyID, MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: sum[:]})
	if err != nil {
		return "", fault.Wrap(err, fault.RegistryUnavailable, "make the fingerprint of a token")
	}
	return "fingerprint:" + hex.EncodeToString(out.Mac), nil
}

// Owner implements Tokens.
func (f *Fingerprints) Owner(ctx context.Context, token string) (Owner, error) {
	key, err := f.Key(ctx, token)
	if err != nil {
		return Owner{}, err
	}
	secrets, err := f.Registry.Lookup(ctx, []string{key})
	if err != nil || len(secrets) == 0 {
		return Owner{}, err
	}
	sum := sha256.Sum256([]byte(key))
	return Owner{Secret: secrets[0], ID: "leak " + hex.EncodeToString(sum[:16])}, nil // values are random: no two secrets share one
}
