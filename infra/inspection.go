package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

const inspectSource = "mayfly.inspect"

// Inspect has mayfly-inspect run by itself, every 15 minutes and once a day with probes of access, and mayfly-respond answer
// what it finds. Inspections begin on the quarter of an hour, evaluations at the time of day at which they were deployed, so
// that they seldom meet.
func (t Triggers) Inspect(machines Machines, functions *Functions, dispatch Dispatch, webhook Webhook) {
	dispatch.GrantKeep(functions.ListSecrets)
	dispatch.GrantBatches(machines.Inspect)
	webhook.GrantSpeak(inspectSource, functions.InspectSecrets, functions.ProbeTargets, functions.ProbeAccess)

	allow(t.ticks, "StartInspect", "states:StartExecution", []*string{machines.Inspect.StateMachineArn()})
	t.schedule("Inspect", "mayfly-inspect", "Looks whether everything is as it was left", "cron(0/15 * * * ? *)",
		machines.Inspect.StateMachineArn(), jsii.String(`{"access":false}`))
	t.schedule("Probe", "mayfly-probe", "The same, and tries to read secrets as others would", "cron(7 3 * * ? *)",
		machines.Inspect.StateMachineArn(), jsii.String(`{"access":true}`))
	t.rule(answered{"Inspection", "An inspection has found what a rotation mends", *webhook.Bus.EventBusName(),
		pattern(inspectSource, "Secret drift", nil)}, machines.Respond.StateMachineArn(), t.rules)
}

// GrantProbe lets ProbeAccess try to read as others: as a stranger, a role that IAM lets read every secret under contract and
// that nothing but its secrets' own policies keeps from it, and as the declared services, as far as their roles trust it. More
// than a hundred roles do not fit into a role's inline policies, and those beyond that are not tried.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func (a Authority) GrantProbe(scope constructs.Construct, f *Function, services []string) {
	stranger := awsiam.NewRole(scope, jsii.String("Stranger"), &awsiam.RoleProps{
		RoleName:    jsii.String("mayfly-probe-stranger"),
		Description: jsii.String("Mayfly: somebody whom no contract declares, for probes of who can read"),
		AssumedBy:   awsiam.NewArnPrincipal(f.role.RoleArn()),
	})
	stranger.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("TryToRead"), Actions: jsii.Strings("secretsmanager:GetSecretValue"), Resources: &a.secrets,
	}))
	f.Set(env.StrangerRole, stranger.RoleArn())
	// The stranger's trust names the function's role itself, which is enough within an account; the services' trust may name
	// the account. Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	const most = 100
	var roles []*string
	for _, role := range services[:min(len(services), most)] {
		roles = append(roles, jsii.String(role))
	}
	if len(roles) > 0 {
		f.Allow("TakeRoles", []string{"sts:AssumeRole"}, roles...)
	}
}

// WatchInspections alarms on what inspections find, and on inspections that find nothing because there are none. Each finding
// that stands is counted at every inspection, so that its alarm stays on until it is gone.
func (a Alarms) WatchInspections(machines Machines) {
	a.alarm("Drift", "Somebody changed a secret past Mayfly: its policy, tags, value or existence, or the password at its target. Runbook: docs/operations.md, Findings",
		condition{metric: counted("Drift", 15), periods: 1, atLeast: 1})
	a.alarm("Overdue", "A secret should have rotated and did not, or has expired. Runbook: docs/operations.md, Findings",
		condition{metric: counted("Overdue", 15), periods: 1, atLeast: 1})
	a.alarm("ProbeFailed", "Something that must be refused is not: a reader, or a revoked credential. Runbook: docs/operations.md, Findings",
		condition{metric: counted("ProbeFailed", 15), periods: 1, atLeast: 1})
	sum := &awscloudwatch.MetricOptions{Period: minutes(30), Statistic: jsii.String("Sum")}
	a.alarm("InspectionMissing", "No inspection has come to its end for an hour: drift goes unnoticed. Look at mayfly-inspect and its schedule",
		condition{metric: machines.Inspect.MetricSucceeded(sum), periods: 2, missing: true})
	a.unfinished("InspectFailing", "An inspection did not look at every secret: its Map Run's results say at which it did not",
		machines.Inspect, "failed + timedOut + aborted")
}
