// Package secretsmanager is Secrets Manager of the local stack: labels, tokens, errors and limits as AWS documents them.
//
// Operations: CreateSecret, DescribeSecret, UpdateSecret, DeleteSecret, RestoreSecret, ListSecrets, GetSecretValue,
// BatchGetSecretValue, PutSecretValue, UpdateSecretVersionStage, ListSecretVersionIds, TagResource, UntagResource,
// PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy, GetRandomPassword.
// Resource types: AWS::SecretsManager::Secret, AWS::SecretsManager::ResourcePolicy.
// Left out: native rotation, replication, secrets managed by other services or partners, and encryption itself: which keys
// decrypt which version is kept, and who may use them is for package authorization.
//
// Reference: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html, and for labels
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
package secretsmanager

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Limits: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const (
	maxValue    = 65_536 // bytes
	maxLabels   = 20     // over all versions of a secret
	maxVersions = 100    // per secret; versions without a label make room, but never within their first 24 hours
	maxPolicy   = 20_480 // characters
	maxTags     = 50
	maxSecretID = 2048
)

const (
	current  = "AWSCURRENT"
	pending  = "AWSPENDING"
	previous = "AWSPREVIOUS"
)

// Service is Secrets Manager.
type Service struct {
	stack.JSON
	// Emit gets the native events, each a whole EventBridge envelope, after what it tells of has happened. If nil,
	// there are none. It is called without locks held and must not block.
	Emit func(ctx context.Context, event []byte)
	// Keys is KMS. Where a function of it is nil, every key is there and everybody may use it.
	Keys Keys
	// Principal tells whether a principal of this account exists. If nil, all do.
	Principal func(arn string) bool

	clock *stack.Clock

	mu      sync.Mutex
	secrets map[string]*secret // by name
	values  []string           // every value ever stored
	events  [][]byte           // of the operation in progress
}

type secret struct {
	name, arn, description, kmsKey string
	created, changed               time.Time
	accessed                       time.Time // day; zero if never
	deletion                       time.Time // when it was marked for deletion; zero if it is not
	tags                           []tag
	policy                         string
	versions                       []*version // in order of creation
}

type version struct {
	id       string
	created  time.Time
	accessed time.Time // day; zero if never
	stages   []string  // sorted
	text     *string   // SecretString, or
	binary   []byte    // SecretBinary
	keys     []string  // KMS keys that it is encrypted under, oldest first; "" is aws/secretsmanager
}

type tag struct {
	Key   string
	Value string
}

// New makes an empty Secrets Manager.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, secrets: map[string]*secret{}}
	s.JSON = stack.JSON{Signing: "secretsmanager", Target: "secretsmanager", Version: "1.1", Ops: map[string]stack.Op{
		"CreateSecret":             stack.Handle(s.createSecret),
		"DescribeSecret":           stack.Handle(s.describeSecret),
		"UpdateSecret":             stack.Handle(s.updateSecret),
		"DeleteSecret":             stack.Handle(s.deleteSecret),
		"RestoreSecret":            stack.Handle(s.restoreSecret),
		"ListSecrets":              stack.Handle(s.listSecrets),
		"GetSecretValue":           stack.Handle(s.getSecretValue),
		"BatchGetSecretValue":      stack.Handle(s.batchGetSecretValue),
		"PutSecretValue":           stack.Handle(s.putSecretValue),
		"UpdateSecretVersionStage": stack.Handle(s.updateSecretVersionStage),
		"ListSecretVersionIds":     stack.Handle(s.listSecretVersionIDs),
		"TagResource":              stack.Handle(s.tagResource),
		"UntagResource":            stack.Handle(s.untagResource),
		"PutResourcePolicy":        stack.Handle(s.putResourcePolicy),
		"GetResourcePolicy":        stack.Handle(s.getResourcePolicy),
		"DeleteResourcePolicy":     stack.Handle(s.deleteResourcePolicy),
		"ValidateResourcePolicy":   stack.Handle(s.validateResourcePolicy),
		"GetRandomPassword":        stack.Handle(s.getRandomPassword),
	}}
	return s
}

// Values returns every value that was ever stored, deleted ones included. It is for one test only: the one that looks
// for these values wherever they must not be.
func (s *Service) Values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.values)
}

// Stored returns the text of a version of a secret, AWSCURRENT's where versionID is "", and the version's id, past every policy.
// It is for tests that compare what was served with what is there.
func (s *Service) Stored(secretID, versionID string) (text, id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(secretID)
	if err != nil {
		return "", "", false
	}
	v := sec.holder(current)
	if versionID != "" {
		v = sec.version(versionID)
	}
	if v == nil || v.text == nil {
		return "", "", false
	}
	return *v.text, v.id, true
}

// Guard returns what decides about access to a secret beside the caller's own policies: its full ARN, its resource
// policy ("" if it has none) and its tags. ok is false if there is no such secret.
func (s *Service) Guard(secretID string) (arn, policy string, tags map[string]string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(secretID)
	if err != nil {
		return "", "", nil, false
	}
	tags = map[string]string{}
	for _, t := range sec.tags {
		tags[t.Key] = t.Value
	}
	return sec.arn, sec.policy, tags, true
}

const arnPrefix = "arn:aws:secretsmanager:" + stack.Region + ":" + stack.Account + ":secret:"

// find looks a secret up by name, full ARN or partial ARN (the ARN without its random suffix).
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen
func (s *Service) find(id string) (*secret, error) {
	if id == "" || len(id) > maxSecretID {
		return nil, invalidParameter("SecretId must have 1 to %d characters.", maxSecretID)
	}
	rest, isARN := strings.CutPrefix(id, "arn:aws:secretsmanager:")
	if isARN {
		for _, sec := range s.secrets {
			if sec.arn == id {
				return sec, nil
			}
		}
		id = rest[strings.LastIndex(rest, ":")+1:]
	}
	sec, ok := s.secrets[id]
	if !ok || (isARN && arnPrefix != "arn:aws:secretsmanager:"+strings.TrimSuffix(rest, id)) {
		return nil, &stack.Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return sec, nil
}

// live is find for the operations that a secret marked for deletion refuses.
func (s *Service) live(id string) (*secret, error) {
	sec, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if !sec.deletion.IsZero() {
		return nil, invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return sec, nil
}

func (sec *secret) version(id string) *version {
	for _, v := range sec.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// holder is the version that a label sits on, or nil.
func (sec *secret) holder(label string) *version {
	for _, v := range sec.versions {
		if slices.Contains(v.stages, label) {
			return v
		}
	}
	return nil
}

func (sec *secret) stages() map[string][]string {
	out := map[string][]string{}
	for _, v := range sec.versions {
		if len(v.stages) > 0 {
			out[v.id] = slices.Clone(v.stages)
		}
	}
	return out
}

// day drops the time of day: AWS keeps LastAccessedDate only to the day.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// when is a time for the wire, nil if it is not set.
func when(t time.Time) *stack.Time {
	if t.IsZero() {
		return nil
	}
	return &stack.Time{Time: t}
}

func invalidParameter(format string, args ...any) error {
	return &stack.Error{Code: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

func invalidRequest(format string, args ...any) error {
	return &stack.Error{Code: "InvalidRequestException", Message: fmt.Sprintf(format, args...)}
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// pick draws n characters of an alphabet, each as likely as the others.
func pick(alphabet string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[below(len(alphabet))])
	}
	return b.String()
}

func below(n int) int {
	i, _ := rand.Int(rand.Reader, big.NewInt(int64(n))) // never fails: crypto/rand.Reader aborts the program instead
	return int(i.Int64())
}
