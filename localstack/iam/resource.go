package iam

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
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
	AssumeRolePolicyDocument json.RawMessage
	Description              string
	ManagedPolicyArns        []string
	MaxSessionDuration       json.Number
	Path                     string
	PermissionsBoundary      string
	Policies                 []inlinePolicy
	RoleName                 string
	Tags                     []struct{ Key, Value string } // without local effect: no policy here looks at them
}

type inlinePolicy struct {
	PolicyName     string
	PolicyDocument json.RawMessage
}

func (s *Service) makeRole(_ context.Context, res stack.Resource) (stack.Made, error) {
	p := roleProperties{Path: "/", MaxSessionDuration: "3600"}
	if err := properties(res, &p); err != nil {
		return stack.Made{}, err
	}
	r := &role{name: p.RoleName, path: p.Path, id: unique("AROA"), description: p.Description, created: s.clock.Now(), boundary: p.PermissionsBoundary}
	if r.name == "" {
		r.name = res.LogicalID + "-" + unique("")[:12]
	}
	r.arn = fmt.Sprintf("arn:aws:iam::%s:role%s%s", stack.Account, r.path, r.name)
	var err error
	if r.session, err = strconv.Atoi(p.MaxSessionDuration.String()); err != nil {
		return stack.Made{}, fmt.Errorf("%s: MaxSessionDuration %q is not a whole number", res.LogicalID, p.MaxSessionDuration)
	}
	if r.trust, err = read("AssumeRolePolicyDocument", p.AssumeRolePolicyDocument); err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	for _, inline := range p.Policies {
		d, err := read(inline.PolicyName, inline.PolicyDocument)
		if err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
		}
		r.put(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.roles[r.name]; taken {
		return stack.Made{}, fmt.Errorf("%s: there is a role %s already", res.LogicalID, r.name)
	}
	for _, arn := range append(slices.Clone(p.ManagedPolicyArns), p.PermissionsBoundary) {
		if _, known := s.managed[arn]; !known && arn != "" {
			return stack.Made{}, fmt.Errorf("%s: the local stack has no managed policy %s", res.LogicalID, arn)
		}
	}
	r.attached = p.ManagedPolicyArns
	s.roles[r.name] = r
	return stack.Made{Ref: r.name, Att: map[string]string{"Arn": r.arn, "RoleId": r.id}}, nil
}

// put adds an inline policy or takes the place of the one with its name.
func (r *role) put(d document) {
	r.inline = slices.DeleteFunc(r.inline, func(old document) bool { return old.name == d.name })
	r.inline = append(r.inline, d)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-policy.html
type policyProperties struct {
	PolicyName     string
	PolicyDocument json.RawMessage
	Roles          []string
}

func (s *Service) makePolicy(_ context.Context, res stack.Resource) (stack.Made, error) {
	var p policyProperties
	if err := properties(res, &p); err != nil {
		return stack.Made{}, err
	}
	d, err := read(p.PolicyName, p.PolicyDocument)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range p.Roles {
		r, err := s.find(name)
		if err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
		}
		r.put(d)
	}
	return stack.Made{Ref: res.LogicalID, Att: map[string]string{"Id": res.LogicalID}}, nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
type managedPolicyProperties struct {
	Description       string // without local effect
	ManagedPolicyName string
	Path              string
	PolicyDocument    json.RawMessage
	Roles             []string
}

func (s *Service) makeManagedPolicy(_ context.Context, res stack.Resource) (stack.Made, error) {
	p := managedPolicyProperties{Path: "/"}
	if err := properties(res, &p); err != nil {
		return stack.Made{}, err
	}
	if p.ManagedPolicyName == "" {
		p.ManagedPolicyName = res.LogicalID + "-" + unique("")[:12]
	}
	arn := fmt.Sprintf("arn:aws:iam::%s:policy%s%s", stack.Account, p.Path, p.ManagedPolicyName)
	d, err := read(arn, p.PolicyDocument)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range p.Roles {
		r, err := s.find(name)
		if err != nil {
			return stack.Made{}, fmt.Errorf("%s: %w", res.LogicalID, err)
		}
		r.attached = append(r.attached, arn)
	}
	s.managed[arn] = &d
	return stack.Made{Ref: arn, Att: map[string]string{"PolicyArn": arn, "PolicyId": unique("ANPA")}}, nil
}

func properties(r stack.Resource, into any) error {
	if err := decode(r.Properties, into); err != nil {
		return fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	return nil
}

// decode reads JSON and refuses what the type does not know.
func decode(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// unique makes an id of IAM's kind: a prefix and capitals and digits.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
func unique(prefix string) string { return prefix + strings.ToUpper(rand.Text())[:17] }
