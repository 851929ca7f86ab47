package secretsmanager_test

import (
	"context"
	"strings"
	"testing"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func TestEvents(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	service := secretsmanager.New(clock)
	var events []string
	service.Emit = func(_ context.Context, event []byte) { events = append(events, string(event)) }
	server := stacktest.Start(t, clock, service)
	b := newBench(t, sm.NewFromConfig(server.Config, once))
	ok(t, b.create("v1"))
	ok(t, b.put("v2", "value v2", "AWSPENDING"))
	ok(t, b.move("AWSCURRENT", "v2", "v1"))
	if len(events) != 2 || !strings.Contains(events[1], *b.token("v2")) || !strings.Contains(events[1], `"labelUpdated":"AWSCURRENT"`) {
		t.Fatalf("events %v", events)
	}
	if diff := cmp.Diff([]string{"value v1", "value v2"}, service.Values()); diff != "" {
		t.Fatal(diff)
	}
}

func TestResources(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	service := secretsmanager.New(clock)
	c := sm.NewFromConfig(stacktest.Start(t, clock, service).Config, once)
	make := service.Resources()
	made, err := make["AWS::SecretsManager::Secret"](t.Context(), stack.Resource{LogicalID: "S", Type: "AWS::SecretsManager::Secret", Properties: []byte(
		`{"Name":"prod/a","GenerateSecretString":{"PasswordLength":"20","ExcludePunctuation":"true","SecretStringTemplate":"{\"username\":\"a\"}","GenerateStringKey":"password"}}`)})
	ok(t, err)
	got, err := c.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &made.Ref})
	ok(t, err)
	if !strings.HasPrefix(*got.SecretString, `{"password":"`) || !strings.HasSuffix(*got.SecretString, `","username":"a"}`) {
		t.Fatal("the template was not filled")
	}
	again, err := make["AWS::SecretsManager::Secret"](t.Context(), stack.Resource{LogicalID: "S", Type: "AWS::SecretsManager::Secret", Properties: []byte(
		`{"Name":"prod/a","Description":"d","GenerateSecretString":{},"Tags":[{"Key":"k","Value":"v"}]}`)})
	ok(t, err)
	same, err := c.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &again.Ref})
	ok(t, err)
	if again.Ref != made.Ref || *same.SecretString != *got.SecretString {
		t.Fatal("an update of the template replaced the secret or its value")
	}
	_, err = make["AWS::SecretsManager::ResourcePolicy"](t.Context(), stack.Resource{LogicalID: "P", Type: "AWS::SecretsManager::ResourcePolicy", Properties: []byte(
		`{"SecretId":"` + made.Ref + `","ResourcePolicy":{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}}`)})
	ok(t, err)
	if _, policy, _, found := service.Guard("prod/a"); !found || !strings.Contains(policy, "Deny") {
		t.Fatal("no policy")
	}
	if _, err = make["AWS::SecretsManager::Secret"](t.Context(), stack.Resource{LogicalID: "T", Properties: []byte(`{"Nmae":"x"}`)}); err == nil {
		t.Fatal("an unknown property passed")
	}
}
