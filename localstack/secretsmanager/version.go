package secretsmanager

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// newValue makes a version, yet without id, of a request's value; nil if the request carries none.
func newValue(text *string, binary []byte) (*version, error) {
	switch {
	case text != nil && binary != nil:
		return nil, invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case text == nil && binary == nil:
		return nil, nil
	case text != nil && (len(*text) == 0 || len(*text) > maxValue), text == nil && (len(binary) == 0 || len(binary) > maxValue):
		return nil, &stack.Error{Code: "ValidationException", Message: "1 validation error detected: the secret value failed to satisfy constraint: Member must have length between 1 and 65536"}
	}
	return &version{text: text, binary: binary}, nil
}

func (v *version) same(other *version) bool {
	if (v.text == nil) != (other.text == nil) {
		return false
	}
	if v.text != nil {
		return *v.text == *other.text
	}
	return bytes.Equal(v.binary, other.binary)
}

func checkToken(token string) error {
	if token == "" {
		return invalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	if len(token) < 32 || len(token) > 64 {
		return invalidParameter("ClientRequestToken must be 32-64 characters long.")
	}
	return nil
}

func tokenTaken(token string, sec *secret) error {
	return &stack.Error{Code: "ResourceExistsException",
		Message: "You can't use ClientRequestToken " + token + " because that value is already in use for a version of secret " + sec.arn + "."}
}

// add puts a new version into a secret under some labels, all or nothing.
func (s *Service) add(sec *secret, v *version, labels []string) error {
	if err := sec.canLabel(labels); err != nil {
		return err
	}
	if err := s.canEncrypt(sec.kmsKey); err != nil {
		return err
	}
	now := s.clock.Now()
	if !sec.makeRoom(now) {
		return &stack.Error{Code: "LimitExceededException", Message: "You have reached the quota of 100 versions for this secret, and none of them is both without labels and older than 24 hours."}
	}
	v.created, v.keys = now, []string{sec.kmsKey}
	sec.versions = append(sec.versions, v)
	sec.changed = now
	if v.text != nil {
		s.values = append(s.values, *v.text)
	} else {
		s.values = append(s.values, string(v.binary))
	}
	for _, label := range labels {
		s.label(sec, label, v)
	}
	return nil
}

// makeRoom purges what AWS may purge when a secret has 100 versions: the oldest without labels, never within its first
// 24 hours.
func (sec *secret) makeRoom(now time.Time) bool {
	for len(sec.versions) >= maxVersions {
		i := slices.IndexFunc(sec.versions, func(v *version) bool { return len(v.stages) == 0 && now.Sub(v.created) >= 24*time.Hour })
		if i < 0 {
			return false
		}
		sec.versions = slices.Delete(sec.versions, i, i+1)
	}
	return true
}

type putSecretValueInput struct {
	SecretId           string
	ClientRequestToken string
	SecretBinary       []byte
	SecretString       *string
	VersionStages      []string
	RotationToken      string // of a native rotation, which the local stack has not; without effect
}

type putSecretValueOutput struct {
	ARN           string
	Name          string
	VersionId     string
	VersionStages []string
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (s *Service) putSecretValue(ctx context.Context, _ *stack.Call, in *putSecretValueInput) (*putSecretValueOutput, error) {
	value, err := newValue(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	labels, err := newLabels(in.VersionStages)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	v := sec.version(in.ClientRequestToken)
	switch {
	case v == nil:
		// A secret's first version is its current one, whatever labels were asked for.
		if len(sec.versions) == 0 && !slices.Contains(labels, current) {
			labels = append(labels, current)
		}
		v = value
		v.id = in.ClientRequestToken
		if err := s.add(sec, v, labels); err != nil {
			return nil, err
		}
	case !v.same(value):
		return nil, tokenTaken(in.ClientRequestToken, sec)
	default:
		// The same token with the same data does nothing: labels that have moved on in the meantime stay where they are.
	}
	return &putSecretValueOutput{ARN: sec.arn, Name: sec.name, VersionId: v.id, VersionStages: slices.Clone(v.stages)}, nil
}

type getSecretValueInput struct {
	SecretId     string
	VersionId    string
	VersionStage string
}

type secretValue struct {
	ARN           string
	Name          string
	VersionId     string
	VersionStages []string    `json:",omitempty"`
	SecretString  *string     `json:",omitempty"`
	SecretBinary  []byte      `json:",omitempty"`
	CreatedDate   *stack.Time // of the version
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (s *Service) getSecretValue(_ context.Context, _ *stack.Call, in *getSecretValueInput) (*secretValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read(in)
}

func (s *Service) read(in *getSecretValueInput) (*secretValue, error) {
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	var v *version
	if in.VersionId != "" {
		if v = sec.version(in.VersionId); v == nil {
			return nil, &stack.Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret value for VersionId: " + in.VersionId}
		}
		if in.VersionStage != "" && !slices.Contains(v.stages, in.VersionStage) {
			return nil, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
		}
	} else {
		stage := in.VersionStage
		if stage == "" {
			stage = current
		}
		if v = sec.holder(stage); v == nil {
			return nil, &stack.Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret value for staging label: " + stage}
		}
	}
	if err := s.usable("DecryptionFailure", "decrypt", v.keys...); err != nil {
		return nil, err
	}
	sec.accessed = day(s.clock.Now())
	v.accessed = sec.accessed
	return &secretValue{ARN: sec.arn, Name: sec.name, VersionId: v.id, VersionStages: slices.Clone(v.stages),
		SecretString: v.text, SecretBinary: v.binary, CreatedDate: when(v.created)}, nil
}

type listSecretVersionIDsInput struct {
	SecretId          string
	IncludeDeprecated bool
	MaxResults        int
	NextToken         string
}

type listSecretVersionIDsOutput struct {
	ARN       string
	Name      string
	Versions  []versionEntry
	NextToken string `json:",omitempty"`
}

type versionEntry struct {
	VersionId        string
	VersionStages    []string `json:",omitempty"`
	CreatedDate      *stack.Time
	LastAccessedDate *stack.Time `json:",omitempty"`
	KmsKeyIds        []string
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html
func (s *Service) listSecretVersionIDs(_ context.Context, _ *stack.Call, in *listSecretVersionIDsInput) (*listSecretVersionIDsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	all := []versionEntry{}
	for _, v := range sec.versions {
		if len(v.stages) == 0 && !in.IncludeDeprecated {
			continue
		}
		all = append(all, versionEntry{VersionId: v.id, VersionStages: slices.Clone(v.stages), CreatedDate: when(v.created),
			LastAccessedDate: when(v.accessed), KmsKeyIds: v.keyIDs()})
	}
	page, next, err := paginate(all, in.MaxResults, in.NextToken)
	return &listSecretVersionIDsOutput{ARN: sec.arn, Name: sec.name, Versions: page, NextToken: next}, err
}

// keyIDs are the keys of a version as ListSecretVersionIds tells them. That it tells of several where the secret's key was
// changed is an inference from https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretVersionsListEntry.html
func (v *version) keyIDs() []string {
	out := slices.Clone(v.keys)
	for i, k := range out {
		if k == "" {
			out[i] = "DefaultEncryptionKey"
		}
	}
	return out
}
