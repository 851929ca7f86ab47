package rotation_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/random"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// written keeps records.
type written struct{ records []audit.Record }

func (w *written) Append(_ context.Context, h audit.Head, rec audit.Record) (audit.Head, error) {
	w.records = append(w.records, rec)
	return audit.Head{Seq: h.Seq + 1}, nil
}

// TestSecret says which value the stored version has, whoever stored it (S2, S3); without KMS the run goes on, and says that
// nobody would know the value again.
func TestStoredValueHasAFingerprint(t *testing.T) {
	const to = "to-000000000000000000000000000000"
	clock := stack.NewClock()
	keys := kms.New(clock)
	server := stacktest.Start(t, clock, local.New(clock), keys)
	made, err := keys.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: "K", Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)})
	if err != nil {
		t.Fatal(err)
	}
	sm := secretsmanager.NewFromConfig(server.Config)
	if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/x"), SecretString: aws.String("stored before, by an earlier attempt"), ClientRequestToken: aws.String(to)}); err != nil {
		t.Fatal(err)
	}
	maker := fingerprint.New(server.Config, made.Ref)
	want, err := maker.Of(t.Context(), credential.Parse("stored before, by an earlier attempt"))
	if err != nil {
		t.Fatal(err)
	}
	req := rotation.Request{Run: rotation.Run{Secret: "prod/x", To: rotator.Version{ID: to}, Contract: contract.Contract{Kind: contract.Random}}}
	req.Context.Execution.ID, req.Context.State.EnteredTime = "execution", clock.Now()
	for name, c := range map[string]struct {
		key, print string
		events     []string
	}{
		"with the key":    {made.Ref, want, []string{rotation.EventTesting}},
		"without the key": {"alias/none", "", []string{rotation.EventTesting, rotation.EventUntraced}},
	} {
		t.Run(name, func(t *testing.T) {
			log := &written{}
			step := rotation.TestSecret{Log: log, Secrets: sm, Rotators: rotation.Rotators{contract.Random: random.Rotator{}},
				Fingerprints: fingerprint.New(server.Config, c.key)}
			run, err := step.Handle(t.Context(), req)
			if err != nil || run.Fingerprint != c.print {
				t.Errorf("fingerprint %q, %v; want %q", run.Fingerprint, err, c.print)
			}
			var events []string
			for _, rec := range log.records {
				events = append(events, rec.Event)
				if rec.Event == rotation.EventUntraced && rec.ReasonCode != string(fault.KeyUnavailable) {
					t.Errorf("on record for %s: %s", rec.ReasonCode, rec.Reason)
				}
			}
			if len(events) != len(c.events) || events[0] != c.events[0] || run.Head.Seq != int64(len(c.events)) {
				t.Errorf("events %v up to %d, want %v", events, run.Head.Seq, c.events)
			}
		})
	}
}
