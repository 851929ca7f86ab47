package blastradius_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
)

var (
	expiry  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	overlap = expiry.Add(-12 * time.Hour) // when it ends
)

func options() blastradius.Options {
	return blastradius.Options{
		MayflyRoles: []string{arn("mayfly/set-secret"), arn("mayfly/create-secret")}, BreakGlass: arn("break-glass"),
		Current: "new", Before: "old", OverlapEnds: overlap, ExpiresAt: expiry, RevokeOld: true,
	}
}

// compiled is the policy of a contract's secret.
func compiled(t failer, c contract.Contract, services []contract.Service, o blastradius.Options) []byte {
	t.Helper()
	text, err := compile(c, services, o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func compile(c contract.Contract, services []contract.Service, o blastradius.Options) (text []byte, err error) {
	if o.Readers, err = blastradius.DeclaredRoles(c, services); err != nil {
		return nil, err
	}
	return blastradius.CompilePolicy(c.ID(), o)
}

func TestOurResourcePolicies(t *testing.T) {
	b := ours(t)
	o := options()
	o.MayflyRoles, o.BreakGlass = []string{"arn:aws:iam::000000000000:role/mayfly-set-secret"}, "arn:aws:iam::000000000000:role/break-glass"
	for _, secret := range shown() {
		c, _ := b.Find(secret)
		text := compiled(t, c, b.Services, o)
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, text, "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, contract.Slug(secret)+".policy.json", append(pretty.Bytes(), '\n'))
	}
}

// attempt is one request to read the secret. All callers have every permission that an identity policy can give, unless
// they are poor, which have none.
type attempt struct {
	caller         policy.Caller
	poor           bool
	at             time.Time
	action         string // GetSecretValue if ""
	version, stage string // that the request names
}

func session(role string) policy.Caller {
	name := role[strings.LastIndex(role, "/")+1:]
	return policy.Caller{Type: policy.Role, Account: strings.Split(role, ":")[4], Role: role, ID: "AROA0000000000000000:session",
		ARN: "arn:aws:sts::" + strings.Split(role, ":")[4] + ":assumed-role/" + name + "/session"}
}

// guard reads a compiled policy as the local stack does.
func guard(t failer, text []byte) policy.Document {
	t.Helper()
	d, err := policy.Parse(text, policy.Resource)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return d
}

// reads decides an attempt with the evaluator of the local stack, which is written from IAM's documentation and not from
// what is compiled here.
func reads(t failer, d policy.Document, a attempt) bool {
	t.Helper()
	if a.action == "" {
		a.action = "secretsmanager:GetSecretValue"
	}
	x := policy.Context{}
	x.Set("aws:CurrentTime", a.at.Format(time.RFC3339))
	if a.version != "" {
		x.Set("secretsmanager:VersionId", a.version)
	}
	if a.stage != "" {
		x.Set("secretsmanager:VersionStage", a.stage)
	}
	p := policy.Policies{Resource: &policy.Named{Name: "secret", Document: d}}
	if !a.poor {
		p.Identity = []policy.Named{{Name: "AdministratorAccess", Document: policy.Document{Version: "2012-10-17",
			Statement: policy.Statements{{Effect: "Allow", Action: policy.Strings{"*"}, Resource: policy.Strings{"*"}}}}}}
	}
	decision, err := policy.Evaluate(policy.Request{Caller: a.caller, Action: a.action, Account: "111122223333", Context: x,
		Resource: "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/api-AbCdEf"}, p)
	if err != nil {
		t.Fatal(err)
	}
	return decision.Allowed
}

func TestWhoReads(t *testing.T) {
	before, after := expiry.Add(-time.Second), expiry.Add(time.Second)
	user := policy.Caller{Type: policy.User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/admin", ID: "AIDA0000000000000000"}
	root := policy.Caller{Type: policy.Root, Account: "111122223333", ARN: "arn:aws:iam::111122223333:root", ID: "111122223333"}
	impostor := session("arn:aws:iam::444455556666:role/prod-billing")
	for name, c := range map[string]struct {
		attempt
		want bool
	}{
		"declared service":                       {attempt{caller: session(arn("prod-billing"))}, true},
		"declared service without its own right": {attempt{caller: session(arn("prod-billing")), poor: true}, true},
		"the same service of staging":            {attempt{caller: session(arn("staging-billing"))}, false},
		"undeclared service":                     {attempt{caller: session(arn("prod-analytics"))}, false},
		"same name, another path":                {attempt{caller: session(arn("other/prod-billing"))}, false},
		"administrator role":                     {attempt{caller: session(arn("Administrator"))}, false},
		"administrator user":                     {attempt{caller: user}, false},
		"root":                                   {attempt{caller: root}, false},
		"another account, same role name":        {attempt{caller: impostor}, false},
		"AWS service":                            {attempt{caller: policy.Caller{Type: policy.Service, ARN: "events.amazonaws.com"}}, false},
		"session named like a declared role": {attempt{caller: policy.Caller{Type: policy.Role, Account: "111122223333", Role: arn("evil"),
			ARN: "arn:aws:sts::111122223333:assumed-role/evil/prod-billing", ID: "AROA0000000000000000:prod-billing"}}, false},
		"Mayfly":                          {attempt{caller: session(arn("mayfly/set-secret"))}, true},
		"Mayfly without its own right":    {attempt{caller: session(arn("mayfly/set-secret")), poor: true}, false},
		"break-glass":                     {attempt{caller: session(arn("break-glass"))}, true},
		"expired: service":                {attempt{caller: session(arn("prod-billing")), at: after}, false},
		"expired: break-glass":            {attempt{caller: session(arn("break-glass")), at: after}, false},
		"expired: administrator":          {attempt{caller: user, at: after}, false},
		"expired: Mayfly":                 {attempt{caller: session(arn("mayfly/set-secret")), at: after}, true},
		"old version in the overlap":      {attempt{caller: session(arn("prod-billing")), version: "old", at: overlap}, true},
		"old label in the overlap":        {attempt{caller: session(arn("prod-billing")), stage: "AWSPREVIOUS", at: overlap}, true},
		"old version past it":             {attempt{caller: session(arn("prod-billing")), version: "old"}, false},
		"old label past it":               {attempt{caller: session(arn("prod-billing")), stage: "AWSPREVIOUS"}, false},
		"old version past it: Mayfly":     {attempt{caller: session(arn("mayfly/set-secret")), version: "old"}, true},
		"older version in the overlap":    {attempt{caller: session(arn("prod-billing")), version: "older", at: overlap}, false},
		"older version, by break-glass":   {attempt{caller: session(arn("break-glass")), version: "older", at: overlap}, false},
		"older version: Mayfly":           {attempt{caller: session(arn("mayfly/set-secret")), version: "older"}, true},
		"current version by its id":       {attempt{caller: session(arn("prod-billing")), version: "new"}, true},
		"current version by id and label": {attempt{caller: session(arn("prod-billing")), version: "new", stage: "AWSCURRENT"}, true},
		"current label":                   {attempt{caller: session(arn("prod-billing")), stage: "AWSCURRENT"}, true},
		"pending label":                   {attempt{caller: session(arn("prod-billing")), stage: "AWSPENDING"}, false},
		"pending label: Mayfly":           {attempt{caller: session(arn("mayfly/set-secret")), stage: "AWSPENDING"}, true},
		"describing, by administrators":   {attempt{caller: user, action: "secretsmanager:DescribeSecret"}, true},
		"describing, by a service":        {attempt{caller: session(arn("prod-billing")), poor: true, action: "secretsmanager:DescribeSecret"}, true},
		"writing, by a service":           {attempt{caller: session(arn("prod-billing")), poor: true, action: "secretsmanager:PutSecretValue"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o, w := options(), newWorld()
			if c.at.IsZero() {
				c.at = before
			}
			text := compiled(t, *w.api, w.bundle().Services, o)
			if got := reads(t, guard(t, text), c.attempt); got != c.want {
				t.Errorf("allowed: %t, want %t\n%s", got, c.want, text)
			}
		})
	}
}

func TestKeepIsTheOnlyWayPastExpiry(t *testing.T) {
	w := newWorld()
	for onExpiry, want := range map[string]bool{"": false, "deny": false, "keep": true} {
		o := options()
		o.OnExpiry = onExpiry
		text := compiled(t, *w.api, w.bundle().Services, o)
		if got := reads(t, guard(t, text), attempt{caller: session(arn("prod-billing")), at: expiry.AddDate(1, 0, 0)}); got != want {
			t.Errorf("on_expiry %q, readable a year later: %t\n%s", onExpiry, got, text)
		}
	}
}

// What the versions of a secret are, at the ends of what they can be.
func TestVersionsOfASecret(t *testing.T) {
	w, billing := newWorld(), session(arn("prod-billing"))
	for name, c := range map[string]struct {
		change func(o *blastradius.Options)
		attempt
		want bool
	}{
		"old is kept":                {func(o *blastradius.Options) { o.RevokeOld = false }, attempt{version: "old"}, true},
		"older is kept, too":         {func(o *blastradius.Options) { o.RevokeOld = false }, attempt{version: "older"}, true},
		"old is kept, not pending":   {func(o *blastradius.Options) { o.RevokeOld = false }, attempt{stage: "AWSPENDING"}, false},
		"no overlap":                 {func(o *blastradius.Options) { o.OverlapEnds = time.Time{} }, attempt{version: "old", at: time.Unix(1, 0)}, false},
		"no overlap, by label":       {func(o *blastradius.Options) { o.OverlapEnds = time.Time{} }, attempt{stage: "AWSPREVIOUS", at: time.Unix(1, 0)}, false},
		"no overlap, current":        {func(o *blastradius.Options) { o.OverlapEnds = time.Time{} }, attempt{version: "new", at: time.Unix(1, 0)}, true},
		"first version":              {func(o *blastradius.Options) { o.Before = "" }, attempt{version: "new"}, true},
		"first version, another one": {func(o *blastradius.Options) { o.Before = "" }, attempt{version: "old", at: overlap}, false},
		"no version":                 {func(o *blastradius.Options) { o.Current, o.Before = "", "" }, attempt{version: "new", at: overlap}, false},
		"no version, by label":       {func(o *blastradius.Options) { o.Current, o.Before = "", "" }, attempt{}, true}, // Secrets Manager has none to give
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			c.change(&o)
			text := compiled(t, *w.api, w.bundle().Services, o)
			if c.caller = billing; c.at.IsZero() {
				c.at = overlap.Add(time.Minute)
			}
			if got := reads(t, guard(t, text), c.attempt); got != c.want {
				t.Errorf("allowed: %t, want %t\n%s", got, c.want, text)
			}
		})
	}
}

// Where a declared role does not exist, everything holds but the allow.
func TestWithoutAllow(t *testing.T) {
	w := newWorld()
	text, err := blastradius.WithoutAllow(compiled(t, *w.api, w.bundle().Services, options()))
	if err != nil || strings.Contains(string(text), "Allow") {
		t.Fatal(string(text), err)
	}
	inForce := guard(t, text)
	for name, c := range map[string]struct {
		attempt
		want bool
	}{
		"by its own right": {attempt{caller: session(arn("prod-billing"))}, true},
		"without":          {attempt{caller: session(arn("prod-billing")), poor: true}, false},
		"administrator":    {attempt{caller: session(arn("Administrator"))}, false},
		"expired":          {attempt{caller: session(arn("prod-billing")), at: expiry.Add(time.Second)}, false},
		"old version":      {attempt{caller: session(arn("prod-billing")), version: "old"}, false},
	} {
		if c.at.IsZero() {
			c.at = expiry
		}
		if got := reads(t, inForce, c.attempt); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Mayfly's own credentials have no reader but its functions and break-glass, whatever role services/mayfly.yaml names.
func TestAdminCredentialsAreMayflys(t *testing.T) {
	w := newWorld()
	text := compiled(t, *w.admin, w.bundle().Services, options())
	for role, want := range map[string]bool{"mayfly": false, "mayfly/set-secret": true, "break-glass": true, "prod-billing": false} {
		if got := reads(t, guard(t, text), attempt{caller: session(arn(role)), at: expiry}); got != want {
			t.Errorf("%s reads: %t", role, got)
		}
	}
}

func TestPoliciesThatCannotBeCompiled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, o *blastradius.Options)
		want   string
	}{
		"absent service": {func(w *world, _ *blastradius.Options) { delete(w.billing.Environments, "prod") }, "add environments.prod to services/billing.yaml"},
		"no Mayfly":      {func(_ *world, o *blastradius.Options) { o.MayflyRoles = nil }, "lock Mayfly out"},
		"no expiry":      {func(_ *world, o *blastradius.Options) { o.ExpiresAt = time.Time{} }, "say when the value in use expires"},
		"other account":  {func(_ *world, o *blastradius.Options) { o.MayflyRoles = []string{"arn:aws:iam::999999999999:role/m"} }, "not in account 999999999999"},
		"other partition": {func(_ *world, o *blastradius.Options) {
			o.MayflyRoles = []string{"arn:aws-cn:iam::111122223333:role/m"}
		}, "partition aws-cn"},
		"session":  {func(_ *world, o *blastradius.Options) { o.BreakGlass = "arn:aws:sts::111122223333:assumed-role/a/b" }, "not of a session"},
		"wildcard": {func(_ *world, o *blastradius.Options) { o.MayflyRoles = []string{arn("mayfly-*")} }, "not the ARN of an IAM role"},
		"everybody": {func(w *world, _ *blastradius.Options) {
			w.billing.Environments["prod"] = contract.Placement{Role: "*"}
		}, "not the ARN of an IAM role"},
		"unknown on_expiry": {func(_ *world, o *blastradius.Options) { o.OnExpiry = "perhaps" }, "use deny or keep"},
		"too large": {func(w *world, _ *blastradius.Options) {
			w.crowd(200)
		}, "more than the 20480"},
	} {
		t.Run(name, func(t *testing.T) {
			w, o := newWorld(), options()
			c.change(w, &o)
			b := w.bundle()
			_, err := compile(b.Contracts[0], b.Services, o)
			if fault.CodeOf(err) != fault.ContractInvalid || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A hundred services fit, under twelve roles of Mayfly and ids as long as they can be; lint finds what would not.
func TestSize(t *testing.T) {
	w := newWorld()
	w.crowd(100)
	o := options()
	o.Current, o.Before = strings.Repeat("c", 64), strings.Repeat("b", 64)
	for i := range 10 {
		o.MayflyRoles = append(o.MayflyRoles, arn(fmt.Sprintf("mayfly-some-function-%d", i)))
	}
	b := w.bundle()
	if text := compiled(t, b.Contracts[0], b.Services, o); len(text) > blastradius.MaxPolicy {
		t.Error(len(text))
	}
	if found := blastradius.Problems(b); len(found) > 0 {
		t.Error(found)
	}
	w.crowd(200)
	found := blastradius.Problems(w.bundle())
	if len(found) != 1 || found[0].Code != "no-resource-policy" || found[0].Index != 0 {
		t.Error(found)
	}
}
