package policy_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// The cast of the cases. Billing is a session of a role with a tag; carlos is a user; the machine is a service.
const (
	account  = "111122223333"
	stranger = "444455556666"
	secret   = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/payment-AbCdEf"
	object   = "arn:aws:s3:::records/audit/1.json"
	key      = "arn:aws:kms:us-east-1:111122223333:key/1234"
	read     = "secretsmanager:GetSecretValue"
)

func billing() policy.Caller {
	return policy.Caller{Type: policy.Role, ARN: "arn:aws:sts::111122223333:assumed-role/billing/run-1", Account: account,
		Role: "arn:aws:iam::111122223333:role/services/billing", ID: "AROAEXAMPLEEXAMPLE01:run-1", Tags: map[string]string{"team": "payments"}}
}

// ofTeam is billing with another value of its tag.
func ofTeam(team string) policy.Caller {
	c := billing()
	c.Tags = map[string]string{"team": team}
	return c
}

func carlos() policy.Caller {
	return policy.Caller{Type: policy.User, ARN: "arn:aws:iam::111122223333:user/carlos", Account: account, ID: "AIDAEXAMPLEEXAMPLE02"}
}

func root() policy.Caller {
	return policy.Caller{Type: policy.Root, ARN: "arn:aws:iam::111122223333:root", Account: account, ID: account}
}

func machine() policy.Caller {
	return policy.Caller{Type: policy.Service, ARN: "events.amazonaws.com"}
}

// The outcomes of a case.
const (
	allow    = "allow"
	deny     = "explicit deny"
	implicit = "implicit deny"
)

// scene is one case: who wants what, and which statements have a say. Statements are JSON without the braces of the
// document; "" is no policy.
type scene struct {
	want     string
	caller   policy.Caller // zero: billing
	action   string        // "": read
	on       string        // "": secret
	owner    string        // account of the resource; "": the caller's
	context  map[string]string
	identity string
	boundary string
	session  string
	resource string
	must     bool
	trust    bool
	version  string // of the documents; "": 2012-10-17
}

func document(t testing.TB, s *scene, kind policy.Kind, statements string) policy.Document {
	t.Helper()
	version := s.version
	if version == "" {
		version = "2012-10-17"
	}
	d, err := policy.Parse([]byte(`{"Version":"`+version+`","Statement":[`+statements+`]}`), kind)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return d
}

func (s *scene) decide(t testing.TB) policy.Decision {
	t.Helper()
	r := policy.Request{Caller: s.caller, Action: s.action, Resource: s.on, Account: s.owner, Context: policy.Context{}}
	if r.Caller.Type == "" {
		r.Caller = billing()
	}
	if r.Action == "" {
		r.Action = read
	}
	if r.Resource == "" {
		r.Resource = secret
	}
	for k, v := range s.context {
		r.Context.Set(k, strings.Split(v, "|")...) // several values stand between bars
	}
	p := policy.Policies{Must: s.must || s.trust, Kind: policy.Resource}
	if s.trust {
		p.Kind = policy.Trust
	}
	if s.identity != "" {
		p.Identity = []policy.Named{{Name: "identity", Document: document(t, s, policy.Identity, s.identity)}}
	}
	if s.boundary != "" {
		p.Boundary = &policy.Named{Name: "boundary", Document: document(t, s, policy.Boundary, s.boundary)}
	}
	if s.session != "" {
		p.Session = []policy.Named{{Name: "session", Document: document(t, s, policy.Session, s.session)}}
	}
	if s.resource != "" {
		p.Resource = &policy.Named{Name: "resource", Document: document(t, s, p.Kind, s.resource)}
	}
	d, err := policy.Evaluate(r, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run plays scenes and compares the outcome; a denial must have a message and an allowance none.
func run(t *testing.T, scenes map[string]scene) {
	t.Helper()
	for name, s := range scenes {
		t.Run(name, func(t *testing.T) {
			d := s.decide(t)
			got := string(d.Reason)
			if d.Allowed {
				got = allow
			}
			if got != s.want {
				t.Errorf("%s, want %s: %+v", got, s.want, d)
			}
			if d.Allowed != (d.Message == "") || d.Allowed != (d.Reason == policy.Allowed) {
				t.Errorf("contradicts itself: %+v", d)
			}
		})
	}
}

// Statements that many cases use.
const (
	mayRead    = `{"Sid":"Read","Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}`
	mayNotRead = `{"Sid":"NoRead","Effect":"Deny","Action":"secretsmanager:GetSecretValue","Resource":"*"}`
	mayAll     = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	mayList    = `{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}`
)

// to is a statement of a resource's policy about reading the secret, for a Principal element.
func to(effect, principal string) string {
	return `{"Sid":"P","Effect":"` + effect + `","Principal":` + principal + `,"Action":"secretsmanager:GetSecretValue","Resource":"*"}`
}
