package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// client starts an S3 of its own (or takes the endpoint of MAYFLY_CONFORMANCE_ENDPOINT).
func client(t *testing.T) *sdk.Client {
	return sdk.NewFromConfig(stacktest.Serve(t, s3.New(stack.NewClock())), pathStyle)
}

// pathStyle also asks for checksums as a configuration from the environment does.
func pathStyle(o *sdk.Options) {
	o.UsePathStyle = true
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
}

func newBucket(t *testing.T, c *sdk.Client, lock bool) *string {
	t.Helper()
	name := aws.String(fmt.Sprintf("conformance-%d", time.Now().UnixNano()))
	if _, err := c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: name, ObjectLockEnabledForBucket: &lock}); err != nil {
		t.Fatal(err)
	}
	return name
}

func put(t *testing.T, c *sdk.Client, bucket *string, key, body string) *sdk.PutObjectOutput {
	t.Helper()
	out, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wants fails the test unless err is the API error with that code and HTTP status.
func wants(t *testing.T, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Fatalf("got %v, want error %s", err, code)
	}
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || resp.HTTPStatusCode() != status {
		t.Fatalf("got %v, want status %d", err, status)
	}
}

func TestBuckets(t *testing.T) {
	c, ctx := client(t), t.Context()
	b := newBucket(t, c, false)
	if _, err := c.HeadBucket(ctx, &sdk.HeadBucketInput{Bucket: b}); err != nil {
		t.Fatal(err)
	}
	_, err := c.HeadBucket(ctx, &sdk.HeadBucketInput{Bucket: aws.String("nobody-has-this-one")})
	wants(t, err, "NotFound", 404)
	list, err := c.ListBuckets(ctx, &sdk.ListBucketsInput{})
	if err != nil || len(list.Buckets) == 0 {
		t.Fatalf("ListBuckets: %v, %v", list, err)
	}
	if loc, err := c.GetBucketLocation(ctx, &sdk.GetBucketLocationInput{Bucket: b}); err != nil || loc.LocationConstraint != "" {
		t.Fatalf("GetBucketLocation: %v, %v", loc, err)
	}
	if v, err := c.GetBucketVersioning(ctx, &sdk.GetBucketVersioningInput{Bucket: b}); err != nil || v.Status != "" {
		t.Fatalf("versioning of a plain bucket: %v, %v", v, err)
	}
	_, err = c.GetObjectLockConfiguration(ctx, &sdk.GetObjectLockConfigurationInput{Bucket: b})
	wants(t, err, "ObjectLockConfigurationNotFoundError", 404)
	_, err = c.PutObject(ctx, &sdk.PutObjectInput{Bucket: aws.String("nobody-has-this-one"), Key: aws.String("k")})
	wants(t, err, "NoSuchBucket", 404)

	locked := newBucket(t, c, true)
	if v, err := c.GetBucketVersioning(ctx, &sdk.GetBucketVersioningInput{Bucket: locked}); err != nil || v.Status != types.BucketVersioningStatusEnabled {
		t.Fatalf("versioning of a locked bucket: %v, %v", v, err)
	}
	if l, err := c.GetObjectLockConfiguration(ctx, &sdk.GetObjectLockConfigurationInput{Bucket: locked}); err != nil || l.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		t.Fatalf("lock configuration: %v, %v", l, err)
	}
}

func TestPutGetHead(t *testing.T) {
	c, ctx := client(t), t.Context()
	b, key := newBucket(t, c, true), aws.String("audit/environment=prod/a b+ü/000000000001.json")
	first := put(t, c, b, *key, "one")
	in := &sdk.PutObjectInput{
		Bucket: b, Key: key, Body: strings.NewReader("two, longer"), ContentType: aws.String("application/json"),
		Metadata: map[string]string{"run": "r-1"}, ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String("key-1"),
		ContentEncoding: aws.String("identity"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	second, err := c.PutObject(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if *second.VersionId == *first.VersionId || second.ChecksumSHA256 == nil || second.ServerSideEncryption != "aws:kms" || *second.SSEKMSKeyId != "key-1" {
		t.Fatalf("second put: %+v", second)
	}
	got, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(got.Body)
	if string(body) != "two, longer" || *got.ContentType != "application/json" || got.Metadata["run"] != "r-1" || *got.ETag != *second.ETag ||
		*got.VersionId != *second.VersionId || *got.ContentEncoding != "identity" || *got.ChecksumSHA256 != *second.ChecksumSHA256 {
		t.Fatalf("get: %q %+v", body, got)
	}
	old, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, VersionId: first.VersionId, Range: aws.String("bytes=1-")})
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(old.Body); string(body) != "ne" || *old.ContentRange != "bytes 1-2/3" {
		t.Fatalf("range of the first version: %q %s", body, *old.ContentRange)
	}
	_, err = c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, Range: aws.String("bytes=99-")})
	wants(t, err, "InvalidRange", 416)
	head, err := c.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: b, Key: key})
	if err != nil || *head.ContentLength != 11 || head.ObjectLockMode != "" {
		t.Fatalf("head: %+v, %v", head, err)
	}
	_, err = c.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: b, Key: aws.String("none")})
	wants(t, err, "NotFound", 404)
	_, err = c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: aws.String("none")})
	wants(t, err, "NoSuchKey", 404)
	_, err = c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, VersionId: aws.String("00000000000000000000000000000000")})
	wants(t, err, "NoSuchVersion", 404)
}

