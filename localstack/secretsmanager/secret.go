package secretsmanager

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type named struct {
	ARN  string
	Name string
}

type createSecretInput struct {
	Name               string
	ClientRequestToken string
	Description        string
	KmsKeyId           string
	SecretBinary       []byte
	SecretString       *string
	Tags               []tag
}

type createSecretOutput struct {
	ARN       string
	Name      string
	VersionId string `json:",omitempty"`
}

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (s *Service) createSecret(ctx context.Context, _ *stack.Call, in *createSecretInput) (*createSecretOutput, error) {
	if !validName.MatchString(in.Name) {
		return nil, &stack.Error{Code: "ValidationException", Message: "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"}
	}
	value, err := newValue(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if err := checkToken(in.ClientRequestToken); err != nil {
			return nil, err
		}
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	if old, ok := s.secrets[in.Name]; ok {
		return s.recreate(old, in, value)
	}
	now := s.clock.Now()
	sec := &secret{name: in.Name, arn: arnPrefix + in.Name + "-" + pick(letters+strings.ToUpper(letters)+"0123456789", 6),
		description: in.Description, kmsKey: keyOf(in.KmsKeyId), created: now, changed: now, tags: tags}
	if err := s.canEncrypt(sec.kmsKey); err != nil {
		return nil, err
	}
	out := &createSecretOutput{ARN: sec.arn, Name: sec.name}
	if value != nil {
		value.id = in.ClientRequestToken
		if err := s.add(sec, value, []string{current}); err != nil {
			return nil, err
		}
		out.VersionId = value.id
	}
	s.secrets[sec.name] = sec
	return out, nil
}

// recreate answers a CreateSecret for a name that is taken: the repetition of the call that took it succeeds.
func (s *Service) recreate(old *secret, in *createSecretInput, value *version) (*createSecretOutput, error) {
	if !old.deletion.IsZero() {
		return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if v := old.version(in.ClientRequestToken); value != nil && v != nil && v.same(value) {
		return &createSecretOutput{ARN: old.arn, Name: old.name, VersionId: v.id}, nil
	}
	return nil, &stack.Error{Code: "ResourceExistsException", Message: "The operation failed because the secret " + in.Name + " already exists."}
}

type secretIDInput struct{ SecretId string }

type describeSecretOutput struct {
	ARN                string
	Name               string
	Description        string `json:",omitempty"`
	KmsKeyId           string `json:",omitempty"`
	CreatedDate        *stack.Time
	LastChangedDate    *stack.Time
	LastAccessedDate   *stack.Time         `json:",omitempty"`
	DeletedDate        *stack.Time         `json:",omitempty"`
	Tags               []tag               `json:",omitempty"`
	VersionIdsToStages map[string][]string `json:",omitempty"`
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func (s *Service) describeSecret(_ context.Context, _ *stack.Call, in *secretIDInput) (*describeSecretOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	return &describeSecretOutput{ARN: sec.arn, Name: sec.name, Description: sec.description, KmsKeyId: sec.kmsKey,
		CreatedDate: when(sec.created), LastChangedDate: when(sec.changed), LastAccessedDate: when(sec.accessed),
		DeletedDate: when(sec.deletion), Tags: slices.Clone(sec.tags), VersionIdsToStages: sec.stages()}, nil
}

type updateSecretInput struct {
	SecretId           string
	ClientRequestToken string
	Description        *string
	KmsKeyId           *string
	SecretBinary       []byte
	SecretString       *string
}

type updateSecretOutput struct {
	ARN       string
	Name      string
	VersionId string `json:",omitempty"`
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
func (s *Service) updateSecret(ctx context.Context, call *stack.Call, in *updateSecretInput) (*updateSecretOutput, error) {
	value, err := newValue(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if err := checkToken(in.ClientRequestToken); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	out := &updateSecretOutput{ARN: sec.arn, Name: sec.name}
	if in.KmsKeyId != nil && keyOf(*in.KmsKeyId) != sec.kmsKey {
		if err := s.canEncrypt(keyOf(*in.KmsKeyId)); err != nil {
			return nil, err
		}
		s.encryptUnder(call, sec, keyOf(*in.KmsKeyId))
	}
	if value != nil {
		// Unlike PutSecretValue, UpdateSecret refuses a token that it has seen even with the same data.
		if sec.version(in.ClientRequestToken) != nil {
			return nil, tokenTaken(in.ClientRequestToken, sec)
		}
		value.id = in.ClientRequestToken
		if err := s.add(sec, value, []string{current}); err != nil {
			return nil, err
		}
		out.VersionId = value.id
	}
	if in.Description != nil {
		sec.description = *in.Description
	}
	sec.changed = s.clock.Now()
	return out, nil
}

type deleteSecretInput struct {
	SecretId                   string
	ForceDeleteWithoutRecovery bool
	RecoveryWindowInDays       *int
}

type deleteSecretOutput struct {
	ARN          string
	Name         string
	DeletionDate *stack.Time
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
func (s *Service) deleteSecret(_ context.Context, _ *stack.Call, in *deleteSecretInput) (*deleteSecretOutput, error) {
	if in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil {
		return nil, invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	}
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, invalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if in.ForceDeleteWithoutRecovery {
		sec, err := s.find(in.SecretId)
		if err != nil {
			// Force deletion of a secret that does not exist succeeds, as documented.
			return &deleteSecretOutput{ARN: arnPrefix + in.SecretId, Name: in.SecretId, DeletionDate: when(now)}, nil
		}
		delete(s.secrets, sec.name)
		return &deleteSecretOutput{ARN: sec.arn, Name: sec.name, DeletionDate: when(now)}, nil
	}
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	window := time.Duration(days) * 24 * time.Hour
	sec.deletion = now
	s.clock.AfterFunc(window, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Restored, or restored and marked again, since then: another timer's business.
		if s.secrets[sec.name] == sec && sec.deletion.Equal(now) {
			delete(s.secrets, sec.name)
		}
	})
	return &deleteSecretOutput{ARN: sec.arn, Name: sec.name, DeletionDate: when(now.Add(window))}, nil
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html
func (s *Service) restoreSecret(_ context.Context, _ *stack.Call, in *secretIDInput) (*named, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	sec.deletion = time.Time{}
	return &named{sec.arn, sec.name}, nil
}
