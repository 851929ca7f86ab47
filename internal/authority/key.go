package authority

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

// Updater is the one call that ChangeKey makes.
type Updater interface {
	UpdateSecret(ctx context.Context, in *secretsmanager.UpdateSecretInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretOutput, error)
}

// ChangeKey puts a secret under another KMS key: what is labelled AWSCURRENT, AWSPENDING and AWSPREVIOUS is encrypted under
// both then, where the caller may decrypt with the old one and encrypt with the new; new versions under the new one alone.
// Doing it twice is doing it once. Errors: SecretMissing, AuthorityUnavailable.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_update-encryption-key.html
func ChangeKey(ctx context.Context, sm Updater, id, key string) error {
	_, err := sm.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: &id, KmsKeyId: &key})
	return translate(err, "put %s under the key %s", id, key)
}

// SameKey says whether two names, each an ARN or the id alone, are those of the same key. Secrets Manager shows a key as it was
// given to it.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func SameKey(a, b string) bool {
	return a[strings.LastIndex(a, "/")+1:] == b[strings.LastIndex(b, "/")+1:]
}

// keyHint says what to do where it is the key that refuses, and not the secret.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#troubleshoot_kms
func keyHint(err error) string {
	var (
		api     smithy.APIError
		decrypt *types.DecryptionFailure
		encrypt *types.EncryptionFailure
	)
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException" && strings.Contains(api.ErrorMessage(), "KMS"):
		return ": its key refuses, so the contract must name the key as kms_key, and the key's policy must enable IAM policies"
	case errors.As(err, &decrypt), errors.As(err, &encrypt):
		return ": its key is disabled or gone; enable it"
	}
	return ""
}

// OpenedBy says which keys decrypt a labelled version, each as Secrets Manager calls it. None: there is no such version.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretVersionsListEntry.html
func OpenedBy(ctx context.Context, sm Lister, id, version string) ([]string, error) {
	pages := secretsmanager.NewListSecretVersionIdsPaginator(sm, &secretsmanager.ListSecretVersionIdsInput{SecretId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, translate(err, "list the versions of %s", id)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.VersionId) == version {
				return v.KmsKeyIds, nil
			}
		}
	}
	return nil, nil
}
