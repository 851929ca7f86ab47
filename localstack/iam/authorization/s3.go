package authorization

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// objectRequest is a request of S3, its address taken apart.
type objectRequest struct {
	call        *stack.Call
	bucket, key string
	query       url.Values
	header      http.Header
}

// readS3 takes an address in either style apart: /bucket/key, or bucket.localhost/key.
func readS3(call *stack.Call) (*objectRequest, error) {
	r := &objectRequest{call: call, query: call.Request.URL.Query(), header: call.Request.Header}
	path := strings.TrimPrefix(call.Request.URL.EscapedPath(), "/")
	host := call.Request.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if bucket, ok := strings.CutSuffix(host, ".localhost"); ok {
		path = bucket + "/" + path
	}
	bucket, key, _ := strings.Cut(path, "/")
	var err error
	if r.bucket, err = url.PathUnescape(bucket); err == nil {
		r.key, err = url.PathUnescape(key)
	}
	if err != nil {
		return nil, &stack.Error{Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
	}
	return r, nil
}

// s3 lists the operations; those with VersionId are another action when a version is named.
//   - https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func (a *Authorizer) s3(call *stack.Call) ([]need, error) {
	r, err := readS3(call)
	if err != nil {
		return nil, err
	}
	version := ""
	if r.query.Get("versionId") != "" {
		version = "Version"
	}
	switch call.Operation {
	case "ListBuckets":
		return []need{{action: "s3:ListAllMyBuckets", resource: "*"}}, nil
	case "CreateBucket":
		needs := []need{a.inBucket(r, "s3:CreateBucket", "")}
		if r.header.Get("x-amz-bucket-object-lock-enabled") == "true" {
			needs = append(needs, a.inBucket(r, "s3:PutBucketObjectLockConfiguration", ""), a.inBucket(r, "s3:PutBucketVersioning", ""))
		}
		return needs, nil
	case "HeadBucket":
		return []need{a.inBucket(r, "s3:ListBucket", "")}, nil
	case "GetBucketLocation", "GetBucketVersioning":
		return []need{a.inBucket(r, "s3:"+call.Operation, "")}, nil
	case "GetObjectLockConfiguration":
		return []need{a.inBucket(r, "s3:GetBucketObjectLockConfiguration", "")}, nil
	case "ListObjectsV2":
		return []need{a.list(r, "s3:ListBucket")}, nil
	case "ListObjectVersions":
		return []need{a.list(r, "s3:ListBucketVersions")}, nil
	case "DeleteObjects":
		return a.deleteObjects(r)
	case "DeleteObject":
		return a.bypassing(r, a.inBucket(r, "s3:DeleteObject"+version, r.key)), nil
	case "PutObject":
		return a.putObject(r)
	case "PutObjectRetention":
		return a.putObjectRetention(r)
	case "PutObjectLegalHold", "GetObjectRetention", "GetObjectLegalHold":
		return []need{a.inBucket(r, "s3:"+call.Operation, r.key)}, nil
	case "GetObject", "HeadObject":
		return a.getObject(r, "s3:GetObject"+version), nil
	}
	return nil, errUnknown
}

// inBucket is a need on a bucket, or on an object in it.
func (a *Authorizer) inBucket(r *objectRequest, action, key string) need {
	n := need{action: action, resource: "arn:aws:s3:::" + r.bucket, keys: policy.Context{}}
	if a.resources.Bucket != nil {
		n.guard = guard{name: n.resource, text: string(a.resources.Bucket(r.bucket))}
	}
	if key != "" {
		n.resource += "/" + key
	}
	n.keys.Set("s3:ResourceAccount", stack.Account)
	if id := r.query.Get("versionId"); id != "" {
		n.keys.Set("s3:VersionId", id)
	}
	if hash := r.header.Get("x-amz-content-sha256"); hash != "" {
		n.keys.Set("s3:x-amz-content-sha256", hash)
	}
	return n
}

func (a *Authorizer) list(r *objectRequest, action string) need {
	n := a.inBucket(r, action, "")
	for _, name := range []string{"prefix", "delimiter", "max-keys"} {
		if r.query.Has(name) {
			n.keys.Set("s3:"+name, r.query.Get(name))
		}
	}
	return n
}

