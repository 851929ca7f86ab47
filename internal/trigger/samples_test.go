package trigger_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// want is what a sample means under the contracts of this repository: type, mode, the affected secrets, and words from
// the reason why an event is ignored.
type want struct {
	kind    trigger.Type
	mode    trigger.Mode
	secrets string
	ignored string
}

const orders, payments = "prod/orders-db", "prod/payment-api-key"

func wants() map[string]want {
	return map[string]want{
		"evaluation.json":                                    {trigger.Schedule, trigger.Routine, "", ""},
		"eventbridge-scheduled-event.json":                   {trigger.Schedule, trigger.None, "", "own schedule"},
		"secretsmanager-rotation-lambda-invocation.json":     {trigger.Schedule, trigger.None, "", "rotation step"},
		"inspection-drift.json":                              {trigger.AccessChange, trigger.Routine, orders, ""},
		"manual.json":                                        {trigger.Manual, trigger.Routine, orders, ""},
		"codedeploy-success.json":                            {trigger.Deployment, trigger.Routine, orders, ""},
		"codedeploy-deployment-state-change.json":            {trigger.Deployment, trigger.Routine, orders, ""},
		"codepipeline-succeeded.json":                        {trigger.Deployment, trigger.Routine, orders, ""},
		"codepipeline-action-abandoned.json":                 {trigger.Deployment, trigger.None, "", "whole pipeline"},
		"codepipeline-action-execution.json":                 {trigger.Deployment, trigger.None, "", "whole pipeline"},
		"codepipeline-action-failed.json":                    {trigger.Deployment, trigger.None, "", "whole pipeline"},
		"codepipeline-action-succeeded.json":                 {trigger.Deployment, trigger.None, "", "whole pipeline"},
		"codepipeline-stage-execution.json":                  {trigger.Deployment, trigger.None, "", "whole pipeline"},
		"codepipeline-pipeline-failed.json":                  {trigger.Deployment, trigger.None, "", "FAILED"},
		"codepipeline-pipeline-started.json":                 {trigger.Deployment, trigger.None, "", "STARTED"},
		"codepipeline-pipeline-stopping.json":                {trigger.Deployment, trigger.None, "", "STOPPING"},
		"ecs-deployment-completed.json":                      {trigger.Deployment, trigger.Routine, orders, ""},
		"ecs-deployment-service_deployment_failed.json":      {trigger.Deployment, trigger.None, "", "SERVICE_DEPLOYMENT_FAILED"},
		"ecs-deployment-service_deployment_in_progress.json": {trigger.Deployment, trigger.None, "", "SERVICE_DEPLOYMENT_IN_PROGRESS"},
		"github-deployment-status.json":                      {trigger.Deployment, trigger.Routine, orders, ""},
		"webhook-github-deployment.json":                     {trigger.Deployment, trigger.Routine, "", ""}, // to staging

		"github-push.json":                                        {trigger.Commit, trigger.Routine, orders, ""},
		"webhook-github-push.json":                                {trigger.Commit, trigger.Routine, payments, ""},
		"codecommit-referenceUpdated.json":                        {trigger.Commit, trigger.Routine, orders, ""},
		"codecommit-referenceCreated.json":                        {trigger.Commit, trigger.None, "", "release-41"},
		"codecommit-referenceDeleted.json":                        {trigger.Commit, trigger.None, "", "no commit"},
		"guardduty-critical.json":                                 {trigger.Incident, trigger.Contain, orders, ""},
		"guardduty-database-login.json":                           {trigger.Incident, trigger.Routine, orders, ""},
		"guardduty-task.json":                                     {trigger.Incident, trigger.Routine, orders, ""},
		"guardduty-function.json":                                 {trigger.Incident, trigger.Routine, payments, ""},
		"guardduty-user.json":                                     {trigger.Incident, trigger.Contain, payments, ""},
		"guardduty-sample.json":                                   {trigger.Incident, trigger.None, "", "sample"},
		"securityhub-finding.json":                                {trigger.Incident, trigger.Routine, orders, ""},
		"securityhub-from-guardduty.json":                         {trigger.Incident, trigger.Contain, orders, ""},
		"securityhub-control.json":                                {trigger.Incident, trigger.None, "", "check of the configuration"},
		"pagerduty-incident-triggered.json":                       {trigger.Incident, trigger.Contain, orders, ""},
		"pagerduty-partner.json":                                  {trigger.Incident, trigger.Contain, orders, ""},
		"pagerduty-availability.json":                             {trigger.Incident, trigger.None, "", "names no secret"},
		"webhook-pagerduty.json":                                  {trigger.Incident, trigger.Routine, payments, ""},
		"webhook-siem-alert.json":                                 {trigger.Incident, trigger.Contain, orders + " " + payments, ""},
		"webhook-secret-scanning.json":                            {trigger.Incident, trigger.Contain, "", ""}, // of whom, only the registry knows
		"github-secret-scanning-partner.json":                     {"", trigger.None, "", "receiver alone"},
		"health-aws-risk-credentials-exposed.json":                {trigger.Incident, trigger.Contain, payments, ""},
		"guardduty-finding-instance-credential-exfiltration.json": {trigger.Incident, trigger.Routine, "", ""}, // of another service
		"securityhub-findings-imported-v2-envelope.json":          {trigger.Incident, trigger.None, "", "ASFF"},
		"access-analyzer-external-secret.json":                    {trigger.Incident, trigger.Routine, orders, ""},
		"access-analyzer-finding-error.json":                      {trigger.Incident, trigger.None, "", "could not be analyzed"},
		"access-analyzer-internal-access-finding.json":            {trigger.Incident, trigger.None, "", "inside the account"},
		"access-analyzer-unused-access-finding.json":              {trigger.Incident, trigger.Routine, "", ""}, // on another role

		"cloudtrail-secretsmanager-breakglass.json":            {trigger.Incident, trigger.Routine, orders, ""},
		"cloudtrail-secretsmanager-putresourcepolicy.json":     {trigger.AccessChange, trigger.Routine, orders, ""},
		"cloudtrail-iam-attachrolepolicy.json":                 {trigger.AccessChange, trigger.Routine, orders, ""},
		"cloudtrail-iam-putrolepolicy.json":                    {trigger.AccessChange, trigger.Routine, "", ""}, // of another role
		"cloudtrail-iam-refused.json":                          {trigger.AccessChange, trigger.None, "", "refused"},
		"cloudtrail-kms-creategrant.json":                      {trigger.AccessChange, trigger.Routine, "", ""}, // for another key
		"cloudtrail-generic-s3-createbucket.json":              {"", trigger.None, "", "CreateBucket changes neither"},
		"cloudtrail-secretsmanager-batchgetsecretvalue.json":   {"", trigger.None, "", "only reads"},
		"cloudtrail-secretsmanager-getsecretvalue.json":        {"", trigger.None, "", "only reads"},
		"cloudtrail-secretsmanager-rotationfailed-record.json": {"", trigger.None, "", "envelope"},
		"cloudtrail-secretsmanager-tagresource.json":           {trigger.PolicyChange, trigger.Routine, orders, ""},
		"cloudtrail-secretsmanager-othertags.json":             {trigger.PolicyChange, trigger.None, "", "no tag of Mayfly's"},
		"cloudtrail-secretsmanager-mayfly.json":                {trigger.PolicyChange, trigger.None, "", "Mayfly itself"},
		"cloudtrail-secretsmanager-compromised.json":           {trigger.Annotation, trigger.Contain, orders, ""},
		"cloudtrail-secretsmanager-putsecretvalue.json":        {trigger.Upstream, trigger.Routine, orders, ""},
		"secretsmanager-secret-label-updated.json":             {trigger.Upstream, trigger.Routine, orders, ""},
		"secretsmanager-rotation-succeeded.json":               {trigger.Upstream, trigger.None, "", "RotationSucceeded"},
		"kms-rotation.json":                                    {trigger.Upstream, trigger.Routine, "", ""}, // of another key
		"webhook-provider-change.json":                         {trigger.Upstream, trigger.Routine, orders, ""},

		"ssm-parameter-store-change-create.json": {"", trigger.None, "", "Parameter Store"},
		"ssm-parameter-store-change-delete.json": {"", trigger.None, "", "Parameter Store"},
		"ssm-parameter-store-change-update.json": {"", trigger.None, "", "Parameter Store"},
		"stepfunctions-execution-aborted.json":   {"", trigger.None, "", "execution"},
		"stepfunctions-execution-failed.json":    {"", trigger.None, "", "execution"},
		"stepfunctions-execution-running.json":   {"", trigger.None, "", "execution"},
		"stepfunctions-execution-succeeded.json": {"", trigger.None, "", "execution"},
	}
}

