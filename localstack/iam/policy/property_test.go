package policy_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// Random worlds: few enough words that statements and requests meet often.
var (
	anyAction    = rapid.SampledFrom([]string{"a:Get", "a:Put", "b:Get", "b:Put"})
	anyResource  = rapid.SampledFrom([]string{"arn:aws:a:r:1:x/1", "arn:aws:a:r:1:x/2", "arn:aws:b:r:1:y/1", "*"})
	actionWords  = rapid.SampledFrom([]string{"*", "a:*", "b:*", "a:Get", "*:Get", "a:P?t", "B:put"})
	resourceWord = rapid.SampledFrom([]string{"*", "arn:aws:a:*:*:x/*", "arn:aws:a:r:1:x/1", "arn:aws:b:r:1:y/?", "arn:aws:a:r:1:${aws:PrincipalTag/team}/*"})
	anyPrincipal = rapid.SampledFrom([]policy.Principal{{"*": {"*"}}, {"AWS": {"*"}}, {"AWS": {"111122223333"}},
		{"AWS": {billing().Role}}, {"AWS": {billing().ARN}}, {"AWS": {"arn:aws:iam::111122223333:role/other"}}, {"Service": {"events.amazonaws.com"}}})
	anyCaller    = rapid.SampledFrom([]policy.Caller{billing(), ofTeam("x"), carlos(), root(), machine()})
	anyCondition = rapid.SampledFrom([]map[string]map[string]policy.Strings{nil, nil, nil,
		{"StringEquals": {"s3:prefix": {"a"}}}, {"StringNotLike": {"s3:prefix": {"a*"}}}, {"Bool": {"aws:SecureTransport": {"true"}}},
		{"Null": {"s3:prefix": {"true"}}}, {"ForAllValues:StringEquals": {"aws:TagKeys": {"a", "b"}}}, {"ArnLike": {"aws:PrincipalArn": {"arn:aws:iam::*:role/*"}}}})
	anyContext = rapid.Custom(func(t *rapid.T) policy.Context {
		c := policy.Context{}
		c.Set("s3:prefix", rapid.SampledFrom([][]string{nil, {"a"}, {"ab"}, {"b"}}).Draw(t, "prefix")...)
		c.Set("aws:SecureTransport", rapid.SampledFrom([][]string{nil, {"true"}, {"false"}}).Draw(t, "tls")...)
		c.Set("aws:TagKeys", rapid.SampledFrom([][]string{nil, {"a"}, {"a", "c"}}).Draw(t, "tags")...)
		return c
	})
)

// statement draws a statement for a policy with or without principals.
func statement(effect string, principals bool) *rapid.Generator[policy.Statement] {
	return rapid.Custom(func(t *rapid.T) policy.Statement {
		s := policy.Statement{Effect: effect, Condition: anyCondition.Draw(t, "condition")}
		if s.Effect == "" {
			s.Effect = rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect")
		}
		words := policy.Strings(rapid.SliceOfN(actionWords, 1, 2).Draw(t, "actions"))
		if rapid.IntRange(0, 4).Draw(t, "not action") == 0 {
			s.NotAction = words
		} else {
			s.Action = words
		}
		words = policy.Strings(rapid.SliceOfN(resourceWord, 1, 2).Draw(t, "resources"))
		if rapid.IntRange(0, 4).Draw(t, "not resource") == 0 {
			s.NotResource = words
		} else {
			s.Resource = words
		}
		if principals {
			s.Principal = anyPrincipal.Draw(t, "principal")
		}
		return s
	})
}

func statements(t *rapid.T, name string, principals bool) policy.Named {
	return policy.Named{Name: name, Document: policy.Document{Version: "2012-10-17", Statement: rapid.SliceOfN(statement("", principals), 0, 4).Draw(t, name)}}
}

// world draws a request and all policies about it.
func world(t *rapid.T) (policy.Request, policy.Policies) {
	r := policy.Request{Caller: anyCaller.Draw(t, "caller"), Action: anyAction.Draw(t, "action"), Resource: anyResource.Draw(t, "resource"), Context: anyContext.Draw(t, "context")}
	if rapid.IntRange(0, 5).Draw(t, "across") == 0 {
		r.Account = stranger
	}
	p := policy.Policies{Identity: []policy.Named{statements(t, "identity", false)}, Must: rapid.Bool().Draw(t, "must")}
	if rapid.Bool().Draw(t, "bounded") {
		b := statements(t, "boundary", false)
		p.Boundary = &b
	}
	if rapid.Bool().Draw(t, "restricted") {
		p.Session = []policy.Named{statements(t, "session", false)}
	}
	guard := statements(t, "resource", true)
	p.Resource = &guard
	return r, p
}

