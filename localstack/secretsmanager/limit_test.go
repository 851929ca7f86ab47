package secretsmanager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func TestValuesAndLimits(t *testing.T) {
	b := newBench(t, client(t))
	ok(t, b.create("v1"))
	long := strings.Repeat("x", 65_536)
	ok(t, b.put("v2", long))
	binary := []byte{0, 1, 254, 255}
	_, err := b.c.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: &b.id, SecretBinary: binary})
	ok(t, err)
	got, err := b.c.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &b.id})
	ok(t, err)
	if got.SecretString != nil || !cmp.Equal(got.SecretBinary, binary) {
		t.Fatalf("binary came back as %v", got.SecretBinary)
	}
	var labels []string
	for i := range 20 {
		labels = append(labels, fmt.Sprintf("L%d", i))
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"too long": {b.put("v3", long+"x"), "ValidationException"},
		"short token": {func() error {
			_, err := b.c.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: &b.id, ClientRequestToken: aws.String("short"), SecretString: aws.String("a")})
			return err
		}(), "InvalidParameterException"},
		"21 labels": {b.put("v4", "a", labels...), "LimitExceededException"},
		"no value": {func() error {
			_, err := b.c.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: &b.id})
			return err
		}(), "InvalidRequestException"},
		"both values": {func() error {
			_, err := b.c.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: &b.id, SecretString: aws.String("a"), SecretBinary: []byte("a")})
			return err
		}(), "InvalidParameterException"},
		"name": {func() error {
			_, err := b.c.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("a b")})
			return err
		}(), "ValidationException"},
		"update, a seen token": {func() error {
			_, err := b.c.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: &b.id, ClientRequestToken: b.token("v2"), SecretString: &long})
			return err
		}(), "ResourceExistsException"},
	} {
		if got := code(c.err); got != c.want {
			t.Errorf("%s: error %q, want %q", name, got, c.want)
		}
	}
}

func TestVersionQuota(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, secretsmanager.New(clock))
	b := newBench(t, sm.NewFromConfig(server.Config, once))
	ok(t, b.create("v1"))
	for i := 2; i <= 100; i++ {
		ok(t, b.put(fmt.Sprintf("v%d", i), "a"))
	}
	if got := code(b.put("v101", "a")); got != "LimitExceededException" {
		t.Fatalf("the 101st version within 24 hours: %q", got)
	}
	count := func(deprecated bool) (n int) {
		pages := sm.NewListSecretVersionIdsPaginator(b.c, &sm.ListSecretVersionIdsInput{SecretId: &b.id, IncludeDeprecated: &deprecated, MaxResults: aws.Int32(30)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			ok(t, err)
			n += len(page.Versions)
		}
		return n
	}
	if with, without := count(true), count(false); with != 100 || without != 2 {
		t.Fatalf("%d versions, %d with labels; want 100 and 2", with, without)
	}
	clock.Advance(24 * time.Hour)
	ok(t, b.put("v101", "a"))
	_, err := b.c.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &b.id, VersionId: b.token("v1")})
	if code(err) != "ResourceNotFoundException" {
		t.Fatalf("the oldest version without label should have been purged: %v", err)
	}
}

func TestDeletion(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, secretsmanager.New(clock))
	b := newBench(t, sm.NewFromConfig(server.Config, once))
	ctx := t.Context()
	ok(t, b.create("v1"))
	remove := func(in *sm.DeleteSecretInput) error {
		in.SecretId = &b.id
		_, err := b.c.DeleteSecret(ctx, in)
		return err
	}
	get := func() error { _, err := b.c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: &b.id}); return err }
	describe := func() error { _, err := b.c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: &b.id}); return err }
	restore := func() error { _, err := b.c.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: &b.id}); return err }
	advance := func(d time.Duration) func() error {
		return func() error { clock.Advance(d); return nil }
	}
	for i, s := range []struct {
		do   func() error
		want string
	}{
		{func() error { return remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(6)}) }, "InvalidParameterException"},
		{func() error {
			return remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
		}, "InvalidParameterException"},
		{func() error { return remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)}) }, ""},
		{get, "InvalidRequestException"},
		{func() error { return b.put("v2", "b") }, "InvalidRequestException"},
		{func() error { return b.create("v1") }, "InvalidRequestException"},
		{describe, ""},
		{advance(6 * 24 * time.Hour), ""},
		{restore, ""},
		{get, ""},
		{advance(2 * 24 * time.Hour), ""}, // past the first window: the restored secret stays
		{get, ""},
		{func() error { return remove(&sm.DeleteSecretInput{}) }, ""},
		{advance(30*24*time.Hour + time.Minute), ""},
		{func() error { // the purge runs on its own goroutine
			for until := time.Now().Add(5 * time.Second); describe() == nil && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
			return nil
		}, ""},
		{describe, "ResourceNotFoundException"},
		{restore, "ResourceNotFoundException"},
		{func() error { return remove(&sm.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}) }, ""}, // documented: no error
		{func() error { return b.create("v1") }, ""},
		{func() error { return remove(&sm.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}) }, ""},
		{func() error { return b.create("v1") }, ""}, // the name is free at once
	} {
		if got := code(s.do()); got != s.want {
			t.Fatalf("step %d: error %q, want %q", i, got, s.want)
		}
	}
}
