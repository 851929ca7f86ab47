package iam

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources are the resource types of IAM.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::IAM::Role":          s.makeRole,
		"AWS::IAM::Policy":        s.makePolicy,
		"AWS::IAM::ManagedPolicy": s.makeManagedPolicy,
	}
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
type roleProperties struct {
	AssumeRolePolicyDocument property.Document
	Description              string
	ManagedPolicyArns        []string
	MaxSessionDuration       property.Int
	Path                     string
	PermissionsBoundary      string
	Policies                 []inlinePolicy
	RoleName                 string
	Tags                     []struct{ Key, Value string }
}

type inlinePolicy struct {
	PolicyName     string
	PolicyDocument property.Document
}

// makeRole makes a role, or changes the one of that name; what other resources have added to it stays.
func (s *Service) makeRole(_ context.Context, res stack.Resource) (stack.Made, error) {
	p := roleProperties{Path: "/", MaxSessionDuration: 3600}
	if err := property.Decode(res, &p); err != nil {
		return stack.Made{}, err
	}
	if p.RoleName == "" {
		p.RoleName = name.Physical(res.LogicalID, 64)
	}
	trust, err := read("AssumeRolePolicyDocument", p.AssumeRolePolicyDocument, policy.Trust)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	inline := map[string]document{}
	for _, given := range p.Policies {
		if inline[given.PolicyName], err = read(given.PolicyName, given.PolicyDocument, policy.Identity); err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	attached := map[string]bool{}
	for _, arn := range append([]string{p.PermissionsBoundary}, p.ManagedPolicyArns...) {
		if _, known := s.managed[arn]; !known && arn != "" {
			return stack.Made{}, fmt.Errorf("%s: the local stack has no managed policy %s", res.LogicalID, arn)
		}
	}
	for _, arn := range p.ManagedPolicyArns {
		attached[arn] = true
	}
	r, ok := s.roles[p.RoleName]
	if !ok {
		r = &role{name: p.RoleName, id: unique("AROA"), created: s.clock.Now(), inline: map[string]map[string]document{}, attached: map[string]map[string]bool{}}
		s.roles[r.name] = r
	}
	r.path, r.description, r.boundary, r.session, r.trust = p.Path, p.Description, p.PermissionsBoundary, int(p.MaxSessionDuration), trust
	r.arn = fmt.Sprintf("arn:aws:iam::%s:role%s%s", stack.Account, r.path, r.name)
	r.tags = map[string]string{}
	for _, t := range p.Tags {
		r.tags[t.Key] = t.Value
	}
	r.inline[res.LogicalID], r.attached[res.LogicalID] = inline, attached
	return stack.Made{Ref: r.name, Att: map[string]string{"Arn": r.arn, "RoleId": r.id}}, nil
}

// assign gives something to the roles that a resource names, and takes back what the resource gave to others before.
func (s *Service) assign(res stack.Resource, roles []string, give func(*role)) error {
	var to []*role
	for _, name := range roles {
		r, err := s.find(name)
		if err != nil {
			return fmt.Errorf("%s: %w", res.LogicalID, err)
		}
		to = append(to, r)
	}
	for _, r := range s.roles {
		delete(r.inline, res.LogicalID)
		delete(r.attached, res.LogicalID)
	}
	for _, r := range to {
		give(r)
	}
	return nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-policy.html
type policyProperties struct {
	PolicyName     string
	PolicyDocument property.Document
	Roles          []string
}

func (s *Service) makePolicy(_ context.Context, res stack.Resource) (stack.Made, error) {
	var p policyProperties
	if err := property.Decode(res, &p); err != nil {
		return stack.Made{}, err
	}
	d, err := read(p.PolicyName, p.PolicyDocument, policy.Identity)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.assign(res, p.Roles, func(r *role) { r.inline[res.LogicalID] = map[string]document{d.name: d} })
	if err != nil {
		return stack.Made{}, err
	}
	return stack.Made{Ref: res.LogicalID, Att: map[string]string{"Id": res.LogicalID}}, nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
type managedPolicyProperties struct {
	Description       string // without local effect
	ManagedPolicyName string
	Path              string
	PolicyDocument    property.Document
	Roles             []string
}

func (s *Service) makeManagedPolicy(_ context.Context, res stack.Resource) (stack.Made, error) {
	p := managedPolicyProperties{Path: "/"}
	if err := property.Decode(res, &p); err != nil {
		return stack.Made{}, err
	}
	if p.ManagedPolicyName == "" {
		p.ManagedPolicyName = name.Physical(res.LogicalID, 128)
	}
	arn := fmt.Sprintf("arn:aws:iam::%s:policy%s%s", stack.Account, p.Path, p.ManagedPolicyName)
	d, err := read(arn, p.PolicyDocument, policy.Identity)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.assign(res, p.Roles, func(r *role) { r.attached[res.LogicalID] = map[string]bool{arn: true} })
	if err != nil {
		return stack.Made{}, err
	}
	s.managed[arn] = &d
	return stack.Made{Ref: arn, Att: map[string]string{"PolicyArn": arn, "PolicyId": unique("ANPA")}}, nil
}

// unique makes an id of IAM's kind: a prefix and capitals and digits.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
func unique(prefix string) string { return prefix + strings.ToUpper(rand.Text())[:17] }
