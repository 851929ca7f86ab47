package s3

// Encryption tells under which KMS key an object lies, "" if under none, and whether it was encrypted with the bucket's
// key (so that the encryption context is the bucket). Without a key of an object it tells the bucket's default, for a new
// object. exists is false if there is no such bucket, object or version.
func (s *Service) Encryption(name, key, versionID string) (kmsKey string, bucketKey, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets[name]
	if !ok {
		return "", false, false
	}
	e := b.sse
	if key != "" {
		v := b.live(key)
		if versionID != "" {
			v = b.version(key, versionID)
		}
		if v == nil {
			return "", false, false
		}
		e = v.sse
	}
	if e.algorithm != "aws:kms" {
		return "", false, true
	}
	return e.key, e.bucketKey == "true", true
}
