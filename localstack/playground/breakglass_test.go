package playground_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

const (
	glassRole    = "arn:aws:iam::000000000000:role/" + trigger.BreakGlass
	glassSession = "arn:aws:sts::000000000000:assumed-role/" + trigger.BreakGlass + "/dana"
)

// breakGlass reads a secret in an emergency: with the role for that, which takes a second factor.
func breakGlass(t *testing.T, p *playground.Playground, secret string) (*secretsmanager.GetSecretValueOutput, error) {
	t.Helper()
	out, err := sts.NewFromConfig(p.AWS).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(glassRole), RoleSessionName: aws.String("dana"),
		SerialNumber: aws.String("arn:aws:iam::000000000000:mfa/dana"), TokenCode: aws.String("123456")})
	must(t)(nil, err)
	as := p.AWS.Copy()
	as.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return secretsmanager.NewFromConfig(as).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
}

// Who reads a value in an emergency gets it, and it is replaced: as an incident, with their name on record, and without
// disturbing the services that use it.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	serve(t, p, orders)
	before := len(runs(t, p, orders))
	for name, in := range map[string]*sts.AssumeRoleInput{
		"without a second factor": {RoleArn: aws.String(glassRole), RoleSessionName: aws.String("dana")},
		"for two hours": {RoleArn: aws.String(glassRole), RoleSessionName: aws.String("dana"), DurationSeconds: aws.Int32(7200),
			SerialNumber: aws.String("arn:aws:iam::000000000000:mfa/dana"), TokenCode: aws.String("123456")},
	} {
		if _, err := sts.NewFromConfig(p.AWS).AssumeRole(t.Context(), in); err == nil {
			t.Errorf("%s: the role was taken", name)
		}
	}
	seen, err := breakGlass(t, p, orders)
	must(t)(nil, err)
	if err := playground.Login(t.Context(), p.Target(orders), credential.Parse(aws.ToString(seen.SecretString))); err != nil {
		t.Errorf("what was read does not log in: %v", err)
	}
	waitFor(t, "a run", func() bool { return len(runs(t, p, orders)) > before })
	settled(t, p)
	run := latest(t, p, orders)
	if run.Trigger.Type != trigger.Incident || run.Trigger.Actor != glassSession || run.Mode != string(trigger.Routine) || run.Outcome != "rotated" {
		t.Errorf("the run was %+v", run)
	}
	if got := len(runs(t, p, orders)); got != before+1 {
		t.Errorf("%d runs, want one: Mayfly's own reads are none of anybody's business", got-before)
	}
	if run.VersionFrom != aws.ToString(seen.VersionId) {
		t.Errorf("%s was read, and %s replaced", aws.ToString(seen.VersionId), run.VersionFrom)
	}
	if err := playground.Login(t.Context(), p.Target(orders), credential.Parse(aws.ToString(seen.SecretString))); !playground.Refused(err) {
		t.Errorf("what was read: %v, want it refused", err)
	}
	admitted := 0
	for _, r := range records(t, p) {
		if r.Event == "admitted" && r.Actor == glassSession && strings.Contains(r.Reason, "break-glass") {
			admitted++
		}
	}
	if admitted != 1 {
		t.Errorf("%d records of admission name who broke the glass, want 1", admitted)
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	// Where the resource policy is gone, the role's own permission is what lets it in.
	must(t)(p.Secrets().DeleteResourcePolicy(t.Context(), &secretsmanager.DeleteResourcePolicyInput{SecretId: aws.String(payments)}))
	must(t)(breakGlass(t, p, payments))
	settled(t, p)
}
