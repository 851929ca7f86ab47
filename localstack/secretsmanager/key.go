package secretsmanager

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
