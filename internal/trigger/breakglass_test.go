package trigger_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

func TestBreakGlass(t *testing.T) {
	read := call("secretsmanager", "GetSecretValue", `{"secretId":"prod/orders-db"}`, `,"readOnly":true`)
	glass := session(trigger.BreakGlass, "dana")
	check(t, []sourceCase{
		{"a value", by(read, glass), "incident routine secret:prod/orders-db"},
		{"by ARN", by(strings.Replace(read, "prod/orders-db", secretARN, 1), glass), "incident routine secret:prod/orders-db"},
		{"in a session named like the role", by(read, session(trigger.BreakGlass, trigger.BreakGlass)), "incident routine secret:prod/orders-db"},
		{"in another role's session of that name", by(read, session("admin", trigger.BreakGlass)), "ignored: GetSecretValue only reads"},
		{"by a user of that name", by(read, `{"type":"IAMUser","arn":"arn:aws:iam::0:user/mayfly-break-glass","userName":"mayfly-break-glass"}`), "ignored: GetSecretValue only reads"},
		{"by a service", by(read, session("prod-orders-service", "i-1")), "ignored: GetSecretValue only reads"},
		{"by Mayfly", by(read, session("mayfly-set-secret", "mayfly-set-secret")), "ignored: GetSecretValue only reads"},
		{"of what no contract could name", by(call("secretsmanager", "GetSecretValue", `{"secretId":"Legacy"}`, ""), glass), "ignored: does not name a secret"},
		{"refused", by(call("secretsmanager", "GetSecretValue", `{"secretId":"prod/orders-db"}`, `,"errorCode":"AccessDenied"`), glass), "ignored: refused"},
		{"many values, each of which is told by itself", by(call("secretsmanager", "BatchGetSecretValue", `{"secretIdList":["prod/orders-db"]}`, `,"readOnly":true`), glass), "ignored: BatchGetSecretValue only reads"},
		{"a description", by(call("secretsmanager", "DescribeSecret", `{"secretId":"prod/orders-db"}`, `,"readOnly":true`), glass), "ignored: DescribeSecret only reads"},
		{"a change with that role", by(call("secretsmanager", "PutSecretValue", `{"secretId":"prod/orders-db"}`, ""), glass), "upstream routine secret:prod/orders-db"},
	})
	r, err := trigger.Resolve([]byte(by(read, glass)))
	if err != nil || r.Trigger.Actor != "arn:aws:sts::0:assumed-role/mayfly-break-glass/dana" || !strings.HasPrefix(r.Trigger.Reason, "break-glass: ") {
		t.Errorf("%+v %v", r.Trigger, err)
	}
	// Above every threshold that lets a finding of High through, below what contains.
	if s := r.Trigger.Severity; s < 8.5 || s >= trigger.Critical {
		t.Errorf("severity %v", s)
	}
}
