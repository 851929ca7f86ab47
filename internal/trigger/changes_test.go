package trigger_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// call is one API call as CloudTrail records it; rest begins with a comma or is empty.
func call(service, name, request, rest string) string {
	return event("aws."+service, "AWS API Call via CloudTrail", `{"eventID":"c-1","eventSource":"`+service+`.amazonaws.com","eventName":"`+name+
		`","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::0:user/dana"},"requestParameters":`+request+rest+`}`)
}

func by(text, identity string) string {
	return strings.Replace(text, `{"type":"IAMUser","arn":"arn:aws:iam::0:user/dana"}`, identity, 1)
}

func session(role, name string) string {
	return `{"type":"AssumedRole","arn":"arn:aws:sts::0:assumed-role/` + role + `/` + name + `","sessionContext":{"sessionIssuer":{"type":"Role","userName":"` + role + `"}}}`
}

func TestAccessChanges(t *testing.T) {
	policy := call("secretsmanager", "PutResourcePolicy", `{"secretId":"prod/orders-db"}`, "")
	kms := `,"resources":[{"ARN":"arn:aws:kms:us-east-1:0:key/k-1"}]`
	check(t, []sourceCase{
		{"policy, by name", policy, "access_change routine secret:prod/orders-db"},
		{"policy, by ARN", call("secretsmanager", "DeleteResourcePolicy", `{"secretId":"`+secretARN+`"}`, ""), "access_change routine secret:prod/orders-db"},
		{"policy, by part of an ARN", call("secretsmanager", "PutResourcePolicy", `{"secretId":"arn:aws:secretsmanager:us-east-1:0:secret:prod/api-secret"}`, ""), "access_change routine secret:prod/api secret:prod/api-secret"},
		{"policy, the answer is exact", call("secretsmanager", "PutResourcePolicy", `{"secretId":"x"}`, `,"responseElements":{"aRN":"`+secretARN+`"}`), "access_change routine secret:prod/orders-db"},
		{"policy of what no contract could name", call("secretsmanager", "PutResourcePolicy", `{"secretId":"Legacy"}`, ""), "ignored: does not name a secret"},
		{"role", call("iam", "PutRolePolicy", `{"roleName":"r"}`, ""), "access_change routine role:r"},
		{"role, managed policy", call("iam", "AttachRolePolicy", `{"roleName":"r","policyArn":"arn:aws:iam::0:policy/p"}`, ""), "access_change routine role:r"},
		{"role, trust", call("iam", "UpdateAssumeRolePolicy", `{"roleName":"r"}`, ""), "access_change routine role:r"},
		{"user", call("iam", "AttachUserPolicy", `{"userName":"u"}`, ""), "access_change routine user:u"},
		{"group", call("iam", "AddUserToGroup", `{"userName":"u","groupName":"g"}`, ""), "access_change routine group:g user:u"},
		{"managed policy", call("iam", "CreatePolicyVersion", `{"policyArn":"arn:aws:iam::0:policy/x/p","setAsDefault":true}`, ""), "access_change routine policy:p"},
		{"profile", call("iam", "AddRoleToInstanceProfile", `{"roleName":"r","instanceProfileName":"i"}`, ""), "access_change routine profile:i role:r"},
		{"no parameters", call("iam", "PutRolePolicy", `null`, ""), "ignored: does not name a role"},
		{"odd parameters", call("iam", "PutRolePolicy", `{"roleName":["r"]}`, ""), "ignored: does not name a role"},
		{"other call", call("iam", "TagRole", `{"roleName":"r"}`, ""), "ignored: TagRole changes neither"},
		{"name of one service's call in another", call("iam", "PutKeyPolicy", `{"keyId":"k"}`, ""), "ignored: changes neither"},
		{"refused", call("iam", "PutRolePolicy", `{"roleName":"r"}`, `,"errorCode":"AccessDenied"`), "ignored: refused"},
		{"grant", call("kms", "CreateGrant", `{"keyId":"arn:aws:kms:us-east-1:0:key/k-1"}`, kms), "access_change routine kms:k-1"},
		{"grant retired by token", call("kms", "RetireGrant", `{"grantToken":"HIDDEN_DUE_TO_SECURITY_REASONS"}`, kms), "access_change routine kms:k-1"},
		{"key policy", call("kms", "PutKeyPolicy", `{"keyId":"k-1"}`, ""), "access_change routine kms:k-1"},
		{"grant by a service", by(call("kms", "CreateGrant", `{"keyId":"k-1"}`, ""), `{"type":"AWSService","invokedBy":"rds.amazonaws.com"}`), "ignored: resources of its own"},
		{"by Mayfly", by(policy, session("mayfly-close-run", "mayfly-close-run")), "ignored: Mayfly itself"},
		{"by a session that calls itself Mayfly", by(policy, session("admin", "mayfly-close-run")), "access_change routine secret:prod/orders-db"},
		{"by a session of another function's role", by(policy, session("mayfly-roll-back", "mayfly-close-run")), "access_change routine secret:prod/orders-db"},
		{"by a person in Mayfly's role", by(policy, session("mayfly-close-run", "dana")), "access_change routine secret:prod/orders-db"},
		{"by a user named so", by(policy, `{"type":"IAMUser","arn":"arn:aws:iam::0:user/mayfly-x","userName":"mayfly-x"}`), "access_change routine secret:prod/orders-db"},
		{"told by somebody else", strings.Replace(policy, "aws.secretsmanager", "com.example", 1), "ignored: does not come from"},
		{"no id", strings.Replace(policy, `"eventID":"c-1",`, "", 1), "InputMalformed"},
	})
	r, err := trigger.Resolve([]byte(policy))
	if err != nil || r.Trigger.Actor != "arn:aws:iam::0:user/dana" || r.Trigger.ID != "c-1" || !strings.Contains(r.Trigger.Reason, "PutResourcePolicy") {
		t.Errorf("%+v %v", r.Trigger, err)
	}
}

