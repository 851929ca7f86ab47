package rotation_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// open lets every record through and every lease be renewed: what is tried here is the label.
type open struct{}

func (open) Append(_ context.Context, h audit.Head, _ audit.Record) (audit.Head, error) {
	return h, nil
}

func (open) Renew(context.Context, string, string, int64, time.Time) error { return nil }

// FinishSecret knows its own move again when the answer to it was lost (S2), and no one else's.
func TestFinishKnowsItsOwnMove(t *testing.T) {
	const from, to, other = "from-0000000000000000000000000000", "to-000000000000000000000000000000", "other-000000000000000000000000000"
	for name, c := range map[string]struct {
		at   string // where AWSCURRENT is when the step runs
		want fault.Code
	}{
		"the first attempt":         {from, ""},
		"an attempt after the move": {to, ""},
		"somebody else was faster":  {other, fault.CurrentMoved},
	} {
		t.Run(name, func(t *testing.T) {
			clock := stack.NewClock()
			sm := secretsmanager.NewFromConfig(stacktest.Start(t, clock, local.New(clock)).Config)
			_, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/x"), SecretString: aws.String("one"), ClientRequestToken: aws.String(from)})
			if err != nil {
				t.Fatal(err)
			}
			for _, version := range []string{other, to} { // the last one keeps AWSPENDING
				if _, err := sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/x"),
					SecretString: aws.String(version), ClientRequestToken: aws.String(version), VersionStages: []string{authority.Pending, version}}); err != nil {
					t.Fatal(err)
				}
			}
			if c.at != from {
				if err := authority.Promote(t.Context(), sm, "prod/x", c.at, from); err != nil {
					t.Fatal(err)
				}
			}
			req := rotation.Request{Run: rotation.Run{Secret: "prod/x", From: rotator.Version{ID: from}, To: rotator.Version{ID: to}}}
			req.Context.Execution.ID, req.Context.State.EnteredTime = "execution", clock.Now()
			_, err = (&rotation.FinishSecret{Log: open{}, Registry: open{}, Secrets: sm}).Handle(t.Context(), req)
			if c.want == "" && err != nil || c.want != "" && fault.CodeOf(err) != c.want {
				t.Fatalf("finish gave %v, want code %q", err, c.want)
			}
			secret, err := authority.Describe(t.Context(), sm, "prod/x")
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && (secret.Current != to || secret.Pending != "") {
				t.Errorf("AWSCURRENT on %s, AWSPENDING on %q; want it on %s and none pending", secret.Current, secret.Pending, to)
			}
			if c.want != "" && secret.Current != c.at {
				t.Errorf("AWSCURRENT was moved to %s", secret.Current)
			}
		})
	}
}
