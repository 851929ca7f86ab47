package playground_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

const (
	guardDuty = "GuardDuty Finding"
	apiCall   = "AWS API Call via CloudTrail"
)

// sampled are events of AWS services and partners, delivered to the bus under the id that they have.
func sampled() []way {
	cloudTrail := trigger.Kind{DetailType: apiCall}
	finding := trigger.Kind{Source: "aws.guardduty", DetailType: guardDuty}
	return []way{
		{name: "CodeDeploy", kind: trigger.Kind{Source: "aws.codedeploy", DetailType: "CodeDeploy Deployment State-change Notification"}, event: file("codedeploy-success.json")},
		{name: "CodePipeline", kind: trigger.Kind{Source: "aws.codepipeline", DetailType: "CodePipeline Pipeline Execution State Change"}, event: file("codepipeline-succeeded.json")},
		{name: "ECS", kind: trigger.Kind{Source: "aws.ecs", DetailType: "ECS Deployment State Change"}, event: file("ecs-deployment-completed.json")},
		{name: "CodeCommit", kind: trigger.Kind{Source: "aws.codecommit", DetailType: "CodeCommit Repository State Change"}, event: file("codecommit-referenceUpdated.json")},
		{name: "GuardDuty on a task", kind: finding, event: file("guardduty-task.json")},
		{name: "GuardDuty on a function", kind: finding, event: file("guardduty-function.json"), secret: payments},
		{name: "GuardDuty on a user", kind: finding, event: file("guardduty-user.json"), secret: payments, mode: trigger.Contain},
		{name: "GuardDuty on a login at the database", kind: finding, event: atTheDatabase},
		{name: "GuardDuty, critical", kind: finding, event: file("guardduty-critical.json"), mode: trigger.Contain},
		{name: "GuardDuty, low, as the policy asks for", kind: finding, event: file("guardduty-task.json", `"severity": 7.5`, `"severity": 2`, `"id": "`, `"id": "low-`),
			before: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "incident_severity", "1") },
			undo:   func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "incident_severity", "7") }},
		{name: "Security Hub", kind: trigger.Kind{Source: "aws.securityhub", DetailType: "Security Hub Findings - Imported"}, event: file("securityhub-finding.json")},
		{name: "Health", kind: trigger.Kind{Source: "aws.health", DetailType: "AWS Health Event"}, event: file("health-aws-risk-credentials-exposed.json"),
			mode: trigger.Contain, secret: payments},
		{name: "Access Analyzer on a secret", kind: trigger.Kind{Source: "aws.access-analyzer", DetailType: "Access Analyzer Finding"}, event: file("access-analyzer-external-secret.json")},
		{name: "Access Analyzer on rights that are not used", kind: trigger.Kind{Source: "aws.access-analyzer", DetailType: "Unused Access Finding for IAM entities"},
			event:  file("access-analyzer-unused-access-finding.json", "prod-retired-worker", "prod-orders-service"),
			before: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "incident_severity", "1") },
			undo:   func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "incident_severity", "7") }},
		{name: "PagerDuty's partner bus", kind: trigger.Kind{Source: "aws.partner/pagerduty.com/"}, mode: trigger.Contain,
			event: func(t *testing.T, p *playground.Playground) (string, []byte) {
				_, text := file("pagerduty-partner.json")(t, p)
				return partnerBus, text
			}},
		{name: "a request on Mayfly's bus", kind: trigger.Kind{Source: "mayfly.manual"},
			event: func(*testing.T, *playground.Playground) (string, []byte) {
				return "mayfly", []byte(`{"id":"b1","source":"mayfly.manual","detail-type":"Request","detail":{"secret":"prod/orders-db",` +
					`"trigger":{"type":"manual","id":"ticket-7","source":"portal","actor":"dana","reason":"a laptop was lost"}}}`)
			}},
		{name: "what an inspection found", kind: trigger.Kind{Source: trigger.InspectionSource, DetailType: trigger.TypeSecretDrift},
			event: func(t *testing.T, p *playground.Playground) (string, []byte) {
				_, text := file("inspection-drift.json")(t, p)
				return "mayfly", text
			}},
		{name: "rights of a role", kind: cloudTrail, event: file("cloudtrail-iam-attachrolepolicy.json")},
		{name: "a grant on a KMS key", kind: cloudTrail, event: onKey("cloudtrail-kms-creategrant.json"), secret: ledger},
		{name: "a resource policy, told five times", kind: cloudTrail, event: file("cloudtrail-secretsmanager-putresourcepolicy.json")},
		{name: "a mark, told five times", kind: cloudTrail, event: file("cloudtrail-secretsmanager-compromised.json"), mode: trigger.Contain},
		{name: "a value by hand, told five times", kind: cloudTrail, event: file("cloudtrail-secretsmanager-putsecretvalue.json")},
		{name: "a label that moved", kind: trigger.Kind{Source: "aws.secretsmanager", DetailType: "Secret Label Updated"}, event: file("secretsmanager-secret-label-updated.json")},
		{name: "a KMS key that rotated", kind: trigger.Kind{Source: "aws.kms", DetailType: "KMS CMK Rotation"}, event: onKey("kms-rotation.json"), secret: ledger},
	}
}

