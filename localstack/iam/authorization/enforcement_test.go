package authorization_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// read reads a secret and returns the error.
func read(ctx context.Context, cfg aws.Config, id string) error {
	_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	return err
}

// create makes a secret as the root, with a resource policy and tags, and returns its ARN.
func (w *world) create(name, policy string, tags ...smtypes.Tag) string {
	w.t.Helper()
	c := secretsmanager.NewFromConfig(w.Config)
	out, err := c.CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("v"), Tags: tags})
	if err == nil && policy != "" {
		_, err = c.PutResourcePolicy(w.t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: &name, ResourcePolicy: &policy})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.ARN
}

// assume takes a role over, from another configuration, and returns the session's.
func (w *world) assume(from aws.Config, in *sts.AssumeRoleInput) (aws.Config, error) {
	if in.RoleSessionName == nil {
		in.RoleSessionName = aws.String("me")
	}
	out, err := sts.NewFromConfig(from).AssumeRole(w.t.Context(), in)
	if err != nil {
		return aws.Config{}, err
	}
	cfg := w.Config.Copy()
	cfg.RetryMaxAttempts = 1
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return cfg, nil
}

func roleARN(name string) *string { return aws.String("arn:aws:iam::000000000000:role/" + name) }

// TestDeclaredReaders is the blast radius of one secret: its declared service reads it, nobody else does, administrators
// and the root included, and from its expiry on nobody at all.
func TestDeclaredReaders(t *testing.T) {
	w := newWorld(t)
	billing, staging := w.role(document(grant{"secretsmanager:GetSecretValue", "*"})), w.role(document(grant{"secretsmanager:GetSecretValue", "*"}))
	administrator, analytics := w.role(document(grant{"*", "*"})), w.role(document())
	expiry := w.Clock.Now().Add(24 * time.Hour).Format(time.RFC3339)
	arn := w.create("prod/payment-api-key", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":`+quote(*roleARN(billing))+`}}},
		{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"`+expiry+`"}}}]}`)
	for who, c := range map[string]struct {
		cfg  aws.Config
		want string // code and the end of the message
	}{
		"the declared service":         {w.as(billing), ""},
		"the service of staging":       {w.as(staging), "with an explicit deny in a resource-based policy"},
		"an administrator":             {w.as(administrator), "with an explicit deny in a resource-based policy"},
		"somebody without permissions": {w.as(analytics), "with an explicit deny in a resource-based policy"},
		"the root":                     {w.Config, "with an explicit deny in a resource-based policy"},
	} {
		for _, id := range []string{"prod/payment-api-key", arn} {
			err := read(t.Context(), c.cfg, id)
			if c.want == "" && err != nil {
				t.Errorf("%s: %v", who, err)
			}
			if c.want != "" && (code(err) != "AccessDeniedException" || !strings.HasSuffix(err.Error(), "secretsmanager:GetSecretValue on resource: "+arn+" "+c.want)) {
				t.Errorf("%s: %v", who, err)
			}
		}
	}
	w.Clock.Advance(25 * time.Hour)
	if err := read(t.Context(), w.as(billing), arn); code(err) != "AccessDeniedException" {
		t.Errorf("a day later: %v", err)
	}
	// Describing was never denied, and a new policy gives the value back.
	c := secretsmanager.NewFromConfig(w.as(administrator))
	if _, err := c.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &arn}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteResourcePolicy(t.Context(), &secretsmanager.DeleteResourcePolicyInput{SecretId: &arn}); err != nil {
		t.Error(err)
	}
	if err := read(t.Context(), w.as(billing), arn); err != nil {
		t.Errorf("without the policy: %v", err)
	}
}

// A denied call is in the ledger with its error, and the service has not seen it.
func TestTheLedgerHasDenials(t *testing.T) {
	w := newWorld(t)
	w.create("prod/a", "")
	w.Endpoint.ResetCalls()
	role := w.role(document())
	put := &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/a"), SecretString: aws.String("stolen")}
	if _, err := secretsmanager.NewFromConfig(w.as(role)).PutSecretValue(t.Context(), put); !isDenied(err) {
		t.Fatal(err)
	}
	calls := w.Endpoint.Calls()
	if len(calls) != 1 || calls[0].Error != "AccessDeniedException" || calls[0].Status != http.StatusBadRequest || calls[0].Principal != session(role).ARN {
		t.Errorf("%+v", calls)
	}
	out, err := secretsmanager.NewFromConfig(w.Config).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/a")})
	if err != nil || *out.SecretString != "v" {
		t.Errorf("%v %v", out, err)
	}
}

// Each service denies in its own words.
func TestErrorShapes(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	for name, c := range map[string]struct {
		call   call
		code   string
		status int
	}{
		"secretsmanager": {w.secretCalls()["GetSecretValue"], "AccessDeniedException", 400},
		"dynamodb":       {w.tableCalls()["GetItem"], "AccessDeniedException", 400},
		"s3":             {w.objectCalls()["GetObject"], "AccessDenied", 403},
		"s3, HEAD":       {w.objectCalls()["HeadObject"], "Forbidden", 403}, // without a body there is only the status
		"kms":            {w.keyCalls()["Encrypt"], "AccessDeniedException", 400},
		"states":         {w.executionCalls()["StartExecution"], "AccessDeniedException", 400},
		"lambda":         {w.executionCalls()["Invoke"], "AccessDeniedException", 403},
		"scheduler":      {w.executionCalls()["GetSchedule"], "AccessDeniedException", 403},
		"sqs":            {w.messageCalls()["SendMessage"], "AccessDenied", 403},
		"sns":            {w.messageCalls()["Publish"], "AuthorizationError", 403},
		"events":         {w.messageCalls()["PutEvents"], "AccessDeniedException", 400},
		"logs":           {w.observationCalls()["PutLogEvents"], "AccessDeniedException", 400},
		"monitoring":     {w.observationCalls()["PutMetricData"], "AccessDenied", 403},
		"iam":            {w.identityCalls()["GetRole"], "AccessDenied", 403},
		"sts":            {w.identityCalls()["AssumeRole"], "AccessDenied", 403},
	} {
		err := c.call.do(t.Context(), w.as(w.role(document())))
		var response *smithyhttp.ResponseError
		if code(err) != c.code || !errors.As(err, &response) || response.HTTPStatusCode() != c.status {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who may assume a role is the role's own business; what the session may do is the session's.
func TestAssumingRoles(t *testing.T) {
	w := newWorld(t)
	w.create("prod/a", "")
	trusting := func(name, principal, condition string) {
		w.make("AWS::IAM::Role", name, `{"RoleName":"`+name+`","Tags":[{"Key":"team","Value":"payments"}],"AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+principal+`,"Action":["sts:AssumeRole","sts:TagSession"]`+condition+`}]},
			"Policies":[{"PolicyName":"p","PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"payments"}}}]}}]}`)
	}
	trusting("function", `{"Service":"lambda.amazonaws.com"}`, "")
	trusting("open", `{"AWS":"arn:aws:iam::000000000000:root"}`, "")
	trusting("external", `{"AWS":"000000000000"}`, `,"Condition":{"StringEquals":{"sts:ExternalId":"secret-handshake"}}`)
	trusting("tagged", `{"AWS":"000000000000"}`, `,"Condition":{"StringEquals":{"aws:RequestTag/team":"payments"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`)
	trusting("guarded", `{"AWS":"000000000000"}`, `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"300"}}`)
	device, six := aws.String("arn:aws:iam::000000000000:mfa/dana"), aws.String("123456")
	entitled := w.role(document(grant{"sts:AssumeRole", "*"}, grant{"sts:TagSession", "*"}))
	tags := func(team string) []ststypes.Tag {
		return []ststypes.Tag{{Key: aws.String("team"), Value: aws.String(team)}}
	}
	for name, c := range map[string]struct {
		from    aws.Config
		in      sts.AssumeRoleInput
		assumed bool
		reads   bool
	}{
		"a function's role, by a role":         {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("function")}, false, false},
		"a function's role, by the root":       {w.Config, sts.AssumeRoleInput{RoleArn: roleARN("function")}, true, true},
		"a role that trusts the account":       {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("open")}, true, true},
		"without permission":                   {w.as(w.role(document())), sts.AssumeRoleInput{RoleArn: roleARN("open")}, false, false},
		"a role that is not there":             {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("none")}, false, false},
		"without the external id":              {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("external")}, false, false},
		"with another external id":             {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("external"), ExternalId: aws.String("x")}, false, false},
		"with the external id":                 {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("external"), ExternalId: aws.String("secret-handshake")}, true, true},
		"without a second factor":              {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("guarded")}, false, false},
		"with a second factor":                 {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("guarded"), SerialNumber: device, TokenCode: six}, true, true},
		"without the tag that trust asks for":  {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("tagged")}, false, false},
		"with the tag that trust asks for":     {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("tagged"), Tags: tags("payments")}, true, true},
		"with the tag and one more":            {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("tagged"), Tags: append(tags("payments"), ststypes.Tag{Key: aws.String("x"), Value: aws.String("y")})}, false, false},
		"a session's tag over the role's":      {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("open"), Tags: tags("risk")}, true, false},
		"a session policy that allows reading": {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("open"), Policy: aws.String(document(grant{"secretsmanager:*", "*"}))}, true, true},
		"a session policy that does not":       {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("open"), Policy: aws.String(document(grant{"secretsmanager:DescribeSecret", "*"}))}, true, false},
		"a managed session policy": {w.as(entitled), sts.AssumeRoleInput{RoleArn: roleARN("open"), PolicyArns: []ststypes.PolicyDescriptorType{
			{Arn: aws.String("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")}}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := w.assume(c.from, &c.in)
			if (err == nil) != c.assumed || err != nil && !isDenied(err) {
				t.Fatalf("assumed: %v", err)
			}
			if err != nil {
				return
			}
			if err := read(t.Context(), cfg, "prod/a"); (err == nil) != c.reads || err != nil && !isDenied(err) {
				t.Errorf("reads: %v", err)
			}
		})
	}
	malformed := sts.AssumeRoleInput{RoleArn: roleARN("open"), RoleSessionName: aws.String("me"), Policy: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringIs":{"a":"b"}}}}`)}
	if _, err := sts.NewFromConfig(w.Config).AssumeRole(t.Context(), &malformed); code(err) != "MalformedPolicyDocument" {
		t.Errorf("a session policy with an unknown operator: %v", err)
	}
	// Who one is, one may always ask.
	if _, err := sts.NewFromConfig(w.as(w.role(document()))).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
}