// bypassing adds the permission to get round a retention in governance mode, if the request asks for it.
func (a *Authorizer) bypassing(r *objectRequest, needs ...need) []need {
	if r.header.Get("x-amz-bypass-governance-retention") == "true" {
		for _, n := range slices.Clone(needs) {
			n.action = "s3:BypassGovernanceRetention"
			needs = append(needs, n)
		}
	}
	return needs
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
func (a *Authorizer) deleteObjects(r *objectRequest) ([]need, error) {
	var in struct {
		Object []struct{ Key, VersionId string }
	}
	if err := xml.Unmarshal(r.call.Body, &in); err != nil {
		return nil, &stack.Error{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	var needs []need
	for _, o := range in.Object {
		n := a.inBucket(r, "s3:DeleteObject", o.Key)
		if o.VersionId != "" {
			n.action = "s3:DeleteObjectVersion"
			n.keys.Set("s3:VersionId", o.VersionId)
		}
		needs = append(needs, n)
	}
	return a.bypassing(r, needs...), nil
}

// putObject: a retention or a legal hold in the request needs the permission to set one, a condition on an object's tag
// the permission to read it, and a key of the account the permission to encrypt with it.
//   - https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (a *Authorizer) putObject(r *objectRequest) ([]need, error) {
	n := a.inBucket(r, "s3:PutObject", r.key)
	for _, name := range []string{"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "if-match", "if-none-match"} {
		if v := r.header.Get(name); v != "" {
			n.keys.Set("s3:"+name, v)
		}
	}
	mode, until := r.header.Get("x-amz-object-lock-mode"), r.header.Get("x-amz-object-lock-retain-until-date")
	if err := r.retention(n.keys, mode, until); err != nil {
		return nil, err
	}
	hold := r.header.Get("x-amz-object-lock-legal-hold")
	if hold != "" {
		n.keys.Set("s3:object-lock-legal-hold", hold)
	}
	needs := []need{n}
	also := func(action string) {
		n.action = action
		needs = append(needs, n)
	}
	if mode != "" || until != "" {
		also("s3:PutObjectRetention")
	}
	if hold != "" {
		also("s3:PutObjectLegalHold")
	}
	if r.header.Get("If-Match") != "" {
		also("s3:GetObject")
	}
	id, wide := r.header.Get("x-amz-server-side-encryption-aws-kms-key-id"), r.header.Get("x-amz-server-side-encryption-bucket-key-enabled") == "true"
	if id == "" && r.header.Get("x-amz-server-side-encryption") == "" && a.resources.Encryption != nil {
		id, wide, _ = a.resources.Encryption(r.bucket, "", "")
	}
	return append(needs, a.through("s3", id, r.encryption(wide), "kms:GenerateDataKey")...), nil
}

// encryption is the context with which S3 encrypts: the object, or the bucket where it uses the bucket's key.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
func (r *objectRequest) encryption(bucketKey bool) map[string]string {
	if bucketKey {
		return map[string]string{"aws:s3:arn": "arn:aws:s3:::" + r.bucket}
	}
	return map[string]string{"aws:s3:arn": "arn:aws:s3:::" + r.bucket + "/" + r.key}
}

// retention sets the condition keys of Object Lock.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (r *objectRequest) retention(c policy.Context, mode, until string) error {
	if mode != "" {
		c.Set("s3:object-lock-mode", mode)
	}
	if until == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, until)
	if err != nil {
		return &stack.Error{Code: "InvalidArgument", Message: fmt.Sprintf("%q is not a date of ISO 8601", until)}
	}
	c.Set("s3:object-lock-retain-until-date", t.UTC().Format(time.RFC3339))
	days := t.Sub(r.call.Time).Hours() / 24
	c.Set("s3:object-lock-remaining-retention-days", strconv.Itoa(int(days)))
	return nil
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
func (a *Authorizer) putObjectRetention(r *objectRequest) ([]need, error) {
	var in struct{ Mode, RetainUntilDate string }
	if len(r.call.Body) > 0 {
		if err := xml.Unmarshal(r.call.Body, &in); err != nil {
			return nil, &stack.Error{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema"}
		}
	}
	n := a.inBucket(r, "s3:PutObjectRetention", r.key)
	if err := r.retention(n.keys, in.Mode, in.RetainUntilDate); err != nil {
		return nil, err
	}
	return a.bypassing(r, n), nil
}

// getObject: an object that is not there is a 404 for whoever may list the bucket, and a 403 for everybody else. Only a
// read of the body or of its checksum opens an encrypted object.
//   - https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (a *Authorizer) getObject(r *objectRequest, action string) []need {
	needs := []need{a.inBucket(r, action, r.key)}
	if a.resources.Encryption == nil {
		return needs
	}
	id, wide, exists := a.resources.Encryption(r.bucket, r.key, r.query.Get("versionId"))
	switch {
	case !exists:
		return append(needs, a.inBucket(r, "s3:ListBucket", ""))
	case r.call.Operation == "HeadObject" && r.header.Get("x-amz-checksum-mode") == "":
		return needs
	}
	return append(needs, a.through("s3", id, r.encryption(wide), "kms:Decrypt")...)
}
