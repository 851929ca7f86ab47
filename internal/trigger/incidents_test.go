package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

func TestGuardDuty(t *testing.T) {
	sev := func(members string) string { return finding(`"severity":8,` + members) }
	check(t, []sourceCase{
		{"access key alone", sev(`"resource":{"accessKeyDetails":{"accessKeyId":"AKIA000000000000EXMP","userType":"Root"}}`), "incident routine accesskey:AKIA000000000000EXMP"},
		{"session key", sev(`"resource":{"accessKeyDetails":{"accessKeyId":"ASIA000000000000EXMP","userName":"r","userType":"AssumedRole"}}`), "incident routine role:r"},
		{"root", sev(`"resource":{"accessKeyDetails":{"userName":"Root","userType":"Root"}}`), "ignored: names no role"},
		{"instance", sev(`"resource":{"instanceDetails":{"iamInstanceProfile":{"arn":"arn:aws:iam::0:instance-profile/a/web"}}}`), "incident routine profile:web role:web"},
		{"task without a service", sev(`"resource":{"ecsClusterDetails":{"name":"c","taskDetails":{"group":"family:batch","definitionArn":"arn:aws:ecs:us-east-1:0:task-definition/batch:3"}}}`), "incident routine ecs:c/batch"},
		{"pod", sev(`"resource":{"eksClusterDetails":{"name":"k"},"kubernetesDetails":{"kubernetesWorkloadDetails":{"name":"orders-6d4b7c-x2x","type":"pods","namespace":"shop"}}}`), "incident routine eks:k/shop/orders eks:k/shop/orders-6d4b7c eks:k/shop/orders-6d4b7c-x2x"},
		{"deployment", sev(`"resource":{"eksClusterDetails":{"name":"k"},"kubernetesDetails":{"kubernetesWorkloadDetails":{"name":"orders-api","type":"deployments","namespace":"shop"}}}`), "incident routine eks:k/shop/orders-api"},
		{"service account", sev(`"resource":{"eksClusterDetails":{"name":"k"},"kubernetesDetails":{"kubernetesUserDetails":{"username":"system:serviceaccount:shop:orders"}}}`), "incident routine eks:k/shop/orders"},
		{"kubernetes as a role", sev(`"resource":{"eksClusterDetails":{"name":"k"},"kubernetesDetails":{"kubernetesUserDetails":{"username":"arn:aws:sts::0:assumed-role/ops/dana"}}}`), "incident routine role:ops"},
		{"cluster alone", sev(`"resource":{"eksClusterDetails":{"name":"k"}}`), "ignored: names no role"},
		{"logins of the action", sev(`"resource":{"rdsDbInstanceDetails":{"dbInstanceIdentifier":"i"}},"service":{"action":{"rdsLoginAttemptAction":{"LoginAttributes":[{"user":"a"},{"user":"b"}]}}}`), "incident routine dbuser:a@i dbuser:b@i"},
		{"limitless", sev(`"resource":{"rdsLimitlessDbDetails":{"dbShardGroupIdentifier":"g","dbClusterIdentifier":"c"},"rdsDbUserDetails":{"user":"a"}}`), "incident routine dbuser:a@c dbuser:a@g"},
		{"sequence over everything", finding(`"severity":9.5,"service":{"detection":{"sequence":{` +
			`"actors":[{"user":{"name":"dana","type":"IAMUser","credentialUid":"AKIA000000000000EXMP"},"session":{"issuer":"arn:aws:iam::0:role/iss"}}],` +
			`"resources":[{"uid":"AKIA000000000000XMPL","resourceType":"ACCESS_KEY","data":{}},` +
			`{"uid":"arn:aws:ecs:us-east-1:0:task/c/0f2d","resourceType":"ECS_TASK","data":{"ecsTask":{"taskDefinitionArn":"arn:aws:ecs:us-east-1:0:task-definition/web:1"}}},` +
			`{"uid":"arn:aws:iam::0:instance-profile/prof","resourceType":"IAM_INSTANCE_PROFILE","data":{}},` +
			`{"uid":"arn:aws:lambda:us-east-1:0:function:fn:7","resourceType":"LAMBDA","data":{}},` +
			`{"uid":"arn:aws:autoscaling:us-east-1:0:autoScalingGroup:u:autoScalingGroupName/asg","resourceType":"AUTOSCALING_AUTO_SCALING_GROUP","data":{}}]}}}`),
			"incident contain accesskey:AKIA000000000000EXMP accesskey:AKIA000000000000XMPL ec2:asg ecs:c/web lambda:fn profile:prof role:iss role:prof user:dana"},
	})
}

