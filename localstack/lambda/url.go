package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// URLPath is where function URLs answer: URLPath + function name + "/" + the path of the request. In AWS the host names
// the function; here there is one host, and curl needs no name server.
const URLPath = "/_local/url/"

// functionURL is the URL of a function. Who may call it is the resource policy's business.
type functionURL struct{ authType string }

// makeURL gives a function a URL. Its properties:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-url.html
func (s *Service) makeURL(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		TargetFunctionArn, AuthType, InvokeMode, Qualifier string
		Cors                                               json.RawMessage // known: no browser calls the local stack
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.AuthType != "NONE" && p.AuthType != "AWS_IAM" {
		return stack.Made{}, fmt.Errorf("%s %s: AuthType %q is neither NONE nor AWS_IAM", r.Type, r.LogicalID, p.AuthType)
	}
	if p.InvokeMode != "" && p.InvokeMode != "BUFFERED" {
		return stack.Made{}, fmt.Errorf("%s %s: InvokeMode %s: the local stack does not stream", r.Type, r.LogicalID, p.InvokeMode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(p.TargetFunctionArn, p.Qualifier)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	f.url = &functionURL{authType: p.AuthType}
	return stack.Made{Ref: arn(f.set.Name), Att: map[string]string{
		"FunctionArn": arn(f.set.Name), "FunctionUrl": s.Endpoint + URLPath + f.set.Name + "/",
	}}, nil
}

// URLs answers requests to function URLs; mount it at URLPath.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
func (s *Service) URLs() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), URLPath), "/")
		if status, says := s.mayCall(name); status != http.StatusOK {
			message(w, status, says)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
		if err != nil {
			message(w, http.StatusRequestEntityTooLarge, "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
			return
		}
		payload, err := json.Marshal(s.urlEvent(r, name, "/"+path, body))
		if err != nil {
			message(w, http.StatusBadRequest, "Bad Request")
			return
		}
		result, err := s.Invoke(r.Context(), name, payload, "")
		switch e, refused := err.(*stack.Error); {
		case refused && e.Status == http.StatusTooManyRequests:
			message(w, e.Status, "Rate Exceeded.")
		case refused && e.Status == http.StatusRequestEntityTooLarge:
			message(w, e.Status, e.Message)
		case err != nil || result.FunctionError != "":
			message(w, http.StatusBadGateway, "Internal Server Error")
		default:
			respond(w, result.Payload)
		}
	})
}

// mayCall says whether anybody may call the function's URL. Besides AuthType NONE that takes two permissions for
// everybody: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
// Requests to a URL of AuthType AWS_IAM would have to be signed; the local stack lets none of them in.
func (s *Service) mayCall(name string) (status int, says string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.functions[name]
	if !ok || f.url == nil {
		return http.StatusNotFound, "Not Found"
	}
	allowed := func(action string) bool {
		return slices.ContainsFunc(f.allowed, func(p Permission) bool {
			return p.Principal == "*" && p.Action == action && (p.URLAuthType == "" || p.URLAuthType == f.url.authType)
		})
	}
	if f.url.authType != "NONE" || !allowed("lambda:InvokeFunctionUrl") || !allowed("lambda:InvokeFunction") {
		return http.StatusForbidden, "Forbidden. For troubleshooting Function URL authorization issues, see: " +
			"https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
	}
	return http.StatusOK, ""
}

func message(w http.ResponseWriter, status int, says string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Message": says}) // a client that hung up has no use for the error
}

// urlEvent is the request as the function sees it: payload format 2.0.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
func (s *Service) urlEvent(r *http.Request, function, path string, body []byte) map[string]any {
	now := s.clock.Now().UTC()
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	headers := map[string]string{
		"host": r.Host, "x-forwarded-for": source, "x-forwarded-proto": "http", "x-amzn-trace-id": newTrace(now),
	}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	if r.ContentLength >= 0 {
		headers["content-length"] = strconv.Itoa(len(body))
	}
	event := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": r.URL.RawQuery, "headers": headers,
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": function, "domainName": r.Host, "domainPrefix": function, "requestId": s.newID(),
			"http": map[string]any{
				"method": r.Method, "path": path, "protocol": r.Proto, "sourceIp": source, "userAgent": r.UserAgent(),
			},
			"authentication": nil, "routeKey": "$default", "stage": "$default",
			"time": now.Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
		},
		"isBase64Encoded": false,
	}
	if cookies := r.Header.Values("Cookie"); len(cookies) > 0 {
		event["cookies"] = strings.Split(strings.Join(cookies, "; "), "; ")
	}
	if query := r.URL.Query(); len(query) > 0 {
		joined := map[string]string{}
		for name, values := range query {
			joined[name] = strings.Join(values, ",")
		}
		event["queryStringParameters"] = joined
	}
	switch {
	case len(body) == 0:
	case isText(r.Header.Get("Content-Type")) && utf8.Valid(body):
		event["body"] = string(body)
	default: // forms too: only types that are text by name travel as they are
		event["body"], event["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

func isText(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{"application/json", "application/xml", "application/javascript"}, kind)
}

// respond writes what the function returned: an HTTP response where it has a statusCode, else a 200 whose body it is.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-response-payload
func respond(w http.ResponseWriter, payload []byte) {
	var answer struct {
		StatusCode      *int              `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
		Cookies         []string          `json:"cookies"`
	}
	var members map[string]json.RawMessage
	w.Header().Set("Content-Type", "application/json")
	if json.Unmarshal(payload, &members) != nil || members["statusCode"] == nil {
		_, _ = w.Write(payload)
		return
	}
	err := json.Unmarshal(payload, &answer)
	body := []byte(answer.Body)
	if err == nil && answer.IsBase64Encoded {
		body, err = base64.StdEncoding.DecodeString(answer.Body)
	}
	if err != nil || *answer.StatusCode < 100 || *answer.StatusCode > 599 {
		message(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range answer.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(*answer.StatusCode)
	_, _ = w.Write(body)
}