func TestUnversionedBucketKeepsOneVersion(t *testing.T) {
	c, ctx := client(t), t.Context()
	b := newBucket(t, c, false)
	if out := put(t, c, b, "k", "one"); out.VersionId != nil {
		t.Fatalf("version id %q in a bucket without versions", *out.VersionId)
	}
	put(t, c, b, "k", "two")
	list, err := c.ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: b})
	if err != nil || len(list.Versions) != 1 || *list.Versions[0].VersionId != "null" {
		t.Fatalf("versions: %+v, %v", list, err)
	}
	if _, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if list, err = c.ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: b}); err != nil || len(list.Versions)+len(list.DeleteMarkers) != 0 {
		t.Fatalf("after the delete: %+v, %v", list, err)
	}
}

func TestConditionalWrites(t *testing.T) {
	c, ctx := client(t), t.Context()
	b, key := newBucket(t, c, true), aws.String("k")
	create := func() (*sdk.PutObjectOutput, error) {
		return c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: key, Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
	}
	first, err := create()
	if err != nil {
		t.Fatal(err)
	}
	_, err = create()
	wants(t, err, "PreconditionFailed", 412)
	match := func(key, etag string) error {
		_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader("y"), IfMatch: &etag})
		return err
	}
	wants(t, match("k", `"00000000000000000000000000000000"`), "PreconditionFailed", 412)
	wants(t, match("none", *first.ETag), "NoSuchKey", 404)
	if err := match("k", *first.ETag); err != nil {
		t.Fatal(err)
	}
	// With a delete marker on top the key does not exist.
	if _, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key}); err != nil {
		t.Fatal(err)
	}
	wants(t, match("k", *first.ETag), "NoSuchKey", 404)
	if _, err = create(); err != nil {
		t.Fatalf("create over a delete marker: %v", err)
	}
}

func TestOneOfManyConcurrentCreatesWins(t *testing.T) {
	c, ctx := client(t), t.Context()
	b := newBucket(t, c, true)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: aws.String("k"), Body: strings.NewReader(fmt.Sprint(i)), IfNoneMatch: aws.String("*")})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wants(t, err, "PreconditionFailed", 412)
	}
	if won != 1 {
		t.Fatalf("%d writers created the object, want 1", won)
	}
}

func TestDeleteMarkers(t *testing.T) {
	c, ctx := client(t), t.Context()
	b, key := newBucket(t, c, true), aws.String("k")
	v := put(t, c, b, "k", "one")
	del, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key})
	if err != nil || !*del.DeleteMarker || *del.VersionId == *v.VersionId {
		t.Fatalf("delete: %+v, %v", del, err)
	}
	_, err = c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key})
	wants(t, err, "NoSuchKey", 404)
	_, err = c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, VersionId: del.VersionId})
	wants(t, err, "MethodNotAllowed", 405)
	list, err := c.ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: b})
	if err != nil || len(list.Versions) != 1 || len(list.DeleteMarkers) != 1 || *list.Versions[0].IsLatest || !*list.DeleteMarkers[0].IsLatest {
		t.Fatalf("versions: %+v, %v", list, err)
	}
	if l, err := c.ListObjectsV2(ctx, &sdk.ListObjectsV2Input{Bucket: b}); err != nil || *l.KeyCount != 0 {
		t.Fatalf("a deleted key is listed: %+v, %v", l, err)
	}
	// Deleting the marker brings the object back.
	undo, err := c.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b, Key: key, VersionId: del.VersionId})
	if err != nil || !*undo.DeleteMarker {
		t.Fatalf("delete of the marker: %+v, %v", undo, err)
	}
	if _, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key}); err != nil {
		t.Fatal(err)
	}
	many, err := c.DeleteObjects(ctx, &sdk.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key, VersionId: v.VersionId}, {Key: aws.String("other")}}}})
	if err != nil || len(many.Deleted) != 2 || len(many.Errors) != 0 || !*many.Deleted[1].DeleteMarker {
		t.Fatalf("DeleteObjects: %+v, %v", many, err)
	}
}

