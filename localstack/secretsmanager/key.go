package secretsmanager

import (
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Keys is what Secrets Manager asks of KMS. Values themselves are not encrypted here: what counts is who may.
type Keys struct {
	Usable  func(key string) bool                                                         // kms.Service.Usable
	Permits func(call *stack.Call, key, action string, encryption map[string]string) bool // authorization.Authorizer.Permits
}

// Key returns the KMS key under which a secret is encrypted, as it was given (id, ARN or alias); "" for the account's own
// key aws/secretsmanager, and if there is no such secret.
func (s *Service) Key(secretID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec, err := s.find(secretID); err == nil {
		return sec.kmsKey
	}
	return ""
}

// keyOf is the key that a request names, "" for the account's own, whose alias every account has.
func keyOf(id string) string {
	if strings.TrimPrefix(id, "arn:aws:kms:"+stack.Region+":"+stack.Account+":") == "alias/aws/secretsmanager" {
		return ""
	}
	return id
}

// VersionKeys returns the keys any of which decrypts a version, and its id. The version is chosen as GetSecretValue does: by
// id, by label, or else AWSCURRENT. No keys: there is no such version.
func (s *Service) VersionKeys(secretID, versionID, stage string) (keys []string, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.find(secretID)
	if err != nil {
		return nil, ""
	}
	v := sec.version(versionID)
	if versionID == "" {
		if stage == "" {
			stage = current
		}
		v = sec.holder(stage)
	}
	if v == nil {
		return nil, ""
	}
	return slices.Clone(v.keys), v.id
}

// usable refuses what KMS cannot do any more with a key that is gone or disabled. The codes stand on the page of each
// operation, such as https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (s *Service) usable(code, verb string, keys ...string) error {
	if s.Keys.Usable == nil || slices.ContainsFunc(keys, func(k string) bool { return k == "" || s.Keys.Usable(k) }) {
		return nil
	}
	return &stack.Error{Code: code, Message: "Secrets Manager can't " + verb + " the protected secret text using the provided KMS key. " +
		"Check that the KMS key is available, enabled, and not in an invalid state."}
}

func (s *Service) canEncrypt(key string) error { return s.usable("EncryptionFailure", "encrypt", key) }

// encryptUnder gives a secret another key. What is labelled AWSCURRENT, AWSPENDING or AWSPREVIOUS is encrypted under that
// one too, if the caller may decrypt with a key that it is under and encrypt with the new one; the keys that it was under
// decrypt it all the same. Any other version stays under the old key alone.
//   - https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_update-encryption-key.html
//   - https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
func (s *Service) encryptUnder(call *stack.Call, sec *secret, key string) {
	sec.kmsKey = key
	for _, v := range sec.versions {
		if slices.Contains(v.keys, key) || !slices.ContainsFunc(v.stages, func(l string) bool { return l == current || l == pending || l == previous }) {
			continue
		}
		context := map[string]string{"SecretARN": sec.arn, "SecretVersionId": v.id}
		may := func(key, action string) bool {
			return key == "" || s.Keys.Permits == nil || s.Keys.Permits(call, key, action, context)
		}
		if may(key, "kms:Encrypt") && slices.ContainsFunc(v.keys, func(k string) bool { return may(k, "kms:Decrypt") }) {
			v.keys = append(v.keys, key)
		}
	}
}
