package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// Which permissions a request needs: those by which it is allowed, and whether there is more than one.
func TestGrants(t *testing.T) {
	const (
		two     = `{"Sid":"Two","Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":["arn:aws:s3:::a","arn:aws:secretsmanager:*:*:secret:prod/*"]}`
		twice   = `{"Sid":"Twice","Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:Get*"],"Resource":"*"}`
		notTags = `{"Sid":"Not","Effect":"Allow","NotAction":"secretsmanager:TagResource","NotResource":"arn:aws:s3:::a"}`
	)
	by := func(kind policy.Kind, name, sid, action, resource string) policy.Grant {
		return policy.Grant{Kind: kind, Policy: name, Sid: sid, Action: action, Resource: resource}
	}
	readAll := by(policy.Identity, "identity", "Read", read, "*")
	for name, c := range map[string]struct {
		scene scene
		want  []policy.Grant
	}{
		"one of two actions on one of two resources": {scene{identity: two},
			[]policy.Grant{by(policy.Identity, "identity", "Two", read, "arn:aws:secretsmanager:*:*:secret:prod/*")}},
		"two statements":             {scene{identity: mayRead + "," + two}, []policy.Grant{readAll, by(policy.Identity, "identity", "Two", read, "arn:aws:secretsmanager:*:*:secret:prod/*")}},
		"two actions of a statement": {scene{identity: twice}, []policy.Grant{by(policy.Identity, "identity", "Twice", read, "*"), by(policy.Identity, "identity", "Twice", "secretsmanager:Get*", "*")}},
		"everything but":             {scene{identity: notTags}, []policy.Grant{by(policy.Identity, "identity", "Not", "not secretsmanager:TagResource", "not arn:aws:s3:::a")}},
		"the resource too":           {scene{identity: mayRead, resource: to("Allow", theRole)}, []policy.Grant{by(policy.Resource, "resource", "P", read, "*"), readAll}},
		"the resource hands over":    {scene{identity: mayRead, resource: to("Allow", theAccount)}, []policy.Grant{readAll}},
		"the resource asks for it":   {scene{identity: mayRead, must: true, resource: to("Allow", theAccount)}, []policy.Grant{readAll}},
		"a statement about others":   {scene{identity: mayRead + "," + mayList}, []policy.Grant{readAll}},
		"denied":                     {scene{identity: mayRead + "," + mayNotRead}, nil},
		"not allowed":                {scene{identity: mayList}, nil},
		"the root needs none":        {scene{caller: root(), identity: mayRead}, nil},
	} {
		if diff := cmp.Diff(c.want, c.scene.decide(t).Grants); diff != "" {
			t.Errorf("%s (- want, + got):\n%s", name, diff)
		}
	}
}
