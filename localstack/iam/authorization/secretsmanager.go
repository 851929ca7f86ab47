package authorization

import (
	"cmp"
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

// createSecret: tags need the permission to tag, and a key of the account the permission to use it. The secret is known
// by its name: it has no suffix yet.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (a *Authorizer) createSecret(r *secretRequest) []need {
	n := need{action: "secretsmanager:CreateSecret", resource: arn("secretsmanager", "secret:"+r.Name), keys: policy.Context{}}
	r.keys(n.keys)
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

// secretKey are the permissions on the key under which a secret lies: Secrets Manager asks KMS in the caller's name. The
// account's own key aws/secretsmanager lets every caller of Secrets Manager use it.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func (a *Authorizer) secretKey(operation, secret string, r *secretRequest) []need {
	id := r.KmsKeyId
	if id == "" && a.resources.SecretKey != nil && operation != "CreateSecret" {
		id = a.resources.SecretKey(r.SecretId)
	}
	actions := map[string][]string{"GetSecretValue": {"kms:Decrypt"}, "PutSecretValue": {"kms:GenerateDataKey"}}[operation]
	if (operation == "CreateSecret" || operation == "UpdateSecret") && (r.value() || r.KmsKeyId != "") {
		actions = []string{"kms:GenerateDataKey", "kms:Decrypt"}
	}
	context := map[string]string{"SecretARN": secret}
	if version := cmp.Or(r.VersionId, r.ClientRequestToken); version != "" {
		context["SecretVersionId"] = version
	}
	return a.through("secretsmanager", id, context, actions...)
}
