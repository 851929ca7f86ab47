package s3

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

func noSuchKey(key string) error {
	return &stack.Error{Code: "NoSuchKey", Status: http.StatusNotFound, Message: "The specified key does not exist.", Fields: map[string]any{"Key": key}}
}

// find resolves a key and an optional version id to a version with a body; s.mu is held.
func (s *Service) find(r *request) (*version, error) {
	b, err := s.bucket(r.bucket)
	if err != nil {
		return nil, err
	}
	if id := r.versionID(); id != "" {
		v := b.version(r.key, id)
		switch {
		case v == nil:
			return nil, &stack.Error{Code: "NoSuchVersion", Status: http.StatusNotFound, Message: "The specified version does not exist.", Fields: map[string]any{"Key": r.key, "VersionId": id}}
		case v.marker:
			h := http.Header{"X-Amz-Delete-Marker": {"true"}, "X-Amz-Version-Id": {v.id}, "Allow": {"DELETE"}, "Last-Modified": {httpDate(v.modified)}}
			return nil, &stack.Error{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Message: "The specified method is not allowed against this resource.", Fields: map[string]any{"Method": r.call.Request.Method, "ResourceType": "DeleteMarker", "headers": h}}
		}
		return v, nil
	}
	v := b.current(r.key)
	if v == nil {
		return nil, noSuchKey(r.key)
	}
	if v.marker {
		h := http.Header{"X-Amz-Delete-Marker": {"true"}, "X-Amz-Version-Id": {v.id}}
		return nil, &stack.Error{Code: "NoSuchKey", Status: http.StatusNotFound, Message: "The specified key does not exist.", Fields: map[string]any{"Key": r.key, "headers": h}}
	}
	return v, nil
}

// getObject serves GetObject and HeadObject, which differ in the body alone.
func (s *Service) getObject(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.find(r)
	if err != nil {
		return stack.Reply{}, err
	}
	if tag := r.header.Get("If-Match"); tag != "" && tag != "*" && !sameTag(tag, v.etag) {
		return stack.Reply{}, preconditionFailed("If-Match")
	}
	h := v.describe()
	if tag := r.header.Get("If-None-Match"); tag == "*" || tag != "" && sameTag(tag, v.etag) {
		return stack.Reply{Status: http.StatusNotModified, Header: h}, nil
	}
	body, status := v.body, http.StatusOK
	if spec := r.header.Get("Range"); spec != "" {
		from, to, err := span(spec, len(v.body))
		if err != nil {
			return stack.Reply{}, err
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(v.body)))
		body, status = v.body[from:to], http.StatusPartialContent
	} else if strings.EqualFold(r.header.Get("x-amz-checksum-mode"), "ENABLED") {
		// A part of the object does not have the object's checksum.
		v.digest(h)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.call.Request.Method == http.MethodHead {
		body = nil
	}
	return stack.Reply{Status: status, Header: h, Body: body}, nil
}

func (v *version) describe() http.Header {
	h := v.headers.Clone()
	h.Set("ETag", v.etag)
	h.Set("Content-Type", v.contentType)
	h.Set("Last-Modified", httpDate(v.modified))
	h.Set("Accept-Ranges", "bytes")
	// S3 answers metadata names in lower case; Set would capitalise them, and some clients show what they get.
	for key, value := range v.metadata {
		h["x-amz-meta-"+key] = []string{value}
	}
	v.name(h)
	v.encrypted(h)
	if v.retention.mode != "" {
		h.Set("x-amz-object-lock-mode", v.retention.mode)
		h.Set("x-amz-object-lock-retain-until-date", v.retention.until.Format(iso))
	}
	if v.hold {
		h.Set("x-amz-object-lock-legal-hold", "ON")
	}
	return h
}

// span reads a Range header with one range and gives the half-open interval of bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func span(spec string, size int) (from, to int, err error) {
	refused := &stack.Error{Code: "InvalidRange", Status: http.StatusRequestedRangeNotSatisfiable, Message: "The requested range is not satisfiable", Fields: map[string]any{"RangeRequested": spec, "ActualObjectSize": size}}
	ends, ok := strings.CutPrefix(spec, "bytes=")
	first, last, cut := strings.Cut(ends, "-")
	if !ok || !cut {
		return 0, 0, refused
	}
	to = size
	if first == "" {
		n, err := strconv.Atoi(last)
		if err != nil || n <= 0 || size == 0 {
			return 0, 0, refused
		}
		return max(0, size-n), size, nil
	}
	if from, err = strconv.Atoi(first); err != nil || from >= size {
		return 0, 0, refused
	}
	if last != "" {
		n, err := strconv.Atoi(last)
		if err != nil || n < from {
			return 0, 0, refused
		}
		to = min(n+1, size)
	}
	return from, to, nil
}
