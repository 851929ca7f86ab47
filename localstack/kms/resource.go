package kms

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
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
	Enabled     property.Bool
	KeyPolicy   property.Document
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

// makeKey makes a key, or changes the one that this resource became before: its material stays.
func (s *Service) makeKey(_ context.Context, r stack.Resource) (stack.Made, error) {
	p := keyProperties{Enabled: true, KeySpec: symmetric, KeyUsage: "ENCRYPT_DECRYPT"}
	if err := property.Decode(r, &p); err != nil {
		return stack.Made{}, err
	}
	encrypts := p.KeySpec == symmetric && p.KeyUsage == "ENCRYPT_DECRYPT"
	authenticates := strings.HasPrefix(p.KeySpec, "HMAC_") && p.KeyUsage == "GENERATE_VERIFY_MAC"
	if !encrypts && !authenticates {
		return stack.Made{}, fmt.Errorf("%s: the local stack has no %s keys with usage %s", r.LogicalID, p.KeySpec, p.KeyUsage)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.made[r.LogicalID]
	if ok && (k.spec != p.KeySpec || k.usage != p.KeyUsage) {
		return stack.Made{}, fmt.Errorf("%s: KeySpec and KeyUsage of a key cannot be changed", r.LogicalID)
	}
	if !ok {
		k = &key{id: name.UUID(), spec: p.KeySpec, usage: p.KeyUsage, created: s.clock.Now(), material: bytesOf(32)}
		k.arn = fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", stack.Region, stack.Account, k.id)
		s.keys[k.id], s.made[r.LogicalID] = k, k
	}
	k.description, k.policy, k.enabled = p.Description, string(p.KeyPolicy), bool(p.Enabled)
	return stack.Made{Ref: k.id, Att: map[string]string{"Arn": k.arn, "KeyId": k.id}}, nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kms-alias.html
type aliasProperties struct{ AliasName, TargetKeyId string }

func (s *Service) makeAlias(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p aliasProperties
	if err := property.Decode(r, &p); err != nil {
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
