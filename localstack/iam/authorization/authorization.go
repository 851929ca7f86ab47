// Package authorization enforces IAM in the local stack: it works out which permissions a call needs, on what and under
// which condition keys, gathers the policies that have a say, and lets package policy decide.
//
// What a call needs is written down per service, from the service's page of
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
// and from the API page of the operation. An operation that is not written down is denied to everyone but the root.
//
// The root of the account stands for the developer at the machine: it may do everything that no resource policy denies
// it explicitly, and it may assume every role, which a real root may not.
//
// KMS: whoever reads or writes a secret or an object that lies under a key of the account, or sends to a queue or topic
// that does, needs that key too, by policies or by a grant, as the service asks KMS in the caller's name. DynamoDB and
// CloudWatch Logs use keys through grants or in their own name, which is not modelled.
//
// Left out: what services do in their own name; and per-item results of batch calls: a batch with one item that is not
// permitted is denied as a whole.
package authorization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Roles knows the roles of the account and what hangs on them. iam.Service is one.
type Roles interface {
	Role(name string) (arn, id string, trust policy.Document, ok bool)
	Tags(role string) map[string]string
	Policies(role string) []policy.Named
	Boundary(role string) *policy.Named
}

// Resources look up what a call is about. Where one is nil, its resources have no policy, no tags and no key.
type Resources struct {
	Secret       func(secretID string) (arn, policy string, tags map[string]string, ok bool) // secretsmanager.Service.Guard
	SecretKey    func(secretID string) string                                                // secretsmanager.Service.Key
	VersionKeys  func(secretID, versionID, stage string) (keys []string, version string)     // secretsmanager.Service.VersionKeys
	Key          func(keyID string) (arn, policy string, ok bool)                            // kms.Service.Guard
	Grants       func(keyID string) []kms.Grant                                              // kms.Service.Grants
	Grant        func(keyID, grantID, token string) (key string, g kms.Grant, ok bool)       // kms.Service.Granted
	Bucket       func(name string) json.RawMessage                                           // s3.Service.Policy
	Encryption   func(bucket, key, versionID string) (kmsKey string, bucketKey, exists bool) // s3.Service.Encryption
	Queue        func(queueARN string) string                                                // sqs.Service.Policy
	Topic        func(topicARN string) string                                                // sns.Service.Policy
	Bus          func(name string) string                                                    // events.Service.Policy
	Function     func(functionARN string) []lambda.Permission                                // lambda.Service.Permissions
	QueueKey     func(queueARN string) string                                                // sqs.Service.Key
	TopicKey     func(topicARN string) string                                                // sns.Service.Key
	PartitionKey func(table, index string) string                                            // dynamodb.Service.PartitionKey
}

// Authorizer decides about calls.
type Authorizer struct {
	roles     Roles
	resources Resources
	clock     *stack.Clock

	mu     sync.Mutex
	parsed map[string]*policy.Document // resource policies by their text

	usage usage
}

// maxParsed bounds the resource policies that are kept parsed; when there are more, all are parsed anew.
const maxParsed = 1000

// New makes an Authorizer. Its Call goes into stack.Endpoint.Authorize, its Service into what
// acts with a role of the account.
func New(clock *stack.Clock, roles Roles, resources Resources) *Authorizer {
	return &Authorizer{roles: roles, resources: resources, clock: clock, parsed: map[string]*policy.Document{},
		usage: usage{used: map[Permission]bool{}}}
}

// need is one permission that a call needs.
type need struct {
	action   string
	resource string         // ARN, or "*"
	keys     policy.Context // the action's own condition keys
	guard    guard
	or       []need // any of them does as well
}

// guard is what the resource itself says about access.
type guard struct {
	name     string
	text     string             // resource policy, JSON; "" if there is none
	document *policy.Document   // instead of text
	more     []policy.Statement // beside the policy: grants on a key
	must     bool               // the policy has to allow; see policy.Policies
	kind     policy.Kind
}