// posted are webhooks, signed as their senders sign them.
func posted() []way {
	webhook := func(detailType string) trigger.Kind {
		return trigger.Kind{Source: trigger.WebhookSource, DetailType: detailType}
	}
	github := func(event, sample string) func(h hook) (string, []byte, map[string]string) {
		return func(h hook) (string, []byte, map[string]string) {
			_, body := file(sample)(h.T, h.p)
			return "github", body, map[string]string{"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(sign(h.key("github"), body)),
				"X-GitHub-Event": event, "X-GitHub-Delivery": "delivery-" + event}
		}
	}
	const commit = "8b1d3e5f701f0c3a5b7d9e2f4a6c8b0d1e3f5a7c"
	return []way{
		{name: "GitHub push", kind: webhook(trigger.TypeGitHubPush), post: github("push", "github-push.json"),
			want: trigger.Trigger{Type: trigger.Commit, ID: "orders/orders-service@" + commit, Source: "github", Actor: "dana", Reason: commit}},
		{name: "GitHub deployment", kind: webhook(trigger.TypeGitHubDeployment), post: github("deployment_status", "github-deployment-status.json"),
			want: trigger.Trigger{Type: trigger.Deployment, ID: "orders/orders-service#440017", Source: "github", Actor: "dana", Reason: "GitHub deployed orders/orders-service to production"}},
		{name: "GitHub secret scanning", kind: webhook(trigger.TypeSecretScanning), mode: trigger.Contain,
			post: func(h hook) (string, []byte, map[string]string) {
				v, _, err := h.p.Value(h.Context(), orders, "")
				must(h.T)(nil, err)
				return h.scan(h.configureGitHub(), v.Password(), "https://github.com/o/r/blob/main/config.yml")
			},
			want: trigger.Trigger{Type: trigger.Incident, Source: "github", Reason: "GitHub found the value in the open at https://github.com/o/r/blob/main/config.yml"}},
		{name: "PagerDuty", kind: webhook(trigger.TypePagerDuty), mode: trigger.Contain,
			post: func(h hook) (string, []byte, map[string]string) {
				_, body := file("pagerduty-incident-triggered.json", "Q2K8MAYFLY0001", "Q2K8MAYFLY0002")(h.T, h.p)
				return "pagerduty", body, map[string]string{"X-PagerDuty-Signature": "v1=" + hex.EncodeToString(sign(h.key("pagerduty"), body))}
			},
			want: trigger.Trigger{Type: trigger.Incident, ID: "Q2K8MAYFLY0002", Source: "pagerduty", Actor: "Dana", Reason: "PagerDuty incident Q2K8MAYFLY0002 at Orders security"}},
		{name: "a SIEM", kind: webhook(trigger.TypeSIEMAlert),
			post: func(h hook) (string, []byte, map[string]string) {
				body := []byte(`{"id":"alert-1","system":"sentry","severity":8,"title":"odd login","actor":"203.0.113.24","secrets":["prod/orders-db"]}`)
				return "siem", body, h.signed("siem", body)
			},
			want: trigger.Trigger{Type: trigger.Incident, ID: "alert-1", Source: "siem:sentry", Actor: "203.0.113.24", Reason: "sentry: odd login, severity 8.0"}},
		{name: "a provider", kind: webhook(trigger.TypeProviderChange),
			post: func(h hook) (string, []byte, map[string]string) {
				body := []byte(`{"id":"change-1","provider":"dbhost","change":"all passwords end","secrets":["prod/orders-db"]}`)
				return "provider", body, h.signed("provider", body)
			},
			want: trigger.Trigger{Type: trigger.Upstream, ID: "change-1", Source: "provider:dbhost", Reason: "dbhost: all passwords end"}},
	}
}

