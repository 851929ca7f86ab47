package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sort"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// routes are Lambda's operations on functions: https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
func (s *Service) routes() []stack.Route {
	const function = "/2015-03-31/functions/{FunctionName}"
	return []stack.Route{
		{Method: "POST", Path: function + "/invocations", Operation: "Invoke", Op: s.serveInvoke},
		{Method: "GET", Path: "/2015-03-31/functions", Operation: "ListFunctions", Op: s.listFunctions},
		{Method: "GET", Path: function, Operation: "GetFunction", Op: s.getFunction},
		{Method: "GET", Path: function + "/configuration", Operation: "GetFunctionConfiguration", Op: s.getConfiguration},
		{Method: "PUT", Path: function + "/configuration", Operation: "UpdateFunctionConfiguration", Op: stack.Handle(s.updateConfiguration)},
	}
}

// named is the function that a request names in its path, and the qualifier of its query.
func named(call *stack.Call) (function, qualifier string) {
	return call.Labels["FunctionName"], call.Request.URL.Query().Get("Qualifier")
}

// serveInvoke is Invoke: the payload is the whole body, in both directions.
func (s *Service) serveInvoke(ctx context.Context, call *stack.Call) (any, error) {
	function, qualifier := named(call)
	h := call.Request.Header
	for _, unsupported := range []string{"X-Amz-Client-Context", "X-Amz-Tenant-Id", "X-Amz-Durable-Execution-Name"} {
		if h.Get(unsupported) != "" {
			return nil, &stack.Error{Code: "InvalidParameterValueException", Message: "the local stack's Lambda has no header " + unsupported}
		}
	}
	if len(call.Body) > 0 && !json.Valid(call.Body) {
		return nil, &stack.Error{Code: "InvalidRequestContentException", Message: "Could not parse request body into json"}
	}
	q := request{ref: function, qualifier: qualifier, id: s.newID(), payload: call.Body, execution: call.Caller.Execution, trace: h.Get("X-Amzn-Trace-Id")}
	header := http.Header{"X-Amzn-Requestid": {q.id}}
	switch kind := h.Get("X-Amz-Invocation-Type"); kind {
	case "Event":
		if err := s.invokeAsync(q); err != nil {
			return nil, err
		}
		return stack.Reply{Status: http.StatusAccepted, Header: header}, nil
	case "DryRun":
		s.mu.Lock()
		_, _, err := s.find(function, qualifier)
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return stack.Reply{Status: http.StatusNoContent, Header: header}, nil
	case "", "RequestResponse":
		result, version, err := s.invoke(ctx, q)
		if err != nil {
			return nil, err
		}
		header.Set("Content-Type", "application/json")
		header.Set("X-Amz-Executed-Version", version)
		if result.FunctionError != "" {
			header.Set("X-Amz-Function-Error", result.FunctionError)
		}
		return stack.Reply{Status: http.StatusOK, Header: header, Body: result.Payload}, nil
	default:
		return nil, &stack.Error{Code: "InvalidParameterValueException", Message: fmt.Sprintf("InvocationType %q is none of RequestResponse, Event, DryRun", kind)}
	}
}

// listFunctions lists all functions by name, in one page: Lambda's pages of 50 are never needed here.
func (s *Service) listFunctions(context.Context, *stack.Call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []configuration{}
	for _, f := range s.functions {
		list = append(list, f.describe("$LATEST"))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].FunctionName < list[j].FunctionName })
	return map[string]any{"Functions": list}, nil
}

func (s *Service) getConfiguration(_ context.Context, call *stack.Call) (any, error) {
	function, qualifier := named(call)
	s.mu.Lock()
	defer s.mu.Unlock()
	f, version, err := s.find(function, qualifier)
	if err != nil {
		return nil, err
	}
	return f.describe(version), nil
}