func TestEverySample(t *testing.T) {
	expected, b := wants(), bundle(t)
	files, err := filepath.Glob(samples + "/*.json")
	if err != nil || len(files) != len(expected) {
		t.Errorf("%d samples for %d expectations (%v)", len(files), len(expected), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w, known := expected[filepath.Base(file)]
			if !known {
				t.Fatal("the sample is in no table: say what it means")
			}
			r, err := trigger.Resolve(sample(t, filepath.Base(file)))
			if err != nil {
				t.Fatal(err)
			}
			if r.Trigger.Type != w.kind || r.Mode != w.mode {
				t.Errorf("type %q mode %q, want %q %q", r.Trigger.Type, r.Mode, w.kind, w.mode)
			}
			if (r.Ignored == "") != (w.ignored == "") || !strings.Contains(r.Ignored, w.ignored) {
				t.Errorf("ignored because %q, want %q", r.Ignored, w.ignored)
			}
			affected, _ := trigger.Affected(r, trigger.Candidates(r, b))
			var secrets []string
			for _, m := range affected {
				secrets = append(secrets, m.Secret)
				if m.Because == "" {
					t.Errorf("%s is affected for no reason", m.Secret)
				}
			}
			if got := strings.Join(secrets, " "); got != w.secrets {
				t.Errorf("affects %q, want %q", got, w.secrets)
			}
			again, err := trigger.Resolve(sample(t, filepath.Base(file)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, again); diff != "" {
				t.Errorf("delivered again, the event is another one: %s", diff)
			}
		})
	}
}

// One incident that arrives on two ways is one trigger, so that it joins the execution that it started.
func TestOneCauseOneTrigger(t *testing.T) {
	for _, pair := range [][2]string{
		{"guardduty-critical.json", "securityhub-from-guardduty.json"},
		{"pagerduty-incident-triggered.json", "pagerduty-partner.json"},
	} {
		var names []string
		for _, file := range pair {
			r, err := trigger.Resolve(sample(t, file))
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, trigger.ExecutionName(orders, r.Trigger))
		}
		if names[0] != names[1] {
			t.Errorf("%v start two executions: %v", pair, names)
		}
	}
}
