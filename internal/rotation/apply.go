package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// ApplyContracts brings contracts into force: on every deployment, through a custom resource, and by hand. Applying the
// same contracts again changes nothing, so it is also how a lost registry is rebuilt.
type ApplyContracts struct {
	Log      Log
	Registry interface {
		Apply(ctx context.Context, c contract.Contract, readers, elsewhere []string, digest, commit string, keys []string, dueAt, now time.Time) error
		Withdraw(ctx context.Context, secret string) error
		InForce(ctx context.Context) ([]string, error)
	}
	Secrets interface {
		authority.Describer
		authority.Tagger
		authority.PolicyKeeper
		CreateSecret(ctx context.Context, in *secretsmanager.CreateSecretInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	}
	Keys       Keys     // zero: keys and grants are left as they are
	Mayfly     []string // ARNs of the roles of Mayfly's functions that read
	BreakGlass string   // ARN of the role for emergencies; "" for none
	Rand       io.Reader
	Now        func() time.Time
	Source     string // who applies: "aws.cloudformation", "cli"
	Actor      string // the principal, where one is known
}

// Events of this function.
const (
	EventApplied   = "applied"
	EventWithdrawn = "withdrawn"
)

// Applied says what an application of contracts did.
type Applied struct {
	InForce   []string `json:"in_force"`
	Created   []string `json:"created,omitempty"`   // secrets that were not there before
	Withdrawn []string `json:"withdrawn,omitempty"` // contracts that were in force and are no more; their secrets stay
}

// Compiled applies a compiled file of contracts. One that does not hold is refused as a whole, and on record.
func (s *ApplyContracts) Compiled(ctx context.Context, file []byte, request string) (Applied, error) {
	b, err := contract.Read(file)
	if err == nil {
		return s.Apply(ctx, b, request)
	}
	rec := s.record(request, EventRefused, audit.NoEnvironment, audit.NoSecret, s.Now().UTC())
	rec.Outcome, rec.ReasonCode, rec.Reason = audit.FailedClean, string(fault.CodeOf(err)), err.Error()
	if _, noted := s.Log.Append(ctx, audit.Head{}, rec); noted != nil {
		return Applied{}, noted
	}
	return Applied{}, err
}

// Apply goes through all contracts, and reports every one that failed, not only the first.
func (s *ApplyContracts) Apply(ctx context.Context, b contract.Bundle, request string) (Applied, error) {
	before, err := s.Registry.InForce(ctx)
	if err != nil {
		return Applied{}, err
	}
	var done Applied
	var failed []error
	for _, c := range b.Contracts {
		created, err := s.one(ctx, c, b, request)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		done.InForce = append(done.InForce, c.ID())
		if created {
			done.Created = append(done.Created, c.ID())
		}
	}
	for _, secret := range before {
		if _, there := b.Find(secret); there {
			continue
		}
		if err := s.withdraw(ctx, secret, b.Commit, request); err != nil {
			failed = append(failed, err)
			continue
		}
		done.Withdrawn = append(done.Withdrawn, secret)
	}
	return done, errors.Join(failed...)
}

// one puts one contract in force: on record first, then the secret and who reads it, then the index that leads to it.
func (s *ApplyContracts) one(ctx context.Context, c contract.Contract, b contract.Bundle, request string) (created bool, err error) {
	now := s.Now().UTC()
	initial, err := policy.Initial(c)
	if err != nil {
		return false, err
	}
	readers, err := blastradius.DeclaredRoles(c, b.Services)
	if err != nil {
		return false, err
	}
	rec := s.record(request, EventApplied, c.Environment, c.ID(), now)
	rec.Owner, rec.Services, rec.Compliance = c.Owner, strings.Join(c.Services, ","), Compliance(c.Compliance)
	rec.ContractDigest, rec.ContractCommit, rec.PolicyDigest = contract.Digest(c), b.Commit, initial.Digest()
	head, err := s.Log.Append(ctx, audit.Head{}, rec)
	if err != nil {
		return false, err
	}
	secret, err := authority.Describe(ctx, s.Secrets, c.ID())
	if fault.CodeOf(err) == fault.SecretMissing {
		if secret, err = s.create(ctx, c, initial, now); err != nil {
			return false, err
		}
		created = true
	} else if err == nil {
		err = s.mark(ctx, c, initial, secret.Tags)
	}
	if err != nil {
		return created, err
	}
	say := func(event, reason string) error {
		if created && event == EventAccessRestored { // it has no policy yet, of course
			return nil
		}
		rec.ID, rec.Event, rec.Reason = s.record(request, event, c.Environment, c.ID(), now).ID, event, reason
		head, err = s.Log.Append(ctx, head, rec)
		return err
	}
	if err := s.guard(ctx, c, initial, readers, secret, now, created, say); err != nil {
		return created, err
	}
	if err := s.Keys.Enforce(ctx, c.ID(), c.KMSKey, readers, secret, say); err != nil {
		return created, err
	}
	return created, s.Registry.Apply(ctx, c, readers, blastradius.RolesElsewhere(c, b.Services), contract.Digest(c), b.Commit, contract.Keys(c, b.Services), firstDue(c, initial, secret.Tags, now), now)
}

// guard puts the resource policy of a secret in force where the one in force is another one. A run may have gone behind its
// commit point since the secret was described: what was put then names the version before. So it is described again, until
// policy and labels agree.
func (s *ApplyContracts) guard(ctx context.Context, c contract.Contract, initial policy.Policy, readers []string, secret authority.Secret, now time.Time, created bool, say func(event, reason string) error) error {
	access := Access{Secrets: s.Secrets, Mayfly: s.Mayfly, BreakGlass: s.BreakGlass}
	for again := false; ; again = true {
		put, err := access.Enforce(ctx, c.ID(), again, func(inForce string) blastradius.Options {
			p, err := policy.FromTags(secret.Tags, c)
			if err != nil {
				p = initial
			}
			if again { // what is in force is what was put a moment ago
				inForce = ""
			}
			o := standing(secret, p, inForce, now)
			o.Readers = readers
			return o
		}, say)
		if err != nil || !put || created {
			return err
		}
		is, err := authority.Describe(ctx, s.Secrets, c.ID())
		if err != nil || is.Current == secret.Current {
			return err
		}
		secret = is
	}
}

// create makes a secret that is missing. A value without a target is generated here. A credential is not: it would be
// readable before the target honours it; its first run makes it, and is due at once.
func (s *ApplyContracts) create(ctx context.Context, c contract.Contract, initial policy.Policy, now time.Time) (authority.Secret, error) {
	tags := initial.Tags()
	made := authority.Secret{Tags: tags}
	tags[policy.Prefix+policy.TagOwner], tags[policy.Prefix+policy.TagEnvironment] = c.Owner, c.Environment
	in := &secretsmanager.CreateSecretInput{Name: aws.String(c.ID()), Description: aws.String("Under contract with Mayfly; owner " + c.Owner)}
	if c.KMSKey != "" {
		in.KmsKeyId = aws.String(c.KMSKey)
	}
	if c.Kind == contract.Random {
		value, err := credential.Compose(nil, "", s.Rand)
		if err != nil {
			return made, err
		}
		token := credential.Token("apply "+c.ID(), credential.SlotSingle)
		in.SecretString, in.ClientRequestToken = aws.String(value.Reveal()), aws.String(token)
		made.Current = token
		tags[policy.Prefix+policy.TagVersion] = token
		tags[policy.Prefix+policy.TagRotatedAt] = now.Format(time.RFC3339)
		tags[policy.Prefix+policy.TagExpiresAt] = now.Add(initial.TTL.Std()).Format(time.RFC3339)
	}
	in.Tags = authority.List(tags)
	_, err := s.Secrets.CreateSecret(ctx, in)
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) {
		return made, nil // an attempt whose answer was lost created it
	}
	return made, fault.Wrap(err, fault.AuthorityUnavailable, "create the secret %s", c.ID())
}

