package kms_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const (
	keyARN = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	reader = "arn:aws:iam::000000000000:role/reader"
	other  = "arn:aws:iam::000000000000:role/other"
)

func code(err error) string {
	if e, is := errors.AsType[smithy.APIError](err); is {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// keyWith is a service with one key, that of keyARN, and the client of the account's root.
func keyWith(t *testing.T) (*kms.Service, *sdk.Client) {
	t.Helper()
	stacktest.Local(t)
	clock := stack.NewClock()
	s := kms.New(clock)
	s.Principal = func(arn string) bool { return arn == reader || arn == other }
	if err := s.Existing(keyARN); err != nil {
		t.Fatal(err)
	}
	return s, sdk.NewFromConfig(stacktest.Start(t, clock, s).Config)
}

// reading is a grant to read one secret.
func reading(name, grantee string) *sdk.CreateGrantInput {
	in := &sdk.CreateGrantInput{KeyId: aws.String(keyARN), GranteePrincipal: &grantee, Operations: []types.GrantOperation{types.GrantOperationDecrypt},
		Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"SecretARN": "arn:secret"}}}
	if name != "" {
		in.Name = &name
	}
	return in
}

// The same request with the same name is the same grant; without a name, or with anything else in it, it is another.
func TestGrantsByName(t *testing.T) {
	_, c := keyWith(t)
	create := func(in *sdk.CreateGrantInput) string {
		t.Helper()
		out, err := c.CreateGrant(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if out.GrantId == nil || out.GrantToken == nil || *out.GrantId == *out.GrantToken {
			t.Fatalf("%+v", out)
		}
		return *out.GrantId
	}
	first := create(reading("mayfly:a/b", reader))
	if again := create(reading("mayfly:a/b", reader)); again != first {
		t.Error("the same request made a second grant")
	}
	wider := reading("mayfly:a/b", reader)
	wider.Operations = append(wider.Operations, types.GrantOperationDescribeKey)
	exact := reading("mayfly:a/b", reader)
	exact.Constraints = &types.GrantConstraints{EncryptionContextEquals: map[string]string{"SecretARN": "arn:secret"}}
	seen := map[string]bool{first: true}
	for name, in := range map[string]*sdk.CreateGrantInput{
		"another name": reading("mayfly:a/c", reader), "another grantee": reading("mayfly:a/b", other), "more operations": wider, "another constraint": exact,
		"no name": reading("", reader), "no name again": reading("", reader),
	} {
		id := create(in)
		if seen[id] {
			t.Errorf("%s: no grant of its own", name)
		}
		seen[id] = true
	}
	listed := map[string]bool{}
	pages := sdk.NewListGrantsPaginator(c, &sdk.ListGrantsInput{KeyId: aws.String(keyARN), Limit: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.Grants {
			if listed[*g.GrantId] || !seen[*g.GrantId] || *g.KeyId != keyARN || g.Constraints == nil || *g.IssuingAccount != "arn:aws:iam::000000000000:root" {
				t.Errorf("listed %+v", g)
			}
			listed[*g.GrantId] = true
		}
	}
	if len(listed) != len(seen) {
		t.Errorf("%d of %d grants listed", len(listed), len(seen))
	}
	out, err := c.ListGrants(t.Context(), &sdk.ListGrantsInput{KeyId: aws.String(keyARN), GranteePrincipal: aws.String(other)})
	if err != nil || len(out.Grants) != 1 || *out.Grants[0].GranteePrincipal != other {
		t.Errorf("by grantee: %+v %v", out, err)
	}
}

func TestGrantsEnd(t *testing.T) {
	s, c := keyWith(t)
	one, err := c.CreateGrant(t.Context(), reading("one", reader))
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.CreateGrant(t.Context(), reading("two", reader))
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(id string) error {
		_, err := c.RevokeGrant(t.Context(), &sdk.RevokeGrantInput{KeyId: aws.String(keyARN), GrantId: &id})
		return err
	}
	if err := revoke(*one.GrantId); err != nil {
		t.Error(err)
	}
	if err := revoke(*one.GrantId); code(err) != "NotFoundException" {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := c.RetireGrant(t.Context(), &sdk.RetireGrantInput{GrantToken: two.GrantToken}); err != nil {
		t.Error(err)
	}
	if left := s.Grants(keyARN); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestGrantsThatAreRefused(t *testing.T) {
	s, c := keyWith(t)
	made := func(properties string) string {
		m, err := s.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: properties, Properties: []byte(properties)})
		if err != nil {
			t.Fatal(err)
		}
		return m.Ref
	}
	mac, off := made(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`), made(`{"Enabled":"false"}`)
	for name, one := range map[string]struct {
		change func(in *sdk.CreateGrantInput)
		want   string
	}{
		"a role that is not there": {func(in *sdk.CreateGrantInput) { in.GranteePrincipal = aws.String(reader + "s") }, "InvalidArnException"},
		"no ARN":                   {func(in *sdk.CreateGrantInput) { in.GranteePrincipal = aws.String("reader") }, "InvalidArnException"},
		"who retires is not there": {func(in *sdk.CreateGrantInput) { in.RetiringPrincipal = aws.String(reader + "s") }, "InvalidArnException"},
		"an alias":                 {func(in *sdk.CreateGrantInput) { in.KeyId = aws.String("alias/a") }, "NotFoundException"},
		"no such key":              {func(in *sdk.CreateGrantInput) { in.KeyId = aws.String("none") }, "NotFoundException"},
		"a disabled key":           {func(in *sdk.CreateGrantInput) { in.KeyId = &off }, "DisabledException"},
		"decryption with a MAC":    {func(in *sdk.CreateGrantInput) { in.KeyId = &mac }, "ValidationException"},
		"a name with a dot":        {func(in *sdk.CreateGrantInput) { in.Name = aws.String("a.b") }, "ValidationException"},
		"nine pairs": {func(in *sdk.CreateGrantInput) {
			for _, k := range "12345678" {
				in.Constraints.EncryptionContextSubset[string(k)] = "v"
			}
		}, "ValidationException"},
	} {
		in := reading("n", reader)
		one.change(in)
		if _, err := c.CreateGrant(t.Context(), in); code(err) != one.want {
			t.Errorf("%s: %v, want %s", name, err, one.want)
		}
	}
	if _, err := c.RetireGrant(t.Context(), &sdk.RetireGrantInput{KeyId: aws.String(keyARN)}); code(err) != "ValidationException" {
		t.Errorf("retiring nothing: %v", err)
	}
}

// A constraint compares keys and values exactly, and does not bind what has no encryption context.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-constraints
func TestConstraints(t *testing.T) {
	context := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	free := kms.Grant{Operations: []string{"Decrypt"}}
	subset := kms.Grant{Operations: []string{"Decrypt", "DescribeKey"}, Subset: context("Department", "IT")}
	equals := kms.Grant{Operations: []string{"Decrypt"}, Equals: context("Department", "IT")}
	for name, c := range map[string]struct {
		grant     kms.Grant
		operation string
		context   map[string]string
		want      bool
	}{
		"no constraint":                 {free, "Decrypt", context("Department", "HR"), true},
		"no constraint, no context":     {free, "Decrypt", nil, true},
		"another operation":             {free, "Encrypt", nil, false},
		"subset":                        {subset, "Decrypt", context("Department", "IT"), true},
		"subset, and more":              {subset, "Decrypt", context("Department", "IT", "Purpose", "Test"), true},
		"subset, another value":         {subset, "Decrypt", context("Department", "HR"), false},
		"subset, value of another case": {subset, "Decrypt", context("Department", "it"), false},
		"subset, key of another case":   {subset, "Decrypt", context("department", "IT"), false},
		"subset, no context":            {subset, "Decrypt", nil, false},
		"subset, nothing to bind":       {subset, "DescribeKey", nil, true},
		"equals":                        {equals, "Decrypt", context("Department", "IT"), true},
		"equals, and more":              {equals, "Decrypt", context("Department", "IT", "Purpose", "Test"), false},
	} {
		if got := c.grant.Allows(c.operation, c.context); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
