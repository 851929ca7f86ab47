package rotation_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const (
	guarded = "prod/guarded"
	setting = "arn:aws:iam::000000000000:role/mayfly-set-secret"
	absent  = "arn:aws:iam::000000000000:role/prod-absent"
)

// accessScene is Secrets Manager with one secret, and what Enforce said.
type accessScene struct {
	t    *testing.T
	sm   *secretsmanager.Client
	said []string // events
	put  int      // policies that were put, or tried
	fail error    // that say answers
}

func newAccessScene(t *testing.T) *accessScene {
	stacktest.Local(t)
	clock := stack.NewClock()
	secrets := local.New(clock)
	secrets.Principal = func(arn string) bool { return arn != absent }
	server := stacktest.Start(t, clock, secrets)
	server.Config.RetryMaxAttempts = 1
	s := &accessScene{t: t, sm: secretsmanager.NewFromConfig(server.Config)}
	_, err := s.sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(guarded), SecretString: aws.String("v"), ClientRequestToken: aws.String(strings.Repeat("1", 32))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *accessScene) GetResourcePolicy(ctx context.Context, in *secretsmanager.GetResourcePolicyInput, o ...func(*secretsmanager.Options)) (*secretsmanager.GetResourcePolicyOutput, error) {
	return s.sm.GetResourcePolicy(ctx, in, o...)
}

func (s *accessScene) PutResourcePolicy(ctx context.Context, in *secretsmanager.PutResourcePolicyInput, o ...func(*secretsmanager.Options)) (*secretsmanager.PutResourcePolicyOutput, error) {
	s.put++
	if !aws.ToBool(in.BlockPublicPolicy) {
		s.t.Error("a policy is put that could be public")
	}
	return s.sm.PutResourcePolicy(ctx, in, o...)
}

func (s *accessScene) enforce(always bool, readers ...string) (put bool, err error) {
	s.said, s.put = nil, 0
	a := rotation.Access{Secrets: s, Mayfly: []string{setting}}
	return a.Enforce(s.t.Context(), guarded, always, func(string) blastradius.Options {
		return blastradius.Options{Readers: readers, Current: "current", ExpiresAt: time.Now().Add(time.Hour), RevokeOld: true}
	}, func(event, reason string) error {
		s.said = append(s.said, event)
		return s.fail
	})
}

func (s *accessScene) inForce() string {
	s.t.Helper()
	out, err := s.sm.GetResourcePolicy(s.t.Context(), &secretsmanager.GetResourcePolicyInput{SecretId: aws.String(guarded)})
	if err != nil {
		s.t.Fatal(err)
	}
	return aws.ToString(out.ResourcePolicy)
}

func TestEnforce(t *testing.T) {
	s := newAccessScene(t)
	for _, step := range []struct {
		name    string
		always  bool
		readers []string
		put     int
		said    []string
		allows  bool
	}{
		{"none is in force", false, []string{billing}, 1, []string{"access_restored"}, true},
		{"the same again", false, []string{billing}, 0, nil, true},
		{"the same in a rotation", true, []string{billing}, 1, nil, true},
		{"one reader more", false, []string{billing, worker}, 1, []string{"access_restored"}, true},
		{"one of them does not exist", false, []string{billing, absent}, 2, []string{"access_restored", "access_without_allow"}, false},
		{"still not, in a rotation", true, []string{billing, absent}, 2, []string{"access_without_allow"}, false},
		{"still not, with the next deployment", false, []string{billing, absent}, 2, []string{"access_without_allow"}, false},
		{"nobody but Mayfly", false, nil, 1, []string{"access_restored"}, false},
	} {
		put, err := s.enforce(step.always, step.readers...)
		if err != nil || put != (step.put > 0) || s.put != step.put || !slices.Equal(s.said, step.said) {
			t.Errorf("%s: put %t in %d calls, said %v, %v; want %d calls, %v", step.name, put, s.put, s.said, err, step.put, step.said)
		}
		if allows := strings.Contains(s.inForce(), blastradius.SidServices); allows != step.allows {
			t.Errorf("%s: %s", step.name, s.inForce())
		}
	}
}

