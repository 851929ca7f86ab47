package authorization

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// secretRequest is what decides in a request of Secrets Manager.
type secretRequest struct {
	SecretId, Name, Description, KmsKeyId string
	VersionId, VersionStage               string
	ClientRequestToken                    string
	SecretIdList, TagKeys                 []string
	Tags                                  []tag
	SecretString                          *string
	SecretBinary                          []byte
	ResourcePolicy                        string
	BlockPublicPolicy                     *bool
	ForceDeleteWithoutRecovery            *bool
	RecoveryWindowInDays                  *int
	Filters                               []any
}

func (r *secretRequest) value() bool { return r.SecretString != nil || len(r.SecretBinary) > 0 }

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
func (a *Authorizer) secretsmanager(call *stack.Call) ([]need, error) {
	var r secretRequest
	if err := read(call, &r); err != nil {
		return nil, err
	}
	action := "secretsmanager:" + call.Operation
	switch call.Operation {
	case "ListSecrets", "GetRandomPassword":
		return []need{{action: action, resource: "*"}}, nil
	case "CreateSecret":
		return a.createSecret(&r), nil
	case "BatchGetSecretValue":
		return a.batchGetSecretValue(call, &r)
	case "ValidateResourcePolicy":
		if r.SecretId == "" {
			return []need{{action: action, resource: "*"}}, nil
		}
	case "PutResourcePolicy":
		if err := valid(r.ResourcePolicy, "MalformedPolicyDocumentException"); err != nil {
			return nil, err
		}
	case "DescribeSecret", "UpdateSecret", "DeleteSecret", "RestoreSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage",
		"ListSecretVersionIds", "TagResource", "UntagResource", "GetResourcePolicy", "DeleteResourcePolicy":
	default:
		return nil, errUnknown
	}
	n := a.secret(action, r.SecretId)
	r.keys(n.keys)
	a.given(n.keys, r.KmsKeyId)
	return append([]need{n}, a.secretKey(call.Operation, n.resource, &r)...), nil
}

// secret is a need on a secret that is given by name or ARN.
func (a *Authorizer) secret(action, id string) need {
	n := need{action: action, resource: id, keys: policy.Context{}}
	if !strings.HasPrefix(id, "arn:") {
		n.resource = arn("secretsmanager", "secret:"+id)
	}
	if a.resources.Secret != nil {
		if full, text, tags, ok := a.resources.Secret(id); ok {
			n.resource, n.guard = full, guard{name: full, text: text}
			for k, v := range tags {
				n.keys.Set("aws:ResourceTag/"+k, v)
				n.keys.Set("secretsmanager:ResourceTag/"+k, v)
			}
		}
	}
	n.keys.Set("secretsmanager:SecretId", n.resource)
	return n
}

// keys sets the condition keys that stand in the request. A stage or version that the request leaves to the service is
// no key of it.
func (r *secretRequest) keys(c policy.Context) {
	for key, v := range map[string]string{"VersionId": r.VersionId, "VersionStage": r.VersionStage, "Name": r.Name, "Description": r.Description} {
		if v != "" {
			c.Set("secretsmanager:"+key, v)
		}
	}
	if r.BlockPublicPolicy != nil {
		c.Set("secretsmanager:BlockPublicPolicy", strconv.FormatBool(*r.BlockPublicPolicy))
	}
	if r.ForceDeleteWithoutRecovery != nil {
		c.Set("secretsmanager:ForceDeleteWithoutRecovery", strconv.FormatBool(*r.ForceDeleteWithoutRecovery))
	}
	if r.RecoveryWindowInDays != nil {
		c.Set("secretsmanager:RecoveryWindowInDays", strconv.Itoa(*r.RecoveryWindowInDays))
	}
	tagging(c, r.Tags, r.TagKeys)
}

// given sets the condition keys of a KMS key that the request names.
func (a *Authorizer) given(c policy.Context, key string) {
	if key == "" {
		return
	}
	c.Set("secretsmanager:KmsKeyId", key)
	if a.resources.Key != nil {
		if full, _, ok := a.resources.Key(key); ok {
			c.Set("secretsmanager:KmsKeyArn", full)
		}
	}
}

