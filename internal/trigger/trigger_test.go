package trigger_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/source"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

const samples = "../../events"

func bundle(t *testing.T) contract.Bundle {
	t.Helper()
	b, problems := source.Load(os.DirFS("../../contracts"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return b
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestIDsAreTheSources(t *testing.T) {
	for name, want := range map[string]trigger.Trigger{
		"evaluation.json":         {Type: trigger.Schedule, ID: "2026-03-02T12:15:00Z", Source: "mayfly.schedule"},
		"codedeploy-success.json": {Type: trigger.Deployment, ID: "d-OSQ1R7E2C", Source: "aws.codedeploy"},
		"guardduty-critical.json": {Type: trigger.Incident, ID: "c0ffee00112233445566778899aabbcc", Source: "aws.guardduty", Severity: 9.5},
		"manual.json":             {Type: trigger.Manual, ID: "change-4711", Source: "cli", Actor: "dana"},
	} {
		r, err := trigger.Resolve(sample(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if r.Trigger.Reason == "" {
			t.Errorf("%s: no reason for the auditor", name)
		}
		r.Trigger.Reason = ""
		if diff := cmp.Diff(want, r.Trigger); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func codeDeploy(state string) string {
	return `{"source":"aws.codedeploy","detail-type":"CodeDeploy Deployment State-change Notification","id":"1",` +
		`"detail":{"application":"orders","deploymentGroup":"prod","deploymentId":"d-1","state":"` + state + `"}}`
}

func finding(members string) string {
	return `{"source":"aws.guardduty","detail-type":"GuardDuty Finding","id":"1","detail":{"id":"f-1","type":"T",` + members + `}}`
}

func TestResolve(t *testing.T) {
	role := `"resource":{"accessKeyDetails":{"userName":"prod-orders-service","userType":"AssumedRole"}}`
	for name, c := range map[string]struct {
		event string
		mode  trigger.Mode
		keys  string
	}{
		"codedeploy success": {codeDeploy("SUCCESS"), trigger.Routine, "codedeploy:orders codedeploy:orders/prod"},
		"codedeploy failure": {codeDeploy("FAILURE"), trigger.None, ""},
		"codedeploy start":   {codeDeploy("START"), trigger.None, ""},
		"codedeploy stop":    {codeDeploy("STOP"), trigger.None, ""},
		"codedeploy ready":   {codeDeploy("READY"), trigger.None, ""},
		"codedeploy queued":  {codeDeploy("QUEUED"), trigger.None, ""},
		"codedeploy instance": {
			strings.Replace(codeDeploy("SUCCESS"), "Deployment State", "Instance State", 1), trigger.None, "",
		},
		"finding, low":            {finding(`"severity":1,` + role), trigger.Routine, "role:prod-orders-service"},
		"finding, 8.9":            {finding(`"severity":8.9,` + role), trigger.Routine, "role:prod-orders-service"},
		"finding, 9.0":            {finding(`"severity":9.0,` + role), trigger.Contain, "role:prod-orders-service"},
		"finding, archived":       {finding(`"severity":9.5,"service":{"archived":true},` + role), trigger.None, ""},
		"finding, sample":         {finding(`"severity":9.5,"service":{"additionalInfo":{"sample":true}},` + role), trigger.None, ""},
		"finding, sample in text": {finding(`"severity":9.5,"service":{"additionalInfo":{"value":"{\"sample\":true}","type":"default"}},` + role), trigger.None, ""},
		"finding, no sample":      {finding(`"severity":9.5,"service":{"additionalInfo":{"value":"unusual","sample":false}},` + role), trigger.Contain, "role:prod-orders-service"},
		"finding, user": {
			finding(`"severity":9.5,"resource":{"accessKeyDetails":{"userName":"dana","userType":"IAMUser"}}`), trigger.Contain, "user:dana",
		},
		"finding, task": {
			finding(`"severity":7,"resource":{"ecsClusterDetails":{"name":"prod-cluster","taskDetails":{"group":"service:orders"}}}`),
			trigger.Routine, "ecs:prod-cluster/orders",
		},
		"finding, single task": {
			finding(`"severity":7,"resource":{"ecsClusterDetails":{"name":"prod-cluster","taskDetails":{"group":"family:x"}}}`), trigger.None, "",
		},
		"finding, function": {
			finding(`"severity":7,"resource":{"lambdaDetails":{"functionName":"settle","role":"arn:aws:iam::000000000000:role/x/prod-settle"}}`),
			trigger.Routine, "lambda:settle role:prod-settle",
		},
		"finding, database in a cluster": {
			finding(`"severity":7,"resource":{"rdsDbInstanceDetails":{"dbInstanceIdentifier":"i","dbClusterIdentifier":"c"},"rdsDbUserDetails":{"user":"u"}}`),
			trigger.Routine, "dbuser:u@c dbuser:u@i",
		},
		"finding, sequence": {
			finding(`"severity":9.9,"service":{"detection":{"sequence":{"actors":[{"user":{"name":"a","type":"AssumedRole"}}],` +
				`"resources":[{"data":{"accessKey":{"userName":"b","userType":"Role"}}},{"data":{"ec2Instance":{"iamInstanceProfile":{"arn":"arn:aws:iam::000000000000:instance-profile/p/c"}}}}]}}}`),
			trigger.Contain, "profile:c role:a role:b role:c",
		},
		"schedule, with an offset": {`{"source":"mayfly.schedule","time":"2026-03-02T13:15:00+01:00"}`, trigger.Routine, "due"},
		"manual over the bus":      {`{"source":"mayfly.manual","id":"e-1","detail":{"secret":"prod/x"}}`, trigger.Routine, "secret:prod/x"},
		"manual":                   {`{"secret":"prod/x","trigger":{"id":"1"}}`, trigger.Routine, "secret:prod/x"},
		"annotation by hand":       {`{"secret":"prod/x","trigger":{"type":"annotation","id":"1"}}`, trigger.Contain, "secret:prod/x"},
		"incident by hand":         {`{"secret":"prod/x","trigger":{"type":"incident","id":"1","severity":9.1}}`, trigger.Contain, "secret:prod/x"},
		"unknown source":           {`{"source":"aws.new","detail-type":"New","detail":{"secret":"prod/x"}}`, trigger.None, ""},
		"empty object":             {`{}`, trigger.None, ""},
		"a number":                 {`17`, trigger.None, ""},
		"null":                     {`null`, trigger.None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := trigger.Resolve([]byte(c.event))
			if err != nil {
				t.Fatal(err)
			}
			if r.Mode != c.mode || strings.Join(r.Keys, " ") != c.keys {
				t.Errorf("mode %s keys %q, want %s %q", r.Mode, r.Keys, c.mode, c.keys)
			}
			if (r.Mode == trigger.None) != (r.Ignored != "") {
				t.Errorf("mode %s, ignored because %q", r.Mode, r.Ignored)
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	for name, event := range map[string]string{
		"nothing":               ``,
		"cut off":               `{"source":"aws.code`,
		"two":                   `{} {}`,
		"too large":             `{"x":"` + strings.Repeat("y", trigger.MaxEvent) + `"}`,
		"source no text":        `{"source":1}`,
		"codedeploy, no detail": `{"source":"aws.codedeploy","detail-type":"CodeDeploy Deployment State-change Notification"}`,
		"codedeploy, no id":     strings.Replace(codeDeploy("SUCCESS"), "d-1", "", 1),
		"finding, no severity":  finding(`"x":1`),
		"finding, severity 11":  finding(`"severity":11`),
		"finding, no id":        strings.Replace(finding(`"severity":9`), "f-1", "", 1),
		"finding, odd":          finding(`"severity":9,"resource":[]`),
		"schedule, no time":     `{"source":"mayfly.schedule"}`,
		"schedule, odd time":    `{"source":"mayfly.schedule","time":"<aws.scheduler.scheduled-time>"}`,
		"manual, no id":         `{"secret":"prod/x","trigger":{"type":"manual"}}`,
		"manual, no secret":     `{"secret":"","trigger":{"id":"1"}}`,
		"manual, wildcard":      `{"secret":"prod/*","trigger":{"id":"1"}}`,
		"manual, list":          `{"secret":["prod/x"],"trigger":{"id":"1"}}`,
		"manual, unknown field": `{"secret":"prod/x","trigger":{"id":"1"},"mode":"contain"}`,
		"manual, unknown type":  `{"secret":"prod/x","trigger":{"id":"1","type":"whim"}}`,
		"manual, line in id":    `{"secret":"prod/x","trigger":{"id":"1\n2"}}`,
		"manual, severity":      `{"secret":"prod/x","trigger":{"id":"1","severity":-1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := trigger.Resolve([]byte(event))
			if err == nil || fault.CodeOf(err) != fault.InputMalformed {
				t.Errorf("resolved to %+v, error %v", r, err)
			}
		})
	}
}

// A secret-scanning alert carries a live token; an event that is not understood is not repeated anywhere.
func TestUnknownEventsAreNotRepeated(t *testing.T) {
	for _, event := range []string{
		`[{"token":"hunter2"}]`, `{"token":"hunter2"}`, `{"secret":{"token":"hunter2"}}`, `{"source":"x","detail":"hunter2"}`,
		`{"source":"aws.guardduty","detail-type":"GuardDuty Finding","detail":["hunter2"]}`, `{"hunter2`,
		`{"secret":"prod/x","trigger":{"id":"1"},"hunter2":1}`,
	} {
		r, err := trigger.Resolve([]byte(event))
		if strings.Contains(r.Ignored+r.Trigger.Reason, "hunter2") || (err != nil && strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s is repeated: %+v %v", event, r, err)
		}
	}
}

func TestAffected(t *testing.T) {
	listing := contract.Contract{Name: "a", Environment: "prod", RotateOn: []string{"deployment"}}
	other := contract.Contract{Name: "b", Environment: "prod", RotateOn: []string{"commit"}}
	r := trigger.Resolution{
		Trigger: trigger.Trigger{Type: trigger.Deployment, ID: "1"}, Mode: trigger.Routine,
		Keys: []string{"codedeploy:orders", "codedeploy:orders/prod"},
	}
	affected, spared := trigger.Affected(r, []trigger.Candidate{
		{listing, "codedeploy:orders/prod"}, {listing, "codedeploy:orders"}, {listing, "codedeploy:orders"},
		{other, "codedeploy:orders"}, {contract.Contract{Name: "c", Environment: "prod", RotateOn: []string{"deployment"}}, "environment:prod"},
	})
	want := []trigger.Match{{
		Secret:  "prod/a",
		Because: "a service that uses it is known as orders to codedeploy; a service that uses it is known as orders/prod to codedeploy",
	}}
	if diff := cmp.Diff(want, affected); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]trigger.Match{{Secret: "prod/b", Because: "rotate_on does not list deployment"}}, spared); diff != "" {
		t.Error(diff)
	}
	r.Trigger.Type, r.Keys = trigger.Schedule, []string{trigger.KeyDue}
	if due, spared := trigger.Affected(r, []trigger.Candidate{{other, trigger.KeyDue}}); len(due) != 1 || len(spared) != 0 {
		t.Errorf("a schedule needs no listing: %v %v", due, spared)
	}
}

func TestExecutionName(t *testing.T) {
	allowed := regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	base := trigger.Trigger{Type: trigger.Incident, ID: "f-1", Source: "aws.guardduty", Severity: 8}
	edit := func(f func(*trigger.Trigger)) trigger.Trigger {
		t := base
		f(&t)
		return t
	}
	name := trigger.ExecutionName("prod/orders-db", base)
	if !strings.HasPrefix(name, "prod--orders-db-") {
		t.Errorf("nobody reads the secret in %s", name)
	}
	reworded := edit(func(t *trigger.Trigger) { t.Reason, t.Actor, t.Severity = "again", "x", 8.5 })
	if got := trigger.ExecutionName("prod/orders-db", reworded); got != name {
		t.Errorf("the same finding, sent again, is %s and was %s", got, name)
	}
	seen := map[string]string{name: "base"}
	for what, got := range map[string]string{
		"another secret":  trigger.ExecutionName("prod/orders-db2", base),
		"another id":      trigger.ExecutionName("prod/orders-db", edit(func(t *trigger.Trigger) { t.ID = "f-2" })),
		"another source":  trigger.ExecutionName("prod/orders-db", edit(func(t *trigger.Trigger) { t.Source = "x" })),
		"another type":    trigger.ExecutionName("prod/orders-db", edit(func(t *trigger.Trigger) { t.Type = trigger.Manual })),
		"now critical":    trigger.ExecutionName("prod/orders-db", edit(func(t *trigger.Trigger) { t.Severity = 9 })),
		"a boundary":      trigger.ExecutionName("prod/orders-db", edit(func(t *trigger.Trigger) { t.Source, t.ID = "aws.guarddutyf", "-1" })),
		"a long name":     trigger.ExecutionName("prod/"+strings.Repeat("x", 100), base),
		"another long":    trigger.ExecutionName("prod/"+strings.Repeat("x", 101), base),
		"odd characters":  trigger.ExecutionName("prod/ä:b", base),
		"no secret given": trigger.ExecutionName("", base),
	} {
		if !allowed.MatchString(got) {
			t.Errorf("%s: Step Functions refuses %q", what, got)
		}
		if before, taken := seen[got]; taken {
			t.Errorf("%s and %s are both %s", what, before, got)
		}
		seen[got] = what
	}
}

func TestTypesAreTheContracts(t *testing.T) {
	var types []string
	for _, k := range trigger.Types() {
		types = append(types, string(k))
	}
	if diff := cmp.Diff(contract.TriggerTypes(), types); diff != "" {
		t.Error(diff)
	}
}