func TestListing(t *testing.T) {
	c, ctx := client(t), t.Context()
	b := newBucket(t, c, true)
	for _, key := range []string{"a/1", "a/2", "b/1", "b/2", "c", "d e"} {
		put(t, c, b, key, "x")
		put(t, c, b, key, "y")
	}
	keys := func(in *sdk.ListObjectsV2Input) string {
		t.Helper()
		in.Bucket = b
		var got []string
		for p := sdk.NewListObjectsV2Paginator(c, in); p.HasMorePages(); {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.CommonPrefixes {
				got = append(got, *o.Prefix+"*")
			}
			for _, o := range page.Contents {
				got = append(got, *o.Key)
			}
		}
		return strings.Join(got, " ")
	}
	for name, c := range map[string]struct {
		in   sdk.ListObjectsV2Input
		want string
	}{
		"all":                {sdk.ListObjectsV2Input{}, "a/1 a/2 b/1 b/2 c d e"},
		"prefix":             {sdk.ListObjectsV2Input{Prefix: aws.String("b/")}, "b/1 b/2"},
		"delimiter":          {sdk.ListObjectsV2Input{Delimiter: aws.String("/")}, "a/* b/* c d e"},
		"pages of one":       {sdk.ListObjectsV2Input{MaxKeys: aws.Int32(1)}, "a/1 a/2 b/1 b/2 c d e"},
		"groups one by one":  {sdk.ListObjectsV2Input{MaxKeys: aws.Int32(1), Delimiter: aws.String("/")}, "a/* b/* c d e"},
		"start after":        {sdk.ListObjectsV2Input{StartAfter: aws.String("a/2")}, "b/1 b/2 c d e"},
		"start after prefix": {sdk.ListObjectsV2Input{StartAfter: aws.String("a/"), MaxKeys: aws.Int32(2)}, "a/1 a/2 b/1 b/2 c d e"},
		"encoded":            {sdk.ListObjectsV2Input{Prefix: aws.String("d"), EncodingType: types.EncodingTypeUrl}, "d%20e"},
	} {
		if got := keys(&c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	seen := map[string]int{}
	for p := sdk.NewListObjectVersionsPaginator(c, &sdk.ListObjectVersionsInput{Bucket: b, MaxKeys: aws.Int32(5)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			seen[*v.VersionId]++
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d versions seen, want 12: %v", len(seen), seen)
	}
}

func TestChecksums(t *testing.T) {
	c, ctx := client(t), t.Context()
	b := newBucket(t, c, true)
	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		switch algorithm {
		case types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256:
		default:
			continue // newer than the ones S3 documents for single-part audits
		}
		key := aws.String("sum/" + string(algorithm))
		if _, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: key, Body: strings.NewReader("body"), ChecksumAlgorithm: algorithm}); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		out, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: b, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(out.Body); err != nil || string(body) != "body" {
			t.Errorf("%s: %q, %v", algorithm, body, err)
		}
	}
	_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: aws.String("bad"), Body: strings.NewReader("body"), ChecksumSHA256: aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")})
	wants(t, err, "BadDigest", 400)
	_, err = c.PutObject(ctx, &sdk.PutObjectInput{Bucket: b, Key: aws.String("bad"), Body: strings.NewReader("body"), ContentMD5: aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")})
	wants(t, err, "BadDigest", 400)
	_, err = c.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: b, Key: aws.String("bad")})
	wants(t, err, "NotFound", 404)
}

func TestUnknownHeadersAreRefused(t *testing.T) {
	stacktest.Local(t)
	c := client(t)
	b := newBucket(t, c, false)
	_, err := c.PutObject(context.Background(), &sdk.PutObjectInput{Bucket: b, Key: aws.String("k"), Tagging: aws.String("a=b")})
	wants(t, err, "NotImplemented", 501)
	_, err = c.GetBucketAcl(context.Background(), &sdk.GetBucketAclInput{Bucket: b})
	wants(t, err, "NotImplemented", 501)
}
