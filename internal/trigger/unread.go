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
		{"aws.codepipeline", "", Deployment, "only the state of a whole pipeline counts"},
		{"aws.ecs", "", Deployment, "only the deployment of a service counts"},
		{"aws.codecommit", "", Commit, "only a branch that moved counts"},
		{"aws.health", "", Incident, "only events about credentials count"},
		{"aws.securityhub", "", Incident, "only Security Hub's findings in ASFF are read: those in OCSF repeat what GuardDuty sends itself"},
		{"aws.access-analyzer", "", Incident, "only Access Analyzer's findings count"},
		{"aws.secretsmanager", "", Upstream, "Secrets Manager has no other event that says that a value changed"},
		{"aws.kms", "", Upstream, "only the rotation of a KMS key counts"},
		{WebhookSource, "", "", "the webhook receiver sends no events of this detail-type"},
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
