package s3

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
)

// Object reads an object, or one version of it, for a service that does so with a role that was handed to it. The body
// is shared: it is not to be changed. Its error is a *stack.Error.
func (s *Service) Object(name, key, versionID string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return nil, err
	}
	v := b.live(key)
	if versionID != "" {
		v = b.version(key, versionID)
	}
	if v == nil || v.marker {
		return nil, noSuchKey(key)
	}
	return v.body, nil
}

// Store writes an object for such a service, encrypted as the bucket says. The body is kept. Its error is a *stack.Error.
func (s *Service) Store(name, key, contentType string, body []byte) error {
	u, err := s.begin(name, key, http.Header{})
	if err != nil {
		return err
	}
	tag := md5.Sum(body)
	return s.commit(u, &version{
		key: key, body: body, etag: `"` + hex.EncodeToString(tag[:]) + `"`, checksum: checksum{"crc64nvme", sum("crc64nvme", body)}, contentType: contentType,
		metadata: map[string]string{}, headers: http.Header{},
	}, true)
}
