package policy_test

import "testing"

// Situations from AWS's documentation, in our own words: each group names the page that has it.

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html: Carlos may
// use his own bucket by his policy, his home folder's bucket lets him and Zhang in, and a deny of his manager's wins.
func TestDocumentedSingleAccount(t *testing.T) {
	identity := `{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::carlos-logs","arn:aws:s3:::carlos-logs/*"]},
		{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}`
	bucket := `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/carlos"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::carlos-logs/*"}`
	manager := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::carlos-logs/*"}`
	on := "arn:aws:s3:::carlos-logs/a.log"
	run(t, map[string]scene{
		"both policies allow reading":        {want: allow, caller: carlos(), action: "s3:GetObject", on: on, identity: identity, resource: bucket},
		"the bucket's alone allows writing":  {want: allow, caller: carlos(), action: "s3:PutObject", on: on, identity: identity, resource: bucket},
		"the identity's alone allows a list": {want: allow, caller: carlos(), action: "s3:ListBucket", on: "arn:aws:s3:::carlos-logs", identity: identity, resource: bucket},
		"neither allows deleting":            {want: implicit, caller: carlos(), action: "s3:DeleteObject", on: on, identity: identity, resource: bucket},
		"a deny of writing wins":             {want: deny, caller: carlos(), action: "s3:PutObject", on: on, identity: identity, resource: bucket + "," + manager},
		"reading is not denied by that":      {want: allow, caller: carlos(), action: "s3:GetObject", on: on, identity: identity, resource: bucket + "," + manager},
		"another's bucket":                   {want: implicit, caller: carlos(), action: "s3:GetObject", on: "arn:aws:s3:::zhang-logs/a.log", identity: identity},
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html:
// a Deny for everyone outside a range of addresses stops even whom an Allow lets in; a narrower Allow does not.
func TestDocumentedExplicitAndImplicit(t *testing.T) {
	inside, outside := map[string]string{"aws:SourceIp": "203.0.113.5"}, map[string]string{"aws:SourceIp": "198.51.100.5"}
	narrow := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}`
	fence := `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}`
	run(t, map[string]scene{
		"narrow allow, inside":                  {want: allow, identity: narrow, context: inside},
		"narrow allow, outside":                 {want: implicit, identity: narrow, context: outside},
		"narrow allow, outside, another allows": {want: allow, identity: narrow + "," + mayRead, context: outside},
		"fence, inside":                         {want: allow, identity: mayRead + "," + fence, context: inside},
		"fence, outside":                        {want: deny, identity: mayRead + "," + fence, context: outside},
		"fence alone gives nothing":             {want: implicit, identity: fence, context: inside},
		"fence, address unknown":                {want: deny, identity: mayRead + "," + fence},
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html: Shirley's boundary has three services;
// her policy may give her no more than those, and IAM not at all.
func TestDocumentedBoundary(t *testing.T) {
	boundary := `{"Effect":"Allow","Action":["s3:*","cloudwatch:*","sqs:*"],"Resource":"*"}`
	run(t, map[string]scene{
		"policy gives what is outside":      {want: implicit, caller: carlos(), action: "iam:CreateUser", on: "*", identity: `{"Effect":"Allow","Action":"iam:CreateUser","Resource":"*"}`, boundary: boundary},
		"policy gives what is inside":       {want: allow, caller: carlos(), action: "s3:GetObject", on: object, identity: `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, boundary: boundary},
		"boundary alone gives nothing":      {want: implicit, caller: carlos(), action: "s3:GetObject", on: object, boundary: boundary},
		"policy denies inside the boundary": {want: deny, caller: carlos(), action: "s3:GetObject", on: object, identity: `{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`, boundary: boundary},
	})
}

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples.html and
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html
func TestDocumentedSecrets(t *testing.T) {
	staged := `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}}`
	sameTag := `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"StringEquals":{"secretsmanager:ResourceTag/AccessProject":"${aws:PrincipalTag/AccessProject}"}}}`
	expired := `{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-01-02T00:00:00Z"}}}`
	readers := `{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":["arn:aws:iam::111122223333:role/services/billing","arn:aws:iam::111122223333:role/services/reconciliation"]}}}`
	before, after := map[string]string{"aws:CurrentTime": "2026-01-01T12:00:00Z"}, map[string]string{"aws:CurrentTime": "2026-01-02T12:00:00Z"}
	analytics := billing()
	analytics.ARN, analytics.Role = "arn:aws:sts::111122223333:assumed-role/analytics/x", "arn:aws:iam::111122223333:role/analytics"
	projects := billing()
	projects.Tags = map[string]string{"AccessProject": "blue"}
	run(t, map[string]scene{
		"the stage in the request":            {want: allow, identity: staged, context: map[string]string{"secretsmanager:VersionStage": "AWSCURRENT"}},
		"another stage":                       {want: implicit, identity: staged, context: map[string]string{"secretsmanager:VersionStage": "AWSPREVIOUS"}},
		"no stage in the request":             {want: implicit, identity: staged},
		"same project":                        {want: allow, caller: projects, identity: sameTag, context: map[string]string{"secretsmanager:ResourceTag/AccessProject": "blue"}},
		"another project":                     {want: implicit, caller: projects, identity: sameTag, context: map[string]string{"secretsmanager:ResourceTag/AccessProject": "red"}},
		"a secret without project":            {want: implicit, caller: projects, identity: sameTag},
		"a caller without project":            {want: implicit, identity: sameTag, context: map[string]string{"secretsmanager:ResourceTag/AccessProject": "blue"}},
		"before it expires":                   {want: allow, identity: mayRead, resource: expired, context: before},
		"after it expired":                    {want: deny, identity: mayRead, resource: expired, context: after},
		"after it expired, root":              {want: deny, caller: root(), resource: expired, context: after},
		"after it expired, describing":        {want: allow, identity: mayAll, action: "secretsmanager:DescribeSecret", resource: expired, context: after},
		"a declared reader":                   {want: allow, identity: mayRead, resource: readers},
		"an administrator is no reader":       {want: deny, caller: analytics, identity: mayAll, resource: readers},
		"root is no reader":                   {want: deny, caller: root(), resource: readers},
		"an administrator may still describe": {want: allow, caller: analytics, identity: mayAll, action: "secretsmanager:DescribeSecret", resource: readers},
	})
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html and
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func TestDocumentedBuckets(t *testing.T) {
	tls := `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::records","arn:aws:s3:::records/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	encrypted := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::records/*","Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`
	retention := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectRetention","Resource":"arn:aws:s3:::records/*","Condition":{"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"10"}}}`
	forever := `{"Effect":"Deny","Principal":"*","Action":["s3:DeleteObject","s3:DeleteObjectVersion"],"Resource":"arn:aws:s3:::records/*"}`
	home := `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::home","Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/*"]}}}`
	write := scene{action: "s3:PutObject", on: object, identity: mayAll}
	with := func(s scene, want, resource string, context map[string]string) scene {
		s.want, s.resource, s.context = want, resource, context
		return s
	}
	listing := scene{caller: carlos(), action: "s3:ListBucket", on: "arn:aws:s3:::home", identity: home}
	retain := scene{action: "s3:PutObjectRetention", on: object, identity: mayAll}
	remove := scene{action: "s3:DeleteObjectVersion", on: object, identity: mayAll}
	run(t, map[string]scene{
		"with TLS":                 with(write, allow, tls, map[string]string{"aws:SecureTransport": "true"}),
		"without TLS":              with(write, deny, tls, map[string]string{"aws:SecureTransport": "false"}),
		"with a key":               with(write, allow, encrypted, map[string]string{"s3:x-amz-server-side-encryption-aws-kms-key-id": key}),
		"without a key":            with(write, deny, encrypted, nil),
		"a short retention":        with(retain, allow, retention, map[string]string{"s3:object-lock-remaining-retention-days": "10"}),
		"a long retention":         with(retain, deny, retention, map[string]string{"s3:object-lock-remaining-retention-days": "11"}),
		"nobody deletes":           with(remove, deny, forever, nil),
		"listing the own folder":   with(listing, allow, "", map[string]string{"s3:prefix": "home/carlos/x"}),
		"listing another's folder": with(listing, implicit, "", map[string]string{"s3:prefix": "home/zoe/x"}),
		"listing the top":          with(listing, allow, "", map[string]string{"s3:prefix": ""}),
		"listing without a prefix": with(listing, implicit, "", nil),
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition_examples-multi-valued-context-keys.html and
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
func TestDocumentedTagsAndKeys(t *testing.T) {
	tag := `{"Effect":"Allow","Action":"secretsmanager:TagResource","Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":"mayfly:*"}}}`
	owner := `{"Effect":"Allow","Action":"secretsmanager:TagResource","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/owner":["payments-team","risk-team"]}}}`
	via := `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333","kms:ViaService":"dynamodb.us-east-1.amazonaws.com"}}}`
	tagging := scene{action: "secretsmanager:TagResource"}
	with := func(s scene, want, identity, resource string, context map[string]string) scene {
		s.want, s.identity, s.resource, s.context = want, identity, resource, context
		return s
	}
	use := scene{action: "kms:Decrypt", on: key, must: true}
	run(t, map[string]scene{
		"only such tags":            with(tagging, allow, tag, "", map[string]string{"aws:TagKeys": "mayfly:ttl|mayfly:owner"}),
		"another tag among them":    with(tagging, implicit, tag, "", map[string]string{"aws:TagKeys": "mayfly:ttl|cost"}),
		"a value among several":     with(tagging, allow, owner, "", map[string]string{"aws:RequestTag/owner": "risk-team"}),
		"another value":             with(tagging, implicit, owner, "", map[string]string{"aws:RequestTag/owner": "x"}),
		"a key through the service": with(use, allow, "", via, map[string]string{"kms:CallerAccount": account, "kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}),
		"a key through another":     with(use, implicit, "", via, map[string]string{"kms:CallerAccount": account, "kms:ViaService": "s3.us-east-1.amazonaws.com"}),
		"a key directly":            with(use, implicit, mayAll, via, map[string]string{"kms:CallerAccount": account}),
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
func TestDocumentedDeputy(t *testing.T) {
	queue := `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/mayfly-*"},"StringEquals":{"aws:SourceAccount":"111122223333"}}}`
	from := func(want, rule, account string) scene {
		return scene{want: want, caller: machine(), action: "sqs:SendMessage", on: "arn:aws:sqs:us-east-1:111122223333:dead", resource: queue,
			context: map[string]string{"aws:SourceArn": "arn:aws:events:us-east-1:" + account + ":rule/" + rule, "aws:SourceAccount": account}}
	}
	run(t, map[string]scene{
		"our rule":                  from(allow, "mayfly-tick", account),
		"another rule":              from(implicit, "tick", account),
		"a rule of another account": from(implicit, "mayfly-tick", stranger),
	})
}
