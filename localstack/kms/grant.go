package kms

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Grant lets a principal use a key for some operations, beside what the key's policy says.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
type Grant struct {
	ID, Name          string
	Grantee, Retiring string   // ARNs; Retiring "" if nobody is named
	Operations        []string // sorted
	Equals, Subset    map[string]string

	created time.Time
	token   string
}

// grantable are the operations that a grant can give here. AWS knows more of them; none is needed.
var grantable = []string{"Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "RetireGrant"}

// Allows says whether the grant gives an operation under an encryption context. A constraint compares keys and values
// exactly; it does not bind operations that have no context.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-constraints
func (g *Grant) Allows(operation string, encryption map[string]string) bool {
	if !slices.Contains(g.Operations, operation) {
		return false
	}
	if operation == "DescribeKey" || operation == "RetireGrant" {
		return true
	}
	if g.Equals != nil && !maps.Equal(g.Equals, encryption) {
		return false
	}
	for k, v := range g.Subset {
		if got, ok := encryption[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Grants are the grants on a key that is given by id or ARN, in order of creation.
func (s *Service) Grants(keyID string) []Grant {
	k, err := s.find(keyID)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Grant, len(k.grants))
	for i, g := range k.grants {
		all[i] = *g
	}
	return all
}

// Granted finds the grant that a RetireGrant names, by its token or by key and id.
func (s *Service) Granted(keyID, grantID, token string) (key string, g Grant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, at := s.locate(keyID, grantID, token)
	if k == nil {
		return "", Grant{}, false
	}
	return k.arn, *k.grants[at], true
}

// locate finds a grant. The caller holds the lock.
func (s *Service) locate(keyID, grantID, token string) (*key, int) {
	for _, k := range s.keys {
		if token == "" && k.id != keyID && k.arn != keyID {
			continue
		}
		at := slices.IndexFunc(k.grants, func(g *Grant) bool { return (token != "" && g.token == token) || (token == "" && g.ID == grantID) })
		if at >= 0 {
			return k, at
		}
	}
	return nil, 0
}

type constraints struct {
	EncryptionContextEquals map[string]string `json:",omitempty"`
	EncryptionContextSubset map[string]string `json:",omitempty"`
}

type createGrantInput struct {
	KeyId             string
	GranteePrincipal  string
	RetiringPrincipal string
	Operations        []string
	Constraints       *constraints
	Name              string
	GrantTokens       []string // without effect: grants hold at once here; in AWS within five minutes
}

type createGrantOutput struct{ GrantId, GrantToken string }

var (
	validGrantName = regexp.MustCompile(`^[a-zA-Z0-9:/_-]{1,256}$`)
	validPrincipal = regexp.MustCompile(`^arn:aws:(iam::[0-9]{12}:(root|(user|role)/[\w+=,.@/-]+)|sts::[0-9]{12}:assumed-role/[\w+=,.@/-]+)$`)
)

// createGrant: the same request with the same name again is the same grant, under its first id.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func (s *Service) createGrant(_ context.Context, _ *stack.Call, in *createGrantInput) (*createGrantOutput, error) {
	k, err := s.named(in.KeyId)
	if err != nil {
		return nil, err
	}
	g := &Grant{Name: in.Name, Grantee: in.GranteePrincipal, Retiring: in.RetiringPrincipal, Operations: slices.Clone(in.Operations), created: s.clock.Now()}
	slices.Sort(g.Operations)
	g.Operations = slices.Compact(g.Operations)
	if in.Constraints != nil {
		g.Equals, g.Subset = in.Constraints.EncryptionContextEquals, in.Constraints.EncryptionContextSubset
	}
	if err := s.check(k, g); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.Name != "" {
		for _, old := range k.grants {
			if old.same(g) {
				return &createGrantOutput{old.ID, old.token}, nil
			}
		}
	}
	g.ID, g.token = hex.EncodeToString(bytesOf(32)), hex.EncodeToString(bytesOf(48))
	k.grants = append(k.grants, g)
	return &createGrantOutput{g.ID, g.token}, nil
}

func (g *Grant) same(other *Grant) bool {
	return g.Name == other.Name && g.Grantee == other.Grantee && g.Retiring == other.Retiring && slices.Equal(g.Operations, other.Operations) &&
		maps.Equal(g.Equals, other.Equals) && maps.Equal(g.Subset, other.Subset)
}

// check refuses what AWS refuses of a new grant.
func (s *Service) check(k *key, g *Grant) error {
	invalid := func(format string, args ...any) error {
		return &stack.Error{Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
	}
	if !k.enabled {
		return &stack.Error{Code: "DisabledException", Message: k.arn + " is disabled."}
	}
	if g.Name != "" && !validGrantName.MatchString(g.Name) {
		return invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$", g.Name)
	}
	if len(g.Operations) == 0 {
		return invalid("1 validation error detected: Value at 'operations' failed to satisfy constraint: Member must not be null")
	}
	for _, op := range g.Operations {
		if !slices.Contains(grantable, op) {
			return invalid("the local stack has no grants of %s", op)
		}
	}
	constrained := len(g.Equals)+len(g.Subset) > 0
	if k.usage != "ENCRYPT_DECRYPT" && (constrained || slices.ContainsFunc(g.Operations, func(op string) bool { return op != "DescribeKey" && op != "RetireGrant" })) {
		return invalid("The operations or constraints of the grant are not supported for a key with usage %s", k.usage)
	}
	if len(g.Equals) > 8 || len(g.Subset) > 8 {
		return invalid("A grant constraint can have up to 8 encryption context pairs")
	}
	principals := []string{g.Grantee}
	if g.Retiring != "" {
		principals = append(principals, g.Retiring)
	}
	for _, arn := range principals {
		if !validPrincipal.MatchString(arn) || (s.Principal != nil && !s.Principal(arn)) {
			return &stack.Error{Code: "InvalidArnException", Message: fmt.Sprintf("Specified ARN '%s' is not valid", arn)}
		}
	}
	return nil
}

// named is find for the operations that take no alias.
func (s *Service) named(id string) (*key, error) {
	if strings.Contains(id, "alias/") {
		return nil, &stack.Error{Code: "NotFoundException", Message: fmt.Sprintf("Invalid keyId '%s'", id)}
	}
	return s.find(id)
}

type listGrantsInput struct {
	KeyId            string
	GrantId          string
	GranteePrincipal string
	Limit            int
	Marker           string
}

type listGrantsOutput struct {
	Grants     []grantEntry
	Truncated  bool
	NextMarker string `json:",omitempty"`
}

type grantEntry struct {
	KeyId             string
	GrantId           string
	Name              string
	CreationDate      stack.Time
	GranteePrincipal  string
	RetiringPrincipal string `json:",omitempty"`
	IssuingAccount    string
	Operations        []string
	Constraints       *constraints `json:",omitempty"`
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
func (s *Service) listGrants(_ context.Context, _ *stack.Call, in *listGrantsInput) (*listGrantsOutput, error) {
	k, err := s.named(in.KeyId)
	if err != nil {
		return nil, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 100 {
		return nil, &stack.Error{Code: "ValidationException", Message: "Limit must be 1 to 100"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listGrantsOutput{Grants: []grantEntry{}}
	at := 0
	if in.Marker != "" {
		// The marker is the id of the last grant that was given.
		if at = slices.IndexFunc(k.grants, func(g *Grant) bool { return g.ID == in.Marker }) + 1; at == 0 {
			return nil, &stack.Error{Code: "InvalidMarkerException", Message: "Could not deserialize marker"}
		}
	}
	for ; at < len(k.grants); at++ {
		g := k.grants[at]
		if (in.GrantId != "" && in.GrantId != g.ID) || (in.GranteePrincipal != "" && in.GranteePrincipal != g.Grantee) {
			continue
		}
		if len(out.Grants) == limit {
			out.Truncated, out.NextMarker = true, out.Grants[limit-1].GrantId
			break
		}
		e := grantEntry{KeyId: k.arn, GrantId: g.ID, Name: g.Name, CreationDate: stack.Time{Time: g.created}, GranteePrincipal: g.Grantee,
			RetiringPrincipal: g.Retiring, IssuingAccount: "arn:aws:iam::" + stack.Account + ":root", Operations: slices.Clone(g.Operations)}
		if g.Equals != nil || g.Subset != nil {
			e.Constraints = &constraints{maps.Clone(g.Equals), maps.Clone(g.Subset)}
		}
		out.Grants = append(out.Grants, e)
	}
	return out, nil
}

type revokeGrantInput struct{ KeyId, GrantId string }

type nothing struct{}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html
func (s *Service) revokeGrant(_ context.Context, _ *stack.Call, in *revokeGrantInput) (*nothing, error) {
	k, err := s.named(in.KeyId)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.remove(k.arn, in.GrantId, "")
}

type retireGrantInput struct{ KeyId, GrantId, GrantToken string }

// https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html
func (s *Service) retireGrant(_ context.Context, _ *stack.Call, in *retireGrantInput) (*nothing, error) {
	if (in.GrantToken == "") == (in.GrantId == "" || in.KeyId == "") {
		return nil, &stack.Error{Code: "ValidationException", Message: "Specify either a grant token, or both a grant ID and a key ARN"}
	}
	return &nothing{}, s.remove(in.KeyId, in.GrantId, in.GrantToken)
}

func (s *Service) remove(keyID, grantID, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, at := s.locate(keyID, grantID, token)
	if k == nil {
		return &stack.Error{Code: "NotFoundException", Message: fmt.Sprintf("Grant ID %s not found", grantID)}
	}
	k.grants = slices.Delete(k.grants, at, at+1)
	return nil
}
