package authorization

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
func (a *Authorizer) iam(call *stack.Call) ([]need, error) {
	r, err := form(call)
	if err != nil {
		return nil, err
	}
	switch call.Operation {
	case "GetRole", "ListRolePolicies", "GetRolePolicy", "ListAttachedRolePolicies":
		full, _, _, ok := a.roles.Role(r.Get("RoleName"))
		if !ok {
			full = fmt.Sprintf("arn:aws:iam::%s:role/%s", stack.Account, r.Get("RoleName"))
		}
		return []need{{action: "iam:" + call.Operation, resource: full}}, nil
	}
	return nil, errUnknown
}

// sts: everybody may ask who they are. To assume a role its trust policy has to allow; session tags need a permission of
// their own, from both sides.
//   - https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
func (a *Authorizer) sts(call *stack.Call) ([]need, error) {
	r, err := form(call)
	if err != nil {
		return nil, err
	}
	switch call.Operation {
	case "GetCallerIdentity":
		return nil, nil // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
	case "AssumeRole":
	default:
		return nil, errUnknown
	}
	full := r.Get("RoleArn")
	n := need{action: "sts:AssumeRole", resource: full, keys: policy.Context{}, guard: guard{name: full, must: true, kind: policy.Trust}}
	if known, _, trust, ok := a.roles.Role(full[strings.LastIndex(full, "/")+1:]); ok && known == full {
		n.guard.document = &trust
	}
	n.keys.Set("sts:RoleSessionName", r.Get("RoleSessionName"))
	if r.Has("ExternalId") {
		n.keys.Set("sts:ExternalId", r.Get("ExternalId"))
	}
	if sts.SecondFactor(r.Get("SerialNumber"), r.Get("TokenCode")) {
		n.keys.Set("aws:MultiFactorAuthPresent", "true")
		n.keys.Set("aws:MultiFactorAuthAge", "0")
	}
	n.keys.Set("sts:TransitiveTagKeys", members(r, "TransitiveTagKeys.member.%d")...)
	var tags []tag
	keys, values := members(r, "Tags.member.%d.Key"), members(r, "Tags.member.%d.Value")
	for i := range min(len(keys), len(values)) {
		tags = append(tags, tag{keys[i], values[i]})
	}
	tagging(n.keys, tags, nil)
	needs := []need{n}
	if len(keys) > 0 {
		n.action = "sts:TagSession"
		needs = append(needs, n)
	}
	return needs, nil
}

// members reads a list of a form, counted from 1.
func members(form url.Values, name string) []string {
	var out []string
	for i := 1; form.Has(fmt.Sprintf(name, i)); i++ {
		out = append(out, form.Get(fmt.Sprintf(name, i)))
	}
	return out
}
