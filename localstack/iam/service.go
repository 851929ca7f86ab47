// Package iam is IAM of the local stack: the roles and policies of the template, parsed and within reach of whoever
// decides about a call.
//
// Operations: GetRole, ListRolePolicies, GetRolePolicy, ListAttachedRolePolicies.
// Resource types: AWS::IAM::Role, AWS::IAM::Policy, AWS::IAM::ManagedPolicy.
// Left out: users and groups, and changes of roles by API: roles come from the template.
//
// Reference: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service is IAM.
type Service struct {
	stack.Query
	clock *stack.Clock

	mu      sync.Mutex
	roles   map[string]*role
	managed map[string]*document // by ARN
}

type role struct {
	name, path, arn, id, description string
	created                          time.Time
	session                          int // seconds
	trust                            document
	// inline are the inline policies by name, and attached the ARNs of managed policies, each below the logical id of
	// the resource that gave them to the role: the role itself or a policy.
	inline   map[string]map[string]document
	attached map[string]map[string]bool
	boundary string // ARN of a managed policy, or ""
	tags     map[string]string
}

type document struct {
	name   string
	text   string
	parsed policy.Document
}

// managedByAWS are the AWS managed policies that the template uses, by ARN.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaBasicExecutionRole.html
func managedByAWS() map[string]string {
	return map[string]string{
		"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	}
}

// New makes an IAM without roles.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, roles: map[string]*role{}, managed: map[string]*document{}}
	for arn, text := range managedByAWS() {
		d, err := read(arn, []byte(text), policy.Identity)
		if err != nil {
			panic(err) // a constant of this file
		}
		s.managed[arn] = &d
	}
	s.Query = stack.Query{Signing: "iam", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Ops: map[string]stack.Op{
		"GetRole":                  stack.HandleQuery(s.getRole),
		"ListRolePolicies":         stack.HandleQuery(s.listRolePolicies),
		"GetRolePolicy":            stack.HandleQuery(s.getRolePolicy),
		"ListAttachedRolePolicies": stack.HandleQuery(s.listAttachedRolePolicies),
	}}
	return s
}

// Role is what STS needs to know of a role: its ARN, id and who may assume it. ok is false if there is no such role.
func (s *Service) Role(name string) (arn, id string, trust policy.Document, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.roles[name]
	if !ok {
		return "", "", policy.Document{}, false
	}
	return r.arn, r.id, r.trust.parsed, true
}

// Exists says whether a principal of the account is there: the account itself, a role, or a session of one.
func (s *Service) Exists(principal string) bool {
	rest, ok := strings.CutPrefix(principal, "arn:aws:iam::"+stack.Account+":role/")
	if ok {
		arn, _, _, ok := s.Role(rest[strings.LastIndex(rest, "/")+1:])
		return ok && arn == principal
	}
	if rest, ok = strings.CutPrefix(principal, "arn:aws:sts::"+stack.Account+":assumed-role/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		_, _, _, ok := s.Role(name)
		return ok
	}
	return principal == "arn:aws:iam::"+stack.Account+":root"
}

// MaxSession is how long a session of a role may last, in seconds; 0 if there is no such role.
func (s *Service) MaxSession(role string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.roles[role]; ok {
		return r.session
	}
	return 0
}

// Policies returns the identity policies of a role, inline ones and attached ones, and nil if there is no such role.
func (s *Service) Policies(role string) []policy.Named {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.roles[role]
	if !ok {
		return nil
	}
	out := []policy.Named{}
	for _, d := range r.documents() {
		out = append(out, policy.Named{Name: d.name, Document: d.parsed})
	}
	for _, arn := range r.arns() {
		out = append(out, policy.Named{Name: arn, Document: s.managed[arn].parsed})
	}
	return out
}

// Boundary returns the permissions boundary of a role, or nil if it has none.
func (s *Service) Boundary(role string) *policy.Named {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.roles[role]
	if !ok || r.boundary == "" {
		return nil
	}
	return &policy.Named{Name: r.boundary, Document: s.managed[r.boundary].parsed}
}

