// Package stack is the one endpoint of the local stack: it finds out which service and operation a request means and
// who sent it, takes it through the chain that every request passes (identity, quotas, latency, faults, ledger), and
// hands it to the service.
package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Service is one AWS service of the local stack. Services keep their state in memory, take the time from a Clock and
// know nothing of each other; what they need of one another comes in through small interfaces of their own.
type Service interface {
	// Name is the service's signing name, such as "secretsmanager", "states" or "monitoring".
	Name() string
	// Operation names the operation that a request means ("GetSecretValue"). Body is the whole request body.
	Operation(r *http.Request, body []byte) (string, error)
	// Serve carries the operation out. It is called concurrently. Errors are replies too: see Fail.
	Serve(ctx context.Context, call *Call) Reply
}

// Call is one request on its way to a service.
type Call struct {
	Service   string
	Operation string
	Caller    Identity
	Time      time.Time // the stack's clock when the request came in
	Request   *http.Request
	Body      []byte
	Labels    map[string]string // what the {labels} of a REST service's path stand for, unescaped
}

// Reply is what a service answers, complete, so that a fault may throw it away after the operation took effect.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Code   string // the error code, for the ledger; "" when the operation succeeded
}

// Identity says on whose behalf a request was made.
type Identity struct {
	ARN       string // arn:aws:iam::000000000000:root, or arn:aws:sts::…:assumed-role/ROLE/SESSION
	Role      string // role name, empty for the account root
	Function  string // name of the Lambda function whose process holds these credentials, or ""
	Execution string // ARN of the state machine execution that the function works for at this moment, or ""
	Session   *Session
}

// Session is what AssumeRole laid upon a session beside its role; nil if nothing.
type Session struct {
	Tags     map[string]string
	MFA      bool     // it was taken with a second factor
	Policies []string // session policies, JSON; if there are any, the session may do no more than they allow
}

// Error is a service error, written to the wire in the protocol of the service that returns it.
type Error struct {
	Code    string // "ResourceNotFoundException"
	Message string
	Status  int            // HTTP status; 0 means 400
	Fields  map[string]any // further members of the error's shape, such as Item or CancellationReasons
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Resource is one resource of a CloudFormation template, its intrinsic functions already resolved.
type Resource struct {
	LogicalID  string
	Type       string // "AWS::DynamoDB::Table"
	Properties json.RawMessage
	Asset      func(bucket, key string) (path string, err error) // where the file asset of that S3 location lies unpacked
}

// Made is what a resource became: the value of Ref, and of each Fn::GetAtt attribute.
type Made struct {
	Ref string
	Att map[string]string
}

// Make puts one resource into its service.
type Make func(ctx context.Context, r Resource) (Made, error)

// Provider is a Service (or any other part) that can make resources of a template.
type Provider interface {
	// Resources maps CloudFormation types to the functions that make them. A type that is known and has no local
	// effect maps to NoEffect, with a comment that says why.
	Resources() map[string]Make
}

// Account and Region of everything in the local stack.
const (
	Account = "000000000000"
	Region  = "us-east-1"
)