// createSecret: tags need the permission to tag, and a key of the account the permission to use it. The secret is known
// by its name: it has no suffix yet.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (a *Authorizer) createSecret(r *secretRequest) []need {
	n := need{action: "secretsmanager:CreateSecret", resource: arn("secretsmanager", "secret:"+r.Name), keys: policy.Context{}}
	r.keys(n.keys)
	a.given(n.keys, r.KmsKeyId)
	needs := []need{n}
	if len(r.Tags) > 0 {
		n.action = "secretsmanager:TagResource"
		needs = append(needs, n)
	}
	return append(needs, a.secretKey("CreateSecret", n.resource, r)...)
}

// batchGetSecretValue also needs to read each secret. Filters would choose secrets only after the decision, so a batch by
// filters is not served to anybody whom policies bind.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
func (a *Authorizer) batchGetSecretValue(call *stack.Call, r *secretRequest) ([]need, error) {
	if len(r.Filters) > 0 {
		return nil, errUnknown
	}
	needs := []need{{action: "secretsmanager:BatchGetSecretValue", resource: "*"}}
	for _, id := range r.SecretIdList {
		n := a.secret("secretsmanager:GetSecretValue", id)
		needs = append(append(needs, n), a.secretKey("GetSecretValue", n.resource, &secretRequest{SecretId: id})...)
	}
	return needs, nil
}

// validation is the version in the encryption context when Secrets Manager only tries whether the caller may use a key.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-encryption-context
const validation = "RequestToValidateKeyAccess"

// secretKey are the permissions on the key under which a secret lies: Secrets Manager asks KMS in the caller's name. The
// account's own key aws/secretsmanager lets every caller of Secrets Manager use it.
//
// A value that is stored needs a data key; a key that is given to a secret is tried, with nothing encrypted; a value that is
// read, or compared with one that is stored again under its token, is decrypted, by any key that it was encrypted under.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-using-cmk
func (a *Authorizer) secretKey(operation, secret string, r *secretRequest) []need {
	use := func(key, version string, actions ...string) []need {
		encryption := map[string]string{"SecretARN": secret, "SecretVersionId": version}
		if key != "" && !own(key) && a.resources.Key != nil {
			if _, _, ok := a.resources.Key(key); !ok {
				return []need{{action: actions[0], resource: key, keys: policy.Context{}, guard: guard{name: key, must: true}}} // nobody may use what is not there
			}
		}
		return a.through("secretsmanager", key, encryption, actions...)
	}
	given := r.KmsKeyId
	if given == "" && a.resources.SecretKey != nil && operation != "CreateSecret" {
		given = a.resources.SecretKey(r.SecretId)
	}
	var needs []need
	if r.KmsKeyId != "" && (operation == "CreateSecret" || operation == "UpdateSecret") {
		needs = append(needs, use(r.KmsKeyId, validation, "kms:GenerateDataKey", "kms:Decrypt")...)
	}
	switch operation {
	case "CreateSecret", "PutSecretValue":
		if r.value() {
			needs = append(needs, use(given, r.ClientRequestToken, "kms:GenerateDataKey")...)
		}
	case "UpdateSecret":
		if r.value() {
			needs = append(needs, use(given, r.ClientRequestToken, "kms:GenerateDataKey", "kms:Decrypt")...)
		}
	}
	version := r.VersionId
	switch operation {
	case "GetSecretValue":
	case "PutSecretValue":
		version = r.ClientRequestToken
	default:
		return needs
	}
	if a.resources.VersionKeys == nil || (operation == "PutSecretValue" && version == "") {
		return needs
	}
	keys, version := a.resources.VersionKeys(r.SecretId, version, r.VersionStage)
	if len(keys) == 0 || slices.ContainsFunc(keys, own) {
		return needs
	}
	decrypt := use(keys[0], version, "kms:Decrypt")
	for _, k := range keys[1:] {
		decrypt[0].or = append(decrypt[0].or, use(k, version, "kms:Decrypt")...)
	}
	return append(needs, decrypt...)
}

// own says whether a key is the account's own for Secrets Manager.
func own(key string) bool { return key == "" || strings.HasSuffix(key, "alias/aws/secretsmanager") }
