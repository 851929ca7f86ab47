package kms

import (
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Guard returns what decides about access to a key beside the caller's own policies: its ARN and its key policy. The key
// is given by id, ARN, alias or alias ARN; ok is false if there is none.
func (s *Service) Guard(keyID string) (arn, policy string, ok bool) {
	k, err := s.find(keyID)
	if err != nil {
		return "", "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.arn, k.policy, true
}

// KeyOf returns the id of the key that encrypted something; "" for what no key here has encrypted.
func KeyOf(ciphertext []byte) string {
	if len(ciphertext) < idLength {
		return ""
	}
	return string(ciphertext[:idLength])
}

// Usable says whether a symmetric key, given by id, ARN, alias or alias ARN, is there and enabled.
func (s *Service) Usable(keyID string) bool {
	_, err := s.usable(keyID, "ENCRYPT_DECRYPT")
	return err == nil
}

// Existing is a symmetric key that was there before the stack: its ARN is known, and its policy hands the decision to the
// account, as that of a key made with the console does. A key that is there already stays as it is.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func (s *Service) Existing(arn string) error {
	id, ok := strings.CutPrefix(arn, "arn:aws:kms:"+stack.Region+":"+stack.Account+":key/")
	if !ok || len(id) != idLength {
		return fmt.Errorf("%q is not the ARN of a key of account %s in %s", arn, stack.Account, stack.Region)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[id] == nil {
		s.keys[id] = &key{id: id, arn: arn, spec: symmetric, usage: "ENCRYPT_DECRYPT", enabled: true, created: s.clock.Now(), material: bytesOf(32), policy: `{
			"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",
			"Principal":{"AWS":"arn:aws:iam::` + stack.Account + `:root"},"Action":"kms:*","Resource":"*"}]}`}
	}
	return nil
}