// Tags returns the tags of a role; nil if there is no such role.
func (s *Service) Tags(role string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.roles[role]; ok {
		return maps.Clone(r.tags)
	}
	return nil
}

// Managed returns the text of a managed policy; ok is false if there is none of that ARN.
func (s *Service) Managed(arn string) (document string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.managed[arn]; ok {
		return d.text, true
	}
	return "", false
}

// documents are a role's inline policies, by name.
func (r *role) documents() []document {
	byName := map[string]document{}
	for _, given := range r.inline {
		maps.Copy(byName, given)
	}
	var out []document
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// arns are a role's managed policies.
func (r *role) arns() []string {
	all := map[string]bool{}
	for _, given := range r.attached {
		maps.Copy(all, given)
	}
	return slices.Sorted(maps.Keys(all))
}

func read(name string, text []byte, kind policy.Kind) (document, error) {
	parsed, err := policy.Parse(text, kind)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", name, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return document{}, err
	}
	return document{name, compact.String(), parsed}, nil
}

type roleInput struct{ RoleName string }

type listInput struct {
	RoleName   string
	Marker     string // never given out: every list is whole
	MaxItems   int    // without effect, for the same reason
	PathPrefix string // of ListAttachedRolePolicies
}

type roleShape struct {
	Path                     string
	RoleName                 string
	RoleId                   string
	Arn                      string
	CreateDate               stack.Time
	AssumeRolePolicyDocument string // URL-encoded JSON
	Description              string `json:",omitempty"`
	MaxSessionDuration       int
}

type getRoleOutput struct{ Role roleShape }

func (s *Service) find(name string) (*role, error) {
	r, ok := s.roles[name]
	if !ok {
		return nil, &stack.Error{Code: "NoSuchEntity", Status: http.StatusNotFound, Message: fmt.Sprintf("The role with name %s cannot be found.", name)}
	}
	return r, nil
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (s *Service) getRole(_ context.Context, _ *stack.Call, in *roleInput) (*getRoleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &getRoleOutput{roleShape{Path: r.path, RoleName: r.name, RoleId: r.id, Arn: r.arn, CreateDate: stack.Time{Time: r.created},
		AssumeRolePolicyDocument: escape(r.trust.text), Description: r.description, MaxSessionDuration: r.session}}, nil
}

// escape encodes as RFC 3986 does, which is how IAM sends documents.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

type listRolePoliciesOutput struct {
	PolicyNames []string
	IsTruncated bool
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRolePolicies.html
func (s *Service) listRolePolicies(_ context.Context, _ *stack.Call, in *listInput) (*listRolePoliciesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &listRolePoliciesOutput{}
	for _, d := range r.documents() {
		out.PolicyNames = append(out.PolicyNames, d.name)
	}
	return out, nil
}

type getRolePolicyInput struct{ RoleName, PolicyName string }

type getRolePolicyOutput struct {
	RoleName       string
	PolicyName     string
	PolicyDocument string // URL-encoded JSON
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
func (s *Service) getRolePolicy(_ context.Context, _ *stack.Call, in *getRolePolicyInput) (*getRolePolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	for _, d := range r.documents() {
		if d.name == in.PolicyName {
			return &getRolePolicyOutput{r.name, d.name, escape(d.text)}, nil
		}
	}
	return nil, &stack.Error{Code: "NoSuchEntity", Status: http.StatusNotFound, Message: fmt.Sprintf("The role policy with name %s cannot be found.", in.PolicyName)}
}

type attachedPolicy struct{ PolicyName, PolicyArn string }

type listAttachedOutput struct {
	AttachedPolicies []attachedPolicy
	IsTruncated      bool
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedRolePolicies.html
func (s *Service) listAttachedRolePolicies(_ context.Context, _ *stack.Call, in *listInput) (*listAttachedOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &listAttachedOutput{}
	for _, arn := range r.arns() {
		name := arn[strings.LastIndex(arn, "/")+1:]
		out.AttachedPolicies = append(out.AttachedPolicies, attachedPolicy{name, arn})
	}
	return out, nil
}
