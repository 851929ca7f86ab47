package stack

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// CBOR is the part of a service that speaks Smithy RPC v2 CBOR, as CloudWatch ("monitoring") does with current SDKs and
// CLI; embed it to become a Service. Operations are the same as those of a JSON service: the body is turned into JSON
// before they see it, and what they return is written as CBOR.
// Protocol: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
type CBOR struct {
	Signing string // signing name, such as "monitoring"
	Shape   string // name of the Smithy service in the path, such as "GraniteServiceVersion20100801"
	Ops     map[string]Op
}

// Name returns the signing name.
func (c *CBOR) Name() string { return c.Signing }

// Operation reads the operation from the path /service/SHAPE/operation/OPERATION.
func (c *CBOR) Operation(r *http.Request, _ []byte) (string, error) {
	op, ok := strings.CutPrefix(r.URL.Path, "/service/"+c.Shape+"/operation/")
	if !ok || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		return "", &Error{Code: "UnknownOperationException", Message: fmt.Sprintf("%s: no RPC v2 CBOR operation at %q", c.Signing, r.URL.Path)}
	}
	return op, nil
}

// Serve looks the operation up, carries it out and writes the answer.
func (c *CBOR) Serve(ctx context.Context, call *Call) Reply {
	op, ok := c.Ops[call.Operation]
	if !ok {
		return c.Fail(&Error{Code: "UnknownOperationException", Message: fmt.Sprintf("the local stack has no %s.%s", c.Signing, call.Operation)})
	}
	body, err := cborToJSON(call.Body, call.Request.Header.Get("Content-Encoding"))
	if err != nil {
		return c.Fail(&Error{Code: "SerializationException", Message: fmt.Sprintf("%s.%s: %v", call.Service, call.Operation, err)})
	}
	call.Body = body
	out, err := op(ctx, call)
	if err != nil {
		return c.Fail(err)
	}
	return Reply{Status: http.StatusOK, Header: c.header(), Body: cbor.Encode(toCBOR(reflect.ValueOf(out)))}
}

// Fail writes an error as the protocol wants it. Anything but an *Error is the local stack's own fault: 500.
func (c *CBOR) Fail(err error) Reply {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalServiceError", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	fields := cbor.Map{"__type": cbor.String(e.Code), "message": cbor.String(e.Message)}
	for k, v := range e.Fields {
		fields[k] = toCBOR(reflect.ValueOf(v))
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return Reply{Status: status, Header: c.header(), Body: cbor.Encode(fields), Code: e.Code}
}

func (c *CBOR) header() http.Header {
	return http.Header{"Content-Type": {"application/cbor"}, "Smithy-Protocol": {"rpc-v2-cbor"}}
}

// cborToJSON turns a body into JSON with AWS JSON's conventions: timestamps are seconds, blobs are base64. CloudWatch's
// clients compress large PutMetricData bodies with gzip.
func cborToJSON(body []byte, encoding string) ([]byte, error) {
	if encoding == "gzip" {
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("body says gzip: %w", err)
		}
		if body, err = io.ReadAll(io.LimitReader(zr, maxBody)); err != nil {
			return nil, fmt.Errorf("body says gzip: %w", err)
		}
	}
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	plain, err := fromCBOR(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

func fromCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -int64(v), nil
	case cbor.Slice:
		return []byte(v), nil
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Float32:
		return float64(v), nil
	case cbor.Float64:
		return float64(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case *cbor.Tag: // 1 is a timestamp in seconds, the only tag that the protocol's shapes use here
		return fromCBOR(v.Value)
	case cbor.List:
		out := []any{}
		for _, item := range v {
			p, err := fromCBOR(item)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
		return out, nil
	case cbor.Map:
		out := map[string]any{}
		for k, item := range v {
			p, err := fromCBOR(item)
			if err != nil {
				return nil, err
			}
			if p != nil {
				out[k] = p
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("CBOR item of type %T has no JSON form", v)
}

// toCBOR writes a value under the names that encoding/json would use.
func toCBOR(v reflect.Value) cbor.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return &cbor.Nil{}
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return &cbor.Nil{}
	}
	if t, ok := v.Interface().(Time); ok {
		return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(t.UnixMilli()) / 1000)}
	}
	switch v.Kind() {
	case reflect.String:
		return cbor.String(v.String())
	case reflect.Bool:
		return cbor.Bool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		if i := v.Int(); i < 0 {
			return cbor.NegInt(uint64(-i))
		}
		return cbor.Uint(uint64(v.Int()))
	case reflect.Float64:
		return cbor.Float64(v.Float())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return cbor.Slice(v.Bytes())
		}
		out := cbor.List{}
		for i := range v.Len() {
			out = append(out, toCBOR(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := cbor.Map{}
		for _, k := range v.MapKeys() {
			out[k.String()] = toCBOR(v.MapIndex(k))
		}
		return out
	case reflect.Struct:
		out := cbor.Map{}
		for _, m := range members(v) {
			out[m.name] = toCBOR(m.value)
		}
		return out
	}
	// A service's output type is fixed at compile time, so that this is found by the service's first test.
	panic(fmt.Sprintf("stack: no CBOR form for %s", v.Type()))
}

type member struct {
	name  string
	value reflect.Value
}

// members lists a struct's fields as encoding/json would: named by the tag, left out if empty and marked so.
func members(v reflect.Value) []member {
	var out []member
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			out = append(out, members(v.Field(i))...)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		empty := v.Field(i).IsZero() || (v.Field(i).Kind() == reflect.Slice || v.Field(i).Kind() == reflect.Map) && v.Field(i).Len() == 0
		if empty && (strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")) {
			continue
		}
		out = append(out, member{name, v.Field(i)})
	}
	return out
}
