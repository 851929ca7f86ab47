package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

// Resources are the resource types of Secrets Manager.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::SecretsManager::Secret":         s.makeSecret,
		"AWS::SecretsManager::ResourcePolicy": s.makeResourcePolicy,
	}
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
type secretProperties struct {
	Name                 string
	Description          string
	KmsKeyId             string
	SecretString         *string
	GenerateSecretString *generateSecretString
	Tags                 []tag
}

type generateSecretString struct {
	ExcludeCharacters       string
	ExcludeLowercase        property.Bool
	ExcludeNumbers          property.Bool
	ExcludePunctuation      property.Bool
	ExcludeUppercase        property.Bool
	IncludeSpace            property.Bool
	PasswordLength          property.Int
	RequireEachIncludedType *property.Bool
	GenerateStringKey       string
	SecretStringTemplate    string
}

// makeSecret makes a secret, or changes the one of that name. A generated value is generated once: an update of the
// template never replaces a secret's value by another random one.
func (s *Service) makeSecret(ctx context.Context, r stack.Resource) (stack.Made, error) {
	var p secretProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.Name == "" {
		p.Name = name.Physical(r.LogicalID, 512)
	}
	in := &createSecretInput{Name: p.Name, Description: p.Description, KmsKeyId: p.KmsKeyId, SecretString: p.SecretString, Tags: p.Tags, ClientRequestToken: name.UUID()}
	if arn, ok := s.arn(p.Name); ok {
		return made(arn), s.change(ctx, in)
	}
	if p.GenerateSecretString != nil {
		value, err := p.GenerateSecretString.value()
		if err != nil {
			return stack.Made{}, err
		}
		in.SecretString = &value
	}
	out, err := s.createSecret(ctx, nil, in)
	if err != nil {
		return stack.Made{}, err
	}
	return made(out.ARN), nil
}

func made(arn string) stack.Made { return stack.Made{Ref: arn, Att: map[string]string{"Id": arn}} }

func (s *Service) arn(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, ok := s.secrets[name]
	if !ok {
		return "", false
	}
	return sec.arn, true
}

// change brings a secret to what the template says. A value that the template gives is stored only if it is new.
func (s *Service) change(ctx context.Context, in *createSecretInput) error {
	update := &updateSecretInput{SecretId: in.Name, ClientRequestToken: in.ClientRequestToken, Description: &in.Description, KmsKeyId: &in.KmsKeyId}
	if in.SecretString != nil {
		now, err := s.getSecretValue(ctx, nil, &getSecretValueInput{SecretId: in.Name})
		if err != nil || now.SecretString == nil || *now.SecretString != *in.SecretString {
			update.SecretString = in.SecretString
		}
	}
	if _, err := s.updateSecret(ctx, nil, update); err != nil {
		return err
	}
	_, err := s.tagResource(ctx, nil, &tagResourceInput{SecretId: in.Name, Tags: in.Tags})
	return err
}

// value generates a password and, if there is a template, puts it there under the key.
func (g *generateSecretString) value() (string, error) {
	in := &passwordInput{ExcludeCharacters: g.ExcludeCharacters, ExcludeLowercase: bool(g.ExcludeLowercase), ExcludeNumbers: bool(g.ExcludeNumbers),
		ExcludePunctuation: bool(g.ExcludePunctuation), ExcludeUppercase: bool(g.ExcludeUppercase), IncludeSpace: bool(g.IncludeSpace),
		RequireEachIncludedType: (*bool)(g.RequireEachIncludedType), PasswordLength: int(g.PasswordLength)}
	password, err := in.generate()
	if err != nil || g.SecretStringTemplate == "" {
		return password, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(g.SecretStringTemplate), &fields); err != nil || g.GenerateStringKey == "" {
		return "", fmt.Errorf("GenerateSecretString: SecretStringTemplate must be a JSON object and GenerateStringKey must be given")
	}
	fields[g.GenerateStringKey], _ = json.Marshal(password) // a string always has a JSON form
	whole, err := json.Marshal(fields)
	return string(whole), err
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-resourcepolicy.html
type resourcePolicyProperties struct {
	SecretId          string
	ResourcePolicy    property.Document
	BlockPublicPolicy property.Bool
}

func (s *Service) makeResourcePolicy(ctx context.Context, r stack.Resource) (stack.Made, error) {
	var p resourcePolicyProperties
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	out, err := s.putResourcePolicy(ctx, nil, &policyInput{SecretId: p.SecretId, ResourcePolicy: string(p.ResourcePolicy), BlockPublicPolicy: bool(p.BlockPublicPolicy)})
	if err != nil {
		return stack.Made{}, err
	}
	return made(out.ARN), nil
}