func TestTags(t *testing.T) {
	set := func(tags string) string {
		return call("secretsmanager", "TagResource", `{"secretId":"prod/orders-db","tags":[`+tags+`]}`, "")
	}
	untag := func(keys string) string {
		return call("secretsmanager", "UntagResource", `{"secretId":"prod/orders-db","tagKeys":[`+keys+`]}`, "")
	}
	ttl, mark := `{"key":"mayfly:ttl","value":"1h"}`, `{"key":"mayfly:compromised","value":"yes"}`
	check(t, []sourceCase{
		{"policy", set(ttl), "policy_change routine secret:prod/orders-db"},
		{"policy taken away", untag(`"mayfly:ttl"`), "policy_change routine secret:prod/orders-db"},
		{"mark", set(mark), "annotation contain secret:prod/orders-db"},
		{"mark among others", set(ttl + "," + mark), "annotation contain secret:prod/orders-db"},
		{"mark set to false", set(`{"key":"mayfly:compromised","value":"false"}`), "ignored: taken away"},
		{"mark taken away", untag(`"mayfly:compromised"`), "ignored: taken away"},
		{"mark and policy taken away", untag(`"mayfly:compromised","mayfly:ttl"`), "policy_change routine secret:prod/orders-db"},
		{"other", set(`{"key":"team","value":"x"}`), "ignored: no tag of Mayfly's"},
		{"none", set(``), "ignored: no tag of Mayfly's"},
		{"by Mayfly", by(set(ttl), session("mayfly-close-run", "mayfly-close-run")), "ignored: Mayfly itself"},
	})
	r, err := trigger.Resolve([]byte(set(`{"key":"mayfly:ttl","value":"hunter2"}`)))
	if err != nil || strings.Contains(r.Trigger.Reason, "hunter2") || !strings.Contains(r.Trigger.Reason, "mayfly:ttl") {
		t.Errorf("reason %q (%v)", r.Trigger.Reason, err)
	}
}

func TestUpstream(t *testing.T) {
	label := func(label, version string) string {
		return event("aws.secretsmanager", "Secret Label Updated", `{"name":"prod/orders-db","labelUpdated":"`+label+`","versionId":"`+version+`"}`)
	}
	const foreign = "50ea2fa7-6677-a00a-0a77-0cf87fbafcae"
	check(t, []sourceCase{
		{"put", call("secretsmanager", "PutSecretValue", `{"secretId":"prod/orders-db"}`, ""), "upstream routine secret:prod/orders-db"},
		{"update", call("secretsmanager", "UpdateSecret", `{"secretId":"prod/orders-db"}`, ""), "upstream routine secret:prod/orders-db"},
		{"label by hand", call("secretsmanager", "UpdateSecretVersionStage", `{"secretId":"prod/orders-db","versionStage":"AWSCURRENT"}`, ""), "upstream routine secret:prod/orders-db"},
		{"put by Mayfly", by(call("secretsmanager", "PutSecretValue", `{"secretId":"prod/orders-db"}`, ""), session("mayfly-create-secret", "mayfly-create-secret")), "ignored: Mayfly itself"},
		{"label", label("AWSCURRENT", foreign), "upstream routine secret:prod/orders-db"},
		{"label of Mayfly's version", label("AWSCURRENT", "mayfly-a-0123456789abcdef0123456789abcdef01234567"), "ignored: Mayfly itself made"},
		{"label that looks like Mayfly's", label("AWSCURRENT", "mayfly-a-0123456789abcdef"), "upstream routine secret:prod/orders-db"},
		{"other label", label("blue", foreign), "ignored: label blue"},
		{"label of nothing", event("aws.secretsmanager", "Secret Label Updated", `{"name":"prod/orders-db"}`), "InputMalformed"},
		{"key", event("aws.kms", "KMS CMK Rotation", `{"key-id":"k-1","current-key-material-id":"m"}`), "upstream routine kms:k-1"},
		{"key, older form", event("aws.kms", "KMS CMK Rotation", `{"key-id":"k-1"}`), "upstream routine kms:k-1"},
		{"key deleted", event("aws.kms", "KMS CMK Deletion", `{"key-id":"k-1"}`), "ignored: only the rotation"},
		{"native rotation", event("aws.secretsmanager", "AWS Service Event via CloudTrail", `{"eventID":"x","eventName":"RotationStarted"}`), "ignored: RotationStarted"},
	})
}