// errUnknown marks an operation of which it is not written down what it needs.
var errUnknown = errors.New("the local stack does not know what permission this needs")

// Call decides about a request of an API. Its error is a *stack.Error with the code of the service, or says that a policy
// cannot be evaluated.
func (a *Authorizer) Call(_ context.Context, call *stack.Call) error {
	caller := a.caller(call.Caller)
	needs, err := a.needs(call)
	if errors.Is(err, errUnknown) {
		if caller.Type == policy.Root {
			return nil
		}
		return denied(call.Service, fmt.Sprintf("User: %s is not authorized to perform: %s:%s: %v", caller.ARN, call.Service, call.Operation, err))
	}
	if err != nil {
		return err
	}
	identity, err := a.identity(call.Caller)
	if err != nil {
		return err
	}
	global := global(call)
	allowed := make([]policy.Decision, len(needs))
	for i, n := range needs {
		d, err := a.any(caller, n, global, identity)
		if err != nil {
			return err
		}
		if !d.Allowed {
			return refusal(call, n, d)
		}
		allowed[i] = d
	}
	for _, d := range allowed {
		a.usage.note(call.Caller.Role, d.Grants)
	}
	return nil
}

// any decides about a need that others can stand in for; a denial is that of the need itself.
func (a *Authorizer) any(caller policy.Caller, n need, global policy.Context, p policy.Policies) (policy.Decision, error) {
	d, err := a.decide(caller, n, global, p)
	for i := 0; i < len(n.or) && err == nil; i++ {
		var other policy.Decision
		if other, err = a.decide(caller, n.or[i], global, p); other.Allowed {
			other.Grants = append(d.Grants, other.Grants...)
			d = other
		}
	}
	return d, err
}

// Permits says whether the caller of a request to Secrets Manager may use a key through it. What cannot be decided is not
// permitted.
func (a *Authorizer) Permits(call *stack.Call, key, action string, encryption map[string]string) bool {
	identity, err := a.identity(call.Caller)
	if err != nil {
		return false
	}
	for _, n := range a.through("secretsmanager", key, encryption, action) {
		d, err := a.decide(a.caller(call.Caller), n, global(call), identity)
		if err != nil || !d.Allowed {
			return false
		}
		a.usage.note(call.Caller.Role, d.Grants)
	}
	return true
}

