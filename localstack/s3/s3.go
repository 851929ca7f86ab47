// Package s3 is Amazon S3 as far as the audit bucket needs it: versions, Object Lock that really refuses, conditional
// writes and checksums, over the REST XML protocol with path-style addresses (and bucket.localhost).
//
// Operations: CreateBucket, HeadBucket, ListBuckets, GetBucketLocation, GetBucketVersioning, GetObjectLockConfiguration,
// PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, ListObjectsV2, ListObjectVersions, GetObjectRetention,
// PutObjectRetention, GetObjectLegalHold, PutObjectLegalHold. Everything else, and every x-amz- header or query
// parameter not known here, is answered NotImplemented as S3 itself does with headers it does not implement.
//
// Left out: multipart uploads, copies, ACLs, tags on objects, lifecycle (kept as data), suspended versioning.
//
// Pages: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html,
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html,
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html,
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html,
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service holds every bucket in memory.
type Service struct {
	clock *stack.Clock
	ids   func() string

	mu      sync.Mutex
	buckets map[string]*bucket
}

// New makes an S3 without buckets. Retention dates are compared with clock.
func New(clock *stack.Clock) *Service {
	return &Service{clock: clock, ids: newID, buckets: map[string]*bucket{}}
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read aborts the program instead
	return hex.EncodeToString(b)
}

// Name is the signing name.
func (s *Service) Name() string { return "s3" }

// Operation names the operation by method, by bucket or object address, and by the subresource in the query.
func (s *Service) Operation(r *http.Request, _ []byte) (string, error) {
	at, err := find(r)
	if err != nil {
		return "", err
	}
	return at.route.operation, nil
}

// Serve carries the operation out.
func (s *Service) Serve(ctx context.Context, call *stack.Call) stack.Reply {
	at, err := find(call.Request)
	if err == nil {
		err = at.check(call.Request)
	}
	var reply stack.Reply
	if err == nil {
		reply, err = at.route.serve(s, &request{address: at, call: call, header: call.Request.Header})
	}
	if err != nil {
		reply = s.Fail(err)
		// A HEAD answer has no body, so its errors are told by status alone.
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
		if call.Request.Method == http.MethodHead {
			reply.Body = nil
			reply.Header.Del("Content-Type")
		}
	}
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	if reply.Header.Get("x-amz-request-id") == "" {
		reply.Header.Set("x-amz-request-id", strings.ToUpper(newID()[:16]))
		reply.Header.Set("x-amz-id-2", newID())
	}
	return reply
}

// Fail writes an error in S3's XML form. A field of the error that is an http.Header goes to the answer's headers,
// every other one becomes an element.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (s *Service) Fail(err error) stack.Reply {
	var e *stack.Error
	if !errors.As(err, &e) {
		e = &stack.Error{Code: "InternalError", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	id, host := strings.ToUpper(newID()[:16]), newID()
	h := http.Header{"Content-Type": {"application/xml"}}
	h.Set("x-amz-request-id", id)
	h.Set("x-amz-id-2", host)
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Error>")
	element(&b, "Code", e.Code)
	element(&b, "Message", e.Message)
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if extra, ok := e.Fields[name].(http.Header); ok {
			for k := range extra {
				h.Set(k, extra.Get(k))
			}
			continue
		}
		element(&b, name, fmt.Sprint(e.Fields[name]))
	}
	element(&b, "RequestId", id)
	element(&b, "HostId", host)
	b.WriteString("</Error>")
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return stack.Reply{Status: status, Header: h, Body: b.Bytes(), Code: e.Code}
}

func element(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a bytes.Buffer never fails
	b.WriteString("</" + name + ">")
}

// request is one call with its address taken apart.
type request struct {
	address
	call   *stack.Call
	header http.Header
}

// Headers with a date in them: HTTP's form for Last-Modified, ISO 8601 with milliseconds everywhere else.
const iso = "2006-01-02T15:04:05.000Z"

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func xmlReply(v any) (stack.Reply, error) {
	body, err := xml.Marshal(v)
	if err != nil {
		return stack.Reply{}, err
	}
	h := http.Header{"Content-Type": {"application/xml"}}
	return stack.Reply{Status: http.StatusOK, Header: h, Body: append([]byte(xml.Header), body...)}, nil
}

// namespace of every XML answer but errors.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

func (r *request) limit(name string) (int, error) {
	v := r.query.Get(name)
	if v == "" {
		return 1000, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, &stack.Error{Code: "InvalidArgument", Message: "Provided " + name + " not an integer or within integer range", Fields: map[string]any{"ArgumentName": name, "ArgumentValue": v}}
	}
	return min(n, 1000), nil
}

// encode applies encoding-type=url to a key of a listing.
func (r *request) encode(key string) string {
	if r.query.Get("encoding-type") != "url" {
		return key
	}
	parts := strings.Split(key, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
