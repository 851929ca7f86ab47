package fingerprint

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-secrets/mayfly/internal/wire"
)

// kms makes the one call to KMS that is needed. It changes nothing, so any failure that may pass is tried again.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
type kms struct{ wire.Service }

func newKMS(cfg aws.Config, key string) kms { return kms{wire.New(cfg, "kms", key)} }

func (k kms) generateMac(ctx context.Context, key string, message []byte) ([]byte, error) {
	var answer struct{ Mac []byte }
	err := k.Call(ctx, "TrentService.GenerateMac", map[string]any{"KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Message": message}, &answer)
	if err == nil && len(answer.Mac) != sha256.Size {
		err = fmt.Errorf("KMS answered with no MAC of %d bytes", sha256.Size)
	}
	return answer.Mac, err
}
