package blastradius

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// MaxPolicy is the longest resource policy that a secret may have, in characters.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaxPolicy = 20480

// Options are who reads a secret, and how long.
type Options struct {
	Readers     []string  // ARNs of the declared services' roles: see DeclaredRoles
	MayflyRoles []string  // ARNs of the roles of Mayfly's functions that read, at least one; what they may do is in their own policies
	BreakGlass  string    // ARN of the role for emergencies; "" for none. Until the expiry it reads like a declared service
	Current     string    // id of the version in use; "" for none
	Before      string    // id of the version before it, which may be read until OverlapEnds; "" for none
	OverlapEnds time.Time // zero: the version before is over already
	ExpiresAt   time.Time // when the value in use expires
	OnExpiry    string    // contract.Deny or contract.Keep; "" is Deny: silence does not keep
	RevokeOld   bool      // false: versions before the one in use stay readable
}

// Sids of a compiled policy. IAM's messages and CloudTrail do not show them; they are for people who read the policy.
const (
	SidServices      = "DeclaredServicesRead"
	SidNobodyElse    = "NobodyElseReads"
	SidExpired       = "NobodyReadsPastExpiry"
	SidOtherVersions = "NobodyReadsOtherVersions"
	SidOldVersion    = "NobodyReadsOldVersionPastOverlap"
	SidOldLabel      = "NobodyReadsOldLabelPastOverlap"
	SidPending       = "NobodyReadsPending"
)

// readValue is the one action that gives a value away. BatchGetSecretValue needs it for each secret that it returns.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
const readValue = "secretsmanager:GetSecretValue"

// What requests name, as conditions see it: a version by its id, by a label, or, where neither key is there, AWSCURRENT.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html#awssecretsmanager-policy-keys
const (
	now       = "aws:CurrentTime"
	versionID = "secretsmanager:VersionId"
	stage     = "secretsmanager:VersionStage"
)

// CompilePolicy writes the resource policy of a secret: the same input gives the same bytes. It ends by itself what is to
// end, so it is put once per rotation, and nobody has to be there when an overlap or a value is over.
//
//   - Roles of the declared services, and the break-glass role, may read. Everybody else is denied reading, whatever their own
//     policies say: administrators, the account's root, other accounts, anonymous callers and AWS services on their own behalf.
//   - Past the expiry everybody is denied reading, so is break-glass, unless the policy keeps what has expired.
//   - Of versions that a request names by id, only the one in use and the one before it are read, and that one, also as
//     AWSPREVIOUS, until the overlap ends; unless old versions are not revoked.
//   - AWSPENDING, which nobody has tested yet, is read by nobody.
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
// The allow names roles as principals, which IAM ties to the role's unique id: a role that is deleted and made again under
// the same name has no access by it until the policy is put in force again. PutResourcePolicy refuses a role that does
// not exist; WithoutAllow is the policy for then.
//
// Errors, all ContractInvalid: a role is no role of Mayfly's account and partition; the policy is larger than MaxPolicy; the
// options are incomplete.
func CompilePolicy(secret string, o Options) ([]byte, error) {
	if err := o.check(secret); err != nil {
		return nil, err
	}
	mayfly := distinct(o.MayflyRoles)
	readers := distinct(o.Readers)
	if o.BreakGlass != "" {
		readers = distinct(readers, []string{o.BreakGlass})
	}
	readers = slices.DeleteFunc(readers, func(r string) bool { return slices.Contains(mayfly, r) })

	var p document
	if len(readers) > 0 {
		p.allow(SidServices, readers)
	}
	p.deny(SidNobodyElse, distinct(mayfly, readers), nil)
	if o.OnExpiry != contract.Keep {
		p.deny(SidExpired, mayfly, after(o.ExpiresAt))
	}
	if o.RevokeOld {
		p.deny(SidOtherVersions, mayfly, named(o.Current, o.Before))
		p.deny(SidOldVersion, mayfly, after(o.OverlapEnds).and(named(o.Current)))
		p.deny(SidOldLabel, mayfly, after(o.OverlapEnds).and(conditions{"StringEquals": {stage: {"AWSPREVIOUS"}}}))
	}
	p.deny(SidPending, mayfly, conditions{"StringEquals": {stage: {"AWSPENDING"}}})
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	if len(text) > MaxPolicy {
		return nil, fault.New(fault.ContractInvalid, "the resource policy of %s has %d characters, more than the %d that a secret may have: declare fewer services, or one role for those that are deployed together",
			secret, len(text), MaxPolicy)
	}
	return text, nil
}

