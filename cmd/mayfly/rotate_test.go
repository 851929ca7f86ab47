package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
)

func (b *bench) value(secret string) string {
	b.Helper()
	out, err := secretsmanager.NewFromConfig(b.Config).GetSecretValue(b.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	b.must(err)
	return *out.SecretString
}

// applied is an account with the two contracts in force.
func applied(t *testing.T) *bench {
	b := account(t)
	b.contracts()
	b.mayfly(0, "apply", b.dir, "--commit", "c0ffee")
	return b
}

func TestRotateAndWhatIsKnownOfIt(t *testing.T) {
	b := applied(t)
	before := b.value("prod/token")
	text, _ := b.mayfly(0, "rotate", "prod/token", "--reason", "laptop lost", "--id", "CHANGE-1", "--wait")
	b.contains(text, "prod/token  started: arn:aws:states:us-east-1:000000000000:execution:mayfly-rotate:", "  AdmitRotation\n", "  AwaitQuiet (0 s)\n", "  RevokeSecret\n", "s  rotated\n")
	if b.value("prod/token") == before {
		t.Fatal("the value is the old one")
	}

	stood := answer[[]standing](b, 0, "status", "prod/token")
	if len(stood) != 1 || stood[0].LastOutcome != "rotated" || stood[0].LastTrigger != "manual:CHANGE-1" || stood[0].Running != nil || stood[0].RotatedAt == "" || stood[0].DueAt >= stood[0].ExpiresAt {
		t.Errorf("status %+v", stood)
	}
	all, _ := b.mayfly(0, "status")
	b.contains(all, "SECRET", "UNDER WAY", "prod/signing-key  payments  prod         random")
	if strings.Contains(all, "\x1b") {
		t.Errorf("colour, and no terminal:\n%q", all)
	}

	runs := answer[[]pastRun](b, 0, "history", "prod/token")
	if len(runs) != 1 {
		t.Fatalf("%d runs, want 1", len(runs))
	}
	r := runs[0]
	if r.Outcome != "rotated" || r.Trigger.Source != "cli" || r.Trigger.Reason != "laptop lost" || r.Trigger.Actor == "" || r.VersionTo == r.VersionFrom || r.Seconds == nil {
		t.Errorf("run %+v", r)
	}
	if want := []string{"manual:CHANGE-1"}; !slices.Equal(r.TriggerIDs, want) {
		t.Errorf("trigger ids %v, want %v", r.TriggerIDs, want)
	}
	text, _ = b.mayfly(0, "history", "prod/signing-key")
	b.contains(text, "prod/signing-key has had no run yet")
	b.mayfly(3, "history", "prod/signing-kex")
}

// The same request, sent again, is the same rotation.
func TestRepeatedRequestJoinsItself(t *testing.T) {
	b := applied(t)
	ask := []string{"rotate", "prod/token", "--reason", "drill", "--id", "CHANGE-2", "--wait"}
	first := answer[[]started](b, 0, ask...)
	second := answer[[]started](b, 0, ask...)
	if first[0].Repeated || !second[0].Repeated || first[0].Execution != second[0].Execution || second[0].Outcome != "rotated" {
		t.Errorf("first %+v\nsecond %+v", first[0], second[0])
	}
	if runs := answer[[]pastRun](b, 0, "history", "prod/token"); len(runs) != 1 {
		t.Errorf("%d runs, want 1", len(runs))
	}
}

func TestRotateWhatAServiceUses(t *testing.T) {
	b := applied(t)
	_, complaint := b.mayfly(2, "rotate", "--environment", "prod", "--service", "billing", "--reason", "vendor breach")
	b.contains(complaint, "this rotates 2 secrets: prod/signing-key, prod/token; add --yes")
	if runs := answer[[]pastRun](b, 0, "history", "prod/token"); len(runs) != 0 {
		t.Errorf("%d runs without --yes", len(runs))
	}
	done := answer[[]started](b, 0, "rotate", "--environment", "prod", "--service", "billing", "--reason", "vendor breach", "--yes", "--wait")
	if len(done) != 2 || done[0].Outcome != "rotated" || done[1].Outcome != "rotated" {
		t.Errorf("%+v", done)
	}
	_, complaint = b.mayfly(3, "rotate", "--environment", "staging", "--reason", "vendor breach", "--yes")
	b.contains(complaint, "no secret under contract belongs to environment:staging")
	b.mayfly(2, "rotate", "--all", "--reason", "everything")
}

// Two requests with different ids while one run is under way: one rotation answers both.
func TestSecondRequestJoinsTheRunUnderWay(t *testing.T) {
	b := applied(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	test := b.steps["TestSecret"]
	b.steps["TestSecret"] = func(ctx context.Context, payload []byte) (any, error) {
		close(entered)
		<-leave
		return test(ctx, payload)
	}
	b.mayfly(0, "rotate", "prod/token", "--reason", "first", "--id", "ONE")
	<-entered
	if s := answer[[]standing](b, 0, "status", "prod/token")[0]; s.Running == nil || s.Running.Mode != "routine" || s.Running.Execution == "" {
		t.Errorf("under way: %+v", s.Running)
	}
	second := answer[[]started](b, 0, "rotate", "prod/token", "--reason", "second", "--id", "TWO", "--wait")
	if second[0].Outcome != "skipped" || second[0].ReasonCode != "Joined" {
		t.Errorf("second %+v", second[0])
	}
	close(leave)
	first := answer[[]started](b, 0, "rotate", "prod/token", "--reason", "first", "--id", "ONE", "--wait")
	if first[0].Outcome != "rotated" {
		t.Errorf("first %+v", first[0])
	}
	runs := answer[[]pastRun](b, 0, "history", "prod/token")
	if len(runs) != 1 || !slices.Equal(runs[0].TriggerIDs, []string{"manual:ONE", "manual:TWO"}) {
		t.Errorf("%+v", runs)
	}
	text, _ := b.mayfly(0, "history", "prod/token")
	b.contains(text, "also answered manual:TWO")
}

func TestRunThatFailsIsAFinding(t *testing.T) {
	b := applied(t)
	before := b.value("prod/token")
	b.steps["TestSecret"] = func(context.Context, []byte) (any, error) {
		return nil, fault.New(fault.TestRefused, "the new value does not do")
	}
	done := answer[[]started](b, 1, "rotate", "prod/token", "--reason", "drill", "--wait")
	if r := done[0]; r.Outcome != "failed_clean" || r.ReasonCode != "TestRefused" || !slices.Contains(r.States, "RollBack") {
		t.Errorf("%+v", done)
	}
	if b.value("prod/token") != before {
		t.Error("the value changed")
	}
	text, _ := b.mayfly(1, "status", "prod/token")
	b.contains(text, "prod/token: its last run ended failed_clean")
	// What is refused never becomes a run.
	refused := answer[[]started](b, 1, "rotate", "prod/unknown", "--reason", "drill", "--wait")
	if r := refused[0]; r.Outcome != "failed_clean" || r.ReasonCode != "SecretUnknown" || !strings.Contains(r.Reason, "no contract is in force") {
		t.Errorf("%+v", r)
	}
}

func TestStatusFindings(t *testing.T) {
	b := applied(t)
	client := secretsmanager.NewFromConfig(b.Config)
	tag := func(key, value string) types.Tag { return types.Tag{Key: aws.String(key), Value: aws.String(value)} }
	_, err := client.TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: aws.String("prod/token"),
		Tags: []types.Tag{tag("mayfly:expires-at", "2020-01-01T00:00:00Z"), tag("mayfly:compromised", "true"), tag("mayfly:last-outcome", "failed_dirty")}})
	b.must(err)
	_, err = client.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("prod/signing-key")})
	b.must(err)
	reg := &dynamo.Registry{DB: dynamodb.NewFromConfig(b.Config), Contracts: "mayfly-contracts"}
	for _, secret := range []string{"prod/token", "staging/token"} {
		b.must(reg.SetFingerprint(t.Context(), secret, "v1", strings.Repeat("f", 64)))
	}
	text, _ := b.mayfly(1, "status")
	b.contains(text, "prod/token: prod/token and staging/token hold one value across prod and staging: a leak in one environment is a leak in all")
	b.contains(text, "prod/token: its value has expired", "prod/token: it is marked compromised", "prod/token: its last run ended failed_dirty",
		"prod/signing-key: it is not in Secrets Manager, or is marked for deletion", "2020-01-01 00:00Z")
}

