package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// checksum of a whole object, as sent by the client or, where it sent none, as S3 adds it.
type checksum struct{ algorithm, value string }

func (c checksum) header() string { return "x-amz-checksum-" + c.algorithm }

// algorithms in the order in which a request is searched for them.
func algorithms() []string { return []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} }

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		// Polynomial of the NVM Express specification, bits reversed as hash/crc64 wants it.
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	return nil
}

func sum(algorithm string, body []byte) string {
	h := newHash(algorithm)
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// payload is a request body taken out of its transfer coding and verified.
type payload struct {
	body     []byte
	checksum checksum
	vouched  bool // the client sent a digest of its own: Content-MD5 or a checksum
}

// read decodes aws-chunked bodies and verifies every digest that the client sent.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
func read(call *stack.Call) (*payload, error) {
	h := call.Request.Header
	p := &payload{body: call.Body}
	digests := h
	if sha := h.Get("x-amz-content-sha256"); strings.HasPrefix(sha, "STREAMING-") {
		body, trailer, err := unchunk(call.Body)
		if err != nil {
			return nil, err
		}
		if n := h.Get("x-amz-decoded-content-length"); n != strconv.Itoa(len(body)) {
			return nil, &stack.Error{Code: "IncompleteBody", Message: fmt.Sprintf("The request body has %d bytes, x-amz-decoded-content-length says %q", len(body), n)}
		}
		if digests, err = withTrailer(h, trailer); err != nil {
			return nil, err
		}
		p.body = body
	} else if sha != "" && sha != "UNSIGNED-PAYLOAD" {
		actual := sha256.Sum256(p.body)
		if !strings.EqualFold(sha, hex.EncodeToString(actual[:])) {
			return nil, &stack.Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
		}
	}
	if err := p.verify(digests); err != nil {
		return nil, err
	}
	return p, nil
}

// withTrailer adds the announced trailer fields to the headers. A trailer that was announced must come.
func withTrailer(h, trailer http.Header) (http.Header, error) {
	all := h.Clone()
	for name := range strings.SplitSeq(h.Get("x-amz-trailer"), ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if trailer.Get(name) == "" {
			return nil, &stack.Error{Code: "MalformedTrailerError", Message: "The request contained trailing data that was not well-formed or did not conform to our published schema."}
		}
		all.Set(name, trailer.Get(name))
	}
	return all, nil
}

func (p *payload) verify(h http.Header) error {
	if want := h.Get("Content-MD5"); want != "" {
		raw, err := base64.StdEncoding.DecodeString(want)
		if err != nil || len(raw) != md5.Size {
			return &stack.Error{Code: "InvalidDigest", Message: "The Content-MD5 you specified was invalid."}
		}
		if actual := md5.Sum(p.body); !bytes.Equal(raw, actual[:]) {
			return &stack.Error{Code: "BadDigest", Message: "The Content-MD5 you specified did not match what we received."}
		}
		p.vouched = true
	}
	for _, algorithm := range algorithms() {
		want := h.Get("x-amz-checksum-" + algorithm)
		if want == "" {
			continue
		}
		if p.checksum.value != "" {
			return &stack.Error{Code: "InvalidRequest", Message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."}
		}
		if raw, err := base64.StdEncoding.DecodeString(want); err != nil || len(raw) != newHash(algorithm).Size() {
			return &stack.Error{Code: "InvalidRequest", Message: "Value for x-amz-checksum-" + algorithm + " header is invalid."}
		}
		if sum(algorithm, p.body) != want {
			return &stack.Error{Code: "BadDigest", Message: "The " + strings.ToUpper(algorithm) + " you specified did not match the calculated checksum."}
		}
		p.checksum, p.vouched = checksum{algorithm, want}, true
	}
	if announced := strings.ToLower(h.Get("x-amz-sdk-checksum-algorithm")); announced != "" && announced != p.checksum.algorithm {
		return &stack.Error{Code: "InvalidRequest", Message: "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."}
	}
	if p.checksum.value == "" {
		// Objects uploaded without a checksum get a CRC64NVME from S3 itself (same page, "default behavior").
		p.checksum = checksum{"crc64nvme", sum("crc64nvme", p.body)}
	}
	return nil
}

// unchunk decodes the aws-chunked coding: chunks of "<hex size>[;chunk-signature=...]\r\n<data>\r\n", one of size zero,
// then trailer fields. Chunk signatures are not verified, as no signature is.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func unchunk(raw []byte) ([]byte, http.Header, error) {
	broken := &stack.Error{Code: "IncompleteBody", Message: "The request body terminated unexpectedly"}
	var body []byte
	for {
		line, rest, ok := bytes.Cut(raw, []byte("\r\n"))
		if !ok {
			return nil, nil, broken
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return nil, nil, broken
		}
		raw = rest
		if n == 0 {
			break
		}
		if uint64(len(raw)) < n+2 || string(raw[n:n+2]) != "\r\n" {
			return nil, nil, broken
		}
		body = append(body, raw[:n]...)
		raw = raw[n+2:]
	}
	trailer := http.Header{}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			trailer.Set(textproto.TrimString(name), textproto.TrimString(value))
		}
	}
	return body, trailer, nil
}