func (s *Service) getFunction(_ context.Context, call *stack.Call) (any, error) {
	function, qualifier := named(call)
	s.mu.Lock()
	defer s.mu.Unlock()
	f, version, err := s.find(function, qualifier)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"Configuration": f.describe(version),
		"Code":          map[string]any{"RepositoryType": "S3", "Location": "file://" + f.set.Folder},
	}
	if f.reserved >= 0 {
		out["Concurrency"] = map[string]any{"ReservedConcurrentExecutions": f.reserved}
	}
	return out, nil
}

// configurationUpdate is what UpdateFunctionConfiguration can change here.
type configurationUpdate struct {
	Description, Handler, Role *string
	Timeout, MemorySize        *int
	Environment                *struct{ Variables map[string]string }
}

// updateConfiguration changes what new processes are started with; the ones that run are ended when they are idle.
func (s *Service) updateConfiguration(_ context.Context, call *stack.Call, in *configurationUpdate) (*configuration, error) {
	function, _ := named(call)
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(function, "")
	if err != nil {
		return nil, err
	}
	set := *f.set
	for to, from := range map[*string]*string{&set.Description: in.Description, &set.Handler: in.Handler, &set.Role: in.Role} {
		if from != nil {
			*to = *from
		}
	}
	if in.Timeout != nil {
		set.Timeout = *in.Timeout
	}
	if in.MemorySize != nil {
		set.MemorySize = *in.MemorySize
	}
	if in.Environment != nil {
		set.Environment = in.Environment.Variables
	}
	set.Modified = s.clock.Now()
	if err := set.check(); err != nil {
		return nil, err
	}
	f.replace(&set)
	c := f.describe("$LATEST")
	return &c, nil
}

// replace puts new settings into force. Service.mu is held.
func (f *function) replace(set *settings) {
	f.set = set
	for _, b := range f.idle {
		b.kill()
	}
	f.idle = nil
}

// configuration is FunctionConfiguration: https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
type configuration struct {
	FunctionName, FunctionArn            string
	Runtime, Role, Handler, Description  string
	Timeout, MemorySize                  int
	CodeSize                             int64
	CodeSha256, LastModified, Version    string
	PackageType, State, LastUpdateStatus string
	Architectures                        []string
	Environment                          map[string]any    `json:",omitempty"`
	LoggingConfig, TracingConfig         map[string]string `json:",omitempty"`
	DeadLetterConfig                     map[string]string `json:",omitempty"`
	KMSKeyArn                            string            `json:",omitempty"`
}

// describe is the function as the API shows it. Service.mu is held.
func (f *function) describe(version string) configuration {
	set := f.set
	c := configuration{
		FunctionName: set.Name, FunctionArn: arn(set.Name), Runtime: set.Runtime, Role: set.Role, Handler: set.Handler,
		Description: set.Description, Timeout: set.Timeout, MemorySize: set.MemorySize,
		LastModified: set.Modified.Format("2006-01-02T15:04:05.000-0700"), Version: version,
		PackageType: "Zip", State: "Active", LastUpdateStatus: "Successful", Architectures: set.Arch,
		LoggingConfig: map[string]string{"LogFormat": "Text", "LogGroup": set.Logging.Group},
		TracingConfig: map[string]string{"Mode": set.Tracing}, KMSKeyArn: set.KMSKey,
	}
	if version != "$LATEST" {
		c.FunctionArn += ":" + version
	}
	if set.Logging.JSON {
		c.LoggingConfig = map[string]string{
			"LogFormat": "JSON", "LogGroup": set.Logging.Group,
			"SystemLogLevel": set.Logging.SystemLevel, "ApplicationLogLevel": set.Logging.AppLevel,
		}
	}
	if len(set.Environment) > 0 {
		c.Environment = map[string]any{"Variables": set.Environment}
	}
	if set.DeadLetter != "" {
		c.DeadLetterConfig = map[string]string{"TargetArn": set.DeadLetter}
	}
	if code, err := os.ReadFile(filepath.Join(set.Folder, "bootstrap")); err == nil {
		sum := sha256.Sum256(code)
		c.CodeSize, c.CodeSha256 = int64(len(code)), base64.StdEncoding.EncodeToString(sum[:])
	}
	return c
}
