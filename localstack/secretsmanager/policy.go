package secretsmanager

import (
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type policyInput struct {
	SecretId          string
	ResourcePolicy    string
	BlockPublicPolicy bool
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
func (s *Service) putResourcePolicy(_ context.Context, _ *stack.Call, in *policyInput) (*named, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	problem, public := s.judge(in.ResourcePolicy)
	if problem != "" {
		return nil, &stack.Error{Code: "MalformedPolicyDocumentException", Message: problem}
	}
	if public && in.BlockPublicPolicy {
		return nil, &stack.Error{Code: "PublicPolicyException", Message: "You can't attach a resource policy that allows broad access to the secret."}
	}
	sec.policy, sec.changed = in.ResourcePolicy, s.clock.Now()
	return &named{sec.arn, sec.name}, nil
}

type getResourcePolicyOutput struct {
	ARN            string
	Name           string
	ResourcePolicy string `json:",omitempty"`
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetResourcePolicy.html
func (s *Service) getResourcePolicy(_ context.Context, _ *stack.Call, in *secretIDInput) (*getResourcePolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	return &getResourcePolicyOutput{sec.arn, sec.name, sec.policy}, nil
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteResourcePolicy.html
func (s *Service) deleteResourcePolicy(_ context.Context, _ *stack.Call, in *secretIDInput) (*named, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	sec.policy, sec.changed = "", s.clock.Now()
	return &named{sec.arn, sec.name}, nil
}

type validateResourcePolicyInput struct {
	SecretId       string
	ResourcePolicy string
}

type validateResourcePolicyOutput struct {
	PolicyValidationPassed bool
	ValidationErrors       []validationError
}

type validationError struct {
	CheckName    string
	ErrorMessage string
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html
func (s *Service) validateResourcePolicy(_ context.Context, _ *stack.Call, in *validateResourcePolicyInput) (*validateResourcePolicyOutput, error) {
	if in.SecretId != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, err := s.live(in.SecretId); err != nil {
			return nil, err
		}
	}
	out := &validateResourcePolicyOutput{ValidationErrors: []validationError{}}
	problem, public := s.judge(in.ResourcePolicy)
	if problem != "" {
		out.ValidationErrors = append(out.ValidationErrors, validationError{"POLICY_SYNTAX", problem})
	}
	if public {
		out.ValidationErrors = append(out.ValidationErrors, validationError{"PUBLIC_ACCESS", "The resource policy allows broad access to the secret."})
	}
	out.PolicyValidationPassed = len(out.ValidationErrors) == 0
	return out, nil
}

// judge says what is wrong with a policy document, "" if nothing, and whether it opens the secret to everybody: an
// Allow for every principal and without a condition. (AWS proves more than that, with Zelkova.) A principal of this account
// that does not exist is refused, as everywhere where a policy names one: IAM stores the unique id that it stands for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
func (s *Service) judge(document string) (problem string, public bool) {
	if utf8.RuneCountInString(document) > maxPolicy {
		return "This resource policy is longer than 20480 characters.", false
	}
	var policy struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(document), &policy); err != nil || len(policy.Statement) == 0 {
		return "This resource policy contains invalid Json.", false
	}
	type statement struct {
		Effect                 string
		Principal              json.RawMessage
		Condition              map[string]any
		Action, Resource       any
		NotAction, NotResource any
		NotPrincipal           any
	}
	var statements []statement
	if err := json.Unmarshal(policy.Statement, &statements); err != nil {
		var one statement
		if err := json.Unmarshal(policy.Statement, &one); err != nil {
			return "This resource policy contains an invalid Statement.", false
		}
		statements = []statement{one}
	}
	for _, st := range statements {
		switch {
		case st.Effect != "Allow" && st.Effect != "Deny":
			return "This resource policy contains an invalid Effect.", false
		case st.Principal == nil && st.NotPrincipal == nil:
			return "This resource policy contains a statement without a Principal.", false
		case (st.Action == nil) == (st.NotAction == nil):
			return "This resource policy contains a statement without an Action.", false
		case (st.Resource == nil) == (st.NotResource == nil):
			return "This resource policy contains a statement without a Resource.", false
		case !s.exist(st.Principal):
			return "This resource policy contains an unsupported principal.", false
		}
		p := string(st.Principal)
		everybody := p == `"*"` || p == `{"AWS":"*"}` || p == `{"AWS":["*"]}`
		public = public || (st.Effect == "Allow" && everybody && len(st.Condition) == 0)
	}
	return "", public
}

// exist tells whether the roles and sessions of this account that a principal names are there.
func (s *Service) exist(principal json.RawMessage) bool {
	var kinds struct{ AWS json.RawMessage }
	if s.Principal == nil || json.Unmarshal(principal, &kinds) != nil {
		return true
	}
	var names []string
	if json.Unmarshal(kinds.AWS, &names) != nil {
		var one string
		if json.Unmarshal(kinds.AWS, &one) != nil {
			return true
		}
		names = []string{one}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "arn:aws:iam::"+stack.Account+":role/") && !s.Principal(name) {
			return false
		}
	}
	return true
}
