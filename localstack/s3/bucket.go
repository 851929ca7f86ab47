package s3

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"regexp"
	"sort"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// bucket is a bucket and, per key, its versions with the newest last.
type bucket struct {
	name      string
	created   time.Time
	versioned bool
	locked    bool // Object Lock is enabled
	rule      *defaultRetention
	sse       encryption
	policy    json.RawMessage
	keys      map[string][]*version
	deletions map[string]int // deletes of a key so far, markers included
}

// defaultRetention is what a version without retention of its own gets.
type defaultRetention struct {
	Mode        string
	Days, Years int
}

func (d *defaultRetention) until(now time.Time) time.Time { return now.AddDate(d.Years, 0, d.Days) }

// encryption is data only: the local stack keeps bodies in memory, in clear.
type encryption struct{ algorithm, key, bucketKey, context string }

// version is one version of an object, or a delete marker.
type version struct {
	key, id     string
	marker      bool
	modified    time.Time
	body        []byte
	etag        string // with its quotes
	contentType string
	headers     http.Header // Cache-Control and the like, kept as sent
	metadata    map[string]string
	checksum    checksum
	retention   retention
	hold        bool
	sse         encryption
}

// current is the newest version of a key, delete markers included, or nil.
func (b *bucket) current(key string) *version {
	if vs := b.keys[key]; len(vs) > 0 {
		return vs[len(vs)-1]
	}
	return nil
}

// live is the version that a read without version id sees, or nil: a key whose newest version is a delete marker does
// not exist.
func (b *bucket) live(key string) *version {
	if v := b.current(key); v != nil && !v.marker {
		return v
	}
	return nil
}

func (b *bucket) version(key, id string) *version {
	for _, v := range b.keys[key] {
		if v.id == id {
			return v
		}
	}
	return nil
}

// add appends a version; in a bucket without versions it replaces the one there is, whose id is "null".
func (b *bucket) add(v *version) {
	if !b.versioned {
		v.id = "null"
		b.keys[v.key] = nil
	}
	b.keys[v.key] = append(b.keys[v.key], v)
}

func (b *bucket) remove(v *version) {
	vs := b.keys[v.key]
	for i := range vs {
		if vs[i] == v {
			b.keys[v.key] = append(vs[:i:i], vs[i+1:]...)
			break
		}
	}
	if len(b.keys[v.key]) == 0 {
		delete(b.keys, v.key)
	}
}

func (b *bucket) names() []string {
	names := make([]string, 0, len(b.keys))
	for k := range b.keys {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// bucket finds a bucket; s.mu is held.
func (s *Service) bucket(name string) (*bucket, error) {
	if b, ok := s.buckets[name]; ok {
		return b, nil
	}
	return nil, &stack.Error{Code: "NoSuchBucket", Status: http.StatusNotFound, Message: "The specified bucket does not exist", Fields: map[string]any{"BucketName": name}}
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validName(name string) bool {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`).MatchString(name)
}

func (s *Service) makeBucket(name string, lock bool) (*bucket, error) {
	if !validName(name) {
		return nil, &stack.Error{Code: "InvalidBucketName", Message: "The specified bucket is not valid.", Fields: map[string]any{"BucketName": name}}
	}
	// In us-east-1 creating a bucket that one already owns succeeds and changes nothing.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
	if b, ok := s.buckets[name]; ok {
		return b, nil
	}
	b := &bucket{
		name: name, created: s.clock.Now(), versioned: lock, locked: lock,
		sse:  encryption{algorithm: "AES256"}, // every new object has been encrypted so since January 2023
		keys: map[string][]*version{}, deletions: map[string]int{},
	}
	s.buckets[name] = b
	return b, nil
}

func (s *Service) createBucket(r *request) (stack.Reply, error) {
	var in struct {
		LocationConstraint string
	}
	if len(r.call.Body) > 0 {
		if err := xml.Unmarshal(r.call.Body, &in); err != nil {
			return stack.Reply{}, malformed()
		}
	}
	if in.LocationConstraint != "" && in.LocationConstraint != stack.Region {
		return stack.Reply{}, &stack.Error{Code: "IllegalLocationConstraintException", Message: "The " + in.LocationConstraint + " location constraint is incompatible for the region specific endpoint this request was sent to."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.makeBucket(r.bucket, r.header.Get("x-amz-bucket-object-lock-enabled") == "true"); err != nil {
		return stack.Reply{}, err
	}
	return stack.Reply{Status: http.StatusOK, Header: http.Header{"Location": {"/" + r.bucket}}}, nil
}

func malformed() error {
	return &stack.Error{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema"}
}

func (s *Service) headBucket(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.bucket(r.bucket); err != nil {
		return stack.Reply{}, err
	}
	return stack.Reply{Status: http.StatusOK, Header: http.Header{"X-Amz-Bucket-Region": {stack.Region}}}, nil
}

type owner struct {
	ID          string
	DisplayName string
}

func theOwner() *owner { return &owner{ID: stack.Account, DisplayName: "local"} }

func (s *Service) listBuckets(*request) (stack.Reply, error) {
	type entry struct {
		Name, CreationDate string
	}
	out := struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Xmlns   string   `xml:"xmlns,attr"`
		Owner   *owner
		Buckets struct{ Bucket []entry }
	}{Xmlns: namespace, Owner: theOwner()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range s.buckets {
		out.Buckets.Bucket = append(out.Buckets.Bucket, entry{name, b.created.Format(iso)})
	}
	sort.Slice(out.Buckets.Bucket, func(i, j int) bool { return out.Buckets.Bucket[i].Name < out.Buckets.Bucket[j].Name })
	return xmlReply(out)
}

// getBucketLocation answers null for us-east-1, as AWS does.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
func (s *Service) getBucketLocation(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.bucket(r.bucket); err != nil {
		return stack.Reply{}, err
	}
	return xmlReply(struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Xmlns   string   `xml:"xmlns,attr"`
	}{Xmlns: namespace})
}

func (s *Service) getBucketVersioning(r *request) (stack.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	out := struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Xmlns   string   `xml:"xmlns,attr"`
		Status  string   `xml:",omitempty"`
	}{Xmlns: namespace}
	if b.versioned {
		out.Status = "Enabled"
	}
	return xmlReply(out)
}

// Object is one version as it lies in a bucket. A delete marker has no body.
type Object struct {
	Key, VersionID string
	DeleteMarker   bool
	Body           []byte
	ContentType    string
	Metadata       map[string]string
	Modified       time.Time
	LockMode       string    // COMPLIANCE, GOVERNANCE or ""
	RetainUntil    time.Time // zero without retention
}

// Objects lists every version in a bucket with its body, by key, oldest version first. A bucket that does not exist has
// none.
func (s *Service) Objects(name string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets[name]
	if !ok {
		return nil
	}
	var all []Object
	for _, key := range b.names() {
		for _, v := range b.keys[key] {
			all = append(all, Object{
				Key: v.key, VersionID: v.id, DeleteMarker: v.marker, Body: append([]byte(nil), v.body...), ContentType: v.contentType,
				Metadata: v.metadata, Modified: v.modified, LockMode: v.retention.mode, RetainUntil: v.retention.until,
			})
		}
	}
	return all
}

// Buckets lists the names of all buckets.
func (s *Service) Buckets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.buckets))
	for name := range s.buckets {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Policy is the bucket's resource policy, or nil where it has none.
func (s *Service) Policy(name string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[name]; ok {
		return b.policy
	}
	return nil
}
