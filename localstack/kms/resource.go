package kms

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources are the resource types of KMS.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::KMS::Key":   s.makeKey,
		"AWS::KMS::Alias": s.makeAlias,
	}
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kms-key.html
type keyProperties struct {
	Description string
	Enabled     json.RawMessage // true or "true"; absent means true
	KeyPolicy   json.RawMessage
	KeySpec     string
	KeyUsage    string
	// The rest has no local effect: material is never rotated, keys are never deleted and live in one Region.
	EnableKeyRotation              json.RawMessage
	RotationPeriodInDays           json.RawMessage
	PendingWindowInDays            json.RawMessage
	MultiRegion                    json.RawMessage
	Origin                         string
	BypassPolicyLockoutSafetyCheck json.RawMessage
	Tags                           []struct{ Key, Value string }
}

func (s *Service) makeKey(_ context.Context, r stack.Resource) (stack.Made, error) {
	p := keyProperties{KeySpec: symmetric, KeyUsage: "ENCRYPT_DECRYPT"}
	if err := strict(r, &p); err != nil {
		return stack.Made{}, err
	}
	k := &key{id: uuid(), description: p.Description, spec: p.KeySpec, usage: p.KeyUsage, policy: string(p.KeyPolicy), created: s.clock.Now(),
		enabled: strings.Trim(string(p.Enabled), `"`) != "false", material: bytesOf(32)}
	encrypts := p.KeySpec == symmetric && p.KeyUsage == "ENCRYPT_DECRYPT"
	authenticates := strings.HasPrefix(p.KeySpec, "HMAC_") && p.KeyUsage == "GENERATE_VERIFY_MAC"
	if !encrypts && !authenticates {
		return stack.Made{}, fmt.Errorf("%s: the local stack has no %s keys with usage %s", r.LogicalID, p.KeySpec, p.KeyUsage)
	}
	k.arn = fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", stack.Region, stack.Account, k.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.id] = k
	return stack.Made{Ref: k.id, Att: map[string]string{"Arn": k.arn, "KeyId": k.id}}, nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kms-alias.html
type aliasProperties struct{ AliasName, TargetKeyId string }

func (s *Service) makeAlias(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p aliasProperties
	if err := strict(r, &p); err != nil {
		return stack.Made{}, err
	}
	if !strings.HasPrefix(p.AliasName, "alias/") || strings.HasPrefix(p.AliasName, "alias/aws/") {
		return stack.Made{}, fmt.Errorf("%s: an alias must begin with alias/ and not with alias/aws/: %q", r.LogicalID, p.AliasName)
	}
	k, err := s.find(p.TargetKeyId)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s: %w", r.LogicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[p.AliasName] = k.id
	return stack.Made{Ref: p.AliasName}, nil
}

func strict(r stack.Resource, into any) error {
	dec := json.NewDecoder(bytes.NewReader(r.Properties))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	return nil
}
