// Package sts is STS of the local stack: who calls, and temporary credentials for the roles that IAM knows.
//
// Operations: GetCallerIdentity, AssumeRole.
// A second factor is the ARN of a device and any six digits: nobody here has a device that would show the right ones.
// Left out: source identity, federation, and passing transitive tags on to a role that a role assumes. Who may
// assume what is decided before a call comes here, see package authorization.
//
// Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
package sts

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Roles knows the roles that can be assumed.
type Roles interface {
	// Role returns a role's ARN, unique id and trust policy; ok is false if there is no such role.
	Role(name string) (arn, id string, trust policy.Document, ok bool)
	// MaxSession is how long a session of a role may last, in seconds.
	MaxSession(name string) int
	// Managed returns the text of a managed policy.
	Managed(arn string) (document string, ok bool)
}

// Service is STS.
type Service struct {
	stack.Query
	clock *stack.Clock
	ids   *stack.Identities
	roles Roles
}

// New makes an STS that issues credentials from ids for the roles of roles.
func New(clock *stack.Clock, ids *stack.Identities, roles Roles) *Service {
	s := &Service{clock: clock, ids: ids, roles: roles}
	s.Query = stack.Query{Signing: "sts", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Ops: map[string]stack.Op{
		"GetCallerIdentity": stack.HandleQuery(s.getCallerIdentity),
		"AssumeRole":        stack.HandleQuery(s.assumeRole),
	}}
	return s
}

type callerIdentity struct {
	UserId  string
	Account string
	Arn     string
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (s *Service) getCallerIdentity(_ context.Context, call *stack.Call, _ *struct{}) (*callerIdentity, error) {
	out := &callerIdentity{UserId: stack.Account, Account: stack.Account, Arn: call.Caller.ARN}
	if _, id, _, ok := s.roles.Role(call.Caller.Role); ok {
		out.UserId = id + ":" + call.Caller.ARN[strings.LastIndex(call.Caller.ARN, "/")+1:]
	}
	return out, nil
}

type assumeRoleInput struct {
	RoleArn         string
	RoleSessionName string
	DurationSeconds int
	ExternalId      string // of interest to the trust policy only
	Policy          string
	PolicyArns      []struct {
		Arn string `json:"arn"`
	}
	Tags              []struct{ Key, Value string }
	TransitiveTagKeys []string // of interest to the trust policy only
	SerialNumber      string   // with TokenCode: the caller has a second factor
	TokenCode         string
}

type assumeRoleOutput struct {
	Credentials     credentials
	AssumedRoleUser struct{ AssumedRoleId, Arn string }
}

type credentials struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      stack.Time
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s *Service) assumeRole(_ context.Context, call *stack.Call, in *assumeRoleInput) (*assumeRoleOutput, error) {
	if in.DurationSeconds == 0 {
		in.DurationSeconds = 3600
	}
	if in.DurationSeconds < 900 || in.DurationSeconds > 43_200 || !sessionName.MatchString(in.RoleSessionName) {
		return nil, &stack.Error{Code: "ValidationError", Message: "DurationSeconds must be between 900 and 43200, and RoleSessionName must match [\\w+=,.@-]{2,64}"}
	}
	if (in.SerialNumber != "" || in.TokenCode != "") && !SecondFactor(in.SerialNumber, in.TokenCode) {
		return nil, &stack.Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: "MultiFactorAuthentication failed with invalid MFA one time pass code."}
	}
	name := in.RoleArn[strings.LastIndex(in.RoleArn, "/")+1:]
	arn, id, _, ok := s.roles.Role(name)
	if !ok || arn != in.RoleArn {
		return nil, &stack.Error{Code: "AccessDenied", Status: http.StatusForbidden,
			Message: fmt.Sprintf("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", call.Caller.ARN, in.RoleArn)}
	}
	if in.DurationSeconds > s.roles.MaxSession(name) {
		return nil, &stack.Error{Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
	session, err := s.session(in)
	if err != nil {
		return nil, err
	}
	out := &assumeRoleOutput{}
	out.AssumedRoleUser.AssumedRoleId = id + ":" + in.RoleSessionName
	out.AssumedRoleUser.Arn = fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", stack.Account, name, in.RoleSessionName)
	// The function and the execution stay those of the caller, so that the ledger shows for whom the role was assumed.
	c := s.ids.Issue(stack.Identity{ARN: out.AssumedRoleUser.Arn, Role: name, Function: call.Caller.Function, Execution: call.Caller.Execution, Session: session})
	life := time.Duration(in.DurationSeconds) * time.Second
	s.clock.AfterFunc(life, func() { s.ids.Revoke(c.AccessKeyID) })
	out.Credentials = credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, stack.Time{Time: call.Time.Add(life)}}
	return out, nil
}

var (
	serialNumber = regexp.MustCompile(`^[\w+=/:,.@-]{9,256}$`)
	tokenCode    = regexp.MustCompile(`^\d{6}$`)
)

// SecondFactor says whether these make a second factor.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func SecondFactor(serial, code string) bool {
	return serialNumber.MatchString(serial) && tokenCode.MatchString(code)
}

const maxTags = 50

// session is what the request lays upon the session: tags, and policies beyond which it may not go.
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
func (s *Service) session(in *assumeRoleInput) (*stack.Session, error) {
	out := &stack.Session{Tags: map[string]string{}, MFA: in.TokenCode != ""}
	if len(in.Tags) > maxTags {
		return nil, &stack.Error{Code: "ValidationError", Message: fmt.Sprintf("%d session tags, at most %d are allowed", len(in.Tags), maxTags)}
	}
	seen := map[string]bool{}
	for _, t := range in.Tags {
		key := strings.ToLower(t.Key)
		if seen[key] || key == "" {
			return nil, &stack.Error{Code: "InvalidParameterValue", Message: "Duplicate or empty tag keys found. Please note that Tag keys are case insensitive."}
		}
		seen[key], out.Tags[t.Key] = true, t.Value
	}
	if in.Policy != "" {
		out.Policies = append(out.Policies, in.Policy)
	}
	for _, p := range in.PolicyArns {
		text, ok := s.roles.Managed(p.Arn)
		if !ok {
			return nil, &stack.Error{Code: "ValidationError", Message: fmt.Sprintf("ARN %s does not exist or is not attachable.", p.Arn)}
		}
		out.Policies = append(out.Policies, text)
	}
	for _, text := range out.Policies {
		if _, err := policy.Parse([]byte(text), policy.Session); err != nil {
			return nil, &stack.Error{Code: "MalformedPolicyDocument", Message: err.Error()}
		}
	}
	return out, nil
}
