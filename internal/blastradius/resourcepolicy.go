package blastradius

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// MaxPolicy is the longest resource policy that a secret may have, in characters.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaxPolicy = 20480

// MaxRevoked is the most versions that a policy names as revoked: as many as Secrets Manager keeps of a secret.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaxRevoked = 100

// Options are what the account and the state of the secret add to its contract.
type Options struct {
	Account     string    // 12 digits, the secret's
	Partition   string    // "aws" if ""
	MayflyRoles []string  // ARNs of the roles of Mayfly's functions, at least one; what they may do is in their own policies
	BreakGlass  string    // ARN of the role for emergencies; "" for none. Until the expiry it reads like a declared service
	ExpiresAt   time.Time // when the value in use expires; zero: no value has been set yet, so there is none to expire
	OnExpiry    string    // of the policy in force: contract.Deny or contract.Keep; "" is the contract's, or else Deny
	Revoked     []string  // ids of versions that were revoked, at most MaxRevoked
	// RevokedStages are labels whose version was revoked, such as AWSPREVIOUS: a request names a version by its id or by a
	// label, and a condition sees only what the request names.
	// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
	RevokedStages []string
}

// Sids of a compiled policy. IAM's messages and CloudTrail do not show them; they are for people who read the policy.
const (
	SidServices   = "DeclaredServicesRead"
	SidBreakGlass = "BreakGlassReads"
	SidNobodyElse = "NobodyElseReads"
	SidExpired    = "NobodyReadsPastExpiry"
	SidRevoked    = "NobodyReadsRevokedVersions"
	SidStages     = "NobodyReadsRevokedStages"
)

// readValue is the one action that gives a value away. BatchGetSecretValue needs it for each secret that it returns.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
const readValue = "secretsmanager:GetSecretValue"

// CompilePolicy writes the resource policy of the contract's secret: the same input gives the same bytes.
//
//   - Roles of the declared services in the secret's environment, and the break-glass role, may read.
//   - Everybody else is denied reading, whatever their own policies say: administrators, the account's root, other
//     accounts, anonymous callers and AWS services on their own behalf.
//   - Past the expiry everybody is denied reading, so is break-glass, unless the policy keeps what has expired.
//   - Revoked versions are denied to everybody.
//   - Mayfly's functions are exempt from each deny and allowed by none of the statements: their own policies say which of
//     them reads, and rotation is possible past the expiry.
//
// The denies name everybody ("*") and spare roles by aws:PrincipalArn. NotPrincipal, which AWS advises against, would also
// deny every role with a permissions boundary, and would have to name each session. The key holds the ARN of the role, with
// its path, and never that of a session; where it is missing (anonymous callers, services) ArnNotEquals holds and the deny
// applies, which is why the condition has no IfExists.
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
//
// The allows name roles as principals, which IAM ties to the role's unique id: a role that is deleted and made again under
// the same name has no access by them until the policy is put in force again. PutResourcePolicy refuses a role that does
// not exist.
//
// Errors, all ContractInvalid: a declared service is not in that environment; a role is no role of this account and
// partition; the policy is larger than MaxPolicy; the options are incomplete.
func CompilePolicy(c contract.Contract, services []contract.Service, o Options) ([]byte, error) {
	readers, err := declaredRoles(c, services)
	if err != nil {
		return nil, err
	}
	if err := o.check(c.ID(), readers); err != nil {
		return nil, err
	}
	mayfly := distinct(o.MayflyRoles)
	readers = slices.DeleteFunc(readers, func(r string) bool { return slices.Contains(mayfly, r) || r == o.BreakGlass })

	var p document
	spared := distinct(mayfly, readers)
	if len(readers) > 0 {
		p.allow(SidServices, readers)
	}
	if o.BreakGlass != "" {
		p.allow(SidBreakGlass, []string{o.BreakGlass})
		spared = distinct(spared, []string{o.BreakGlass})
	}
	p.deny(SidNobodyElse, spared, nil)
	if o.expires(c) {
		p.deny(SidExpired, mayfly, conditions{"DateGreaterThan": {"aws:CurrentTime": {o.ExpiresAt.UTC().Format(time.RFC3339)}}})
	}
	if len(o.Revoked) > 0 {
		p.deny(SidRevoked, mayfly, conditions{"StringEquals": {"secretsmanager:VersionId": distinct(o.Revoked)}})
	}
	if len(o.RevokedStages) > 0 {
		p.deny(SidStages, mayfly, conditions{"StringEquals": {"secretsmanager:VersionStage": distinct(o.RevokedStages)}})
	}
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	if len(text) > MaxPolicy {
		return nil, fault.New(fault.ContractInvalid, "the resource policy of %s has %d characters, more than the %d that a secret may have: declare fewer services, or one role for those that are deployed together",
			c.ID(), len(text), MaxPolicy)
	}
	return text, nil
}

// expires tells whether the policy ends with the value. Silence means that it does.
func (o Options) expires(c contract.Contract) bool {
	if o.ExpiresAt.IsZero() {
		return false
	}
	switch {
	case o.OnExpiry != "":
		return o.OnExpiry != contract.Keep
	default:
		return c.OnExpiry != contract.Keep
	}
}

