package authorization

import (
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
func (a *Authorizer) kms(call *stack.Call) ([]need, error) {
	var r struct {
		KeyId, EncryptionAlgorithm, MacAlgorithm string
		EncryptionContext                        map[string]string
		CiphertextBlob                           []byte
	}
	if err := read(call, &r); err != nil {
		return nil, err
	}
	switch call.Operation {
	case "Decrypt":
		if r.KeyId == "" {
			r.KeyId = kms.KeyOf(r.CiphertextBlob)
		}
	case "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateMac", "VerifyMac":
	default:
		return nil, errUnknown
	}
	n := a.key("kms:"+call.Operation, r.KeyId)
	encryptionContext(n.keys, r.EncryptionContext)
	if alias := r.KeyId[strings.LastIndex(r.KeyId, ":")+1:]; strings.HasPrefix(alias, "alias/") {
		n.keys.Set("kms:RequestAlias", alias)
	}
	if r.MacAlgorithm != "" {
		n.keys.Set("kms:MacAlgorithm", r.MacAlgorithm)
	}
	if call.Operation == "Encrypt" || call.Operation == "Decrypt" {
		if r.EncryptionAlgorithm == "" {
			r.EncryptionAlgorithm = "SYMMETRIC_DEFAULT"
		}
		n.keys.Set("kms:EncryptionAlgorithm", r.EncryptionAlgorithm)
	}
	return []need{n}, nil
}

// key is a need on a key, whose policy has to allow it or to hand the decision to the account.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
func (a *Authorizer) key(action, id string) need {
	n := need{action: action, resource: id, keys: policy.Context{}, guard: guard{name: id, must: true}}
	if !strings.HasPrefix(id, "arn:") {
		n.resource = arn("kms", "key/"+id)
	}
	if a.resources.Key != nil {
		if full, text, ok := a.resources.Key(id); ok {
			n.resource, n.guard.name, n.guard.text = full, full, text
		}
	}
	n.keys.Set("kms:CallerAccount", stack.Account)
	return n
}

// through are permissions on a key that a service uses in the caller's name. Nothing is needed for no key, nor for a key
// that is not the account's own, such as aws/secretsmanager.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (a *Authorizer) through(service, id string, encryption map[string]string, actions ...string) []need {
	if id == "" || a.resources.Key == nil {
		return nil
	}
	if _, _, ok := a.resources.Key(id); !ok {
		return nil
	}
	var needs []need
	for _, action := range actions {
		n := a.key(action, id)
		n.keys.Set("kms:ViaService", service+"."+stack.Region+".amazonaws.com")
		n.keys.Set("aws:ViaAWSService", "true")
		n.keys["aws:sourceip"] = nil // KMS sees the service's address, which is no public one
		encryptionContext(n.keys, encryption)
		needs = append(needs, n)
	}
	return needs
}

func encryptionContext(c policy.Context, encryption map[string]string) {
	for k, v := range encryption {
		c.Set("kms:EncryptionContext:"+k, v)
	}
	c.Set("kms:EncryptionContextKeys", slices.Sorted(maps.Keys(encryption))...)
}