// mark tags a secret that was there before: owner and environment, and the initial policy where there is none.
func (s *ApplyContracts) mark(ctx context.Context, c contract.Contract, initial policy.Policy, tags map[string]string) error {
	want := map[string]string{policy.Prefix + policy.TagOwner: c.Owner, policy.Prefix + policy.TagEnvironment: c.Environment}
	if !slices.ContainsFunc(policy.Attributes(), func(a string) bool { _, ok := tags[policy.Prefix+a]; return ok }) {
		for k, v := range initial.Tags() {
			want[k] = v
		}
	}
	for k, v := range want {
		if tags[k] == v {
			delete(want, k)
		}
	}
	if len(want) == 0 {
		return nil
	}
	return authority.Tag(ctx, s.Secrets, c.ID(), want)
}

// firstDue is when the secret is looked at first: when its value will be due, or at once where nothing says how old it is.
func firstDue(c contract.Contract, initial policy.Policy, tags map[string]string, now time.Time) time.Time {
	p, err := policy.FromTags(tags, c)
	if err != nil {
		p = initial
	}
	facts, err := policy.FactsFromTags(tags)
	if err != nil || facts.RotatedAt.IsZero() {
		return now
	}
	return policy.DueAt(p, facts.RotatedAt, c.ID())
}

func (s *ApplyContracts) withdraw(ctx context.Context, secret, commit, request string) error {
	environment, _, _ := strings.Cut(secret, "/")
	rec := s.record(request, EventWithdrawn, environment, secret, s.Now().UTC())
	rec.ContractCommit, rec.Reason = commit, "its contract is no longer among those applied; the secret itself stays"
	if _, err := s.Log.Append(ctx, audit.Head{}, rec); err != nil {
		return err
	}
	return s.Registry.Withdraw(ctx, secret)
}

// record starts a record of this function. The request's id makes a repeated attempt recognise its own record.
func (s *ApplyContracts) record(request, event, environment, secret string, now time.Time) audit.Record {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", request, event, secret))
	return audit.Record{
		ID: hex.EncodeToString(sum[:16]), Time: audit.Stamp(now), Environment: environment, Secret: secret, Event: event,
		Step: "ApplyContracts", TriggerID: request, TriggerSource: s.Source, Actor: s.Actor, Attempt: 1,
	}
}