func TestNoValueInAnyOutput(t *testing.T) {
	b := applied(t)
	values := []string{b.value("prod/token")}
	var said strings.Builder
	for _, args := range [][]string{
		{"plan", b.dir}, {"rotate", "prod/token", "--reason", "drill", "--wait"}, {"status"}, {"history", "prod/token"},
		{"audit", "query", "all"}, {"audit", "verify"},
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			stdout, stderr := b.mayfly(0, append(slices.Clone(args), form...)...)
			said.WriteString(stdout + stderr)
		}
	}
	values = append(values, b.value("prod/token"))
	for _, v := range values {
		if strings.Contains(said.String(), v) {
			t.Errorf("a value was written")
		}
	}
}

// An execution that Step Functions itself ended never got to an end of ours.
func TestRunThatIsStopped(t *testing.T) {
	b := applied(t)
	entered := make(chan struct{})
	b.steps["SetSecret"] = func(ctx context.Context, _ []byte) (any, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	run := answer[[]started](b, 0, "rotate", "prod/token", "--reason", "drill", "--id", "ONE")[0]
	<-entered
	_, err := sfn.NewFromConfig(b.Config).StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &run.Execution})
	b.must(err)
	if again := answer[[]started](b, 1, "rotate", "prod/token", "--reason", "drill", "--id", "ONE", "--wait")[0]; again.Outcome != "aborted" {
		t.Errorf("%+v", again)
	}
}

func TestPlainErrors(t *testing.T) {
	b := account(t)
	_, complaint := b.mayfly(3, "status", "--contracts-table", "elsewhere")
	b.contains(complaint, "mayfly: cannot list the contracts in force: ResourceNotFoundException", "`make deploy`")
	_, complaint = b.mayfly(3, "rotate", "prod/token", "--reason", "drill", "--machine", "elsewhere")
	b.contains(complaint, "prod/token was not started: cannot call SFN StartExecution: StateMachineDoesNotExist")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	_, complaint = b.mayfly(3, "history", "prod/token")
	b.contains(complaint, "nobody answers at AWS_ENDPOINT_URL", "make up")
	if err := plain(errFindings); !errors.Is(err, errFindings) {
		t.Errorf("findings became %v", err)
	}
}