// Service decides about what a service does with a role that was handed to it: a state machine, a rule, a schedule, Lambda
// where it writes the log of a function. It wants the action on a resource, an ARN or the name of a function. The error is a
// *stack.Error with code AccessDeniedException, or says that a policy cannot be evaluated.
func (a *Authorizer) Service(_ context.Context, roleARN, action, resource string) error {
	name := roleARN[strings.LastIndex(roleARN, "/")+1:]
	id := stack.Identity{Role: name, ARN: fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/service", stack.Account, name)}
	caller := a.caller(id)
	if caller.Role != roleARN {
		return denied("", fmt.Sprintf("the role %s does not exist", roleARN))
	}
	identity, err := a.identity(id)
	if err != nil {
		return err
	}
	n := need{action: action, resource: resource}
	switch service, _, _ := strings.Cut(action, ":"); service {
	case "lambda":
		n = a.function(action, resource, "")
	case "events":
		n = a.bus(action, resource)
	}
	for _, n := range append([]need{n}, a.sealed(action, resource)...) {
		d, err := a.decide(caller, n, always(a.clock.Now()), identity)
		if err == nil && !d.Allowed {
			err = denied("", d.Message)
		}
		if err != nil {
			return err
		}
		a.usage.note(name, d.Grants)
	}
	return nil
}

// caller says who makes a call. A role that is not there any more, and whatever is neither a role nor the root, is a
// caller without any policy.
func (a *Authorizer) caller(id stack.Identity) policy.Caller {
	c := policy.Caller{Type: policy.User, ARN: id.ARN, Account: stack.Account}
	switch {
	case id.Role == "" && id.ARN == "arn:aws:iam::"+stack.Account+":root":
		c.Type, c.ID = policy.Root, stack.Account
	case id.Role != "":
		c.Type = policy.Role
		if arn, unique, _, ok := a.roles.Role(id.Role); ok {
			c.Role, c.ID, c.Tags = arn, unique+":"+id.ARN[strings.LastIndex(id.ARN, "/")+1:], map[string]string{}
			maps.Copy(c.Tags, a.roles.Tags(id.Role))
		}
		// A session tag takes the place of the role's tag of the same key.
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
		if id.Session != nil && c.Tags != nil {
			maps.Copy(c.Tags, id.Session.Tags)
		}
	}
	return c
}

// identity gathers the policies that hang on the caller.
func (a *Authorizer) identity(id stack.Identity) (policy.Policies, error) {
	p := policy.Policies{}
	if id.Role == "" {
		return p, nil
	}
	p.Identity, p.Boundary = a.roles.Policies(id.Role), a.roles.Boundary(id.Role)
	if id.Session == nil {
		return p, nil
	}
	for i, text := range id.Session.Policies {
		d, err := policy.Parse([]byte(text), policy.Session)
		if err != nil {
			return p, err
		}
		p.Session = append(p.Session, policy.Named{Name: fmt.Sprintf("session policy %d of %s", i, id.ARN), Document: d})
	}
	return p, nil
}

func (a *Authorizer) decide(caller policy.Caller, n need, global policy.Context, p policy.Policies) (policy.Decision, error) {
	keys := maps.Clone(global)
	for k, v := range n.keys {
		keys[strings.ToLower(k)] = v // nil takes a key away
	}
	p.Must, p.Kind = n.guard.must, n.guard.kind
	if p.Kind == "" {
		p.Kind = policy.Resource
	}
	document := n.guard.document
	if n.guard.text != "" {
		var err error
		if document, err = a.parse(n.guard.text); err != nil {
			return policy.Decision{}, fmt.Errorf("%s: %w", n.guard.name, err)
		}
	}
	if document == nil && len(n.guard.more) > 0 {
		document = &policy.Document{Version: "2012-10-17"}
	}
	if document != nil {
		whole := *document
		whole.Statement = slices.Concat(document.Statement, n.guard.more)
		p.Resource = &policy.Named{Name: n.guard.name, Document: whole}
	}
	return policy.Evaluate(policy.Request{Caller: caller, Action: n.action, Resource: n.resource, Context: keys}, p)
}

// parse reads a resource policy, or finds it read.
func (a *Authorizer) parse(text string) (*policy.Document, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d, ok := a.parsed[text]; ok {
		return d, nil
	}
	d, err := policy.Parse([]byte(text), policy.Resource)
	if err != nil {
		return nil, err
	}
	if len(a.parsed) >= maxParsed {
		clear(a.parsed)
	}
	a.parsed[text] = &d
	return &d, nil
}

// global are the condition keys of every call.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func global(call *stack.Call) policy.Context {
	c := always(call.Time)
	if host, _, err := net.SplitHostPort(call.Request.RemoteAddr); err == nil {
		c.Set("aws:SourceIp", host)
	}
	if agent := call.Request.UserAgent(); agent != "" {
		c.Set("aws:UserAgent", agent)
	}
	if referer := call.Request.Referer(); referer != "" {
		c.Set("aws:Referer", referer)
	}
	if call.Caller.Function != "" {
		c.Set("lambda:SourceFunctionArn", functionARN(call.Caller.Function))
	}
	return c
}

// always are the condition keys that do not depend on the request.
func always(now time.Time) policy.Context {
	c := policy.Context{}
	c.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	c.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	// The endpoint speaks plain HTTP on the loopback interface and stands for AWS's, which speaks TLS.
	c.Set("aws:SecureTransport", "true")
	c.Set("s3:TlsVersion", "1.3")
	c.Set("aws:RequestedRegion", stack.Region)
	c.Set("aws:ResourceAccount", stack.Account)
	c.Set("aws:ViaAWSService", "false")
	return c
}