func TestSecurityHub(t *testing.T) {
	hub := func(findings ...string) string {
		return event("aws.securityhub", "Security Hub Findings - Imported", `{"findings":[`+strings.Join(findings, ",")+`]}`)
	}
	one := func(severity, rest string) string { return `{"Id":"f","Severity":` + severity + `,` + rest + `}` }
	role := `"Types":["TTPs/x"],"RecordState":"ACTIVE","Resources":[{"Type":"AwsIamRole","Id":"arn:aws:iam::0:role/p/r"}]`
	of := func(kind, id, details string) string {
		return hub(one(`{"Label":"HIGH"}`, `"Resources":[{"Type":"`+kind+`","Id":"`+id+`","Details":{"`+kind+`":`+details+`}}]`))
	}
	check(t, []sourceCase{
		{"role", hub(one(`{"Label":"HIGH"}`, role)), "incident routine role:r"},
		{"critical", hub(one(`{"Label":"CRITICAL"}`, role)), "incident contain role:r"},
		{"normalized alone", hub(one(`{"Normalized":90}`, role)), "incident contain role:r"},
		{"secret", of("AwsSecretsManagerSecret", secretARN, `{}`), "incident routine secret:prod/orders-db"},
		{"user", of("AwsIamUser", "arn:aws:iam::0:user/p/dana", `{}`), "incident routine user:dana"},
		{"key by id", of("AwsIamAccessKey", "AWS::IAM::AccessKey:AKIA000000000000EXMP", `{}`), "incident routine accesskey:AKIA000000000000EXMP"},
		{"key of a session", of("AwsIamAccessKey", "AWS::IAM::AccessKey:ASIA000000000000EXMP", `{"PrincipalType":"Role","PrincipalName":"r","SessionContext":{"SessionIssuer":{"Arn":"arn:aws:iam::0:role/s"}}}`), "incident routine role:r role:s"},
		{"instance", of("AwsEc2Instance", "arn:aws:ec2:us-east-1:0:instance/i-1", `{"IamInstanceProfileArn":"arn:aws:iam::0:instance-profile/p"}`), "incident routine profile:p role:p"},
		{"function", of("AwsLambdaFunction", "arn:aws:lambda:us-east-1:0:function:fn", `{"Role":"arn:aws:iam::0:role/r"}`), "incident routine lambda:fn role:r"},
		{"task", of("AwsEcsTask", "arn:aws:ecs:us-east-1:0:task/c/1", `{"ClusterArn":"arn:aws:ecs:us-east-1:0:cluster/c","Group":"service:s"}`), "incident routine ecs:c/s"},
		{"service", of("AwsEcsService", "arn:aws:ecs:us-east-1:0:service/c/s", `{}`), "incident routine ecs:c/s"},
		{"details of another shape", of("AwsIamRole", "arn:aws:iam::0:role/r", `[]`), "incident routine role:r"},
		{"bucket", of("AwsS3Bucket", "arn:aws:s3:::b", `{}`), "ignored: names no secret"},
		{"archived", hub(one(`{"Label":"HIGH"}`, strings.Replace(role, "ACTIVE", "ARCHIVED", 1))), "ignored: archived"},
		{"suppressed", hub(one(`{"Label":"HIGH"}`, role+`,"Workflow":{"Status":"SUPPRESSED"}`)), "ignored: suppressed"},
		{"sample", hub(one(`{"Label":"HIGH"}`, role+`,"Sample":true`)), "ignored: sample"},
		{"check", hub(one(`{"Label":"HIGH"}`, strings.Replace(role, "TTPs/x", "Software and Configuration Checks/AWS", 1))), "ignored: check of the configuration"},
		{"one of two counts", hub(one(`{"Label":"CRITICAL"}`, role+`,"Sample":true`), one(`{"Label":"HIGH"}`, role)), "incident routine role:r"},
		{"no severity", hub(one(`{}`, role)), "InputMalformed"},
		{"no finding", hub(), "InputMalformed"},
	})
	for severity, want := range map[string]float64{
		`{"Label":"HIGH","Normalized":89}`: 8.9, `{"Label":"LOW"}`: 1, `{"Label":"MEDIUM","Normalized":90}`: 4,
		`{"Normalized":70}`: 7, `{"Normalized":1000}`: 10, `{"Label":"INFORMATIONAL"}`: 0,
	} {
		r, err := trigger.Resolve([]byte(hub(one(severity, role))))
		if err != nil || r.Trigger.Severity != want {
			t.Errorf("%s is %.1f (%v), want %.1f", severity, r.Trigger.Severity, err, want)
		}
	}
}

