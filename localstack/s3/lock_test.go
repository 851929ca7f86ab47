package s3_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func putLocked(t *testing.T, c *sdk.Client, b *string, key string, mode types.ObjectLockMode, until time.Time) *string {
	t.Helper()
	out, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader("kept"), ObjectLockMode: mode, ObjectLockRetainUntilDate: &until})
	if err != nil {
		t.Fatal(err)
	}
	return out.VersionId
}

func TestComplianceRefuses(t *testing.T) {
	c, ctx := client(t), t.Context()
	b, key := newBucket(t, c, true), aws.String("k")
	until := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
	id := putLocked(t, c, b, "k", types.ObjectLockModeCompliance, until)

	_, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key, VersionId: id})
	wants(t, err, "AccessDenied", 403)
	if !strings.Contains(err.Error(), "Access Denied because object protected by object lock.") {
		t.Errorf("message: %v", err)
	}
	_, err = c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key, VersionId: id, BypassGovernanceRetention: aws.Bool(true)})
	wants(t, err, "AccessDenied", 403)
	many, err := c.DeleteObjects(ctx, &sdk.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key, VersionId: id}}}})
	if err != nil || len(many.Errors) != 1 || *many.Errors[0].Code != "AccessDenied" {
		t.Fatalf("DeleteObjects: %+v, %v", many, err)
	}
	retain := func(mode types.ObjectLockRetentionMode, until time.Time) error {
		_, err := c.PutObjectRetention(ctx, &sdk.PutObjectRetentionInput{Bucket: b, Key: key, VersionId: id, BypassGovernanceRetention: aws.Bool(true), Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}})
		return err
	}
	wants(t, retain(types.ObjectLockRetentionModeCompliance, until.Add(-time.Second)), "AccessDenied", 403)
	wants(t, retain(types.ObjectLockRetentionModeGovernance, until.Add(time.Hour)), "AccessDenied", 403)
	wants(t, retain(types.ObjectLockRetentionModeCompliance, time.Now().Add(-time.Hour)), "InvalidArgument", 400)
	_, err = c.PutObjectRetention(ctx, &sdk.PutObjectRetentionInput{Bucket: b, Key: key, VersionId: id, Retention: &types.ObjectLockRetention{}})
	wants(t, err, "AccessDenied", 403)
	longer := until.Add(time.Minute)
	if err := retain(types.ObjectLockRetentionModeCompliance, longer); err != nil {
		t.Fatalf("extending: %v", err)
	}
	got, err := c.GetObjectRetention(ctx, &sdk.GetObjectRetentionInput{Bucket: b, Key: key})
	if err != nil || got.Retention.Mode != types.ObjectLockRetentionModeCompliance || !got.Retention.RetainUntilDate.Equal(longer) {
		t.Fatalf("retention: %+v, %v", got, err)
	}
	head, err := c.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: b, Key: key})
	if err != nil || head.ObjectLockMode != types.ObjectLockModeCompliance || !head.ObjectLockRetainUntilDate.Equal(longer) {
		t.Fatalf("head: %+v, %v", head, err)
	}
	// A simple delete only hides: the version is still there.
	if _, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, VersionId: id}); err != nil {
		t.Fatal(err)
	}
}

func TestRetentionEndsWithTheClock(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	c := sdk.NewFromConfig(stacktest.Start(t, clock, s3.New(clock)).Config, pathStyle)
	b := newBucket(t, c, true)
	id := putLocked(t, c, b, "k", types.ObjectLockModeCompliance, clock.Now().Add(24*time.Hour))
	in := &sdk.DeleteObjectInput{Bucket: b, Key: aws.String("k"), VersionId: id}
	clock.Advance(23 * time.Hour)
	_, err := c.DeleteObject(t.Context(), in)
	wants(t, err, "AccessDenied", 403)
	clock.Advance(time.Hour + time.Second)
	if _, err := c.DeleteObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func TestGovernanceAndLegalHold(t *testing.T) {
	c, ctx := client(t), t.Context()
	b, key := newBucket(t, c, true), aws.String("k")
	until := time.Now().Add(time.Hour)
	id := putLocked(t, c, b, "k", types.ObjectLockModeGovernance, until)
	_, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key, VersionId: id})
	wants(t, err, "AccessDenied", 403)
	shorten := &sdk.PutObjectRetentionInput{Bucket: b, Key: key, VersionId: id, Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(until.Add(-time.Minute))}}
	_, err = c.PutObjectRetention(ctx, shorten)
	wants(t, err, "AccessDenied", 403)
	shorten.BypassGovernanceRetention = aws.Bool(true)
	if _, err := c.PutObjectRetention(ctx, shorten); err != nil {
		t.Fatal(err)
	}
	hold := func(s types.ObjectLockLegalHoldStatus) {
		t.Helper()
		if _, err := c.PutObjectLegalHold(ctx, &sdk.PutObjectLegalHoldInput{Bucket: b, Key: key, VersionId: id, LegalHold: &types.ObjectLockLegalHold{Status: s}}); err != nil {
			t.Fatal(err)
		}
	}
	remove := &sdk.DeleteObjectInput{Bucket: b, Key: key, VersionId: id, BypassGovernanceRetention: aws.Bool(true)}
	hold(types.ObjectLockLegalHoldStatusOn)
	if got, err := c.GetObjectLegalHold(ctx, &sdk.GetObjectLegalHoldInput{Bucket: b, Key: key}); err != nil || got.LegalHold.Status != types.ObjectLockLegalHoldStatusOn {
		t.Fatalf("legal hold: %+v, %v", got, err)
	}
	_, err = c.DeleteObject(ctx, remove)
	wants(t, err, "AccessDenied", 403)
	hold(types.ObjectLockLegalHoldStatusOff)
	if _, err := c.DeleteObject(ctx, remove); err != nil {
		t.Fatal(err)
	}
}

