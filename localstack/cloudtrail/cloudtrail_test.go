package cloudtrail_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/localstack/cloudtrail"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

type event struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		EventName, EventSource, ErrorCode string
		ReadOnly                          bool
		RequestParameters                 map[string]any
		UserIdentity                      struct {
			Type, Arn      string
			SessionContext struct{ SessionIssuer struct{ UserName string } }
		}
	} `json:"detail"`
}

// Changes and values that were read are recorded with who did it and what they asked for; no value ever is.
func TestRecord(t *testing.T) {
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, local.New(clock))
	var events []event
	var raw strings.Builder
	server.Endpoint.Observe = func(_ context.Context, call *stack.Call, reply stack.Reply) {
		for _, text := range cloudtrail.Record(call, reply) {
			raw.Write(text)
			var e event
			if err := json.Unmarshal(text, &e); err != nil {
				t.Error(err)
			}
			events = append(events, e)
		}
	}
	const value = "correct horse battery staple"
	ctx, root := t.Context(), secretsmanager.NewFromConfig(server.Config)
	role := secretsmanager.NewFromConfig(server.As(stack.Identity{ARN: "arn:aws:sts::000000000000:assumed-role/dev/dana", Role: "dev"}))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := root.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("prod/x"), SecretString: aws.String(value)})
	must(err)
	_, err = root.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/x")})
	must(err)
	_, err = role.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("prod/x"),
		Tags: []types.Tag{{Key: aws.String("mayfly:compromised"), Value: aws.String("seen in a log")}}})
	must(err)
	if _, err = role.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/none"), SecretString: aws.String(value)}); err == nil {
		t.Fatal("a value was put into a secret that is not there")
	}
	_, err = root.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"prod/x"}})
	must(err)
	_, err = root.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("prod/x")})
	must(err)
	if len(events) != 6 {
		t.Fatalf("%d events, want one for each change and each reading, one more for the value of the batch, and none for the description: %+v", len(events), events)
	}
	for i, want := range []struct{ name, who, code string }{{"CreateSecret", "Root", ""}, {"GetSecretValue", "Root", ""}, {"TagResource", "dev", ""},
		{"PutSecretValue", "dev", "ResourceNotFoundException"}, {"BatchGetSecretValue", "Root", ""}, {"GetSecretValue", "Root", ""}} {
		if reads := strings.Contains(want.name, "Get"); events[i].Detail.ReadOnly != reads {
			t.Errorf("event %d, %s, only reads: %v", i, want.name, !reads)
		}
		e := events[i]
		who := e.Detail.UserIdentity.SessionContext.SessionIssuer.UserName
		if who == "" {
			who = e.Detail.UserIdentity.Type
		}
		if e.Source != "aws.secretsmanager" || e.DetailType != "AWS API Call via CloudTrail" || e.Detail.EventName != want.name || who != want.who || e.Detail.ErrorCode != want.code {
			t.Errorf("event %d is %+v, want %+v", i, e, want)
		}
	}
	if id, _ := events[5].Detail.RequestParameters["secretId"].(string); !strings.HasSuffix(id[:max(0, len(id)-7)], ":secret:prod/x") {
		t.Errorf("the value of the batch is recorded as that of %s", id)
	}
	tags, _ := json.Marshal(events[2].Detail.RequestParameters["tags"])
	if string(tags) != `[{"key":"mayfly:compromised","value":"seen in a log"}]` {
		t.Errorf("tags are recorded as %s", tags)
	}
	if strings.Contains(raw.String(), value) {
		t.Error("a value was recorded")
	}
}
