package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// REST is the part of a service that speaks restJson1, as Lambda and Scheduler do; embed it to become a Service. A
// body's members are read with Handle; labels of the path are in call.Labels, query parameters in call.Request.URL. (S3
// speaks restXml and routes by query parameters: it has its own.)
// Protocol: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
type REST struct {
	Signing string
	Routes  []Route // the first that fits wins
}

// Route is one operation of a REST service.
type Route struct {
	Method    string
	Path      string // "/2015-03-31/functions/{FunctionName}/invocations"; a label stands for one segment
	Operation string
	Status    int // of success; 0 means 200
	// Op carries the operation out. A result that is a Reply is sent as it is; anything else is written as JSON.
	Op Op
}

// Name returns the signing name.
func (s *REST) Name() string { return s.Signing }

// Operation finds the route of a request.
func (s *REST) Operation(r *http.Request, _ []byte) (string, error) {
	route, _, ok := s.find(r)
	if !ok {
		return "", &Error{Code: "UnknownOperationException", Status: http.StatusNotFound, Message: fmt.Sprintf("the local stack's %s has no %s %s", s.Signing, r.Method, r.URL.Path)}
	}
	return route.Operation, nil
}

// Serve carries the operation out and writes the answer.
func (s *REST) Serve(ctx context.Context, call *Call) Reply {
	route, labels, ok := s.find(call.Request)
	if !ok {
		return s.Fail(&Error{Code: "UnknownOperationException", Status: http.StatusNotFound, Message: fmt.Sprintf("the local stack has no %s.%s", s.Signing, call.Operation)})
	}
	call.Labels = labels
	out, err := route.Op(ctx, call)
	if err != nil {
		return s.Fail(err)
	}
	if reply, ok := out.(Reply); ok {
		return reply
	}
	status := route.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusNoContent {
		return Reply{Status: status}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return s.Fail(err)
	}
	return Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// Fail writes an error as the protocol wants it. Anything but an *Error is the local stack's own fault: 500.
func (s *REST) Fail(err error) Reply {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "ServiceException", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	fields := map[string]any{"Type": "User", "message": e.Message, "Message": e.Message}
	for k, v := range e.Fields {
		fields[k] = v
	}
	body, _ := json.Marshal(fields)
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {e.Code}}, Body: body, Code: e.Code}
}

func (s *REST) find(r *http.Request) (Route, map[string]string, bool) {
	segments := strings.Split(strings.TrimSuffix(r.URL.EscapedPath(), "/"), "/")
	for _, route := range s.Routes {
		if route.Method != r.Method {
			continue
		}
		if labels, ok := fit(strings.Split(strings.TrimSuffix(route.Path, "/"), "/"), segments); ok {
			return route, labels, true
		}
	}
	return Route{}, nil, false
}

// fit compares a pattern with escaped segments, so that a label may hold an escaped slash, as in an ARN.
func fit(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	labels := map[string]string{}
	for i, p := range pattern {
		if !strings.HasPrefix(p, "{") {
			if p != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		labels[strings.Trim(p, "{}")] = value
	}
	return labels, true
}
