package infra

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// answered is one kind of event that mayfly-respond answers.
type answered struct {
	id, says, bus string // bus "" is the default one
	pattern       object
}

// object and one are JSON in patterns.
type (
	object = map[string]any
	one    = []any
)

// apiCall is the detail-type of every call that CloudTrail tells of. It needs a trail that logs management events, and the
// calls of IAM arrive in us-east-1 only.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
const apiCall = "AWS API Call via CloudTrail"

// answers are the patterns, one for each source of package trigger that AWS itself emits. They keep away what AWS sends in
// numbers and what says nothing: states on the way, checks of the configuration, calls that were refused, secrets that no
// contract could name, Mayfly's own calls. What looks like a cause and is none (a sample, an archived finding) does come, and
// is ignored on record.
func answers(stack awscdk.Stack, writers []*Function, environments []string, pagerDuty string) []answered {
	all := slices.Concat(deployments(), incidents(), changes(stack, writers, environments))
	if pagerDuty != "" {
		all = append(all, answered{"PagerDuty", "An incident was triggered in PagerDuty", pagerDuty, object{
			"source": one{object{"prefix": "aws.partner/pagerduty.com/"}},
			"detail": object{"$or": one{
				object{"event": object{"event_type": one{"incident.triggered"}}},
				object{"event_type": one{"incident.triggered"}},
			}},
		}})
	}
	return all
}

func pattern(source, detailType string, detail object) object {
	p := object{"source": one{source}, "detail-type": one{detailType}}
	if detail != nil {
		p["detail"] = detail
	}
	return p
}

// deployments and commits, in the state that ends the life of what was there before.
func deployments() []answered {
	return []answered{
		{"CodeDeploy", "CodeDeploy has deployed something", "",
			pattern("aws.codedeploy", "CodeDeploy Deployment State-change Notification", object{"state": one{"SUCCESS"}})},
		{"CodePipeline", "A pipeline has released something", "",
			pattern("aws.codepipeline", "CodePipeline Pipeline Execution State Change", object{"state": one{"SUCCEEDED"}})},
		{"Ecs", "ECS has deployed a service", "",
			pattern("aws.ecs", "ECS Deployment State Change", object{"eventName": one{"SERVICE_DEPLOYMENT_COMPLETED"}})},
		{"CodeCommit", "The branch that is deployed has moved in CodeCommit", "",
			pattern("aws.codecommit", "CodeCommit Repository State Change", object{
				"event": one{"referenceCreated", "referenceUpdated"}, "referenceType": one{"branch"}, "referenceName": one{"main", "master"},
			})},
	}
}

// incidents of every severity: incident_severity is each secret's own, and may be lowered at run time by a tag, which no rule
// can know of. Security Hub's INFORMATIONAL stays away: it says that nothing was found.
func incidents() []answered {
	checks := object{"prefix": "Software and Configuration Checks"}
	finding := pattern("aws.access-analyzer", "Access Analyzer Finding", object{
		"status":       one{"ACTIVE"},
		"resourceType": one{"AWS::SecretsManager::Secret", "AWS::IAM::Role", "AWS::IAM::User"},
	})
	finding["detail-type"] = one{"Access Analyzer Finding", "Unused Access Finding for IAM entities"}
	return []answered{
		{"GuardDuty", "A GuardDuty finding", "", pattern("aws.guardduty", "GuardDuty Finding", nil)},
		// Security Hub fills in the label where a product gives a number only.
		// Source: https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html#Severity
		{"SecurityHub", "A Security Hub finding on somebody who may read secrets", "",
			pattern("aws.securityhub", "Security Hub Findings - Imported", object{"findings": object{
				"Severity": object{"Label": one{"LOW", "MEDIUM", "HIGH", "CRITICAL"}},
				"Resources": object{"Type": one{"AwsSecretsManagerSecret", "AwsIamRole", "AwsIamUser", "AwsIamAccessKey", "AwsEc2Instance",
					"AwsLambdaFunction", "AwsEcsTask", "AwsEcsService", "AwsAutoScalingAutoScalingGroup"}},
				"$or": one{
					object{"Types": one{object{"exists": false}}},
					object{"Types": one{object{"anything-but": checks}}},
				},
			}})},
		{"Health", "AWS has found a credential of this account in public", "",
			pattern("aws.health", "AWS Health Event", object{
				"service": one{"RISK"}, "eventTypeCode": one{object{"prefix": "AWS_RISK_CREDENTIALS_"}},
			})},
		{"AccessAnalyzer", "Somebody outside may read a secret or take a role, or a role has rights too many", "", finding},
	}
}

