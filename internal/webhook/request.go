package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
)

// MaxBody is the largest body that is looked at, as the sender sent it. GitHub sends pushes of up to 25 MB, of which one
// above this limit touches thousands of files; its refusal is on record.
const MaxBody = 256 << 10

// longest is how many bytes of any text from outside are copied into an event or a record.
const longest = 200

// Request is one request to the function's URL.
type Request struct {
	Route  string    // name of the route, "unknown" if there is none
	ID     string    // Lambda's id of the request
	At     time.Time // when it reached Lambda, by Lambda's clock
	Source string    // address of the sender
	Body   []byte    // as it was sent; open fills it in

	method  string
	headers map[string]string // Lambda writes their names in lower case
	body    string
	encoded bool
}

func newRequest(e *events.LambdaFunctionURLRequest) *Request {
	return &Request{
		ID: e.RequestContext.RequestID, At: time.UnixMilli(e.RequestContext.TimeEpoch).UTC(),
		Source: e.RequestContext.HTTP.SourceIP, method: e.RequestContext.HTTP.Method,
		headers: e.Headers, body: e.Body, encoded: e.IsBase64Encoded,
	}
}

// open checks method and size, and undoes the encoding in which Lambda hands over bodies that are no text.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
func (r *Request) open() error {
	if r.method != http.MethodPost {
		return &Refusal{http.StatusMethodNotAllowed, MethodNotAllowed, "only POST is taken"}
	}
	tooLarge := &Refusal{http.StatusRequestEntityTooLarge, TooLarge, "the body is larger than 262144 bytes"}
	r.Body = []byte(r.body)
	if r.encoded {
		if base64.StdEncoding.DecodedLen(len(r.body)) > MaxBody+2 { // padding counts as up to two bytes
			return tooLarge
		}
		var err error
		if r.Body, err = base64.StdEncoding.DecodeString(r.body); err != nil {
			return &Refusal{http.StatusBadRequest, BodyMalformed, "the body is no base64"}
		}
	}
	if len(r.Body) > MaxBody {
		return tooLarge
	}
	return nil
}

// header gives a header by its name in lower case. Lambda joins repeated ones with a comma.
func (r *Request) header(name string) string { return r.headers[name] }

// bodyID names a body by what its signature covers. GitHub signs the body and nothing else: neither the delivery id nor the
// event's name in the headers, which anyone who has seen one signed request could change.
func (r *Request) bodyID() string {
	sum := sha256.Sum256(r.Body)
	return "body " + hex.EncodeToString(sum[:])
}

// clip makes text from outside fit for one line: no control characters, and at most 200 bytes.
func clip(text string) string {
	if len(text) > longest {
		text = text[:longest]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
