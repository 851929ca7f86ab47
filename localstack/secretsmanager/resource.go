package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
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
	ExcludeLowercase        boolean
	ExcludeNumbers          boolean
	ExcludePunctuation      boolean
	ExcludeUppercase        boolean
	IncludeSpace            boolean
	PasswordLength          json.Number
	RequireEachIncludedType *boolean
	GenerateStringKey       string
	SecretStringTemplate    string
}

// boolean also reads "true" and "false", as CloudFormation does.
type boolean bool

// UnmarshalJSON reads a boolean with or without quotes.
func (b *boolean) UnmarshalJSON(raw []byte) error {
	v, err := strconv.ParseBool(string(bytes.Trim(raw, `"`)))
	*b = boolean(v)
	return err
}

func (s *Service) makeSecret(ctx context.Context, r stack.Resource) (stack.Made, error) {
	var p secretProperties
	if err := strict(r, &p); err != nil {
		return stack.Made{}, err
	}
	if p.Name == "" {
		p.Name = r.LogicalID + "-" + pick(letters, 12)
	}
	in := &createSecretInput{Name: p.Name, Description: p.Description, KmsKeyId: p.KmsKeyId, SecretString: p.SecretString, Tags: p.Tags,
		ClientRequestToken: pick("0123456789abcdef", 32)}
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
	return stack.Made{Ref: out.ARN, Att: map[string]string{"Id": out.ARN}}, nil
}

// value generates a password and, if there is a template, puts it there under the key.
func (g *generateSecretString) value() (string, error) {
	in := &passwordInput{ExcludeCharacters: g.ExcludeCharacters, ExcludeLowercase: bool(g.ExcludeLowercase), ExcludeNumbers: bool(g.ExcludeNumbers),
		ExcludePunctuation: bool(g.ExcludePunctuation), ExcludeUppercase: bool(g.ExcludeUppercase), IncludeSpace: bool(g.IncludeSpace),
		RequireEachIncludedType: (*bool)(g.RequireEachIncludedType)}
	if g.PasswordLength != "" {
		n, err := strconv.Atoi(g.PasswordLength.String())
		if err != nil {
			return "", fmt.Errorf("GenerateSecretString: PasswordLength %q is not a whole number", g.PasswordLength)
		}
		in.PasswordLength = n
	}
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
	ResourcePolicy    json.RawMessage
	BlockPublicPolicy boolean
}

func (s *Service) makeResourcePolicy(ctx context.Context, r stack.Resource) (stack.Made, error) {
	var p resourcePolicyProperties
	if err := strict(r, &p); err != nil {
		return stack.Made{}, err
	}
	out, err := s.putResourcePolicy(ctx, nil, &policyInput{SecretId: p.SecretId, ResourcePolicy: string(p.ResourcePolicy), BlockPublicPolicy: bool(p.BlockPublicPolicy)})
	if err != nil {
		return stack.Made{}, err
	}
	return stack.Made{Ref: out.ARN, Att: map[string]string{"Id": out.ARN}}, nil
}

func strict(r stack.Resource, into any) error {
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	return nil
}