// called are calls through the SDK, which CloudTrail tells of, and what needs no event.
func called() []way {
	cloudTrail := trigger.Kind{DetailType: apiCall}
	says := func(kind trigger.Type, from, actor, reason string) trigger.Trigger {
		return trigger.Trigger{Type: kind, Source: from, Actor: actor, Reason: reason}
	}
	return []way{
		{name: "a resource policy", kind: cloudTrail, want: says(trigger.AccessChange, "aws.secretsmanager", root, "PutResourcePolicy by "+root),
			call: func(t *testing.T, p *playground.Playground) { permit(t, p.AWS, "secretsmanager:PutResourcePolicy") }},
		// Eight hours before expiry is due: a value of eleven minutes is, once it lives for 485 minutes.
		{name: "a shorter ttl", kind: cloudTrail, want: says(trigger.PolicyChange, "aws.secretsmanager", root, "tags changed by "+root+": mayfly:ttl"),
			call: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "ttl", "485m") },
			undo: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "ttl", "24h") }},
		{name: "the mark of a compromised secret", kind: cloudTrail, mode: trigger.Contain,
			want: says(trigger.Annotation, "aws.secretsmanager", root, "mayfly:compromised was set by "+root),
			call: func(t *testing.T, p *playground.Playground) { tag(t, p, orders, "compromised", "laptop lost") }},
		{name: "a value by hand", kind: cloudTrail, want: says(trigger.Upstream, "aws.secretsmanager", "*", "past Mayfly"),
			call: func(t *testing.T, p *playground.Playground) {
				text, _ := value(t, p, orders)
				put(t, p, orders, text)
			}},
		{name: "a value read with the role for emergencies", kind: cloudTrail,
			want: says(trigger.Incident, "aws.secretsmanager", glassSession, "break-glass: the value was read by "+glassSession),
			call: func(t *testing.T, p *playground.Playground) { must(t)(breakGlass(t, p, orders)) }},
		{name: "a workflow of GitHub's", kind: trigger.Kind{Source: "mayfly.manual"},
			want: says(trigger.Deployment, "github", "dana", "GitHub deployed orders/orders-service to production"), call: workflow},
		{name: "start-execution", kind: trigger.Kind{Source: "mayfly.manual"}, want: says(trigger.Manual, "aws.states", "on-call", "drill"),
			call: func(t *testing.T, p *playground.Playground) {
				must(t)(p.Rotate(t.Context(), orders, "drill-1", "drill"))
			}},
		{name: "the schedule", kind: trigger.Kind{Source: "mayfly.schedule"}, want: says(trigger.Schedule, "mayfly.schedule", "", "evaluation of what is due"),
			call: func(t *testing.T, p *playground.Playground) { p.Stack.Clock.Advance(17 * time.Hour) }},
	}
}

// scan is GitHub's list with one token, found at a place.
func (h hook) scan(signer *ecdsa.PrivateKey, token, url string) (route string, body []byte, headers map[string]string) {
	h.Helper()
	body, err := json.Marshal([]map[string]string{{"token": token, "type": "password", "url": url, "source": "content"}})
	must(h.T)(nil, err)
	digest := sha256.Sum256(body)
	signature, err := ecdsa.SignASN1(rand.Reader, signer, digest[:])
	must(h.T)(nil, err)
	return "github-secret-scanning", body, map[string]string{"Github-Public-Key-Identifier": "test",
		"Github-Public-Key-Signature": base64.StdEncoding.EncodeToString(signature)}
}
