package trigger

import "strings"

// accessOfSecret is a changed resource policy.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
func accessOfSecret(c call, t Trigger) (Resolution, error) {
	t.Type = AccessChange
	return naming(t, c.secret(), "a secret that a contract could name")
}

// accessOfPrincipal is a changed policy, membership or credential of a role, user, group or of a managed policy, whichever
// the request names. It concerns the secrets of services that are declared under that name.
func accessOfPrincipal(c call, t Trigger) (Resolution, error) {
	t.Type = AccessChange
	var keys []string
	for name, kind := range map[string]string{"roleName": "role", "userName": "user", "groupName": "group", "instanceProfileName": "profile"} {
		keys = append(keys, key(kind, c.Request.text(name))...)
	}
	// Attaching a policy to one role says nothing about the others that have it.
	if len(keys) == 0 {
		if _, policy, ok := strings.Cut(c.Request.text("policyArn"), ":policy/"); ok {
			keys = key("policy", lastOf(policy, "/"))
		}
	}
	return naming(t, keys, "a role, user, group or policy")
}

// accessOfKey is a changed key policy or grant: who may use the key that encrypts a secret. Some calls name the key in the
// request, RetireGrant by token only among the record's resources.
// https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html
func accessOfKey(c call, t Trigger) (Resolution, error) {
	t.Type = AccessChange
	if by := c.Caller.InvokedBy; by != "" && by != "AWS Internal" {
		return ignore(t, clip(by, 64)+" made the call for resources of its own"), nil
	}
	keys := key("kms", lastOf(c.Request.text("keyId"), "/"))
	for _, r := range c.Resources {
		if _, id, ok := strings.Cut(r.ARN, ":key/"); ok {
			keys = append(keys, key("kms", id)...)
		}
	}
	return naming(t, keys, "a KMS key")
}

// naming makes a resolution of the keys that a record names, or says what it should have named.
func naming(t Trigger, keys []string, what string) (Resolution, error) {
	if len(keys) == 0 {
		return ignore(t, "the event does not name "+what), nil
	}
	return found(t, keys...)
}