func TestLockedPutsNeedADigestAndABucketWithLock(t *testing.T) {
	cfg := stacktest.Serve(t, s3.New(stack.NewClock()))
	c := sdk.NewFromConfig(cfg, pathStyle)
	bare := sdk.NewFromConfig(cfg, pathStyle, func(o *sdk.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	plain, locked := newBucket(t, c, false), newBucket(t, c, true)
	in := func(b *string) *sdk.PutObjectInput {
		return &sdk.PutObjectInput{Bucket: b, Key: aws.String("k"), Body: strings.NewReader("x"), ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(time.Minute))}
	}
	_, err := c.PutObject(t.Context(), in(plain))
	wants(t, err, "InvalidRequest", 400)
	_, err = bare.PutObject(t.Context(), in(locked))
	wants(t, err, "InvalidRequest", 400)
	half := in(locked)
	half.ObjectLockMode = ""
	_, err = c.PutObject(t.Context(), half)
	wants(t, err, "InvalidArgument", 400)
	past := in(locked)
	past.ObjectLockRetainUntilDate = aws.Time(time.Now().Add(-time.Minute))
	_, err = c.PutObject(t.Context(), past)
	wants(t, err, "InvalidArgument", 400)
	if _, err := c.PutObject(t.Context(), in(locked)); err != nil {
		t.Fatal(err)
	}
	put(t, c, locked, "free", "x")
	_, err = c.GetObjectRetention(t.Context(), &sdk.GetObjectRetentionInput{Bucket: locked, Key: aws.String("free")})
	wants(t, err, "NoSuchObjectLockConfiguration", 404)
}

// The template's bucket as CDK synthesizes it.
const template = `{
	"BucketName": "mayfly-audit-000000000000-us-east-1",
	"BucketEncryption": {"ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": true, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:us-east-1:000000000000:key/1"}}]},
	"LifecycleConfiguration": {"Rules": [{"Status": "Enabled"}]},
	"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Days": "400", "Mode": "COMPLIANCE"}}},
	"ObjectLockEnabled": true,
	"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
	"PublicAccessBlockConfiguration": {"BlockPublicAcls": true},
	"Tags": [{"Key": "a", "Value": "b"}],
	"VersioningConfiguration": {"Status": "Enabled"}}`

func TestBucketOfATemplate(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	service := s3.New(clock)
	c := sdk.NewFromConfig(stacktest.Start(t, clock, service).Config, pathStyle)
	make := service.Resources()["AWS::S3::Bucket"]
	made, err := make(t.Context(), stack.Resource{LogicalID: "Bucket", Type: "AWS::S3::Bucket", Properties: json.RawMessage(template)})
	if err != nil {
		t.Fatal(err)
	}
	name := "mayfly-audit-000000000000-us-east-1"
	if made.Ref != name || made.Att["Arn"] != "arn:aws:s3:::"+name || made.Att["RegionalDomainName"] != name+".s3.us-east-1.amazonaws.com" {
		t.Fatalf("made %+v", made)
	}
	put(t, c, &name, "k", "secretless")
	head, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: &name, Key: aws.String("k")})
	if err != nil || head.ObjectLockMode != types.ObjectLockModeCompliance || head.ObjectLockRetainUntilDate.Before(clock.Now().AddDate(0, 0, 399)) || head.ServerSideEncryption != "aws:kms" {
		t.Fatalf("head: %+v, %v", head, err)
	}
	got, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: &name, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, got.Body)
	objects := service.Objects(name)
	if len(objects) != 1 || string(objects[0].Body) != "secretless" || objects[0].LockMode != "COMPLIANCE" {
		t.Fatalf("objects: %+v", objects)
	}
	lock, err := c.GetObjectLockConfiguration(t.Context(), &sdk.GetObjectLockConfigurationInput{Bucket: &name})
	if err != nil || *lock.ObjectLockConfiguration.Rule.DefaultRetention.Days != 400 {
		t.Fatalf("lock configuration: %+v, %v", lock, err)
	}
	policy := json.RawMessage(`{"Statement": []}`)
	if _, err := service.Resources()["AWS::S3::BucketPolicy"](t.Context(), stack.Resource{Properties: json.RawMessage(`{"Bucket": "` + name + `", "PolicyDocument": ` + string(policy) + `}`)}); err != nil {
		t.Fatal(err)
	}
	if string(service.Policy(name)) != string(policy) {
		t.Fatalf("policy: %s", service.Policy(name))
	}
	for _, bad := range []string{`{"BucketName": "b-1", "Unheard": 1}`, `{"BucketName": "b-2", "VersioningConfiguration": {"Status": "Suspended"}}`, template} {
		if _, err := make(t.Context(), stack.Resource{LogicalID: "Bad", Properties: json.RawMessage(bad)}); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}
