package inspection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// ProbeAccess reads as others would: as a stranger whom IAM lets read every secret, so that only the secret's own policy keeps
// it out; as each declared service; as the same services of other environments; by the ids of versions that are over. What it
// sees is evidence: a record for each secret, once a day. It keeps no value that it is given, not even for as long as it takes
// to look at it.
type ProbeAccess struct {
	Journal *Journal
	Secrets interface {
		authority.Describer
		authority.Lister
	}
	Stranger string // ARN of the role that no contract declares
	// Assume gives a client of Secrets Manager in a role; ErrNotTrusted where the role does not let Mayfly take it.
	Assume func(ctx context.Context, role string) (authority.Reader, error)
}

// ErrNotTrusted says that a role's trust policy does not let Mayfly take it, so that nothing can be tried in it.
var ErrNotTrusted = errors.New("the role's trust policy does not let Mayfly take it")

// Answer is what came of an attempt to read.
type Answer string

// The answers.
const (
	Allowed   Answer = "allowed"
	Refused   Answer = "refused"
	NoAttempt Answer = "untried"
)

// Attempt is one way to read a secret, what has to come of it, and what came.
type Attempt struct {
	Role    string // ARN
	Version string // "" is what a service reads
	Want    Answer
	Got     Answer
	Why     string // of an attempt that could not be made
}

// Handle probes the secrets of a batch.
func (s *ProbeAccess) Handle(ctx context.Context, b Batch) (Report, error) {
	roles := &sessions{assume: s.Assume, taken: map[string]taken{}}
	return s.Journal.each(ctx, b, func(standing registry.Standing) (int, error) {
		id := standing.Contract.ID()
		secret, err := authority.Describe(ctx, s.Secrets, id)
		if fault.CodeOf(err) == fault.SecretMissing || authority.Denied(err) || err == nil && secret.Current == "" {
			return 0, nil // InspectSecrets has found that
		}
		if err != nil {
			return 0, err
		}
		versions, err := authority.Versions(ctx, s.Secrets, id)
		if err != nil {
			return 0, err
		}
		attempts := Attempts(standing, secret, versions, s.Stranger, b.Context.Now())
		for i := range attempts {
			if err := roles.try(ctx, id, &attempts[i]); err != nil {
				return 0, err
			}
		}
		rec := record(b.Context, standing, probeID(b, id), EventProbed)
		rec.VersionFrom, rec.Outcome, rec.Reason = secret.Current, string(sum(attempts)), said(attempts)
		if _, err := s.Journal.Log.Append(ctx, standing.Head, rec); err != nil {
			return 0, err
		}
		findings := Breaches(attempts)
		return len(findings), s.Journal.settle(ctx, b.Context, standing, secret, findings, func(Repair) error { return nil })
	})
}

// Attempts are the ways to read a secret that are worth trying: one for each sentence of its resource policy.
func Attempts(s registry.Standing, secret authority.Secret, versions []string, stranger string, now time.Time) []Attempt {
	p, _ := policy.Check(secret.Tags, s.Contract)
	expires := instant(secret.Tags[policy.Prefix+policy.TagExpiresAt])
	own := Allowed
	if !expires.IsZero() && !now.Before(expires) && p.OnExpiry != contract.Keep {
		own = Refused
	}
	attempts := []Attempt{{Role: stranger, Want: Refused}}
	for _, role := range s.Readers {
		attempts = append(attempts, Attempt{Role: role, Want: own})
	}
	for _, role := range s.Elsewhere {
		attempts = append(attempts, Attempt{Role: role, Want: Refused})
	}
	if !revokes(s, secret) || len(s.Readers) == 0 {
		return attempts
	}
	for _, version := range over(secret, versions) {
		attempts = append(attempts, Attempt{Role: s.Readers[0], Version: version, Want: Refused})
	}
	return attempts
}

// over are the versions that nobody may read any more and that are worth trying: the one before the one in use, and the newest
// without a label.
func over(secret authority.Secret, versions []string) []string {
	var list []string
	if secret.Previous != "" {
		list = append(list, secret.Previous)
	}
	labelled := []string{secret.Current, secret.Previous, secret.Pending}
	if i := slices.IndexFunc(versions, func(v string) bool { return !slices.Contains(labelled, v) }); i >= 0 {
		list = append(list, versions[i])
	}
	return list
}

// Breaches finds, in what came of the attempts, what must not have come of them.
func Breaches(attempts []Attempt) []Finding {
	var wrong []Attempt
	for _, a := range attempts {
		if a.Got != a.Want && a.Got != NoAttempt {
			wrong = append(wrong, a)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return []Finding{{Code: ProbeFailed, Detail: identity(said(wrong)), Type: trigger.Incident, Reason: "reading was tried: " + said(wrong)}}
}

// sum is the outcome of the record: failed if one attempt came out otherwise than it must, untried if none could be made.
func sum(attempts []Attempt) Answer {
	switch {
	case len(Breaches(attempts)) > 0:
		return "failed"
	case !slices.ContainsFunc(attempts, func(a Attempt) bool { return a.Got != NoAttempt }):
		return NoAttempt
	default:
		return "passed"
	}
}

// said writes attempts for a record, those that came out wrong first.
func said(attempts []Attempt) string {
	sorted := slices.Clone(attempts)
	slices.SortStableFunc(sorted, func(a, b Attempt) int {
		wrong := func(a Attempt) int {
			if a.Got != a.Want && a.Got != NoAttempt {
				return 0
			}
			return 1
		}
		return wrong(a) - wrong(b)
	})
	lines := make([]string, len(sorted))
	for i, a := range sorted {
		line := contract.RoleName(a.Role)
		if a.Version != "" {
			line += " by version " + a.Version
		}
		line += ": " + string(a.Got)
		if a.Got != a.Want && a.Got != NoAttempt {
			line += ", and must be " + string(a.Want)
		}
		if a.Why != "" {
			line += " (" + a.Why + ")"
		}
		lines[i] = line
	}
	return clip(strings.Join(lines, "; "), 4000)
}

func probeID(b Batch, secret string) string {
	sum := sha256.Sum256([]byte(b.Context.Execution.ID + "\x00" + EventProbed + "\x00" + secret))
	return hex.EncodeToString(sum[:16])
}

// sessions are the roles that one batch has taken.
type sessions struct {
	assume func(ctx context.Context, role string) (authority.Reader, error)
	mu     sync.Mutex
	taken  map[string]taken
}

type taken struct {
	secrets authority.Reader
	err     error
}

func (s *sessions) of(ctx context.Context, role string) (authority.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.taken[role]
	if !known {
		t.secrets, t.err = s.assume(ctx, role)
		s.taken[role] = t
	}
	return t.secrets, t.err
}

// try makes one attempt. What is read is dropped in the answer that it came in: nothing here holds it. Errors are those that
// say nothing about access, such as throttling.
func (s *sessions) try(ctx context.Context, secret string, a *Attempt) error {
	client, err := s.of(ctx, a.Role)
	if errors.Is(err, ErrNotTrusted) {
		a.Got, a.Why = NoAttempt, err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &secret}
	if a.Version != "" {
		in.VersionId = &a.Version
	}
	_, err = client.GetSecretValue(ctx, in)
	var api smithy.APIError
	switch {
	case err == nil:
		a.Got = Allowed
	case authority.Denied(err):
		a.Got = Refused
	case errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException":
		a.Got, a.Why = NoAttempt, "the version is gone"
	default:
		return fault.Wrap(err, fault.AuthorityUnavailable, "read %s as %s", secret, a.Role)
	}
	return nil
}
