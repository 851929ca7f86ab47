package stack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query is the part of a service that speaks AWS Query (form in, XML out), as IAM, STS and SNS do; embed it to become a
// Service. Its operations come from HandleQuery.
// Protocol: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
type Query struct {
	Signing   string // signing name
	Namespace string // XML namespace, such as "https://sts.amazonaws.com/doc/2011-06-15/"
	Ops       map[string]Op
}

// HandleQuery makes an Op of a function with typed input and output. Fields are matched by the names that encoding/json
// would use. Lists are List.member.1, maps are Map.entry.1.key and Map.entry.1.value; a field tag `query:"Name,Value"`
// says that a map's entries are called otherwise. A parameter that In does not know is an error.
func HandleQuery[In, Out any](f func(ctx context.Context, call *Call, in *In) (*Out, error)) Op {
	return func(ctx context.Context, call *Call) (any, error) {
		form, err := url.ParseQuery(string(call.Body))
		if err != nil {
			return nil, &Error{Code: "MalformedQueryString", Message: fmt.Sprintf("%s.%s: the body is not a form", call.Service, call.Operation)}
		}
		form.Del("Action")
		form.Del("Version")
		in := new(In)
		if err := readForm(form, "", reflect.ValueOf(in).Elem(), ""); err != nil {
			return nil, &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("%s.%s: %v", call.Service, call.Operation, err)}
		}
		for name := range form {
			return nil, &Error{Code: "InvalidParameter", Message: fmt.Sprintf("%s.%s: unknown parameter %s (local stack: input is read strictly)", call.Service, call.Operation, name)}
		}
		return f(ctx, call, in)
	}
}

// Name returns the signing name.
func (q *Query) Name() string { return q.Signing }

// Operation reads the form's Action.
func (q *Query) Operation(_ *http.Request, body []byte) (string, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") == "" {
		return "", &Error{Code: "MissingAction", Message: fmt.Sprintf("%s: the request has no Action", q.Signing)}
	}
	return form.Get("Action"), nil
}

// Serve looks the operation up, carries it out and writes the answer.
func (q *Query) Serve(ctx context.Context, call *Call) Reply {
	op, ok := q.Ops[call.Operation]
	if !ok {
		return q.Fail(&Error{Code: "InvalidAction", Message: fmt.Sprintf("the local stack has no %s.%s", q.Signing, call.Operation)})
	}
	out, err := op(ctx, call)
	if err != nil {
		return q.Fail(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<%sResponse xmlns="%s"><%sResult>`, call.Operation, q.Namespace, call.Operation)
	writeXML(&b, reflect.ValueOf(out), "")
	fmt.Fprintf(&b, `</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`, call.Operation, requestID(), call.Operation)
	return Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}}, Body: b.Bytes()}
}

// Fail writes an error as the protocol wants it. Anything but an *Error is the local stack's own fault: 500.
func (q *Query) Fail(err error) Reply {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	status, side := e.Status, "Sender"
	if status == 0 {
		status = http.StatusBadRequest
	}
	if status >= http.StatusInternalServerError {
		side = "Receiver"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type>`, q.Namespace, side)
	writeXML(&b, reflect.ValueOf(map[string]string{"Code": e.Code, "Message": e.Message}), "flat")
	fmt.Fprintf(&b, `</Error><RequestId>%s</RequestId></ErrorResponse>`, requestID())
	return Reply{Status: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: b.Bytes(), Code: e.Code}
}

// readForm fills v from the parameters called name or below it, and takes them out of the form.
func readForm(form url.Values, name string, v reflect.Value, tag string) error {
	take := func() string { s := form.Get(name); form.Del(name); return s }
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Slice && v.Kind() != reflect.Map && !form.Has(name) {
		return nil
	}
	if v.Type() == reflect.TypeFor[[]byte]() {
		b, err := base64.StdEncoding.DecodeString(take())
		v.SetBytes(b)
		return err
	}
	switch v.Kind() {
	case reflect.Pointer: // an optional scalar, to tell absent from empty
		v.Set(reflect.New(v.Type().Elem()))
		return readForm(form, name, v.Elem(), "")
	case reflect.String:
		v.SetString(take())
	case reflect.Bool:
		b, err := strconv.ParseBool(take())
		if err != nil {
			return fmt.Errorf("%s is not a boolean", name)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(take(), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a whole number", name)
		}
		v.SetInt(i)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if err := readForm(form, join(name, fieldName(f)), v.Field(i), f.Tag.Get("query")); err != nil {
				return err
			}
		}
	case reflect.Slice:
		return readList(form, name, v)
	case reflect.Map:
		return readMap(form, name, v, tag)
	default:
		return fmt.Errorf("%s: the local stack cannot read a %s from a form", name, v.Type())
	}
	return nil
}

func readList(form url.Values, name string, v reflect.Value) error {
	form.Del(name) // an empty list is sent as the bare name
	for i := 1; ; i++ {
		item := fmt.Sprintf("%s.member.%d", name, i)
		if !below(form, item) {
			return nil
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := readForm(form, item, e, ""); err != nil {
			return err
		}
		v.Set(reflect.Append(v, e))
	}
}

func readMap(form url.Values, name string, v reflect.Value, tag string) error {
	key, value, ok := strings.Cut(tag, ",")
	if !ok {
		key, value = "key", "value"
	}
	for i := 1; ; i++ {
		entry := fmt.Sprintf("%s.entry.%d", name, i)
		if !below(form, entry) {
			return nil
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := readForm(form, entry+"."+value, e, ""); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(form.Get(entry+"."+key)), e)
		form.Del(entry + "." + key)
	}
}

func below(form url.Values, name string) bool {
	for k := range form {
		if k == name || strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func fieldName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// writeXML writes a value's content. form "flat" writes a map's entries as elements named by their keys.
func writeXML(b *bytes.Buffer, v reflect.Value, form string) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if t, ok := v.Interface().(Time); ok {
		b.WriteString(t.UTC().Format(time.RFC3339))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, m := range members(v) {
			element(b, m.name, m.value)
		}
	case reflect.Slice:
		for i := range v.Len() {
			element(b, "member", v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			if form == "flat" {
				element(b, k.String(), v.MapIndex(k))
				continue
			}
			b.WriteString("<entry>")
			element(b, "key", k)
			element(b, "value", v.MapIndex(k))
			b.WriteString("</entry>")
		}
	default:
		_ = xml.EscapeText(b, fmt.Append(nil, v.Interface())) // a bytes.Buffer takes every write
	}
}

func element(b *bytes.Buffer, name string, v reflect.Value) {
	b.WriteString("<" + name + ">")
	writeXML(b, v, "")
	b.WriteString("</" + name + ">")
}
