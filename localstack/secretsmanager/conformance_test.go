package secretsmanager_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func client(t *testing.T) *sm.Client {
	t.Helper()
	return sm.NewFromConfig(stacktest.Serve(t, secretsmanager.New(stack.NewClock())), once)
}

// once keeps the SDK from retrying: it takes LimitExceededException for throttling and would wait.
func once(o *sm.Options) { o.RetryMaxAttempts = 1 }

// bench is one secret and short names for its versions.
type bench struct {
	t  *testing.T
	c  *sm.Client
	id string
}

func newBench(t *testing.T, c *sm.Client) *bench {
	return &bench{t: t, c: c, id: fmt.Sprintf("prod/mayfly-%d", time.Now().UnixNano())}
}

// token makes "v1" a token of 36 characters.
func (b *bench) token(short string) *string {
	if short == "" {
		return nil
	}
	return aws.String(short + "-" + strings.Repeat("0", 35-len(short)))
}

func (b *bench) create(short string) error {
	in := &sm.CreateSecretInput{Name: &b.id}
	if short != "" {
		in.ClientRequestToken, in.SecretString = b.token(short), aws.String("value "+short)
	}
	_, err := b.c.CreateSecret(b.t.Context(), in)
	return err
}

func (b *bench) put(short, value string, labels ...string) error {
	_, err := b.c.PutSecretValue(b.t.Context(), &sm.PutSecretValueInput{SecretId: &b.id, ClientRequestToken: b.token(short), SecretString: &value, VersionStages: labels})
	return err
}

func (b *bench) move(label, to, from string) error {
	_, err := b.c.UpdateSecretVersionStage(b.t.Context(), &sm.UpdateSecretVersionStageInput{SecretId: &b.id, VersionStage: &label,
		MoveToVersionId: b.token(to), RemoveFromVersionId: b.token(from)})
	return err
}

