package policy_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

// TestWhatPoliciesMayNotSay: each document has one fault, and the error names it.
func TestWhatPoliciesMayNotSay(t *testing.T) {
	identity := func(statement string) string {
		return `{"Version":"2012-10-17","Statement":{` + statement + `}}`
	}
	conditional := func(condition string) string {
		return identity(`"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{` + condition + `}`)
	}
	for name, c := range map[string]struct {
		kind policy.Kind
		text string
		want string // part of the error
	}{
		"no JSON":                       {policy.Identity, `{`, "EOF"},
		"two documents":                 {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"*"`) + `{}`, "more after the end"},
		"no statement":                  {policy.Identity, `{"Version":"2012-10-17","Statement":[]}`, "no Statement"},
		"unknown version":               {policy.Identity, `{"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, "Version"},
		"unknown element":               {policy.Identity, identity(`"Effect":"Allow","Actoin":"*","Resource":"*"`), "Actoin"},
		"unknown effect":                {policy.Identity, identity(`"Effect":"allow","Action":"*","Resource":"*"`), "Effect"},
		"an element twice":              {policy.Identity, identity(`"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"`), "twice"},
		"an element twice in two cases": {policy.Identity, identity(`"Effect":"Deny","effect":"Allow","Action":"*","Resource":"*"`), "twice"},
		"an operator twice":             {policy.Identity, conditional(`"StringEquals":{"s3:prefix":"a"},"StringEquals":{"s3:delimiter":"/"}`), "twice"},
		"neither action nor not":        {policy.Identity, identity(`"Effect":"Allow","Resource":"*"`), "Action"},
		"both actions":                  {policy.Identity, identity(`"Effect":"Allow","Action":"*","NotAction":"s3:*","Resource":"*"`), "Action"},
		"an action without service":     {policy.Identity, identity(`"Effect":"Allow","Action":"GetObject","Resource":"*"`), "GetObject"},
		"no resource":                   {policy.Identity, identity(`"Effect":"Allow","Action":"*"`), "Resource"},
		"both resources":                {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"`), "Resource"},
		"a resource that is no ARN":     {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"bucket/*"`), "bucket"},
		"a principal of an identity":    {policy.Identity, identity(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`), "principal"},
		"a principal of a boundary":     {policy.Boundary, identity(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`), "principal"},
		"a principal of a session":      {policy.Session, identity(`"Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"`), "principal"},
		"no principal of a resource":    {policy.Resource, identity(`"Effect":"Allow","Action":"*","Resource":"*"`), "Principal"},
		"both principals":               {policy.Resource, identity(`"Effect":"Deny","Principal":"*","NotPrincipal":"*","Action":"*","Resource":"*"`), "Principal"},
		"NotPrincipal with Allow":       {policy.Resource, identity(`"Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"`), "NotPrincipal"},
		"NotPrincipal of a role":        {policy.Trust, identity(`"Effect":"Deny","NotPrincipal":"*","Action":"*"`), "NotPrincipal"},
		"a resource of a role":          {policy.Trust, identity(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"`), "Resource"},
		"an unknown kind of principal":  {policy.Resource, identity(`"Effect":"Allow","Principal":{"Aws":"*"},"Action":"*","Resource":"*"`), "Aws"},
		"a wildcard in a principal":     {policy.Resource, identity(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"Action":"*","Resource":"*"`), "role/*"},
		"a principal that is no ARN":    {policy.Resource, identity(`"Effect":"Allow","Principal":{"AWS":"billing"},"Action":"*","Resource":"*"`), "billing"},
		"a service that is none":        {policy.Resource, identity(`"Effect":"Allow","Principal":{"Service":"*"},"Action":"*","Resource":"*"`), "Service"},
		"an object for a string":        {policy.Identity, identity(`"Effect":"Allow","Action":{"a":"b"},"Resource":"*"`), "string"},
		"unknown operator":              {policy.Identity, conditional(`"StringMatches":{"s3:prefix":"a"}`), "StringMatches"},
		"operator in another case":      {policy.Identity, conditional(`"stringEquals":{"s3:prefix":"a"}`), "stringEquals"},
		"unknown set operator":          {policy.Identity, conditional(`"ForSomeValues:StringEquals":{"s3:prefix":"a"}`), "ForSomeValues"},
		"unknown numeric operator":      {policy.Identity, conditional(`"NumericLess":{"s3:max-keys":"1"}`), "NumericLess"},
		"operator that is left out":     {policy.Identity, conditional(`"BinaryEquals":{"s3:prefix":"YQ=="}`), "BinaryEquals"},
		"Null of a set":                 {policy.Identity, conditional(`"ForAllValues:Null":{"s3:prefix":"true"}`), "Null"},
		"Null with IfExists":            {policy.Identity, conditional(`"NullIfExists":{"s3:prefix":"true"}`), "Null"},
		"unknown key":                   {policy.Identity, conditional(`"StringEquals":{"aws:PrincipalTags/team":"a"}`), "aws:PrincipalTags/team"},
		"unknown key of a service":      {policy.Identity, conditional(`"StringEquals":{"secretsmanager:Stage":"a"}`), "secretsmanager:Stage"},
		"a tag without a name":          {policy.Identity, conditional(`"StringEquals":{"aws:PrincipalTag/":"a"}`), "aws:PrincipalTag/"},
		"no value":                      {policy.Identity, conditional(`"StringEquals":{"s3:prefix":[]}`), "no value"},
		"a number that is none":         {policy.Identity, conditional(`"NumericEquals":{"s3:max-keys":"ten"}`), "ten"},
		"a date that is none":           {policy.Identity, conditional(`"DateLessThan":{"aws:CurrentTime":"tomorrow"}`), "tomorrow"},
		"a boolean that is none":        {policy.Identity, conditional(`"Bool":{"aws:SecureTransport":"yes"}`), "yes"},
		"a Null that is none":           {policy.Identity, conditional(`"Null":{"aws:TagKeys":"maybe"}`), "maybe"},
		"an address that is none":       {policy.Identity, conditional(`"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}`), "10.0.0.0/33"},
		"an ARN that is none":           {policy.Identity, conditional(`"ArnLike":{"aws:SourceArn":"arn:aws:sns:*"}`), "six fields"},
		"a variable without an end":     {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username"`), "without an end"},
		"an unknown variable":           {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${user}"`), "${user}"},
		"an unknown variable, compared": {policy.Identity, conditional(`"StringEquals":{"s3:prefix":"${user}"}`), "${user}"},
		"a default without quotes":      {policy.Identity, identity(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username, x}"`), "quotes"},
		"a variable for a number":       {policy.Identity, conditional(`"NumericEquals":{"s3:max-keys":"${aws:PrincipalTag/n}"}`), "n}"},
	} {
		_, err := policy.Parse([]byte(c.text), c.kind)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
	}
}

// Whoever builds a document without Parse gets the same refusal from Evaluate.
func TestEvaluateRefusesUnknownConditions(t *testing.T) {
	for name, condition := range map[string]map[string]map[string]policy.Strings{
		"operator": {"StringMatches": {"s3:prefix": {"a"}}},
		"key":      {"StringEquals": {"s3:Prefixes": {"a"}}},
		"value":    {"DateLessThan": {"aws:CurrentTime": {"tomorrow"}}},
	} {
		d := policy.Document{Statement: policy.Statements{{Effect: "Allow", Action: policy.Strings{"*"}, Resource: policy.Strings{"*"}, Condition: condition}}}
		r := policy.Request{Caller: billing(), Action: read, Resource: secret, Context: policy.Context{"aws:currenttime": {"2026-01-01T00:00:00Z"}}}
		if got, err := policy.Evaluate(r, policy.Policies{Identity: []policy.Named{{Name: "n", Document: d}}}); err == nil || got.Allowed {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzParse: what Parse accepts, Evaluate understands, whoever asks for what.
func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username, 'x'}/*"}}`)
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"NotAction":["a:b"],"NotResource":"*","Condition":{"ForAnyValue:StringNotLikeIfExists":{"aws:TagKeys":["?*","${*}"]}}}]}`)
	f.Add(`{"Statement":[{"Sid":"x","Effect":"Allow","Principal":{"Service":["a.amazonaws.com"]},"Action":"sts:AssumeRole","Condition":{"NumericLessThan":{"s3:TlsVersion":1.2},"DateGreaterThan":{"aws:EpochTime":5},"NotIpAddress":{"aws:SourceIp":"::/0"}}}]}`)
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["*","arn:a:b:c:d:e${aws:PrincipalTag/é}"]},"Null":{"aws:userid":false}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []policy.Kind{policy.Identity, policy.Boundary, policy.Session, policy.Resource, policy.Trust} {
			d, err := policy.Parse([]byte(text), kind)
			if err != nil {
				continue
			}
			n := policy.Named{Name: "fuzz", Document: d}
			var p policy.Policies
			switch kind {
			case policy.Identity:
				p.Identity = []policy.Named{n}
			case policy.Boundary:
				p.Boundary = &n
			case policy.Session:
				p.Session = []policy.Named{n}
			default:
				p.Resource, p.Kind = &n, kind
			}
			for _, c := range []policy.Caller{billing(), carlos(), root(), machine()} {
				r := policy.Request{Caller: c, Action: read, Resource: secret, Context: policy.Context{"aws:tagkeys": {"a", ""}, "aws:sourceip": {"x"}, "s3:prefix": {"a*"}}}
				if _, err := policy.Evaluate(r, p); err != nil {
					t.Fatalf("accepted and not understood: %v", err)
				}
			}
		}
	})
}