func TestHealthAndAccessAnalyzer(t *testing.T) {
	health := func(code, rest string) string {
		return event("aws.health", "AWS Health Event", `{"eventArn":"a","eventTypeCode":"`+code+`",`+rest+`}`)
	}
	key := `"affectedEntities":[{"entityValue":"AKIA000000000000EXMP"}]`
	analyzer := func(kind, members string) string {
		return event("aws.access-analyzer", kind, `{"id":"f","status":"ACTIVE",`+members+`}`)
	}
	secret := `"resourceType":"AWS::SecretsManager::Secret","resource":"` + secretARN + `"`
	check(t, []sourceCase{
		{"exposed", health("AWS_RISK_CREDENTIALS_EXPOSED", key), "incident contain accesskey:AKIA000000000000EXMP"},
		{"suspected", health("AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED", key), "incident contain accesskey:AKIA000000000000EXMP"},
		{"closed", health("AWS_RISK_CREDENTIALS_EXPOSED", key+`,"statusCode":"closed"`), "ignored: closed"},
		{"other", health("AWS_EC2_MAINTENANCE_SCHEDULED", key), "ignored: not about credentials"},
		{"nobody", health("AWS_RISK_CREDENTIALS_EXPOSED", `"affectedEntities":[]`), "ignored: names no access key"},
		{"user", health("AWS_RISK_CREDENTIALS_EXPOSED", `"affectedEntities":[{"entityValue":"arn:aws:iam::0:user/dana"}]`), "incident contain user:dana"},
		{"external", analyzer("Access Analyzer Finding", secret), "incident routine secret:prod/orders-db"},
		{"public", analyzer("Access Analyzer Finding", secret+`,"isPublic":true`), "incident contain secret:prod/orders-db"},
		{"resolved", strings.Replace(analyzer("Access Analyzer Finding", secret), "ACTIVE", "RESOLVED", 1), "ignored: no longer active"},
		{"deleted", analyzer("Access Analyzer Finding", secret+`,"isDeleted":true`), "ignored: no longer active"},
		{"role from outside", analyzer("Access Analyzer Finding", `"resourceType":"AWS::IAM::Role","resource":"arn:aws:iam::0:role/r"`), "incident routine role:r"},
		{"bucket", analyzer("Access Analyzer Finding", `"resourceType":"AWS::S3::Bucket","resource":"arn:aws:s3:::b"`), "ignored: AWS::S3::Bucket"},
		{"unused", analyzer("Unused Access Finding for IAM entities", `"resourceType":"AWS::IAM::Role","resource":"arn:aws:iam::0:role/r"`), "incident routine role:r"},
		{"internal", analyzer("Internal Access Finding", secret), "ignored: inside the account"},
		{"preview", event("aws.access-analyzer", "Access Preview State Change", `{}`), "ignored: findings count"},
	})
}

func TestPagerDuty(t *testing.T) {
	body := func(kind, data string) string {
		return `{"event":{"event_type":"` + kind + `","data":{"id":"P1","urgency":"high",` + data + `}}}`
	}
	details := func(members string) string { return body("incident.triggered", `"body":{"details":{`+members+`}}`) }
	check(t, []sourceCase{
		{"secrets", details(`"mayfly_secret":"prod/a, prod/b"`), "incident routine secret:prod/a secret:prod/b"},
		{"secrets as a list", details(`"mayfly_secret":["prod/a","prod/b"]`), "incident routine secret:prod/a secret:prod/b"},
		{"service", details(`"mayfly_service":"web","mayfly_environment":"prod"`), "incident routine service:prod/web"},
		{"service, plain environment", details(`"mayfly_service":"web","environment":"prod"`), "incident routine service:prod/web"},
		{"service with environment", details(`"mayfly_service":"prod/web"`), "incident routine service:prod/web"},
		{"service without environment", details(`"mayfly_service":"web"`), "ignored: service with its environment"},
		{"role", details(`"mayfly_role":"arn:aws:iam::0:role/r"`), "incident routine role:r"},
		{"critical", details(`"mayfly_secret":"prod/a","mayfly_severity":"critical"`), "incident contain secret:prod/a"},
		{"critical as a number", details(`"mayfly_secret":"prod/a","mayfly_severity":9.5`), "incident contain secret:prod/a"},
		{"custom fields", body("incident.triggered", `"custom_fields":[{"name":"mayfly_secret","value":"prod/a"}]`), "incident routine secret:prod/a"},
		{"CEF details", body("incident.triggered", `"body":{"cef_details":{"details":{"mayfly_secret":"prod/a"}}}`), "incident routine secret:prod/a"},
		{"details as text", body("incident.triggered", `"body":{"details":"mayfly_secret: prod/a"}`), "ignored: names no secret"},
		{"acknowledged", body("incident.acknowledged", `"body":{"details":{"mayfly_secret":"prod/a"}}`), "ignored: incident.acknowledged"},
		{"no secret id", details(`"mayfly_secret":"../etc"`), "InputMalformed"},
		{"partner", event("aws.partner/pagerduty.com/1/x", "incident.triggered", details(`"mayfly_secret":"prod/a"`)), "incident routine secret:prod/a"},
		{"partner, bare", event("aws.partner/pagerduty.com/1/x", "incident.triggered", strings.TrimSuffix(strings.TrimPrefix(details(`"mayfly_secret":"prod/a"`), `{"event":`), `}`)), "incident routine secret:prod/a"},
		{"partner of another", event("aws.partner/example.com/1/x", "incident.triggered", details(`"mayfly_secret":"prod/a"`)), "ignored: not known"},
	})
	i, err := trigger.NewPagerDutyIncident([]byte(strings.Replace(details(`"mayfly_secret":"prod/a"`), "high", "low", 1)))
	if err != nil || i.Severity != 4 {
		t.Errorf("a quiet incident has severity %.1f (%v)", i.Severity, err)
	}
}