// What cannot be put on record is not done; what cannot be compiled is not put.
func TestEnforceStops(t *testing.T) {
	s := newAccessScene(t)
	s.fail = fault.New(fault.AuditUnavailable, "no record")
	if put, err := s.enforce(true, billing); put || fault.CodeOf(err) != fault.AuditUnavailable || s.put > 0 || s.inForce() != "" {
		t.Errorf("%t %v, %s", put, err, s.inForce())
	}
	s.fail = nil
	if put, err := s.enforce(true, "arn:aws:iam::999999999999:role/elsewhere"); put || fault.CodeOf(err) != fault.ContractInvalid || s.inForce() != "" {
		t.Errorf("%t %v, %s", put, err, s.inForce())
	}
	_, err := s.sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String(guarded)})
	if err != nil {
		t.Fatal(err)
	}
	if put, err := s.enforce(true, billing); put || fault.CodeOf(err) != fault.SecretMissing {
		t.Errorf("%t %v", put, err)
	}
}

// shelf is the registry and the audit of an application of contracts; it moves labels between a look and the policy that
// follows from it, as a run under way does.
type shelf struct {
	*secretsmanager.Client
	records []audit.Record
	readers []string
	move    func() // before the next policy is put; nil for nothing
}

func (s *shelf) Append(_ context.Context, h audit.Head, r audit.Record) (audit.Head, error) {
	s.records = append(s.records, r)
	return h, nil
}

func (s *shelf) Apply(_ context.Context, _ contract.Contract, readers, _ []string, _, _ string, _ []string, _, _ time.Time) error {
	s.readers = readers
	return nil
}
func (s *shelf) Withdraw(context.Context, string) error    { return nil }
func (s *shelf) InForce(context.Context) ([]string, error) { return nil, nil }

func (s *shelf) PutResourcePolicy(ctx context.Context, in *secretsmanager.PutResourcePolicyInput, o ...func(*secretsmanager.Options)) (*secretsmanager.PutResourcePolicyOutput, error) {
	if move := s.move; move != nil {
		s.move = nil
		move()
	}
	return s.Client.PutResourcePolicy(ctx, in, o...)
}

// A run that goes behind its commit point while its contract is applied: what is in force in the end names the version in use,
// and gives it its life.
func TestApplyingBesideARun(t *testing.T) {
	scene := newAccessScene(t)
	s := &shelf{Client: scene.sm}
	now := time.Now().UTC().Truncate(time.Second)
	next := "mayfly-a-" + strings.Repeat("2", 32)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.move = func() {
		_, err := s.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(guarded), SecretString: aws.String("w"), ClientRequestToken: &next})
		must(err)
	}
	c := contract.WithDefaults(contract.Contract{Name: "guarded", Environment: "prod", Owner: "team", Services: []string{"billing"}, TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"incident"}, BlastRadius: "minimal"})
	b := contract.Bundle{Contracts: []contract.Contract{c}, Services: []contract.Service{{Name: "billing", Environments: map[string]contract.Placement{"prod": {Role: billing}}}}}
	apply := rotation.ApplyContracts{Log: s, Registry: s, Secrets: s, Rand: rand.Reader, Now: func() time.Time { return now }, Mayfly: []string{setting}}
	_, err := apply.Apply(t.Context(), b, "one")
	must(err)
	expires, ends := blastradius.Dates(scene.inForce())
	if !strings.Contains(scene.inForce(), `"`+next+`"`) || !expires.Equal(now.Add(24*time.Hour)) || !ends.Equal(now.Add(time.Hour)) {
		t.Errorf("in force until %s, overlap until %s: %s", expires, ends, scene.inForce())
	}
	if !slices.Equal(s.readers, []string{billing}) {
		t.Errorf("the registry is told %v", s.readers)
	}
	events := []string{}
	for _, r := range s.records {
		events = append(events, r.Event)
	}
	if !slices.Equal(events, []string{"applied", "access_restored"}) {
		t.Errorf("on record: %v", events)
	}

	// Applied again a while later, nothing is put, so that nothing lives longer for it.
	before := scene.inForce()
	s.move = func() { t.Error("a policy is put again") }
	now = now.Add(time.Hour)
	_, err = apply.Apply(t.Context(), b, "two")
	must(err)
	// With one service more, the value lives as long as before: it is no younger.
	s.move = nil
	b.Services = append(b.Services, contract.Service{Name: "worker", Environments: map[string]contract.Placement{"prod": {Role: worker}}})
	b.Contracts[0].Services = append(b.Contracts[0].Services, "worker")
	_, err = apply.Apply(t.Context(), b, "three")
	must(err)
	if again, _ := blastradius.Dates(scene.inForce()); !again.Equal(expires) || scene.inForce() == before {
		t.Errorf("in force until %s, before until %s: %s", again, expires, scene.inForce())
	}
	b.Services[0].Environments = nil
	if _, err = apply.Apply(t.Context(), b, "four"); fault.CodeOf(err) != fault.ContractInvalid {
		t.Errorf("a service that is not there: %v", err)
	}
}