// labels is what DescribeSecret says, as "v1: A B, v2: C".
func (b *bench) labels() string {
	out, err := b.c.DescribeSecret(b.t.Context(), &sm.DescribeSecretInput{SecretId: &b.id})
	if err != nil {
		b.t.Fatal(err)
	}
	var parts []string
	for i := range 200 {
		short := fmt.Sprintf("v%d", i)
		if stages, ok := out.VersionIdsToStages[*b.token(short)]; ok {
			parts = append(parts, short+": "+strings.Join(stages, " "))
		}
	}
	return strings.Join(parts, ", ")
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestLabels(t *testing.T) {
	type step struct {
		name string
		do   func(*bench) error
		err  string // code, or code and message
		want string // labels afterwards
	}
	create := func(v string) func(*bench) error { return func(b *bench) error { return b.create(v) } }
	put := func(v, value string, labels ...string) func(*bench) error {
		return func(b *bench) error { return b.put(v, value, labels...) }
	}
	move := func(label, to, from string) func(*bench) error {
		return func(b *bench) error { return b.move(label, to, from) }
	}
	for name, steps := range map[string][]step{
		"a put without labels takes AWSCURRENT and leaves AWSPREVIOUS": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"put", put("v2", "b"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT"},
			{"put", put("v3", "c"), "", "v2: AWSPREVIOUS, v3: AWSCURRENT"},
		},
		"a rotation": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"pending", put("v2", "b", "AWSPENDING"), "", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"finish", move("AWSCURRENT", "v2", "v1"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT AWSPENDING"},
			{"drop pending", move("AWSPENDING", "", "v2"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT"},
		},
		"AWSPENDING is not dropped and moves with the next put": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"pending", put("v2", "b", "AWSPENDING"), "", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"finish", move("AWSCURRENT", "v2", "v1"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT AWSPENDING"},
			{"pending", put("v3", "c", "AWSPENDING", "MINE"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT, v3: AWSPENDING MINE"},
		},
		"moving AWSCURRENT back swaps it with AWSPREVIOUS": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"put", put("v2", "b"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT"},
			{"back", move("AWSCURRENT", "v1", "v2"), "", "v1: AWSCURRENT, v2: AWSPREVIOUS"},
		},
		"a move is compare-and-swap": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"pending", put("v2", "b", "AWSPENDING"), "", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"from nowhere", move("AWSCURRENT", "v2", ""), "InvalidParameterException", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"from the wrong one", move("AWSCURRENT", "v2", "v2"), "InvalidParameterException", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"from one that is not there", move("AWSCURRENT", "v2", "v9"), "ResourceNotFoundException", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"to one that is not there", move("AWSCURRENT", "v9", "v1"), "ResourceNotFoundException", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"to itself", move("AWSCURRENT", "v1", ""), "", "v1: AWSCURRENT, v2: AWSPENDING"},
			{"right", move("AWSCURRENT", "v2", "v1"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT AWSPENDING"},
			{"again", move("AWSCURRENT", "v2", "v1"), "InvalidParameterException", "v1: AWSPREVIOUS, v2: AWSCURRENT AWSPENDING"},
			{"neither", move("AWSPENDING", "", ""), "InvalidParameterException", "v1: AWSPREVIOUS, v2: AWSCURRENT AWSPENDING"},
		},
		"AWSCURRENT is never removed": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"remove", move("AWSCURRENT", "", "v1"), "InvalidParameterException", "v1: AWSCURRENT"},
		},
		"tokens make puts idempotent": {
			{"create", create("v1"), "", "v1: AWSCURRENT"},
			{"create again", create("v1"), "", "v1: AWSCURRENT"},
			{"create, other token", create("v2"), "ResourceExistsException", "v1: AWSCURRENT"},
			{"put", put("v2", "b"), "", "v1: AWSPREVIOUS, v2: AWSCURRENT"},
			{"put", put("v3", "c"), "", "v2: AWSPREVIOUS, v3: AWSCURRENT"},
			{"same token, same data moves nothing", put("v2", "b"), "", "v2: AWSPREVIOUS, v3: AWSCURRENT"},
			{"same token, other data", put("v2", "x"), "ResourceExistsException", "v2: AWSPREVIOUS, v3: AWSCURRENT"},
		},
		"a secret without value": {
			{"create", create(""), "", ""},
			{"the first version is the current one, whatever its labels", put("v1", "a", "AWSPENDING"), "", "v1: AWSCURRENT AWSPENDING"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, client(t))
			for _, s := range steps {
				if got := code(s.do(b)); got != s.err {
					t.Fatalf("%s: error %q, want %q", s.name, got, s.err)
				}
				if got := b.labels(); got != s.want {
					t.Fatalf("%s: labels %q, want %q", s.name, got, s.want)
				}
			}
		})
	}
}

func TestGetSecretValue(t *testing.T) {
	b := newBench(t, client(t))
	ok(t, b.create("v1"))
	ok(t, b.put("v2", "value v2"))
	ok(t, b.put("v3", "value v3", "AWSPENDING"))
	ok(t, b.put("v4", "value v4", "AWSPENDING")) // v3 has no label any more
	described, err := b.c.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &b.id})
	ok(t, err)
	arn := *described.ARN
	for name, c := range map[string]struct {
		id, version, stage string
		want, err          string
	}{
		"no selector is AWSCURRENT":     {b.id, "", "", "value v2", ""},
		"by label":                      {b.id, "", "AWSPREVIOUS", "value v1", ""},
		"by version":                    {b.id, "v1", "", "value v1", ""},
		"a deprecated version":          {b.id, "v3", "", "value v3", ""},
		"by both":                       {b.id, "v4", "AWSPENDING", "value v4", ""},
		"by both, at odds":              {b.id, "v4", "AWSCURRENT", "", "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId."},
		"by ARN":                        {arn, "", "", "value v2", ""},
		"by partial ARN":                {arn[:len(arn)-7], "", "", "value v2", ""},
		"by an ARN with another suffix": {arn[:len(arn)-6] + "ZZZZZZ", "", "", "", "ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		"no such secret":                {"prod/none", "", "", "", "ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		"no such label":                 {b.id, "", "MINE", "", "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: MINE"},
		"no such version":               {b.id, "v9", "", "", "ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: " + *b.token("v9")},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sm.GetSecretValueInput{SecretId: &c.id, VersionId: b.token(c.version)}
			if c.stage != "" {
				in.VersionStage = &c.stage
			}
			out, err := b.c.GetSecretValue(t.Context(), in)
			if e, isAPI := errors.AsType[smithy.APIError](err); isAPI {
				if got := e.ErrorCode() + ": " + e.ErrorMessage(); got != c.err {
					t.Fatalf("error %q, want %q", got, c.err)
				}
				return
			}
			ok(t, err)
			if *out.SecretString != c.want || *out.ARN != arn || *out.Name != b.id {
				t.Fatalf("got %q of %s, want %q", *out.SecretString, *out.ARN, c.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, secretsmanager.New(clock))
	c := sm.NewFromConfig(server.Config, once)
	ctx := t.Context()
	_, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("prod/a"), Description: aws.String("d"), SecretString: aws.String("x"),
		Tags: []types.Tag{{Key: aws.String("mayfly:owner"), Value: aws.String("payments")}}})
	ok(t, err)
	_, err = c.TagResource(ctx, &sm.TagResourceInput{SecretId: aws.String("prod/a"), Tags: []types.Tag{
		{Key: aws.String("mayfly:owner"), Value: aws.String("platform")}, {Key: aws.String("mayfly:ttl"), Value: aws.String("24h")}}})
	ok(t, err)
	_, err = c.UntagResource(ctx, &sm.UntagResourceInput{SecretId: aws.String("prod/a"), TagKeys: []string{"mayfly:ttl", "none"}})
	ok(t, err)
	_, err = c.UpdateSecret(ctx, &sm.UpdateSecretInput{SecretId: aws.String("prod/a"), Description: aws.String("e")})
	ok(t, err)
	before, err := c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("prod/a")})
	ok(t, err)
	if before.LastAccessedDate != nil || *before.Description != "e" || len(before.Tags) != 1 || *before.Tags[0].Value != "platform" {
		t.Fatalf("got %+v", before)
	}
	clock.Advance(48 * time.Hour)
	_, err = c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("prod/a")})
	ok(t, err)
	after, err := c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("prod/a")})
	ok(t, err)
	if want := clock.Now().Truncate(24 * time.Hour); !after.LastAccessedDate.Equal(want) {
		t.Fatalf("last accessed %v, want the day %v", after.LastAccessedDate, want)
	}
}

