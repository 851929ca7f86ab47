package s3

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// scope is what a path addresses.
type scope int

const (
	account scope = iota
	aBucket
	anObject
)

// route is one operation and how a request names it.
type route struct {
	method      string
	scope       scope
	subresource string // query parameter that selects the operation, or ""
	operation   string
	serve       func(*Service, *request) (stack.Reply, error)
	query       []string // further query parameters that it honours
}

// routes lists the operations; of those whose method and scope fit, the one whose subresource the query has is meant.
func routes() []route {
	return []route{
		{http.MethodGet, account, "", "ListBuckets", (*Service).listBuckets, nil},
		{http.MethodPut, aBucket, "", "CreateBucket", (*Service).createBucket, nil},
		{http.MethodHead, aBucket, "", "HeadBucket", (*Service).headBucket, nil},
		{http.MethodGet, aBucket, "location", "GetBucketLocation", (*Service).getBucketLocation, nil},
		{http.MethodGet, aBucket, "versioning", "GetBucketVersioning", (*Service).getBucketVersioning, nil},
		{http.MethodGet, aBucket, "object-lock", "GetObjectLockConfiguration", (*Service).getObjectLockConfiguration, nil},
		{http.MethodGet, aBucket, "list-type", "ListObjectsV2", (*Service).listObjectsV2, []string{"prefix", "delimiter", "start-after", "continuation-token", "max-keys", "encoding-type", "fetch-owner"}},
		{http.MethodGet, aBucket, "versions", "ListObjectVersions", (*Service).listObjectVersions, []string{"prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"}},
		{http.MethodPost, aBucket, "delete", "DeleteObjects", (*Service).deleteObjects, nil},
		{http.MethodPut, anObject, "", "PutObject", (*Service).putObject, nil},
		{http.MethodPut, anObject, "retention", "PutObjectRetention", (*Service).putObjectRetention, []string{"versionId"}},
		{http.MethodPut, anObject, "legal-hold", "PutObjectLegalHold", (*Service).putObjectLegalHold, []string{"versionId"}},
		{http.MethodGet, anObject, "retention", "GetObjectRetention", (*Service).getObjectRetention, []string{"versionId"}},
		{http.MethodGet, anObject, "legal-hold", "GetObjectLegalHold", (*Service).getObjectLegalHold, []string{"versionId"}},
		{http.MethodGet, anObject, "", "GetObject", (*Service).getObject, []string{"versionId"}},
		{http.MethodHead, anObject, "", "HeadObject", (*Service).getObject, []string{"versionId"}},
		{http.MethodDelete, anObject, "", "DeleteObject", (*Service).deleteObject, []string{"versionId"}},
	}
}

// address is where a request points.
type address struct {
	route  route
	bucket string
	key    string
	query  url.Values
}

func (a *address) versionID() string { return a.query.Get("versionId") }

// find takes the address apart and looks its operation up.
func find(r *http.Request) (address, error) {
	a := address{query: r.URL.Query()}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if host, ok := strings.CutSuffix(hostname(r.Host), ".localhost"); ok {
		path = host + "/" + path
	}
	name, key, _ := strings.Cut(path, "/")
	var err error
	if a.bucket, err = url.PathUnescape(name); err == nil {
		a.key, err = url.PathUnescape(key)
	}
	if err != nil {
		return a, &stack.Error{Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
	}
	where := account
	switch {
	case a.key != "":
		where = anObject
	case a.bucket != "":
		where = aBucket
	}
	found := false
	for _, c := range routes() {
		if c.method != r.Method || c.scope != where {
			continue
		}
		if c.subresource != "" && a.query.Has(c.subresource) {
			a.route, found = c, true
			break
		}
		if c.subresource == "" {
			a.route, found = c, true
		}
	}
	if !found {
		return a, notImplemented(fmt.Sprintf("the local stack has no S3 operation %s /%s?%s", r.Method, path, r.URL.RawQuery))
	}
	return a, nil
}

func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// Headers that mean something here. The checksum, lock, encryption and metadata headers are families.
func knownHeader(name string) bool {
	for _, family := range []string{"x-amz-checksum-", "x-amz-object-lock-", "x-amz-server-side-encryption", "x-amz-meta-"} {
		if strings.HasPrefix(name, family) {
			return !strings.Contains(name, "customer-") // SSE-C is not here
		}
	}
	return slices.Contains([]string{
		"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent", // signature and SDK
		"x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length",
		"x-amz-bypass-governance-retention", "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership",
		"x-amz-expected-bucket-owner", "x-amz-storage-class",
	}, name)
}

// check refuses what this S3 would otherwise pass over in silence.
func (a *address) check(r *http.Request) error {
	for name := range a.query {
		if name != "x-id" && name != a.route.subresource && !slices.Contains(a.route.query, name) {
			return notImplemented(fmt.Sprintf("the local stack's %s does not know the query parameter %q", a.route.operation, name))
		}
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !knownHeader(lower) || lower == "if-modified-since" || lower == "if-unmodified-since" {
			return &stack.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "A header you provided implies functionality that is not implemented", Fields: map[string]any{"Header": name}}
		}
	}
	if class := r.Header.Get("x-amz-storage-class"); class != "" && class != "STANDARD" {
		return &stack.Error{Code: "InvalidStorageClass", Message: "The storage class you specified is not valid"}
	}
	if owner := r.Header.Get("x-amz-expected-bucket-owner"); owner != "" && owner != stack.Account {
		return denied("Access Denied")
	}
	return nil
}

func notImplemented(message string) error {
	return &stack.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: message}
}

func denied(message string) error {
	return &stack.Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: message}
}
