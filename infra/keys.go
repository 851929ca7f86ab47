package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Keys are the KMS keys that contracts name with kms_key. They belong to others, and their policies have to hand the decision
// to the account; without such a contract nothing is permitted here.
//
// Values are encrypted and decrypted through Secrets Manager alone, and only secrets under contract: nobody reads with these
// permissions what Secrets Manager does not give them.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-authz
type Keys struct {
	keys    []*string // ARNs
	secrets []*string // ARNs of what may lie under the keys, with wildcards
	own     []*string // ARNs of the secrets whose contracts name a key
	readers []*string // ARNs of the roles that these contracts' services have
	service *string   // Secrets Manager as KMS calls it
}

// KeyedContract is what a contract with kms_key says that matters for permissions.
type KeyedContract struct {
	Secret  string   // id
	Key     string   // ARN
	Readers []string // ARNs of the roles of its services
}

// NewKeys covers the keys of these contracts.
func NewKeys(scope constructs.Construct, environments []string, keyed []KeyedContract) Keys {
	stack := awscdk.Stack_Of(scope)
	k := Keys{secrets: NewAuthority(scope, environments).secrets, service: jsii.String("secretsmanager." + *stack.Region() + ".amazonaws.com")}
	for _, c := range keyed {
		k.keys = append(k.keys, jsii.String(c.Key))
		k.own = append(k.own, arn(stack, "secretsmanager", "secret:"+c.Secret+"-??????"))
		for _, r := range c.Readers {
			k.readers = append(k.readers, jsii.String(r))
		}
	}
	k.keys, k.readers = once(k.keys), once(k.readers)
	return k
}

// through are the conditions for using a key through Secrets Manager.
func (k Keys) through(more ...*string) map[string]any {
	return map[string]any{
		"StringEquals": map[string]any{"kms:ViaService": k.service},
		"StringLike":   map[string]any{"kms:EncryptionContext:SecretARN": append(k.secrets[:len(k.secrets):len(k.secrets)], more...)},
	}
}

// GrantRead lets functions that read values decrypt them.
func (k Keys) GrantRead(functions ...*Function) {
	for _, f := range functions {
		k.allow(f, "DecryptUnderKeys", []string{"kms:Decrypt"}, k.through(), k.keys...)
	}
}

// GrantPropose lets a function that stores values encrypt them.
func (k Keys) GrantPropose(f *Function) {
	k.allow(f, "EncryptUnderKeys", []string{"kms:GenerateDataKey"}, k.through(), k.keys...)
}

// GrantEstablish lets functions put secrets under the keys of their contracts. Secrets Manager tries a key that it is given
// before it uses it, and calls the secret RequestToValidateKeyAccess where there is none yet. The permission to update is of no
// use without naming a key, which nobody does who only wants to change a value; the functions may not read any.
//   - https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
//   - https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
func (k Keys) GrantEstablish(functions ...*Function) {
	for _, f := range functions {
		k.allow(f, "EstablishKeys", []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}, k.through(jsii.String("RequestToValidateKeyAccess")), k.keys...)
		k.allow(f, "ChangeKey", []string{"secretsmanager:UpdateSecret"}, map[string]any{
			"StringEquals": map[string]any{"secretsmanager:KmsKeyArn": k.keys},
		}, k.own...)
	}
}

// GrantSeeVersions lets a function see which keys decrypt which version of the secrets whose contracts name a key.
func (k Keys) GrantSeeVersions(f *Function) {
	if len(k.own) > 0 {
		f.Allow("SeeVersionKeys", []string{"secretsmanager:ListSecretVersionIds"}, k.own...)
	}
}

// GrantManageGrants lets a function keep the grants of contracts: it makes none but to the declared services, to decrypt secrets
// under contract. What it lists and revokes cannot be bounded further than by the key.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/grant-authorization.html
func (k Keys) GrantManageGrants(functions ...*Function) {
	if len(k.keys) == 0 {
		return
	}
	for _, f := range functions {
		f.Allow("SeeGrants", []string{"kms:ListGrants", "kms:RevokeGrant"}, k.keys...)
		if len(k.readers) == 0 {
			continue
		}
		k.allow(f, "GrantToServices", []string{"kms:CreateGrant"}, map[string]any{
			"StringEquals": map[string]any{"kms:GrantConstraintType": "EncryptionContextSubset", "kms:GranteePrincipal": k.readers},
			"StringLike":   map[string]any{"kms:EncryptionContext:SecretARN": k.secrets},
			// A grant without operations is none, so that ForAllValues leaves no way around.
			"ForAllValues:StringEquals": map[string]any{"kms:GrantOperations": "Decrypt"},
		}, k.keys...)
	}
}

// allow adds a statement; without resources there is nothing to allow.
func (k Keys) allow(f *Function, sid string, actions []string, conditions map[string]any, resources ...*string) {
	if len(resources) > 0 {
		f.AllowIf(sid, actions, conditions, resources...)
	}
}

// once is the list without repetitions, in its order.
func once(list []*string) []*string {
	seen := map[string]bool{}
	var out []*string
	for _, s := range list {
		if !seen[*s] {
			out = append(out, s)
		}
		seen[*s] = true
	}
	return out
}