func TestList(t *testing.T) {
	c := client(t)
	ctx := t.Context()
	for _, name := range []string{"prod/a", "prod/b", "dev/a"} {
		_, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: &name, SecretString: aws.String("value of " + name),
			Tags: []types.Tag{{Key: aws.String("mayfly:environment"), Value: aws.String(strings.Split(name, "/")[0])}}})
		ok(t, err)
	}
	_, err := c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("prod/b")})
	ok(t, err)
	list := func(deleted bool, filters ...types.Filter) string {
		var names []string
		pages := sm.NewListSecretsPaginator(c, &sm.ListSecretsInput{Filters: filters, IncludePlannedDeletion: &deleted, MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			ok(t, err)
			for _, s := range page.SecretList {
				names = append(names, *s.Name)
			}
		}
		return strings.Join(names, " ")
	}
	f := func(key types.FilterNameStringType, values ...string) types.Filter {
		return types.Filter{Key: key, Values: values}
	}
	for got, want := range map[string]string{
		"all: " + list(false):                      "prod/a dev/a",
		"deleted: " + list(true):                   "prod/a prod/b dev/a",
		"name: " + list(false, f("name", "prod/")): "prod/a",
		"not: " + list(false, f("name", "!prod/")): "dev/a",
		"tags: " + list(false, f("tag-key", "mayfly:env"), f("tag-value", "dev", "x")): "dev/a",
		"none: " + list(false, f("name", "prod/"), f("tag-value", "dev")):              "",
	} {
		name, got, _ := strings.Cut(got, ": ")
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	batch, err := c.BatchGetSecretValue(ctx, &sm.BatchGetSecretValueInput{SecretIdList: []string{"prod/a", "prod/b", "none"}})
	ok(t, err)
	if len(batch.SecretValues) != 1 || *batch.SecretValues[0].SecretString != "value of prod/a" ||
		len(batch.Errors) != 2 || *batch.Errors[0].ErrorCode != "InvalidRequestException" || *batch.Errors[1].ErrorCode != "ResourceNotFoundException" {
		t.Fatalf("batch: %d values, errors %+v", len(batch.SecretValues), batch.Errors)
	}
}

func TestResourcePolicy(t *testing.T) {
	c := client(t)
	ctx := t.Context()
	id := aws.String("prod/a")
	_, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: id})
	ok(t, err)
	put := func(policy string) error {
		_, err := c.PutResourcePolicy(ctx, &sm.PutResourcePolicyInput{SecretId: id, ResourcePolicy: &policy, BlockPublicPolicy: aws.Bool(true)})
		return err
	}
	statement := func(effect, principal string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":%s,"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`, effect, principal)
	}
	good := statement("Allow", `{"AWS":"arn:aws:iam::000000000000:role/a"}`)
	for _, step := range []struct{ policy, want string }{
		{"{", "MalformedPolicyDocumentException"},
		{statement("Perhaps", `"*"`), "MalformedPolicyDocumentException"},
		{statement("Allow", `"*"`), "PublicPolicyException"},
		{statement("Deny", `"*"`), ""},
		{good, ""},
	} {
		if got := code(put(step.policy)); got != step.want {
			t.Errorf("%s: %q, want %q", step.policy, got, step.want)
		}
	}
	out, err := c.GetResourcePolicy(ctx, &sm.GetResourcePolicyInput{SecretId: id})
	ok(t, err)
	if *out.ResourcePolicy != good {
		t.Fatalf("policy %s", *out.ResourcePolicy)
	}
	verdict, err := c.ValidateResourcePolicy(ctx, &sm.ValidateResourcePolicyInput{ResourcePolicy: aws.String(statement("Allow", `"*"`))})
	ok(t, err)
	if verdict.PolicyValidationPassed || len(verdict.ValidationErrors) != 1 {
		t.Fatalf("verdict %+v", verdict)
	}
	_, err = c.DeleteResourcePolicy(ctx, &sm.DeleteResourcePolicyInput{SecretId: id})
	ok(t, err)
	if out, err = c.GetResourcePolicy(ctx, &sm.GetResourcePolicyInput{SecretId: id}); err != nil || out.ResourcePolicy != nil {
		t.Fatalf("after deletion: %v %v", out, err)
	}
}

func TestRandomPassword(t *testing.T) {
	c := client(t)
	for name, in := range map[string]*sm.GetRandomPasswordInput{
		"plain":   {},
		"short":   {PasswordLength: aws.Int64(4)},
		"letters": {PasswordLength: aws.Int64(200), ExcludePunctuation: aws.Bool(true), ExcludeNumbers: aws.Bool(true), ExcludeCharacters: aws.String("aZ")},
	} {
		out, err := c.GetRandomPassword(t.Context(), in)
		ok(t, err)
		p := *out.RandomPassword
		if want := max(aws.ToInt64(in.PasswordLength), 32); in.PasswordLength == nil && len(p) != int(want) || in.PasswordLength != nil && len(p) != int(*in.PasswordLength) {
			t.Errorf("%s: %d characters", name, len(p))
		}
		if name == "letters" && strings.ContainsAny(p, "aZ0123456789!#") {
			t.Errorf("%s: %q has excluded characters", name, p)
		}
		if name != "letters" && (!strings.ContainsAny(p, "0123456789") || p == strings.ToLower(p)) {
			t.Errorf("%s: %q lacks a type", name, p)
		}
	}
	if _, err := c.GetRandomPassword(t.Context(), &sm.GetRandomPasswordInput{PasswordLength: aws.Int64(3)}); code(err) != "InvalidParameterException" {
		t.Errorf("3 characters for 4 types: %v", err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
