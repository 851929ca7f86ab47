package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Op carries out one operation: it reads call.Body and returns what the protocol writes back.
type Op func(ctx context.Context, call *Call) (any, error)

// Handle makes an Op of a function with typed input and output. An input member that In does not know is an error, so
// that an option which the local stack does not honour can never be passed over in silence.
func Handle[In, Out any](f func(ctx context.Context, call *Call, in *In) (*Out, error)) Op {
	return func(ctx context.Context, call *Call) (any, error) {
		in := new(In)
		dec := json.NewDecoder(bytes.NewReader(call.Body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in); err != nil && !errors.Is(err, io.EOF) {
			return nil, &Error{Code: "SerializationException", Message: fmt.Sprintf("%s.%s: %v (local stack: input is read strictly)", call.Service, call.Operation, err)}
		}
		return f(ctx, call, in)
	}
}

// JSON is the part of a service that speaks AWS JSON 1.0 or 1.1; embed it to become a Service.
// Protocol: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
type JSON struct {
	Signing string // signing name
	Target  string // what stands before the dot in X-Amz-Target, such as "DynamoDB_20120810"
	Version string // "1.0" or "1.1"
	Ops     map[string]Op
}

// Name returns the signing name.
func (j *JSON) Name() string { return j.Signing }

// Operation reads the operation from X-Amz-Target.
func (j *JSON) Operation(r *http.Request, _ []byte) (string, error) {
	prefix, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok || prefix != j.Target {
		return "", &Error{Code: "UnknownOperationException", Message: fmt.Sprintf("%s: no operation in X-Amz-Target %q", j.Signing, r.Header.Get("X-Amz-Target"))}
	}
	return op, nil
}

// Serve looks the operation up, carries it out and writes the answer.
func (j *JSON) Serve(ctx context.Context, call *Call) Reply {
	op, ok := j.Ops[call.Operation]
	if !ok {
		return j.Fail(&Error{Code: "UnknownOperationException", Message: fmt.Sprintf("the local stack has no %s.%s", j.Signing, call.Operation)})
	}
	out, err := op(ctx, call)
	if err != nil {
		return j.Fail(err)
	}
	body, err := json.Marshal(out)
	if err != nil {
		return j.Fail(err)
	}
	return Reply{Status: http.StatusOK, Header: j.header(), Body: body}
}

// Fail writes an error as the protocol wants it. Anything but an *Error is the local stack's own fault: 500.
func (j *JSON) Fail(err error) Reply {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalServiceError", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	fields := map[string]any{"__type": e.Code, "message": e.Message, "Message": e.Message}
	for k, v := range e.Fields {
		fields[k] = v
	}
	body, _ := json.Marshal(fields)
	h := j.header()
	h.Set("X-Amzn-ErrorType", e.Code)
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return Reply{Status: status, Header: h, Body: body, Code: e.Code}
}

func (j *JSON) header() http.Header {
	return http.Header{"Content-Type": {"application/x-amz-json-" + j.Version}}
}

// Time is a timestamp as the JSON protocols write it: seconds since 1970, with a fraction.
type Time struct{ time.Time }

// MarshalJSON writes seconds with milliseconds, as AWS does.
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', 3, 64), nil
}

// UnmarshalJSON reads seconds with or without a fraction.
func (t *Time) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("timestamp %s: %w", b, err)
	}
	t.Time = time.UnixMilli(int64(f * 1000)).UTC()
	return nil
}
