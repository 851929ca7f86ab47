package iam_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/iam"
	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const (
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"secretsmanager:*","Resource":["*"],"Condition":{"Bool":{"aws:SecureTransport":true}}}}`
)

func make(t *testing.T, s *iam.Service, kind, id, properties string) stack.Made {
	t.Helper()
	made, err := s.Resources()[kind](t.Context(), stack.Resource{LogicalID: id, Type: kind, Properties: []byte(properties)})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRolesOfATemplate(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	s := iam.New(clock)
	c := sdk.NewFromConfig(stacktest.Start(t, clock, s).Config)
	const basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
	role := make(t, s, "AWS::IAM::Role", "R", `{"RoleName":"prod-a","AssumeRolePolicyDocument":`+trust+`,"ManagedPolicyArns":["`+basic+`"],"Policies":[{"PolicyName":"in","PolicyDocument":`+allow+`}]}`)
	if role.Ref != "prod-a" || role.Att["Arn"] != "arn:aws:iam::000000000000:role/prod-a" {
		t.Fatalf("made %+v", role)
	}
	make(t, s, "AWS::IAM::Policy", "P", `{"PolicyName":"more","PolicyDocument":`+allow+`,"Roles":["prod-a"]}`)
	managed := make(t, s, "AWS::IAM::ManagedPolicy", "M", `{"ManagedPolicyName":"m","PolicyDocument":`+allow+`,"Roles":["prod-a"]}`)

	got, err := c.GetRole(t.Context(), &sdk.GetRoleInput{RoleName: aws.String("prod-a")})
	if err != nil {
		t.Fatal(err)
	}
	if document, _ := url.QueryUnescape(*got.Role.AssumeRolePolicyDocument); document != trust || *got.Role.Arn != role.Att["Arn"] || *got.Role.MaxSessionDuration != 3600 {
		t.Fatalf("got %+v", got.Role)
	}
	names, err := c.ListRolePolicies(t.Context(), &sdk.ListRolePoliciesInput{RoleName: aws.String("prod-a")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"in", "more"}, names.PolicyNames); diff != "" {
		t.Fatal(diff)
	}
	one, err := c.GetRolePolicy(t.Context(), &sdk.GetRolePolicyInput{RoleName: aws.String("prod-a"), PolicyName: aws.String("more")})
	if err != nil {
		t.Fatal(err)
	}
	if document, _ := url.QueryUnescape(*one.PolicyDocument); document != allow {
		t.Fatalf("document %s", document)
	}
	attached, err := c.ListAttachedRolePolicies(t.Context(), &sdk.ListAttachedRolePoliciesInput{RoleName: aws.String("prod-a")})
	if err != nil {
		t.Fatal(err)
	}
	if len(attached.AttachedPolicies) != 2 || *attached.AttachedPolicies[1].PolicyArn != basic || *attached.AttachedPolicies[0].PolicyName != "m" {
		t.Fatalf("attached %+v", attached.AttachedPolicies)
	}
	var policies []string
	for _, p := range s.Policies("prod-a") {
		policies = append(policies, p.Name)
	}
	if diff := cmp.Diff([]string{"in", "more", managed.Ref, basic}, policies); diff != "" {
		t.Fatal(diff)
	}
	statement := s.Policies("prod-a")[0].Document.Statement[0]
	want := policy.Statement{Effect: "Allow", Action: policy.Strings{"secretsmanager:*"}, Resource: policy.Strings{"*"},
		Condition: map[string]map[string]policy.Strings{"Bool": {"aws:SecureTransport": {"true"}}}}
	if diff := cmp.Diff(want, statement); diff != "" {
		t.Fatal(diff)
	}
	// An update of the role keeps what the policies gave it, and an update of a policy takes back what it gave.
	make(t, s, "AWS::IAM::Role", "R", `{"RoleName":"prod-a","AssumeRolePolicyDocument":`+trust+`}`)
	make(t, s, "AWS::IAM::ManagedPolicy", "M", `{"ManagedPolicyName":"m","PolicyDocument":`+allow+`}`)
	policies = nil
	for _, p := range s.Policies("prod-a") {
		policies = append(policies, p.Name)
	}
	if diff := cmp.Diff([]string{"more"}, policies); diff != "" {
		t.Fatal(diff)
	}
	_, err = c.GetRole(t.Context(), &sdk.GetRoleInput{RoleName: aws.String("none")})
	if _, is := errors.AsType[*types.NoSuchEntityException](err); !is {
		t.Fatalf("no such role: %v", err)
	}
}

func TestWhatATemplateMayNotSay(t *testing.T) {
	stacktest.Local(t)
	s := iam.New(stack.NewClock())
	for name, c := range map[string]struct{ kind, properties string }{
		"unknown property":       {"AWS::IAM::Role", `{"Nmae":"a","AssumeRolePolicyDocument":` + trust + `}`},
		"unknown managed policy": {"AWS::IAM::Role", `{"RoleName":"a","AssumeRolePolicyDocument":` + trust + `,"ManagedPolicyArns":["arn:aws:iam::aws:policy/None"]}`},
		"no trust policy":        {"AWS::IAM::Role", `{"RoleName":"a"}`},
		"unknown role":           {"AWS::IAM::Policy", `{"PolicyName":"a","Roles":["none"],"PolicyDocument":` + allow + `}`},
		"misspelt element":       {"AWS::IAM::ManagedPolicy", `{"PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Actoin":"*","Resource":"*"}]}}`},
		"no action":              {"AWS::IAM::ManagedPolicy", `{"PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*"}]}}`},
		"wrong effect":           {"AWS::IAM::ManagedPolicy", `{"PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}}`},
	} {
		if _, err := s.Resources()[c.kind](t.Context(), stack.Resource{LogicalID: "X", Type: c.kind, Properties: []byte(c.properties)}); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}
