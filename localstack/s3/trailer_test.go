package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// Over TLS the SDK sends bodies that it cannot rewind in aws-chunked coding with the checksum in a trailer.
func TestTrailingChecksumOverTLS(t *testing.T) {
	stacktest.Local(t)
	cfg := stacktest.Serve(t, s3.New(stack.NewClock()))
	target, _ := url.Parse(*cfg.BaseEndpoint)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var coding string
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		coding = r.Header.Get("x-amz-content-sha256")
		proxy.ServeHTTP(w, r)
	}))
	defer tls.Close()
	cfg.BaseEndpoint, cfg.HTTPClient = aws.String(tls.URL), tls.Client()
	c := sdk.NewFromConfig(cfg, pathStyle)
	b := newBucket(t, c, true)
	body := strings.Repeat("0123456789", 30_000)
	out, err := c.PutObject(t.Context(), &sdk.PutObjectInput{
		Bucket: b, Key: aws.String("k"), Body: io.MultiReader(strings.NewReader(body)), ContentLength: aws.Int64(int64(len(body))),
		ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if coding != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		t.Fatalf("the SDK sent %q: this test proves nothing", coding)
	}
	got, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: b, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	read, _ := io.ReadAll(got.Body)
	if !bytes.Equal(read, []byte(body)) || got.ContentEncoding != nil || *got.ETag != *out.ETag {
		t.Fatalf("%d bytes, coding %v", len(read), got.ContentEncoding)
	}
}

// A broken trailer is refused, as is one that was announced and did not come.
func TestBrokenTrailers(t *testing.T) {
	stacktest.Local(t)
	cfg := stacktest.Serve(t, s3.New(stack.NewClock()))
	b := newBucket(t, sdk.NewFromConfig(cfg, pathStyle), false)
	for body, want := range map[string]string{
		"4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n": "BadDigest",
		"4\r\nbody\r\n0\r\n\r\n":                                  "MalformedTrailerError",
		"9\r\nbody\r\n0\r\n\r\n":                                  "IncompleteBody",
		"3\r\nbod\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n":  "IncompleteBody",
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, *cfg.BaseEndpoint+"/"+*b+"/k", strings.NewReader(body))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
		r.Header.Set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		r.Header.Set("x-amz-decoded-content-length", "4")
		r.Header.Set("x-amz-trailer", "x-amz-checksum-crc32")
		r.Header.Set("Content-Encoding", "aws-chunked")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(text), "<Code>"+want+"</Code>") || resp.Header.Get("x-amz-request-id") == "" {
			t.Errorf("%q: got %d %s, want %s", body, resp.StatusCode, text, want)
		}
	}
}
