package sts_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/iam"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

func TestAssumeRole(t *testing.T) {
	stacktest.Local(t)
	clock, ids := stack.NewClock(), stack.NewIdentities()
	roles := iam.New(clock)
	server := stacktest.StartWith(t, clock, ids, roles, sts.New(clock, ids, roles))
	_, err := roles.Resources()["AWS::IAM::Role"](t.Context(), stack.Resource{LogicalID: "R", Properties: []byte(
		`{"RoleName":"prod-a","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	whoami := func(cfg aws.Config) (string, error) {
		out, err := sdk.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sdk.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return *out.Arn, nil
	}
	if got, err := whoami(server.Config); err != nil || got != "arn:aws:iam::000000000000:root" {
		t.Fatalf("root: %s %v", got, err)
	}
	c := sdk.NewFromConfig(server.Config)
	assume := func(role string, seconds int32) (*sdk.AssumeRoleOutput, error) {
		return c.AssumeRole(t.Context(), &sdk.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/" + role), RoleSessionName: aws.String("me"), DurationSeconds: &seconds})
	}
	out, err := assume("prod-a", 900)
	if err != nil {
		t.Fatal(err)
	}
	as := server.Config.Copy()
	as.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	if got, err := whoami(as); err != nil || got != "arn:aws:sts::000000000000:assumed-role/prod-a/me" {
		t.Fatalf("assumed: %s %v", got, err)
	}
	if left := out.Credentials.Expiration.Sub(clock.Now()); left < 14*time.Minute || left > 15*time.Minute {
		t.Fatalf("expires in %v", left)
	}
	for name, c := range map[string]struct {
		role    string
		seconds int32
		want    string
	}{
		"no such role":          {"none", 900, "AccessDenied"},
		"too short":             {"prod-a", 899, "ValidationError"},
		"too long":              {"prod-a", 43_200, "ValidationError"},
		"too long for the role": {"prod-a", 3601, "ValidationError"},
	} {
		_, err := assume(c.role, c.seconds)
		if e, is := errors.AsType[smithy.APIError](err); !is || e.ErrorCode() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for device, code := range map[string]string{"arn:aws:iam::000000000000:mfa/dana": "12345", "": "123456", "short": "123456"} {
		_, err := c.AssumeRole(t.Context(), &sdk.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/prod-a"),
			RoleSessionName: aws.String("me"), SerialNumber: &device, TokenCode: &code})
		if e, is := errors.AsType[smithy.APIError](err); !is || e.ErrorCode() != "AccessDenied" {
			t.Errorf("device %q, code %q: %v, want AccessDenied", device, code, err)
		}
	}
	clock.Advance(15 * time.Minute)
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // the end runs on its own goroutine
		_, err := whoami(as)
		if e, is := errors.AsType[smithy.APIError](err); is && e.ErrorCode() == "ExpiredTokenException" {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("after expiry: %v", err)
		}
	}
}