func TestAlertsAndProviders(t *testing.T) {
	siem := func(members string) string {
		return event(trigger.WebhookSource, trigger.TypeSIEMAlert, `{"id":"a","system":"s","severity":8,`+members+`}`)
	}
	print := strings.Repeat("0a", 32)
	many := make([]string, trigger.MaxNamed+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"prod/x%d"`, i)
	}
	check(t, []sourceCase{
		{"everything", siem(`"secrets":["prod/a"],"services":["prod/web"],"roles":["r","p/s"],"users":["arn:aws:iam::0:user/dana"],"access_keys":["AKIA000000000000EXMP"],"logins":["u@db.x.us-east-1.rds.amazonaws.com"]`),
			"incident routine accesskey:AKIA000000000000EXMP dbuser:u@db role:r role:s secret:prod/a service:prod/web user:dana"},
		{"nothing", siem(`"title":"x"`), "ignored: names no secret"},
		{"sample", siem(`"sample":true,"secrets":["prod/a"]`), "ignored: sample"},
		{"wildcard", siem(`"secrets":["prod/*"]`), "InputMalformed"},
		{"environment alone", siem(`"services":["prod"]`), "InputMalformed"},
		{"too many", siem(`"secrets":[` + strings.Join(many, ",") + `]`), "InputMalformed"},
		{"further member", siem(`"token":"hunter2"`), "InputMalformed"},
		{"severity 11", strings.Replace(siem(`"secrets":["prod/a"]`), "8", "11", 1), "InputMalformed"},
		{"provider", event(trigger.WebhookSource, trigger.TypeProviderChange, `{"id":"c","provider":"p","change":"x","secrets":["prod/a"]}`), "upstream routine secret:prod/a"},
		{"provider, nothing", event(trigger.WebhookSource, trigger.TypeProviderChange, `{"id":"c","provider":"p"}`), "ignored: names no secret"},
		{"found token", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":["`+print+`"]}`), "incident contain fingerprint:" + print},
		{"no found token", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":[]}`), "InputMalformed"},
		{"found token without id", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"fingerprints":["`+print+`"]}`), "InputMalformed"},
		{"found token in the clear", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":["hunter2"]}`), "InputMalformed"},
		{"found token of other digits", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":["`+strings.ToUpper(print)+`"]}`), "InputMalformed"},
		{"too many found tokens", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":["`+print+strings.Repeat(`","`+print, trigger.MaxFingerprints)+`"]}`), "InputMalformed"},
		{"found token with itself", event(trigger.WebhookSource, trigger.TypeSecretScanning, `{"id":"s","fingerprints":["`+print+`"],"token":"hunter2"}`), "InputMalformed"},
		{"unknown kind", event(trigger.WebhookSource, "GitHub star", `{}`), "ignored: no events of this detail-type"},
	})
	for _, body := range []string{``, `{`, `{} {}`, `[]`, `{"token":"hunter2"}`, `{"id":"` + strings.Repeat("x", trigger.MaxEvent) + `"}`} {
		_, siem := trigger.NewSIEMAlert([]byte(body))
		_, provider := trigger.NewProviderChange([]byte(body))
		for _, err := range []error{siem, provider} {
			if fault.CodeOf(err) != fault.InputMalformed || strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("%.20q: %v", body, err)
			}
		}
	}
}
