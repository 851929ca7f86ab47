package authorization

import (
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// keyRequest is what decides in a request of KMS.
type keyRequest struct {
	KeyId, EncryptionAlgorithm, MacAlgorithm string
	EncryptionContext                        map[string]string
	CiphertextBlob                           []byte

	GrantId, GrantToken                 string
	GranteePrincipal, RetiringPrincipal string
	Operations                          []string
	Constraints                         struct{ EncryptionContextEquals, EncryptionContextSubset map[string]string }
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
func (a *Authorizer) kms(call *stack.Call) ([]need, error) {
	var r keyRequest
	if err := read(call, &r); err != nil {
		return nil, err
	}
	switch call.Operation {
	case "Decrypt":
		if r.KeyId == "" {
			r.KeyId = kms.KeyOf(r.CiphertextBlob)
		}
	case "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateMac", "VerifyMac":
	case "CreateGrant", "ListGrants", "RevokeGrant":
		return []need{a.managingGrants(call.Operation, &r)}, nil
	case "RetireGrant":
		return []need{a.retiring(&r)}, nil
	default:
		return nil, errUnknown
	}
	n := a.key("kms:"+call.Operation, r.KeyId)
	encryptionContext(n.keys, r.EncryptionContext)
	n.guard.more = a.granted(r.KeyId, call.Operation, r.EncryptionContext)
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

// managingGrants is the need of who makes, sees or revokes grants; to make one, conditions may ask for what is in it, the
// encryption context of its constraint included.
//   - https://docs.aws.amazon.com/kms/latest/developerguide/grant-authorization.html
//   - https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context
func (a *Authorizer) managingGrants(operation string, r *keyRequest) need {
	n := a.key("kms:"+operation, r.KeyId)
	n.keys.Set("kms:GrantIsForAWSResource", "false")
	if operation != "CreateGrant" {
		return n
	}
	n.keys.Set("kms:GrantOperations", r.Operations...)
	for key, v := range map[string]string{"kms:GranteePrincipal": r.GranteePrincipal, "kms:RetiringPrincipal": r.RetiringPrincipal} {
		if v != "" {
			n.keys.Set(key, v)
		}
	}
	if equals := r.Constraints.EncryptionContextEquals; equals != nil {
		n.keys.Set("kms:GrantConstraintType", "EncryptionContextEquals")
		encryptionContext(n.keys, equals)
	}
	if subset := r.Constraints.EncryptionContextSubset; subset != nil {
		n.keys.Set("kms:GrantConstraintType", "EncryptionContextSubset")
		encryptionContext(n.keys, subset)
	}
	return n
}

// retiring is decided by the grant alone: its retiring principal may, and its grantee if the grant says so; the account may
// always. kms:RetireGrant in a policy allows nothing by itself, but can deny.
// https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
func (a *Authorizer) retiring(r *keyRequest) need {
	n := need{action: "kms:RetireGrant", resource: r.KeyId, keys: policy.Context{}, guard: guard{name: "the grant", must: true}}
	if a.resources.Grant == nil {
		return n
	}
	key, g, ok := a.resources.Grant(r.KeyId, r.GrantId, r.GrantToken)
	if !ok {
		return n
	}
	n.resource = key
	if g.Retiring != "" {
		n.guard.more = append(n.guard.more, toPrincipal("the retiring principal", g.Retiring, n))
	}
	if g.Allows("RetireGrant", nil) {
		n.guard.more = append(n.guard.more, toPrincipal("the grantee", g.Grantee, n))
	}
	return n
}

// granted are the grants that give an operation on a key, each as the statement that a key policy could have instead. That a
// permissions boundary or a session's policies limit a role's grant as they limit what a resource's policy gives the role is
// an inference.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
func (a *Authorizer) granted(keyID, operation string, encryption map[string]string) []policy.Statement {
	if a.resources.Grants == nil {
		return nil
	}
	var all []policy.Statement
	for _, g := range a.resources.Grants(keyID) {
		if g.Allows(operation, encryption) {
			all = append(all, toPrincipal("grant "+g.ID, g.Grantee, need{action: "kms:" + operation, resource: "*"}))
		}
	}
	return all
}

func toPrincipal(sid, arn string, n need) policy.Statement {
	return policy.Statement{Sid: sid, Effect: "Allow", Principal: policy.Principal{"AWS": {arn}}, Action: policy.Strings{n.action}, Resource: policy.Strings{n.resource}}
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
		n.guard.more = a.granted(id, strings.TrimPrefix(action, "kms:"), encryption)
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
