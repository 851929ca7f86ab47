package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources are the CloudFormation types of Lambda. Their properties:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_Lambda.html
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::Lambda::Function":          s.makeFunction,
		"AWS::Lambda::Permission":        s.makePermission,
		"AWS::Lambda::EventInvokeConfig": s.makeEventInvokeConfig,
		"AWS::Lambda::Version":           s.makeVersion,
		"AWS::Lambda::Alias":             s.makeAlias,
		"AWS::Lambda::Url":               s.makeURL,
	}
}

// integer is a number that a template may write as a string.
type integer int

func (n *integer) UnmarshalJSON(b []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err != nil {
		return fmt.Errorf("%s is no whole number", b)
	}
	*n = integer(v)
	return nil
}

// flag is a truth value that a template may write as a string.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	if err != nil {
		return fmt.Errorf("%s is neither true nor false", b)
	}
	*f = flag(v)
	return nil
}

// properties reads a resource's properties strictly.
func properties(r stack.Resource, into any) error {
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s %s: properties: %w", r.Type, r.LogicalID, err)
	}
	return nil
}

type functionProperties struct {
	FunctionName, Description, Handler, Runtime, Role, KmsKeyArn string
	// Architectures is kept for GetFunction. The local stack runs whatever binary the asset holds: the composition
	// root resolves assets to binaries built for this machine, because the template's are arm64.
	Architectures []string
	Code          struct{ S3Bucket, S3Key, S3ObjectVersion, SourceKMSKeyArn string }
	Environment   struct{ Variables map[string]string }
	Timeout       *integer
	MemorySize    *integer

	ReservedConcurrentExecutions *integer
	DeadLetterConfig             struct{ TargetArn string }
	LoggingConfig                struct{ LogFormat, LogGroup, SystemLogLevel, ApplicationLogLevel string }
	TracingConfig                struct{ Mode string }
	PackageType                  string

	// Known and without effect here: the local stack has no network, file systems, scratch disk or tags of functions,
	// and it upgrades no runtime.
	VpcConfig, FileSystemConfigs, EphemeralStorage, Tags, RuntimeManagementConfig, RecursiveLoop json.RawMessage
}

// makeFunction makes a function, or changes it when a template is loaded again. Ref is its name.
func (s *Service) makeFunction(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p functionProperties
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.PackageType != "" && p.PackageType != "Zip" {
		return stack.Made{}, fmt.Errorf("%s %s: PackageType %s: the local stack runs zip packages only", r.Type, r.LogicalID, p.PackageType)
	}
	folder, err := r.Asset(p.Code.S3Bucket, p.Code.S3Key)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: code: %w", r.Type, r.LogicalID, err)
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: code: %w", r.Type, r.LogicalID, err)
	}
	set := p.settings(r.LogicalID, folder, s.clock.Now())
	if err := set.check(); err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	if set.DeadLetter != "" && s.Send == nil {
		return stack.Made{}, fmt.Errorf("%s %s: DeadLetterConfig needs SQS, and the local stack runs without it", r.Type, r.LogicalID)
	}
	reserved := -1
	if p.ReservedConcurrentExecutions != nil {
		reserved = int(*p.ReservedConcurrentExecutions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[set.Name]
	if f == nil {
		f = &function{async: defaultAsync, aliases: map[string]string{}}
		s.functions[set.Name] = f
	}
	f.reserved = reserved
	f.replace(set)
	return stack.Made{Ref: set.Name, Att: map[string]string{"Arn": arn(set.Name)}}, nil
}

func (p *functionProperties) settings(logicalID, folder string, now time.Time) *settings {
	set := &settings{
		Name: p.FunctionName, Folder: folder, Description: p.Description, Handler: p.Handler, Runtime: p.Runtime,
		Role: p.Role, Timeout: 3, MemorySize: 128, Environment: p.Environment.Variables,
		DeadLetter: p.DeadLetterConfig.TargetArn, KMSKey: p.KmsKeyArn, Tracing: p.TracingConfig.Mode,
		Arch: p.Architectures, Modified: now,
		Logging: logging{
			Group: p.LoggingConfig.LogGroup, JSON: p.LoggingConfig.LogFormat == "JSON",
			SystemLevel: p.LoggingConfig.SystemLogLevel, AppLevel: p.LoggingConfig.ApplicationLogLevel,
		},
	}
	if set.Name == "" {
		set.Name = logicalID
	}
	if p.Timeout != nil {
		set.Timeout = int(*p.Timeout)
	}
	if p.MemorySize != nil {
		set.MemorySize = int(*p.MemorySize)
	}
	if set.Tracing == "" {
		set.Tracing = "PassThrough"
	}
	if len(set.Arch) == 0 {
		set.Arch = []string{"x86_64"}
	}
	if set.Logging.Group == "" {
		set.Logging.Group = "/aws/lambda/" + set.Name
	}
	if set.Logging.SystemLevel == "" {
		set.Logging.SystemLevel = "INFO"
	}
	if set.Logging.AppLevel == "" {
		set.Logging.AppLevel = "INFO"
	}
	return set
}

// check refuses what Lambda would refuse: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
func (set *settings) check() error {
	var wrong string
	size := 0
	for k, v := range set.Environment {
		size += len(k) + len(v)
		if reservedVariables[k] {
			wrong = fmt.Sprintf("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", k)
		}
	}
	_, levelKnown := levels[set.Logging.SystemLevel]
	switch {
	case wrong != "":
	case size > 4096:
		wrong = "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit."
	case set.Runtime != "provided.al2023" && set.Runtime != "provided.al2":
		wrong = fmt.Sprintf("Runtime %q: the local stack runs provided.al2023 and provided.al2 only", set.Runtime)
	case !strings.HasPrefix(set.Role, "arn:aws:iam::") || roleName(set.Role) == "":
		wrong = fmt.Sprintf("Role %q is no role ARN", set.Role)
	case set.Timeout < 1 || set.Timeout > 900:
		wrong = fmt.Sprintf("Timeout %d is not between 1 and 900 seconds", set.Timeout)
	case set.MemorySize < 128 || set.MemorySize > 10240:
		wrong = fmt.Sprintf("MemorySize %d is not between 128 and 10240 MB", set.MemorySize)
	case set.DeadLetter != "" && !isQueue(set.DeadLetter):
		wrong = fmt.Sprintf("DeadLetterConfig: the local stack sends dead letters to SQS queues only, not to %s", set.DeadLetter)
	case !levelKnown:
		wrong = fmt.Sprintf("SystemLogLevel %q is none of DEBUG, INFO, WARN", set.Logging.SystemLevel)
	}
	if wrong == "" {
		return nil
	}
	return &stack.Error{Code: "InvalidParameterValueException", Message: wrong}
}

// reservedVariables cannot be declared by a function: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
var reservedVariables = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true, "AWS_EXECUTION_ENV": true,
	"AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true, "AWS_LAMBDA_FUNCTION_VERSION": true,
	"AWS_LAMBDA_INITIALIZATION_TYPE": true, "AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true,
	"AWS_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

// Permission is one statement of a function's resource policy. With URLAuthType or ViaURL it holds for calls through the
// function's URL only.
type Permission struct {
	Action, Principal, SourceArn, SourceAccount, Qualifier string
	URLAuthType                                            string
	ViaURL                                                 bool
}

// makePermission adds a statement to a function's policy.
func (s *Service) makePermission(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		Action, FunctionName, Principal, SourceArn, SourceAccount string
		PrincipalOrgID, EventSourceToken                          string // known: nothing here calls through them
		FunctionUrlAuthType                                       string
		InvokedViaFunctionUrl                                     flag
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(p.FunctionName, "")
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	_, qualifier, _ := splitName(p.FunctionName)
	statement := Permission{p.Action, p.Principal, p.SourceArn, p.SourceAccount, qualifier, p.FunctionUrlAuthType, bool(p.InvokedViaFunctionUrl)}
	if !slices.Contains(f.allowed, statement) { // a template that is loaded again brings it again
		f.allowed = append(f.allowed, statement)
	}
	return stack.Made{Ref: r.LogicalID}, nil
}

// Permissions is what a function's resource policy allows to calls of the API, which the statements on its URL are no part
// of; none if there is no such function.
func (s *Service) Permissions(functionARN string) []Permission {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(functionARN, "")
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.allowed), func(p Permission) bool { return p.ViaURL || p.URLAuthType != "" })
}