func decide(t *rapid.T, r policy.Request, p policy.Policies) policy.Decision {
	d, err := policy.Evaluate(r, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// extend adds a statement to one of the policies that are there; the policies it got stay as they are.
func extend(t *rapid.T, p policy.Policies, effect string) policy.Policies {
	add := func(n policy.Named, principals bool) policy.Named {
		at := rapid.IntRange(0, len(n.Document.Statement)).Draw(t, "at")
		var all policy.Statements
		all = append(all, n.Document.Statement[:at]...)
		all = append(all, statement(effect, principals).Draw(t, "added"))
		n.Document.Statement = append(all, n.Document.Statement[at:]...)
		return n
	}
	switch rapid.IntRange(0, 3).Draw(t, "where") {
	case 0:
		n := add(*p.Resource, true)
		p.Resource = &n
	case 1:
		if p.Boundary != nil {
			n := add(*p.Boundary, false)
			p.Boundary = &n
		}
	case 2:
		if p.Session != nil {
			p.Session = []policy.Named{add(p.Session[0], false)}
		}
	default:
		p.Identity = []policy.Named{add(p.Identity[0], false)}
	}
	return p
}

func TestAddingAnAllowNeverRemovesAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := world(t)
		if decide(t, r, p).Allowed && !decide(t, r, extend(t, p, "Allow")).Allowed {
			t.Fatal("an Allow took access away")
		}
	})
}

func TestAddingADenyNeverAddsAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := world(t)
		if !decide(t, r, p).Allowed && decide(t, r, extend(t, p, "Deny")).Allowed {
			t.Fatal("a Deny gave access")
		}
	})
}

func TestAnExplicitDenyAlwaysWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := world(t)
		all := policy.Statement{Effect: "Deny", Principal: policy.Principal{"*": {"*"}}, Action: policy.Strings{"*"}, Resource: policy.Strings{"*"}}
		n := *p.Resource
		n.Document.Statement = append(policy.Statements{all}, n.Document.Statement...)
		p.Resource = &n
		if d := decide(t, r, p); d.Reason != policy.ExplicitDeny {
			t.Fatalf("%+v", d)
		}
	})
}

// What nobody allows is denied, and no wildcard, condition or principal makes an Allow out of a Deny.
func TestWithoutAnAllowNobodyGetsIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := world(t)
		strip := func(n *policy.Named) {
			var denies policy.Statements
			for _, s := range n.Document.Statement {
				if s.Effect == "Deny" {
					denies = append(denies, s)
				}
			}
			n.Document.Statement = denies
		}
		strip(&p.Identity[0])
		strip(p.Resource)
		if d := decide(t, r, p); d.Allowed && r.Caller.Type != policy.Root {
			t.Fatalf("%+v", d)
		}
	})
}

// A policy means the same after a round trip through its JSON form.
func TestDocumentsSurviveTheirJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := world(t)
		before := decide(t, r, p)
		p.Identity[0].Document = again(t, p.Identity[0].Document, policy.Identity)
		p.Resource.Document = again(t, p.Resource.Document, policy.Resource)
		if after := decide(t, r, p); !reflect.DeepEqual(after, before) {
			t.Fatalf("%+v, before %+v", after, before)
		}
	})
}

func again(t *rapid.T, d policy.Document, kind policy.Kind) policy.Document {
	if len(d.Statement) == 0 {
		return d // a document without statements has no JSON form
	}
	var parts []string
	for _, s := range d.Statement {
		m := map[string]any{"Effect": s.Effect}
		for name, v := range map[string]any{"Principal": s.Principal, "Action": s.Action, "NotAction": s.NotAction, "Resource": s.Resource, "NotResource": s.NotResource, "Condition": s.Condition} {
			if fmt.Sprint(v) != "[]" && fmt.Sprint(v) != "map[]" {
				m[name] = v
			}
		}
		if _, everybody := s.Principal["*"]; everybody {
			m["Principal"] = "*"
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(b))
	}
	out, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(parts, ",")+`]}`), kind)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