// WithoutAllow is a compiled policy without the statement that allows: all its denies hold, and the declared services read by
// what their own policies allow. It is for a secret with a declared role that does not exist, which Secrets Manager refuses as
// a principal and takes in a condition.
func WithoutAllow(compiled []byte) ([]byte, error) {
	var p document
	if err := json.Unmarshal(compiled, &p); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "read a compiled policy again")
	}
	p.Statement = slices.DeleteFunc(p.Statement, func(s statement) bool { return s.Effect == "Allow" })
	return p.text()
}

// after holds past a time; past the zero time it always does.
func after(t time.Time) conditions {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return conditions{"DateGreaterThan": {now: {t.UTC().Format(time.RFC3339)}}}
}

// named holds for a request that names a version by an id that is none of these. A negated operator holds where the key is
// missing, too, so that the key must be there.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_String
func named(butNot ...string) conditions {
	ids := slices.DeleteFunc(distinct(butNot), func(id string) bool { return id == "" })
	if len(ids) == 0 {
		ids = []string{"none"} // no id is so short
	}
	return conditions{"Null": {versionID: {"false"}}, "StringNotEquals": {versionID: ids}}
}

// DeclaredRoles are the roles that the contract's services have in its environment, sorted; never nil. Mayfly, declared as a
// service, is left out: its functions are known. Error: ContractInvalid for a service that is not in that environment.
func DeclaredRoles(c contract.Contract, services []contract.Service) ([]string, error) {
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
var role = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/[A-Za-z0-9+=,.@_/-]+$`)
})

func (o Options) check(secret string) error {
	switch {
	case len(o.MayflyRoles) == 0:
		return fault.New(fault.ContractInvalid, "the policy of %s would lock Mayfly out: name the roles of its functions", secret)
	case o.OnExpiry != "" && o.OnExpiry != contract.Deny && o.OnExpiry != contract.Keep:
		return fault.New(fault.ContractInvalid, "on_expiry %q of %s is unknown: use deny or keep", o.OnExpiry, secret)
	case o.ExpiresAt.IsZero() && o.OnExpiry != contract.Keep:
		return fault.New(fault.ContractInvalid, "the policy of %s would be over at once: say when the value in use expires", secret)
	}
	all := slices.Concat(o.MayflyRoles, o.Readers)
	if o.BreakGlass != "" {
		all = append(all, o.BreakGlass)
	}
	var home []string // partition and account of Mayfly, which are the secret's
	for _, arn := range all {
		m := role().FindStringSubmatch(arn)
		switch {
		case m == nil:
			return fault.New(fault.ContractInvalid, "%q, which is to read %s, is not the ARN of an IAM role: give that of the role, not of a session, a user or the account", arn, secret)
		case home == nil:
			home = m[1:3]
		case !slices.Equal(home, m[1:3]):
			return fault.New(fault.ContractInvalid, "role %s, which is to read %s, is not in account %s of partition %s: declare the role in this account", arn, secret, home[1], home[0])
		}
	}
	return nil
}

// tooLarge finds that the policy of a contract would not fit, with as many roles of Mayfly as there are, and all that it can
// say of versions.
func tooLarge(b contract.Bundle, c contract.Contract) *contract.Problem {
	readers, err := DeclaredRoles(c, b.Services)
	if err != nil {
		return nil // said elsewhere
	}
	partition, account := "aws", "000000000000"
	if len(readers) > 0 {
		if m := role().FindStringSubmatch(readers[0]); m != nil {
			partition, account = m[1], m[2]
		}
	}
	id := strings.Repeat("v", longestVersion)
	o := Options{Readers: readers, Current: id, Before: id + "v", ExpiresAt: time.Unix(0, 0), RevokeOld: true}
	for i := range mostMayflyRoles {
		o.MayflyRoles = append(o.MayflyRoles, fmt.Sprintf("arn:%s:iam::%s:role/mayfly-%025d", partition, account, i))
	}
	o.BreakGlass = fmt.Sprintf("arn:%s:iam::%s:role/mayfly-%025d", partition, account, mostMayflyRoles)
	_, err = CompilePolicy(c.ID(), o)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return &contract.Problem{Path: "/services", Code: "no-resource-policy", Message: refused.Message,
			Do: "declare fewer services, each with a role of the secret's account"}
	}
	return nil
}

const (
	// mostMayflyRoles is how many of Mayfly's functions read values, with room to grow.
	mostMayflyRoles = 12
	// longestVersion is the length of the longest version id, in characters.
	// Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
	longestVersion = 64
)

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

// and is both conditions; they share no operator.
func (c conditions) and(more conditions) conditions {
	for operator, keys := range more {
		c[operator] = keys
	}
	return c
}

// deny refuses reading to everybody but the spared roles, under further conditions.
func (p *document) deny(sid string, spared []string, when conditions) {
	all := conditions{"ArnNotEquals": {"aws:PrincipalArn": spared}}.and(when)
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