// Condition keys that come from the request and from the resource.
func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	w.create("prod/tagged", "", smtypes.Tag{Key: aws.String("owner"), Value: aws.String("payments")})
	when := func(action, condition string) aws.Config {
		return w.as(w.role(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + quote(action) + `,"Resource":"*","Condition":` + condition + `},{"Effect":"Allow","Action":["s3:PutObject","s3:ListBucket"],"Resource":"*"}]}`))
	}
	tagged, current, plain := aws.String("prod/tagged"), aws.String("AWSCURRENT"), aws.String("plain")
	get := func(cfg aws.Config, stage *string) error {
		_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: tagged, VersionStage: stage})
		return err
	}
	tag := func(cfg aws.Config, key string) error {
		_, err := secretsmanager.NewFromConfig(cfg).TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: tagged, Tags: []smtypes.Tag{{Key: &key, Value: aws.String("1h")}}})
		return err
	}
	item := func(cfg aws.Config, pk string) error {
		_, err := dynamodb.NewFromConfig(cfg).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("table"), Key: map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: pk}}})
		return err
	}
	query := func(cfg aws.Config, pk, condition string) error {
		_, err := dynamodb.NewFromConfig(cfg).Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("table"), KeyConditionExpression: &condition,
			ExpressionAttributeNames: map[string]string{"#k": "pk"}, ExpressionAttributeValues: map[string]dbtypes.AttributeValue{":v": &dbtypes.AttributeValueMemberS{Value: pk}}})
		return err
	}
	bucket := func(cfg aws.Config) *s3.Client {
		return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	}
	retain := func(cfg aws.Config, days int) error {
		until := w.Clock.Now().Add(time.Duration(days)*24*time.Hour + time.Hour)
		_, err := bucket(cfg).PutObject(t.Context(), &s3.PutObjectInput{Bucket: plain, Key: aws.String("r"), Body: strings.NewReader("{}"), ObjectLockMode: s3types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until})
		return err
	}
	list := func(cfg aws.Config, prefix string) error {
		_, err := bucket(cfg).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: plain, Prefix: &prefix})
		return err
	}
	byStage := when("secretsmanager:GetSecretValue", `{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`)
	byTag := when("secretsmanager:GetSecretValue", `{"StringEquals":{"aws:ResourceTag/owner":"payments","secretsmanager:ResourceTag/owner":"payments"}}`)
	byOtherTag := when("secretsmanager:GetSecretValue", `{"StringEquals":{"aws:ResourceTag/owner":"risk"}}`)
	byKeys := when("secretsmanager:TagResource", `{"ForAllValues:StringLike":{"aws:TagKeys":"mayfly:*"},"StringEquals":{"aws:RequestTag/mayfly:ttl":"1h"}}`)
	byPartition := when("dynamodb:*", `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"prod/*"},"Null":{"dynamodb:LeadingKeys":"false"}}`)
	byDays := when("s3:PutObjectRetention", `{"NumericLessThanEquals":{"s3:object-lock-remaining-retention-days":"30"},"StringEquals":{"s3:object-lock-mode":"COMPLIANCE"}}`)
	byPrefix := when("s3:ListBucketVersions", `{"StringLike":{"s3:prefix":"audit/*"}}`)
	for name, c := range map[string]struct {
		err    error
		denied bool
	}{
		"the stage that was asked for":         {get(byStage, current), false},
		"another stage":                        {get(byStage, aws.String("AWSPREVIOUS")), true},
		"no stage":                             {get(byStage, nil), true},
		"the secret's tag":                     {get(byTag, nil), false},
		"another tag":                          {get(byOtherTag, nil), true},
		"a tag that may be set":                {tag(byKeys, "mayfly:ttl"), false},
		"a tag that may not":                   {tag(byKeys, "owner"), true},
		"the partition":                        {item(byPartition, "prod/a"), false},
		"another partition":                    {item(byPartition, "staging/a"), true},
		"the partition in a query":             {query(byPartition, "prod/a", "pk = :v"), false},
		"the partition by another name":        {query(byPartition, "prod/a", "#k = :v"), false},
		"another partition in a query":         {query(byPartition, "staging/a", "#k = :v"), true},
		"a short retention":                    {retain(byDays, 30), false},
		"a long retention":                     {retain(byDays, 31), true},
		"a prefix that may be listed":          {list(byPrefix, "audit/2026"), false},
		"a prefix that may not":                {list(byPrefix, "private/"), true},
		"no prefix":                            {list(byPrefix, ""), true},
		"over TLS, for which the stack stands": {get(when("secretsmanager:GetSecretValue", `{"Bool":{"aws:SecureTransport":"true"},"NumericGreaterThanEquals":{"s3:TlsVersion":"1.2"}}`), nil), false},
		"from this machine":                    {get(when("secretsmanager:GetSecretValue", `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), nil), false},
		"from elsewhere":                       {get(when("secretsmanager:GetSecretValue", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), nil), true},
		"in this region and account":           {get(when("secretsmanager:GetSecretValue", `{"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:ResourceAccount":"000000000000","aws:PrincipalAccount":"000000000000"}}`), nil), false},
		"by now":                               {get(when("secretsmanager:GetSecretValue", `{"DateLessThan":{"aws:CurrentTime":"2000-01-01T00:00:00Z"}}`), nil), true},
	} {
		if isDenied(c.err) != c.denied {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// A key is its own policy's; a service uses it in its caller's name, and only through that service where the policy says so.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	via := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"000000000000","kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"},"StringLike":{"kms:EncryptionContext:SecretARN":"arn:aws:secretsmanager:*:*:secret:prod/*"}}}]}`
	shut := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:role/nobody"},"Action":"kms:*","Resource":"*"}]}`
	role := w.role(document(grant{"secretsmanager:GetSecretValue", "*"}, grant{"kms:DescribeKey", "*"}))
	root := secretsmanager.NewFromConfig(w.Config)
	for name, c := range map[string]struct {
		policy, secret string
		reads          bool
	}{
		"by the service":                   {via, "prod/via", true},
		"by the service, for other names":  {via, "staging/via", false},
		"for somebody else":                {shut, "prod/shut", false},
		"handed to the account, no policy": {handedOver, "prod/handed", false},
	} {
		key := w.make("AWS::KMS::Key", name, `{"KeyPolicy":`+c.policy+`}`).Att["Arn"]
		if _, err := root.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &c.secret, KmsKeyId: &key, SecretString: aws.String("v")}); err != nil {
			t.Fatal(err)
		}
		err := read(t.Context(), w.as(role), c.secret)
		if (err == nil) != c.reads || err != nil && (!isDenied(err) || !strings.Contains(err.Error(), "Access to KMS is not allowed")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bucket's policy denies what identities allow, and allows what they do not mention.
func TestBucketPolicies(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	reader, administrator := w.role(document()), w.role(document(grant{"s3:*", "*"}))
	w.make("AWS::S3::BucketPolicy", "Policy", `{"Bucket":"plain","PolicyDocument":{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":`+quote(*roleARN(reader))+`},"Action":"s3:GetObject","Resource":"arn:aws:s3:::plain/audit/*"},
		{"Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3:DeleteObject","s3:DeleteObjectVersion"],"Resource":"arn:aws:s3:::plain/*"},
		{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"s3:*","Resource":"arn:aws:s3:::plain/*","Condition":{"NumericLessThan":{"s3:TlsVersion":1.2}}}]}}`)
	get, remove := w.objectCalls()["GetObject"], w.objectCalls()["DeleteObject"]
	for name, c := range map[string]struct {
		err    error
		denied bool
	}{
		"allowed by the bucket alone":          {get.do(t.Context(), w.as(reader)), false},
		"deleting is denied to administrators": {remove.do(t.Context(), w.as(administrator)), true},
		"deleting is denied to the root":       {remove.do(t.Context(), w.Config), true},
		"reading is not denied to the root":    {get.do(t.Context(), w.Config), false},
		"nothing is allowed to somebody else":  {get.do(t.Context(), w.as(w.role(document()))), true},
	} {
		if isDenied(c.err) != c.denied {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// A policy that could not be evaluated does not get in; and a boundary bounds.
func TestPoliciesAtTheDoor(t *testing.T) {
	w := newWorld(t)
	w.create("prod/a", "")
	unknown := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:NoSuchKey":"x"}}}]}`
	_, err := secretsmanager.NewFromConfig(w.Config).PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: aws.String("prod/a"), ResourcePolicy: &unknown})
	if code(err) != "MalformedPolicyDocumentException" || !strings.Contains(err.Error(), "aws:NoSuchKey") {
		t.Errorf("a resource policy with an unknown key: %v", err)
	}
	w.make("AWS::IAM::ManagedPolicy", "Bound", `{"ManagedPolicyName":"bound","PolicyDocument":`+document(grant{"secretsmanager:DescribeSecret", "*"})+`}`)
	w.make("AWS::IAM::Role", "bounded", `{"RoleName":"bounded","PermissionsBoundary":"arn:aws:iam::000000000000:policy/bound","AssumeRolePolicyDocument":`+trustAll+`,"Policies":[{"PolicyName":"p","PolicyDocument":`+document(grant{"secretsmanager:*", "*"})+`}]}`)
	if err := read(t.Context(), w.as("bounded"), "prod/a"); !isDenied(err) || !strings.Contains(err.Error(), "no permissions boundary allows") {
		t.Errorf("beyond the boundary: %v", err)
	}
}

// The role of a state machine, or of whatever else acts with a role that it was given.
func TestServices(t *testing.T) {
	w := newWorld(t)
	const function, machine = "arn:aws:lambda:us-east-1:000000000000:function:f", "arn:aws:states:us-east-1:000000000000:stateMachine:m"
	role := w.role(document(grant{"lambda:InvokeFunction", function}, grant{"states:StartExecution", machine}))
	for name, c := range map[string]struct {
		role, action, resource string
		want                   string // end of the error
	}{
		"a function":               {role, "lambda:InvokeFunction", function, ""},
		"a function by its name":   {role, "lambda:InvokeFunction", "f", ""},
		"a version of it":          {role, "lambda:InvokeFunction", function + ":1", "because no identity-based policy allows the lambda:InvokeFunction action"},
		"another function":         {role, "lambda:InvokeFunction", "g", "because no identity-based policy allows the lambda:InvokeFunction action"},
		"a machine":                {role, "states:StartExecution", machine, ""},
		"an event":                 {role, "events:PutEvents", "default", "because no identity-based policy allows the events:PutEvents action"},
		"a role that is not there": {"gone", "states:StartExecution", machine, "does not exist"},
	} {
		err := w.authorizer.Service(t.Context(), *roleARN(c.role), c.action, c.resource)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var _ func(context.Context, string, string, string) error = w.authorizer.Service
	var _ func(context.Context, *stack.Call) error = w.authorizer.Call
}
