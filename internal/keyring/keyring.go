// Package keyring is KMS as Mayfly sees it: the grants on the keys that secrets are encrypted under.
package keyring

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Keyring keeps grants. Those that are made or revoked hold within five minutes.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-eventual-consistency
type Keyring struct{ KMS API }

// API is what a Keyring needs of KMS.
type API interface {
	ListGrants(ctx context.Context, in *kms.ListGrantsInput, opts ...func(*kms.Options)) (*kms.ListGrantsOutput, error)
	CreateGrant(ctx context.Context, in *kms.CreateGrantInput, opts ...func(*kms.Options)) (*kms.CreateGrantOutput, error)
	RevokeGrant(ctx context.Context, in *kms.RevokeGrantInput, opts ...func(*kms.Options)) (*kms.RevokeGrantOutput, error)
}

// Grants reads all grants on a key, given by its ARN. Error: AuthorityUnavailable, which says what to do where the key refuses.
func (k Keyring) Grants(ctx context.Context, key string) ([]blastradius.Grant, error) {
	var all []blastradius.Grant
	pages := kms.NewListGrantsPaginator(k.KMS, &kms.ListGrantsInput{KeyId: &key, Limit: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, translate(err, key, "list the grants on")
		}
		for _, e := range page.Grants {
			g := blastradius.Grant{ID: aws.ToString(e.GrantId), Name: aws.ToString(e.Name), Grantee: aws.ToString(e.GranteePrincipal)}
			if g.Grantee == "" {
				g.Grantee = aws.ToString(e.GranteeServicePrincipal)
			}
			for _, op := range e.Operations {
				g.Operations = append(g.Operations, string(op))
			}
			if e.Constraints != nil {
				g.Equals, g.Subset = e.Constraints.EncryptionContextEquals, e.Constraints.EncryptionContextSubset
			}
			all = append(all, g)
		}
	}
	return all, nil
}

// Change makes the grants that are missing, then revokes those that are stale or foreign; one that fails keeps none of the
// others from being tried. It may be repeated: a grant that is there already, under its name and with the same content, is not
// made again, and one that is gone is revoked.
//
// KMS makes no grant to a role that does not exist. absent are these roles; that is no error, since the others matter as much.
//
// Error: AuthorityUnavailable, which says what to do where the key refuses.
func (k Keyring) Change(ctx context.Context, key string, c blastradius.GrantChanges) (absent []string, err error) {
	var failed []error
	for _, g := range c.Missing {
		in := &kms.CreateGrantInput{KeyId: &key, Name: &g.Name, GranteePrincipal: &g.Grantee, Constraints: &types.GrantConstraints{EncryptionContextSubset: g.Subset}}
		for _, op := range g.Operations {
			in.Operations = append(in.Operations, types.GrantOperation(op))
		}
		_, err := k.KMS.CreateGrant(ctx, in)
		var unknown *types.InvalidArnException
		if errors.As(err, &unknown) {
			absent = append(absent, g.Grantee)
			continue
		}
		failed = append(failed, translate(err, key, "grant "+g.Grantee+" the use of"))
	}
	for _, list := range [][]blastradius.Grant{c.Stale, c.Foreign} {
		for _, g := range list {
			_, err := k.KMS.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &key, GrantId: &g.ID})
			var gone *types.NotFoundException
			if !errors.As(err, &gone) {
				failed = append(failed, translate(err, key, "revoke grant "+g.ID+" on"))
			}
		}
	}
	return absent, errors.Join(failed...)
}

// Refused says what to do about a key that does not let Mayfly use or manage it. A key decides about itself: permissions of
// a role count only where the key's policy hands the decision to the account.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html#key-policy-default-allow-root-enable-iam
const Refused = "the key refuses: its policy must enable IAM policies (Allow kms:* to the account's root), or allow Mayfly's roles what docs/contracts.md says of kms_key"

// translate gives an error of KMS its code.
func translate(err error, key, what string) error {
	var api smithy.APIError
	var gone *types.NotFoundException
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException":
		return fault.Wrap(err, fault.AuthorityUnavailable, "%s %s: %s", what, key, Refused)
	case errors.As(err, &gone):
		return fault.Wrap(err, fault.AuthorityUnavailable, "%s %s: there is no such key in this Region: correct kms_key", what, key)
	}
	return fault.Wrap(err, fault.AuthorityUnavailable, "%s %s", what, key)
}
