package kms

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