// changes of a secret, of who may read it, and of the key that encrypts it, by anybody but Mayfly.
func changes(stack awscdk.Stack, writers []*Function, environments []string) []answered {
	const service, people, keys = "secretsmanager.amazonaws.com", "iam.amazonaws.com", "kms.amazonaws.com"
	secrets := secretsOf(stack, environments)
	tags := one{"TagResource", "UntagResource"}
	others := slices.DeleteFunc(texts(trigger.Calls(service)), func(name any) bool { return slices.Contains(tags, name) })
	mayfly := one{object{"prefix": "mayfly:"}}
	tagged := calls("aws.secretsmanager", service, tags, anybodyBut(writers))
	tagged["detail"].(object)["requestParameters"] = object{
		"secretId": secrets, "$or": one{object{"tags": object{"key": mayfly}}, object{"tagKeys": mayfly}},
	}
	granted := anybodyBut(writers)
	granted["$or"] = one{object{"invokedBy": one{object{"exists": false}}}, object{"invokedBy": one{"AWS Internal"}}}
	changed := calls("aws.secretsmanager", service, others, anybodyBut(writers))
	changed["detail"].(object)["requestParameters"] = object{"secretId": secrets}
	return []answered{
		{"SecretChange", "Somebody has changed a secret, its labels or its resource policy", "", changed},
		{"TagChange", "Somebody has changed the policy of a secret, or marked it as compromised", "", tagged},
		{"LabelUpdate", "A value that Mayfly did not make came into use", "",
			pattern("aws.secretsmanager", "Secret Label Updated", object{
				"labelUpdated": one{"AWSCURRENT"}, "name": secrets,
				"versionId": one{object{"anything-but": object{"prefix": "mayfly-"}}},
			})},
		{"PrincipalChange", "Somebody has changed what a role, user or group may do", "",
			calls("aws.iam", people, texts(trigger.Calls(people)), nil)},
		{"KeyChange", "Somebody has changed who may use a KMS key", "", // AWS services make grants for resources of their own
			calls("aws.kms", keys, texts(trigger.Calls(keys)), granted)},
		{"KeyRotation", "KMS has rotated a key", "", pattern("aws.kms", "KMS CMK Rotation", nil)},
	}
}

// calls that were carried out.
func calls(source, service string, names one, by object) object {
	detail := object{"eventSource": one{service}, "eventName": names, "errorCode": one{object{"exists": false}}}
	if by != nil {
		detail["userIdentity"] = by
	}
	return pattern(source, apiCall, detail)
}

// anybodyBut is everybody but these functions, whose roles are known to the letter: a user has no session, and nobody can take
// a role that only Lambda may take.
func anybodyBut(functions []*Function) object {
	var roles one
	for _, f := range functions {
		roles = append(roles, f.role.RoleArn())
	}
	return object{"sessionContext": object{"sessionIssuer": object{"$or": one{
		object{"arn": one{object{"exists": false}}},
		object{"arn": one{object{"anything-but": roles}}},
	}}}}
}

// secretsOf are the secrets of the environments under contract, by name or ARN. A pattern has room for a dozen; where there
// are more, every secret with a name such as contracts have is let through.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html (2,048 characters)
func secretsOf(stack awscdk.Stack, environments []string) one {
	const room = 10
	if len(environments) > room {
		return one{object{"wildcard": "*/*"}}
	}
	var secrets one
	for _, e := range environments {
		secrets = append(secrets, object{"prefix": e + "/"}, object{"prefix": arn(stack, "secretsmanager", "secret:"+e+"/")})
	}
	return secrets
}

func texts(list []string) one {
	values := make(one, len(list))
	for i, text := range list {
		values[i] = text
	}
	return values
}
