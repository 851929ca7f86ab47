package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// held is registry, Secrets Manager and audit for rotation.ApplyContracts: it reads the real ones, and notes what would be
// written instead of writing it. A plan made this way cannot differ from what apply does.
type held struct {
	*secretsmanager.Client
	registry *dynamo.Registry
	planned  map[string]*planned
}

// preview goes through an application of contracts. The secrets come sorted.
func preview(ctx context.Context, reg *dynamo.Registry, client *secretsmanager.Client, bundle contract.Bundle, readers spared) ([]planned, error) {
	h := &held{Client: client, registry: reg, planned: map[string]*planned{}}
	apply := rotation.ApplyContracts{Log: h, Registry: h, Secrets: h, Mayfly: readers.mayfly, BreakGlass: readers.breakGlass, Rand: rand.Reader, Now: time.Now}
	if _, err := apply.Apply(ctx, bundle, "plan"); err != nil {
		return nil, err
	}
	all := make([]planned, 0, len(h.planned))
	for _, secret := range slices.Sorted(maps.Keys(h.planned)) {
		all = append(all, *h.planned[secret])
	}
	return all, nil
}

func (h *held) of(secret string) *planned {
	if h.planned[secret] == nil {
		h.planned[secret] = &planned{
			Secret: secret, Action: planNone, Fields: []fieldChange{}, KeysAdded: []string{}, KeysRemoved: []string{}, Tags: map[string]string{},
		}
	}
	return h.planned[secret]
}

// Append keeps the record to itself.
func (h *held) Append(_ context.Context, head audit.Head, _ audit.Record) (audit.Head, error) {
	return head, nil
}

// InForce reads the real list.
func (h *held) InForce(ctx context.Context) ([]string, error) { return h.registry.InForce(ctx) }

// CreateSecret notes that the secret is missing; the value that it was given goes nowhere.
func (h *held) CreateSecret(_ context.Context, in *secretsmanager.CreateSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	h.of(*in.Name).CreatesSecret = true
	h.tags(*in.Name, in.Tags)
	return &secretsmanager.CreateSecretOutput{}, nil
}

// TagResource notes the tags.
func (h *held) TagResource(_ context.Context, in *secretsmanager.TagResourceInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.TagResourceOutput, error) {
	h.tags(*in.SecretId, in.Tags)
	return &secretsmanager.TagResourceOutput{}, nil
}

// GetResourcePolicy reads the real policy; a secret that is missing has none.
func (h *held) GetResourcePolicy(ctx context.Context, in *secretsmanager.GetResourcePolicyInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.GetResourcePolicyOutput, error) {
	if h.of(*in.SecretId).CreatesSecret {
		return &secretsmanager.GetResourcePolicyOutput{}, nil
	}
	return h.Client.GetResourcePolicy(ctx, in, opts...)
}

// PutResourcePolicy notes that the policy is another one.
func (h *held) PutResourcePolicy(_ context.Context, in *secretsmanager.PutResourcePolicyInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.PutResourcePolicyOutput, error) {
	h.of(*in.SecretId).Access = true
	return &secretsmanager.PutResourcePolicyOutput{}, nil
}

func (h *held) tags(secret string, tags []types.Tag) {
	for _, t := range tags {
		h.of(secret).Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
}

// Withdraw notes that the contract goes.
func (h *held) Withdraw(_ context.Context, secret string) error {
	h.of(secret).Action = planWithdraw
	return nil
}

// Apply compares the contract with the one in force. It comes last for each secret.
func (h *held) Apply(ctx context.Context, c contract.Contract, _, _ []string, _, _ string, keys []string, _, _ time.Time) error {
	p := h.of(c.ID())
	had, err := h.registry.Keys(ctx, c.ID())
	if err != nil {
		return err
	}
	p.KeysAdded, p.KeysRemoved = without(keys, had), without(had, keys)
	before, err := h.registry.Standing(ctx, c.ID())
	if errors.Is(err, registry.ErrNotInForce) {
		p.Action = planCreate
		return nil
	}
	if err != nil {
		return err
	}
	if p.Fields, err = fields(before.Contract, c); err != nil {
		return err
	}
	if p.CreatesSecret || p.Access || len(p.Fields)+len(p.KeysAdded)+len(p.KeysRemoved)+len(p.Tags) > 0 {
		p.Action = planChange
	}
	return nil
}

// without gives the members of list that other lacks.
func without(list, other []string) []string {
	rest := []string{}
	for _, k := range list {
		if !slices.Contains(other, k) {
			rest = append(rest, k)
		}
	}
	return rest
}

// fields compares two contracts member by member: "ttl", "target.host".
func fields(before, after contract.Contract) ([]fieldChange, error) {
	from, err := members(before)
	if err != nil {
		return nil, err
	}
	to, err := members(after)
	if err != nil {
		return nil, err
	}
	changes := []fieldChange{}
	compare("", from, to, &changes)
	return changes, nil
}

// compare notes what two objects differ in, down to the members that are no objects in both.
func compare(prefix string, from, to map[string]any, changes *[]fieldChange) {
	all := maps.Clone(from)
	maps.Copy(all, to)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x, nested := from[name].(map[string]any)
		y, both := to[name].(map[string]any)
		switch {
		case nested && both:
			compare(prefix+name+".", x, y, changes)
		case !reflect.DeepEqual(from[name], to[name]):
			*changes = append(*changes, fieldChange{prefix + name, shown(from[name]), shown(to[name])})
		}
	}
}

// shown writes a member as its contract would: text as it is, "" for none.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		text, _ := json.Marshal(v) // it came out of JSON
		return string(text)
	}
}

func members(c contract.Contract) (map[string]any, error) {
	data, err := json.Marshal(contract.WithDefaults(c))
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	return m, d.Decode(&m)
}
