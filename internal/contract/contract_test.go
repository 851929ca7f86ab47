package contract_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour,
		"7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "86400": 24 * time.Hour,
	} {
		got, err := contract.ParseDuration(text)
		if err != nil || got.Std() != want {
			t.Errorf("%q is %v (%v), want %v", text, got.Std(), err, want)
		}
		again, err := contract.ParseDuration(got.String())
		if err != nil || again != got {
			t.Errorf("%q is written as %q, which is %v (%v)", text, got, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5h", "24 h", "1y", "h", "1h30m", "99999999999", "9999999999w", "+3s", "٣s"} {
		if d, err := contract.ParseDuration(text); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
}

func TestDurationJSON(t *testing.T) {
	for _, text := range []string{`86400`, `"86400"`, `"24h"`, `"1d"`} {
		var d contract.Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if out, err := json.Marshal(d); err != nil || string(out) != "86400" {
			t.Errorf("%s is written as %s (%v)", text, out, err)
		}
	}
	for _, text := range []string{`1.5`, `true`, `{}`, `"x"`, `-1`} {
		var d contract.Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was read as %s", text, d)
		}
	}
}

func services() []contract.Service {
	return []contract.Service{{
		Name: "orders-service", Environments: map[string]contract.Placement{"prod": {
			Role: "arn:aws:iam::000000000000:role/teams/prod-orders-service",
			Deployments: contract.Deployments{
				CodeDeploy: []string{"orders"}, CodePipeline: []string{"orders-pipeline"}, ECS: []string{"prod-cluster/orders"},
				GitHub: []string{"orders/orders-service"},
			},
			Delivery: contract.Delivery{Kind: "ecs", Cluster: "prod-cluster", Service: "orders"},
		}},
	}, {
		Name: "settle", Environments: map[string]contract.Placement{"prod": {
			Role:     "arn:aws:iam::000000000000:role/prod-settle",
			Delivery: contract.Delivery{Kind: "lambda", Function: "arn:aws:lambda:us-east-1:000000000000:function:prod-settle"},
		}},
	}}
}

// good is a contract without a fault; each case breaks one thing.
func good(edit ...func(*contract.Contract)) contract.Contract {
	c := contract.WithDefaults(contract.Contract{
		Name: "orders-db", Owner: "orders-team", Environment: "prod", Services: []string{"orders-service"},
		TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"deployment"}, BlastRadius: "minimal", Kind: contract.Postgres,
		Target: &contract.Target{
			Host: "prod-orders.c0example0000.us-east-1.rds.amazonaws.com", Database: "orders", Owner: "orders_app",
			Admin: "prod/orders-db-admin",
		},
	})
	for _, e := range edit {
		e(&c)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := good()
	if c.Strategy != contract.Dual || c.Target.Port != 5432 || c.Target.TLS != "verify-full" {
		t.Errorf("with an admin: %+v %+v", c, c.Target)
	}
	alone := good(func(c *contract.Contract) { c.Target.Admin, c.Strategy = "", "" })
	if got := contract.WithDefaults(alone).Strategy; got != contract.Single {
		t.Errorf("without an admin the strategy is %s", got)
	}
	if got := contract.WithDefaults(contract.Contract{}); got.Kind != contract.Random || got.Strategy != contract.Single {
		t.Errorf("nothing said: %+v", got)
	}
	before := &contract.Target{Host: "db"}
	if contract.WithDefaults(contract.Contract{Target: before}); before.Port != 0 {
		t.Error("the defaults were written into the caller's target")
	}
}

func TestValidate(t *testing.T) {
	const key = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	if ps := contract.Validate(good(), services()); len(ps) > 0 {
		t.Fatalf("the good contract has problems: %+v", ps)
	}
	for name, c := range map[string]struct {
		edit func(*contract.Contract)
		want string // "path code", several joined by a space
	}{
		"no ttl":              {func(c *contract.Contract) { c.TTL = 0 }, "/ttl no-expiry"},
		"negative ttl":        {func(c *contract.Contract) { c.TTL = -1 }, "/ttl no-expiry"},
		"400 days":            {func(c *contract.Contract) { c.TTL = contract.MaxTTL }, ""},
		"401 days":            {func(c *contract.Contract) { c.TTL = contract.MaxTTL + contract.Duration(time.Second) }, "/ttl ttl-too-long"},
		"no trigger":          {func(c *contract.Contract) { c.RotateOn = nil }, "/rotate_on no-trigger"},
		"unknown trigger":     {func(c *contract.Contract) { c.RotateOn = []string{"commit", "merge"} }, "/rotate_on/1 unknown-trigger"},
		"trigger twice":       {func(c *contract.Contract) { c.RotateOn = []string{"commit", "commit"} }, "/rotate_on/1 listed-twice"},
		"double hyphen":       {func(c *contract.Contract) { c.Name = "orders--db" }, "/name bad-name"},
		"slash":               {func(c *contract.Contract) { c.Environment = "prod/eu" }, "/environment bad-name /services/0 service-not-here"},
		"capital":             {func(c *contract.Contract) { c.Owner = "Orders" }, "/owner bad-name"},
		"newline":             {func(c *contract.Contract) { c.Name = "orders\n" }, "/name bad-name"},
		"no services":         {func(c *contract.Contract) { c.Services = nil }, "/services no-service"},
		"unknown service":     {func(c *contract.Contract) { c.Services = []string{"settle", "ghost"} }, "/services/1 unknown-service"},
		"service elsewhere":   {func(c *contract.Contract) { c.Environment = "stage" }, "/services/0 service-not-here"},
		"service twice":       {func(c *contract.Contract) { c.Services = []string{"settle", "settle"} }, "/services/1 listed-twice"},
		"no blast radius":     {func(c *contract.Contract) { c.BlastRadius = "" }, "/blast_radius missing-field"},
		"unknown kind":        {func(c *contract.Contract) { c.Kind = "oracle" }, "/kind unknown-kind"},
		"no target":           {func(c *contract.Contract) { c.Target = nil }, "/target target-missing"},
		"random with target":  {func(c *contract.Contract) { c.Kind, c.Strategy = contract.Random, contract.Single }, "/target target-not-needed"},
		"dual without admin":  {func(c *contract.Contract) { c.Target.Admin = "" }, "/strategy strategy-impossible"},
		"dual without target": {func(c *contract.Contract) { c.Kind, c.Target = contract.Random, nil }, "/strategy strategy-impossible"},
		"unknown strategy":    {func(c *contract.Contract) { c.Strategy = "triple" }, "/strategy bad-value"},
		"own admin":           {func(c *contract.Contract) { c.Target.Admin = "prod/orders-db" }, "/target/admin own-admin"},
		"owner 61 bytes":      {func(c *contract.Contract) { c.Target.Owner = strings.Repeat("o", 61) }, ""},
		"owner 62 bytes":      {func(c *contract.Contract) { c.Target.Owner = strings.Repeat("o", 62) }, "/target/owner bad-name"},
		"owner 63, single": {func(c *contract.Contract) {
			c.Target.Owner, c.Strategy = strings.Repeat("o", 63), contract.Single
		}, ""},
		"owner quoted":             {func(c *contract.Contract) { c.Target.Owner = `o"; DROP ROLE x` }, "/target/owner bad-name"},
		"port":                     {func(c *contract.Contract) { c.Target.Port = 70000 }, "/target/port bad-value"},
		"tls":                      {func(c *contract.Contract) { c.Target.TLS = "yes" }, "/target/tls bad-value"},
		"no host":                  {func(c *contract.Contract) { c.Target.Host = "" }, "/target/host bad-value"},
		"no database":              {func(c *contract.Contract) { c.Target.Database = "" }, "/target/database bad-value"},
		"on_expiry":                {func(c *contract.Contract) { c.OnExpiry = "ignore" }, "/on_expiry bad-value"},
		"a key":                    {func(c *contract.Contract) { c.KMSKey = key }, ""},
		"a multi-Region key":       {func(c *contract.Contract) { c.KMSKey = strings.Replace(key, "key/", "key/mrk-", 1) }, ""},
		"a key by its id":          {func(c *contract.Contract) { c.KMSKey = "1234abcd-12ab-34cd-56ef-1234567890ab" }, "/kms_key bad-key"},
		"a key by an alias":        {func(c *contract.Contract) { c.KMSKey = "arn:aws:kms:us-east-1:000000000000:alias/a" }, "/kms_key bad-key"},
		"any key":                  {func(c *contract.Contract) { c.KMSKey = "arn:aws:kms:us-east-1:000000000000:key/*" }, "/kms_key bad-key"},
		"a key of another account": {func(c *contract.Contract) { c.KMSKey = strings.Replace(key, "000000000000", "111122223333", 1) }, "/kms_key key-elsewhere"},
		"field of ours":            {func(c *contract.Contract) { c.Target.Fields = map[string]string{"port": "1"} }, "/target/fields/port reserved-field"},
		"a value": {func(c *contract.Contract) {
			c.Target.Fields = map[string]string{"apiKey": "x", "sslmode": "require"}
		}, "/target/fields/apiKey value-in-contract"},
		"a private key": {func(c *contract.Contract) {
			c.Target.RootCert = "-----BEGIN PRIVATE KEY-----"
		}, "/target/root_cert value-in-contract"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range contract.Validate(good(c.edit), services()) {
				got = append(got, p.Path+" "+p.Code)
				if p.Message == "" || p.Do == "" {
					t.Errorf("%s %s does not say what is wrong and what to do", p.Path, p.Code)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", strings.Join(got, " "), c.want)
			}
		})
	}
}

func TestClashes(t *testing.T) {
	same := good()
	sameLogin := good(func(c *contract.Contract) {
		c.Name, c.Strategy, c.Target.Owner = "orders-copy", contract.Single, "orders_app_b"
	})
	other := good(func(c *contract.Contract) { c.Name, c.Target.Owner = "orders-report", "orders_report" })
	var got []string
	for _, c := range contract.Clashes([]contract.Contract{good(), same, other, sameLogin}) {
		got = append(got, c.Code)
		if c.Index != 1 && c.Index != 3 {
			t.Errorf("%s at %d", c.Code, c.Index)
		}
	}
	if !slices.Equal(got, []string{"duplicate-id", "duplicate-login"}) {
		t.Errorf("got %v", got)
	}
}

func TestKeys(t *testing.T) {
	c := good(func(c *contract.Contract) {
		c.Services = []string{"orders-service", "settle"}
		c.Repositories = []string{"orders/schema"}
	})
	want := []string{
		"codedeploy:orders", "codepipeline:orders-pipeline", "dbuser:orders_app@prod-orders", "dbuser:orders_app_a@prod-orders",
		"dbuser:orders_app_b@prod-orders", "ecs:prod-cluster/orders", "environment:prod", "github:orders/orders-service",
		"lambda:prod-settle", "repository:orders/schema", "role:prod-orders-service", "role:prod-settle",
		"service:prod/orders-service", "service:prod/settle",
	}
	if diff := cmp.Diff(want, contract.Keys(c, services())); diff != "" {
		t.Error(diff)
	}
	elsewhere := good(func(c *contract.Contract) {
		c.Environment, c.Strategy, c.Target.Host = "stage", contract.Single, "db.internal"
	})
	if diff := cmp.Diff([]string{"dbuser:orders_app@db.internal", "environment:stage"}, contract.Keys(elsewhere, services())); diff != "" {
		t.Error("a service's names in prod found a secret in stage: " + diff)
	}
}

func TestDigest(t *testing.T) {
	want := contract.Digest(good())
	bare := good(func(c *contract.Contract) { c.Strategy = ""; c.Target.Port = 0; c.Target.TLS = "" })
	if got := contract.Digest(bare); got != want {
		t.Error("leaving out what is the default changed the digest")
	}
	for name, edit := range map[string]func(*contract.Contract){
		"ttl":      func(c *contract.Contract) { c.TTL += contract.Duration(time.Second) },
		"owner":    func(c *contract.Contract) { c.Owner = "x" },
		"host":     func(c *contract.Contract) { c.Target.Host = "x" },
		"policy":   func(c *contract.Contract) { c.Policy = map[string]string{"revoke_old": "false"} },
		"services": func(c *contract.Contract) { c.Services = append(c.Services, "x") },
	} {
		if contract.Digest(good(edit)) == want {
			t.Errorf("the digest does not cover %s", name)
		}
	}
}

func TestBundle(t *testing.T) {
	report := good(func(c *contract.Contract) { c.Name, c.Target.Owner = "a-report", "orders_report" })
	b := contract.Bundle{Commit: "abc", Contracts: []contract.Contract{good(), report}, Services: services()}
	file, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	back, err := contract.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	b.Contracts = []contract.Contract{report, good()} // compiled by id
	if diff := cmp.Diff(b, back); diff != "" {
		t.Error(diff)
	}
	again, err := back.Compile()
	if err != nil || string(again) != string(file) {
		t.Errorf("compiled again, the bytes differ (%v)", err)
	}
	if c, ok := back.Find("prod/orders-db"); !ok || c.Name != "orders-db" {
		t.Errorf("found %v %+v", ok, c)
	}
	if _, ok := back.Find("prod/ghost"); ok {
		t.Error("found a ghost")
	}
	for name, tampered := range map[string]string{
		"a longer life":  strings.Replace(string(file), `"ttl": 86400`, `"ttl": 864000`, 1),
		"another digest": strings.Replace(string(file), contract.Digest(report), strings.Repeat("0", 64), 1),
		"unknown member": strings.Replace(string(file), `"commit"`, `"comit"`, 1),
		"no service":     strings.Replace(string(file), `"name": "orders-service"`, `"name": "renamed"`, 1),
		"cut off":        string(file[:len(file)/2]),
		"nothing at all": "",
		"same id, twice": strings.Replace(string(file), "[", "["+one(t, string(file))+",", 1),
		"more behind it": string(file) + "{}",
	} {
		if _, err := contract.Read([]byte(tampered)); fault.CodeOf(err) != fault.ContractInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// one cuts the first contract out of a compiled file.
func one(t *testing.T, file string) string {
	t.Helper()
	var f struct{ Contracts []json.RawMessage }
	if err := json.Unmarshal([]byte(file), &f); err != nil {
		t.Fatal(err)
	}
	return string(f.Contracts[0])
}