// makeEventInvokeConfig sets what becomes of failed asynchronous events.
func (s *Service) makeEventInvokeConfig(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct {
		FunctionName, Qualifier  string
		MaximumRetryAttempts     *integer
		MaximumEventAgeInSeconds *integer
		DestinationConfig        struct {
			OnFailure struct{ Destination string }
		}
	}
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	c := defaultAsync
	if p.MaximumRetryAttempts != nil {
		c.retries = int(*p.MaximumRetryAttempts)
	}
	if p.MaximumEventAgeInSeconds != nil {
		c.maxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
	}
	c.onFailure = p.DestinationConfig.OnFailure.Destination
	switch {
	case c.retries < 0 || c.retries > 2:
		return stack.Made{}, fmt.Errorf("%s %s: MaximumRetryAttempts %d is not between 0 and 2", r.Type, r.LogicalID, c.retries)
	case c.maxAge < time.Minute || c.maxAge > 6*time.Hour:
		return stack.Made{}, fmt.Errorf("%s %s: MaximumEventAgeInSeconds is not between 60 and 21600", r.Type, r.LogicalID)
	case c.onFailure != "" && (!isQueue(c.onFailure) || s.Send == nil):
		return stack.Made{}, fmt.Errorf("%s %s: the local stack's on-failure destinations are SQS queues of the same stack, not %s", r.Type, r.LogicalID, c.onFailure)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(p.FunctionName, p.Qualifier)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	f.async = c
	return stack.Made{Ref: r.LogicalID}, nil
}

// makeVersion publishes a version. It runs the function's newest code: a template has one state only.
func (s *Service) makeVersion(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct{ FunctionName, Description, CodeSha256 string }
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _, err := s.find(p.FunctionName, "")
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	f.versions++
	version := strconv.Itoa(f.versions)
	ref := arn(f.set.Name) + ":" + version
	return stack.Made{Ref: ref, Att: map[string]string{"Version": version, "FunctionArn": ref}}, nil
}

// makeAlias names a version.
func (s *Service) makeAlias(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p struct{ FunctionName, FunctionVersion, Name, Description string }
	if err := properties(r, &p); err != nil {
		return stack.Made{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, version, err := s.find(p.FunctionName, p.FunctionVersion)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	f.aliases[p.Name] = version
	ref := arn(f.set.Name) + ":" + p.Name
	return stack.Made{Ref: ref, Att: map[string]string{"AliasArn": ref}}, nil
}
