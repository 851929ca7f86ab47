package stack

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// scope is what a Signature Version 4 says about a request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type scope struct {
	accessKeyID, region, service string
	signedHeaders                []string
	presigned                    bool
}

// readScope finds the credential scope in the Authorization header or, for a presigned URL, in the query.
func readScope(r *http.Request) (scope, error) {
	var credential, headers string
	presigned := false
	if rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256"); ok {
		for part := range strings.SplitSeq(rest, ",") {
			switch k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k {
			case "Credential":
				credential = v
			case "SignedHeaders":
				headers = v
			}
		}
	} else if q := r.URL.Query(); q.Get("X-Amz-Credential") != "" {
		credential, headers, presigned = q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), true
	} else {
		return scope{}, &Error{Code: "MissingAuthenticationTokenException", Status: http.StatusForbidden,
			Message: "Missing Authentication Token: the local stack routes by the signature's service; sign the request (any credentials will do)"}
	}
	p := strings.Split(credential, "/")
	if len(p) < 5 || p[len(p)-1] != "aws4_request" {
		return scope{}, &Error{Code: "IncompleteSignatureException", Status: http.StatusForbidden,
			Message: fmt.Sprintf("the credential scope has %d parts, want AKID/date/region/service/aws4_request", len(p))}
	}
	n := len(p)
	return scope{accessKeyID: strings.Join(p[:n-4], "/"), region: p[n-3], service: p[n-2],
		signedHeaders: strings.Split(headers, ";"), presigned: presigned}, nil
}

// identify says who calls. Credentials that the stack issued must be live and the signature must be theirs. Two things
// are not checked: presigned URLs (nothing here makes them with issued credentials), and the age of a signature (the
// stack's clock runs ahead of its callers').
func (e *Endpoint) identify(ctx context.Context, call *Call, s scope) (Identity, error) {
	i, ok := e.ids.resolve(s.accessKeyID)
	switch {
	case !ok:
		return e.ids.Lookup(s.accessKeyID), nil
	case i.revoked:
		return Identity{}, &Error{Code: "ExpiredTokenException", Status: http.StatusForbidden, Message: "The security token included in the request is expired"}
	case s.presigned:
		return i.identity, nil
	}
	want, err := signature(ctx, call, s, Credentials{s.accessKeyID, i.secret, i.token})
	if err != nil {
		return Identity{}, err
	}
	_, got, _ := strings.Cut(call.Request.Header.Get("Authorization"), "Signature=")
	if subtle.ConstantTimeCompare([]byte(want), []byte(got)) != 1 {
		return Identity{}, &Error{Code: "InvalidSignatureException", Status: http.StatusForbidden,
			Message: "The request signature we calculated does not match the signature you provided."}
	}
	return i.identity, nil
}

// signature signs the request again, with the headers that the caller signed.
func signature(ctx context.Context, call *Call, s scope, c Credentials) (string, error) {
	date := call.Request.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil {
		return "", &Error{Code: "IncompleteSignatureException", Status: http.StatusForbidden, Message: fmt.Sprintf("X-Amz-Date is %q", date)}
	}
	sum := sha256.Sum256(call.Body)
	actual := hex.EncodeToString(sum[:])
	hash := call.Request.Header.Get("X-Amz-Content-Sha256")
	// UNSIGNED-PAYLOAD and STREAMING-… stand for themselves in the signature; anything else must be the body's own hash.
	if !strings.HasPrefix(hash, "UNSIGNED-") && !strings.HasPrefix(hash, "STREAMING-") {
		if hash != "" && hash != actual {
			return "", &Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
		}
		hash = actual
	}
	again := &http.Request{Method: call.Request.Method, URL: call.Request.URL, Host: call.Request.Host, Header: http.Header{}}
	copied := *call.Request.URL
	copied.Host = call.Request.Host
	again.URL = &copied
	for _, name := range s.signedHeaders {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength, _ = strconv.ParseInt(call.Request.Header.Get("Content-Length"), 10, 64)
			if again.ContentLength == 0 {
				again.ContentLength = call.Request.ContentLength
			}
		default:
			again.Header[http.CanonicalHeaderKey(name)] = call.Request.Header.Values(name)
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = s.service == "s3" // S3 does not escape the path a second time
	})
	creds := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	if err := signer.SignHTTP(ctx, creds, again, hash, s.service, s.region, at); err != nil {
		return "", fmt.Errorf("computing a signature: %w", err)
	}
	_, sig, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return sig, nil
}