// declaredRoles are the roles that the contract's services have in its environment.
func declaredRoles(c contract.Contract, services []contract.Service) ([]string, error) {
	d := derivation{bundle: contract.Bundle{Services: services}}
	var roles []string
	for _, name := range c.Services {
		if name == Self {
			continue
		}
		p, ok := d.placement(name, c.Environment)
		if !ok {
			return nil, fault.New(fault.ContractInvalid, "service %s, which %s declares, is not in %s: add environments.%s to services/%s.yaml",
				name, c.ID(), c.Environment, c.Environment, name)
		}
		roles = append(roles, p.Role)
	}
	return distinct(roles), nil
}

// A role is named exactly: a wildcard would be one in the conditions, where ArnEquals knows them too.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
var (
	role    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/[A-Za-z0-9+=,.@_/-]+$`)
	account = regexp.MustCompile(`^[0-9]{12}$`)
)

func (o Options) check(secret string, readers []string) error {
	partition := o.Partition
	if partition == "" {
		partition = "aws"
	}
	switch {
	case !account.MatchString(o.Account):
		return fault.New(fault.ContractInvalid, "account %q of %s has not 12 digits", o.Account, secret)
	case len(o.MayflyRoles) == 0:
		return fault.New(fault.ContractInvalid, "the policy of %s would lock Mayfly out: name the roles of its functions", secret)
	case len(o.Revoked) > MaxRevoked:
		return fault.New(fault.ContractInvalid, "%d revoked versions of %s are more than the %d that it can have: leave out those that are gone",
			len(o.Revoked), secret, MaxRevoked)
	case o.OnExpiry != "" && o.OnExpiry != contract.Deny && o.OnExpiry != contract.Keep:
		return fault.New(fault.ContractInvalid, "on_expiry %q of %s is unknown: use deny or keep", o.OnExpiry, secret)
	}
	all := distinct(readers, o.MayflyRoles)
	if o.BreakGlass != "" {
		all = append(all, o.BreakGlass)
	}
	for _, arn := range all {
		m := role.FindStringSubmatch(arn)
		switch {
		case m == nil:
			return fault.New(fault.ContractInvalid, "%q, which is to read %s, is not the ARN of an IAM role: give that of the role, not of a session, a user or the account", arn, secret)
		case m[1] != partition, m[2] != o.Account:
			return fault.New(fault.ContractInvalid, "role %s, which is to read %s, is not in account %s of partition %s: declare the role in this account", arn, secret, o.Account, partition)
		}
	}
	return nil
}

// tooLarge finds that the policy of a contract would not fit, with as many roles of Mayfly as there are, of the longest
// names that IAM allows.
func tooLarge(b contract.Bundle, c contract.Contract) *contract.Problem {
	d := derivation{bundle: b}
	o := Options{Account: "000000000000", ExpiresAt: time.Unix(0, 0)}
	for _, name := range c.Services {
		if p, ok := d.placement(name, c.Environment); ok {
			if m := role.FindStringSubmatch(p.Role); m != nil {
				o.Partition, o.Account = m[1], m[2]
			}
		}
	}
	if o.Partition == "" {
		o.Partition = "aws"
	}
	longest := func(i int) string {
		return fmt.Sprintf("arn:%s:iam::%s:role/%s%02d", o.Partition, o.Account, strings.Repeat("m", 62), i)
	}
	for i := range mostMayflyRoles {
		o.MayflyRoles = append(o.MayflyRoles, longest(i))
	}
	o.BreakGlass = longest(mostMayflyRoles)
	_, err := CompilePolicy(c, b.Services, o)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return &contract.Problem{Path: "/services", Code: "no-resource-policy", Message: refused.Message,
			Do: "declare fewer services, each with a role of the secret's account"}
	}
	return nil
}

// mostMayflyRoles is how many of Mayfly's functions read values, with room to grow.
const mostMayflyRoles = 12

// document is a policy on its way to JSON, in the order in which IAM's documentation writes the elements.
type document struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Sid       string     `json:"Sid"`
	Effect    string     `json:"Effect"`
	Principal any        `json:"Principal"`
	Action    []string   `json:"Action"`
	Resource  string     `json:"Resource"`
	Condition conditions `json:"Condition,omitempty"`
}

// conditions are operator -> condition key -> values. encoding/json writes maps in the order of their keys.
type conditions map[string]map[string][]string

func (p *document) allow(sid string, roles []string) {
	p.Statement = append(p.Statement, statement{
		Sid: sid, Effect: "Allow", Principal: map[string][]string{"AWS": roles},
		Action: []string{"secretsmanager:DescribeSecret", readValue}, Resource: "*",
	})
}

// deny refuses reading to everybody but the spared roles, under further conditions.
func (p *document) deny(sid string, spared []string, when conditions) {
	all := conditions{"ArnNotEquals": {"aws:PrincipalArn": spared}}
	for operator, keys := range when {
		all[operator] = keys
	}
	p.Statement = append(p.Statement, statement{Sid: sid, Effect: "Deny", Principal: "*", Action: []string{readValue}, Resource: "*", Condition: all})
}

// text is compact: white space counts towards the limit.
func (p *document) text() ([]byte, error) {
	p.Version = "2012-10-17"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// distinct is what is in any of the lists, sorted, once; never nil.
func distinct(lists ...[]string) []string {
	all := append([]string{}, slices.Concat(lists...)...)
	slices.Sort(all)
	return slices.Compact(all)
}
