package trigger

// unreadKind is one documented kind of event. An empty detailType takes every event of the source.
type unreadKind struct {
	source, detailType string
	kind               Type
	why                string
}

// kinds of events that are documented and that no secret is rotated for. They are named so that the record of an ignored
// event says why, and is not mistaken for a gap.
func kinds() []unreadKind {
	return []unreadKind{
		{"aws.codedeploy", "", Deployment, "only the state of a whole deployment counts"},
		{"aws.codepipeline", "", Deployment, "pipelines are not read: CodeDeploy says what was deployed"},
		{"aws.ecs", "", Deployment, "ECS deployments are not read: CodeDeploy says what was deployed"},
		{"aws.codecommit", "", Commit, "CodeCommit is not read"},
		{"aws.health", "", Incident, "AWS Health is not read"},
		{"aws.securityhub", "", Incident, "Security Hub is not read: GuardDuty's findings come directly"},
		{"aws.access-analyzer", "", AccessChange, "Access Analyzer is not read"},
		{"aws.secretsmanager", "", PolicyChange, "what happens to a secret in Secrets Manager is not read: Mayfly does it itself"},
		{"aws.iam", "", AccessChange, "IAM's API calls are not read"},
		{"aws.ssm", "", "", "Parameter Store holds nothing under contract"},
		{"aws.states", "", "", "the end of an execution rotates nothing"},
		{"aws.events", "Scheduled Event", Schedule, "it is not Mayfly's own schedule, which has the source mayfly.schedule"},
		{"aws.guardduty", "", Incident, "only findings count"},
	}
}

// unread says why an event of a kind that no source reads affects nothing.
func unread(e envelope) Resolution {
	t := Trigger{ID: clip(e.ID, 256), Source: clip(e.Source, 128)}
	for _, k := range kinds() {
		if k.source == e.Source && (k.detailType == "" || k.detailType == e.DetailType) {
			t.Type = k.kind
			return ignore(t, k.why)
		}
	}
	return ignore(t, "events of this source and detail-type are not known")
}
