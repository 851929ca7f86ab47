package s3

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// upload is a PutObject between its arrival and its commit.
type upload struct {
	bucket, key          string
	deletions            int // deletes of the key when the upload began
	ifMatch, ifNoneMatch string
}

// begin notes what the key's history was when the upload came in.
func (s *Service) begin(bucket, key string, h http.Header) (*upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	u := &upload{bucket: bucket, key: key, deletions: b.deletions[key], ifMatch: h.Get("If-Match"), ifNoneMatch: h.Get("If-None-Match")}
	if u.ifNoneMatch != "" && u.ifNoneMatch != "*" {
		return nil, notImplemented("A header you provided implies functionality that is not implemented")
	}
	return u, nil
}

// commit is the instant at which the version exists for everybody else. Of concurrent conditional writes the first to
// come here wins and the others see 412; a delete that came in between makes the outcome unclear: 409, to be retried.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (s *Service) commit(u *upload, v *version, vouched bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(u.bucket)
	if err != nil {
		return err
	}
	live := b.live(u.key)
	if u.ifMatch != "" || u.ifNoneMatch != "" {
		if b.deletions[u.key] != u.deletions {
			return &stack.Error{Code: "ConditionalRequestConflict", Status: http.StatusConflict, Message: "The conditional request cannot succeed due to a conflicting operation against this resource.", Fields: map[string]any{"Key": u.key}}
		}
		if err := u.condition(live); err != nil {
			return err
		}
	}
	v.modified = s.clock.Now()
	if err := s.protect(b, v, vouched); err != nil {
		return err
	}
	if v.sse.algorithm == "" {
		v.sse = b.sse
	}
	v.id = s.ids()
	b.add(v)
	return nil
}

func (u *upload) condition(live *version) error {
	switch {
	case u.ifNoneMatch == "*" && live != nil:
		return preconditionFailed("If-None-Match")
	case u.ifMatch != "" && live == nil:
		return noSuchKey(u.key)
	case u.ifMatch != "" && u.ifMatch != "*" && !sameTag(u.ifMatch, live.etag):
		return preconditionFailed("If-Match")
	}
	return nil
}

func sameTag(a, b string) bool { return strings.Trim(a, `"`) == strings.Trim(b, `"`) }

func preconditionFailed(header string) error {
	return &stack.Error{Code: "PreconditionFailed", Status: http.StatusPreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold", Fields: map[string]any{"Condition": header}}
}

func (s *Service) putObject(r *request) (stack.Reply, error) {
	u, err := s.begin(r.bucket, r.key, r.header)
	if err != nil {
		return stack.Reply{}, err
	}
	if len(r.key) > 1024 {
		return stack.Reply{}, &stack.Error{Code: "KeyTooLongError", Message: "Your key is too long"}
	}
	p, err := read(r.call)
	if err != nil {
		return stack.Reply{}, err
	}
	tag := md5.Sum(p.body)
	v := &version{
		key: r.key, body: p.body, etag: `"` + hex.EncodeToString(tag[:]) + `"`, checksum: p.checksum,
		contentType: r.header.Get("Content-Type"), metadata: map[string]string{}, headers: http.Header{},
	}
	if v.contentType == "" {
		v.contentType = "binary/octet-stream"
	}
	v.keep(r.header)
	if v.sse, err = requestedEncryption(r.header); err != nil {
		return stack.Reply{}, err
	}
	if v.retention, err = requestedRetention(r.header, s.clock.Now()); err != nil {
		return stack.Reply{}, err
	}
	if v.hold, err = requestedHold(r.header.Get("x-amz-object-lock-legal-hold")); err != nil {
		return stack.Reply{}, err
	}
	if err := s.commit(u, v, p.vouched); err != nil {
		return stack.Reply{}, err
	}
	h := http.Header{}
	h.Set("ETag", v.etag)
	v.name(h)
	v.digest(h)
	v.encrypted(h)
	return stack.Reply{Status: http.StatusOK, Header: h}, nil
}

// keep stores user metadata and the system headers that come back on a read.
func (v *version) keep(h http.Header) {
	for name := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); ok {
			v.metadata[key] = h.Get(name)
		}
	}
	for _, name := range []string{"Cache-Control", "Content-Disposition", "Content-Language", "Expires"} {
		if value := h.Get(name); value != "" {
			v.headers.Set(name, value)
		}
	}
	// S3 stores the object without the transfer's own coding.
	var codings []string
	for coding := range strings.SplitSeq(h.Get("Content-Encoding"), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			codings = append(codings, coding)
		}
	}
	if len(codings) > 0 {
		v.headers.Set("Content-Encoding", strings.Join(codings, ","))
	}
}

func (v *version) name(h http.Header) {
	if v.id != "null" {
		h.Set("x-amz-version-id", v.id)
	}
}

func (v *version) digest(h http.Header) {
	h.Set(v.checksum.header(), v.checksum.value)
	h.Set("x-amz-checksum-type", "FULL_OBJECT")
}

const sseHeader = "x-amz-server-side-encryption"

// requestedEncryption reads the SSE headers.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
func requestedEncryption(h http.Header) (encryption, error) {
	e := encryption{
		algorithm: h.Get(sseHeader), key: h.Get(sseHeader + "-aws-kms-key-id"),
		bucketKey: h.Get(sseHeader + "-bucket-key-enabled"), context: h.Get(sseHeader + "-context"),
	}
	switch e.algorithm {
	case "", "AES256":
		if e.key != "" {
			return e, &stack.Error{Code: "InvalidArgument", Message: "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"}
		}
	case "aws:kms":
	default:
		return e, &stack.Error{Code: "InvalidArgument", Message: "The encryption method specified is not supported"}
	}
	return e, nil
}

func (v *version) encrypted(h http.Header) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set(sseHeader, v.sse.algorithm)
	set(sseHeader+"-aws-kms-key-id", v.sse.key)
	set(sseHeader+"-bucket-key-enabled", v.sse.bucketKey)
	set(sseHeader+"-context", v.sse.context)
}
