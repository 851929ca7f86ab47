package source_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/source"
)

const ours = "../../../contracts"

// payment is the contract in design section 4, as it stands there.
const payment = `name: payment-api-key
owner: payments-team
environment: prod
services:
  - billing-service
  - reconciliation-worker
ttl: 86400
rotate_on:
  - commit
  - deployment
  - incident
blast_radius: minimal
compliance:
  iso_27001: A.9.2
  pci_dss: 3.6
`

func TestPaymentContractIsTheOneInTheDesign(t *testing.T) {
	got, err := os.ReadFile(ours + "/payment-api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(payment, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestOurContracts(t *testing.T) {
	b, problems := source.Load(os.DirFS(ours))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c, ok := b.Find("prod/payment-api-key")
	want := contract.Contract{
		Name: "payment-api-key", Owner: "payments-team", Environment: "prod",
		Services: []string{"billing-service", "reconciliation-worker"}, TTL: contract.Duration(24 * time.Hour),
		RotateOn: []string{"commit", "deployment", "incident"}, BlastRadius: "minimal",
		Compliance: map[string]string{"iso_27001": "A.9.2", "pci_dss": "3.6"}, Kind: contract.Random, Strategy: contract.Single,
	}
	if diff := cmp.Diff(want, c); diff != "" || !ok {
		t.Error(diff)
	}
	orders, _ := b.Find("prod/orders-db")
	admin, _ := b.Find(orders.Target.Admin)
	if orders.Strategy != contract.Dual || admin.Strategy != contract.Single || admin.Target.Admin != "" {
		t.Errorf("orders-db is %s, its admin %s with admin %q", orders.Strategy, admin.Strategy, admin.Target.Admin)
	}
	if orders.Target.Host != admin.Target.Host || orders.Target.Port != admin.Target.Port {
		t.Error("orders-db and its admin are at different servers")
	}
	file, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contract.Read(file); err != nil {
		t.Errorf("what was compiled is refused: %v", err)
	}
}

const billing = `name: billing-service
environments:
  prod:
    role: arn:aws:iam::000000000000:role/prod-billing-service
    delivery: {kind: external}
`

const good = `name: api-key
owner: payments-team
environment: prod
services: [billing-service]
ttl: 24h
rotate_on: [commit]
blast_radius: minimal
`

func folder(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{"services/billing-service.yaml": {Data: []byte(billing)}}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// places writes problems as "file:line:column code".
func places(ps source.Problems) []string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%s:%d:%d %s", p.File, p.Line, p.Column, p.Code))
	}
	return out
}

func TestLoad(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, c := range map[string]struct {
		text string
		want []string // without the file
	}{
		"good":                 {good, nil},
		"a comment first":      {"# why\n" + good, nil},
		"windows lines":        {strings.ReplaceAll(good, "\n", "\r\n"), nil},
		"a document mark":      {"---\n" + good, nil},
		"no ttl":               {with("ttl: 24h\n", ""), []string{"1:1 no-expiry"}},
		"ttl zero":             {with("24h", "0"), []string{"5:6 no-expiry"}},
		"ttl nothing":          {with(" 24h", ""), []string{"5:1 wrong-type"}},
		"ttl words":            {with("24h", "a day"), []string{"5:6 bad-value"}},
		"ttl octal":            {with("24h", "0o600"), []string{"5:6 bad-value"}},
		"ttl with a fraction":  {with("24h", "1.5"), []string{"5:6 wrong-type"}},
		"ttl beyond numbers":   {with("24h", "1e999999999"), []string{"5:6 bad-value"}},
		"ttl too long":         {with("24h", "401d"), []string{"5:6 ttl-too-long"}},
		"no trigger":           {with("rotate_on: [commit]\n", ""), []string{"1:1 no-trigger"}},
		"empty triggers":       {with("[commit]", "[]"), []string{"6:1 no-trigger"}},
		"unknown trigger":      {with("[commit]", "[commit, comit]"), []string{"6:21 bad-value"}},
		"unknown field":        {with("owner:", "ownr:"), []string{"1:1 missing-field", "2:1 unknown-field"}},
		"field twice":          {with("ttl: 24h", "ttl: 24h\nttl: 7d"), []string{"6:1 duplicate-key"}},
		"unknown service":      {with("[billing-service]", "[billing-service, ghost]"), []string{"4:29 unknown-service"}},
		"dual without target":  {good + "strategy: dual\n", []string{"8:11 strategy-impossible"}},
		"postgres, no target":  {good + "kind: postgres\n", []string{"1:1 target-missing"}},
		"loose policy":         {good + "policy:\n  ttl: 2d\n  max_overlap: 1h\n", []string{"9:8 bad-policy"}},
		"policy of odd types":  {good + "policy: {revoke_old: 'yes', incident_severity: 11}\n", []string{"8:22 wrong-type", "8:48 bad-value"}},
		"anchor and alias":     {with("payments-team", "&o x") + "statement: *o\n", []string{"2:8 yaml-feature", "8:12 yaml-feature"}},
		"merge key":            {good + "<<: {kind: random}\n", []string{"8:1 yaml-feature"}},
		"tag":                  {with("24h", "!!str 24h"), []string{"5:6 yaml-feature"}},
		"two documents":        {good + "---\n" + good, []string{"9:1 many-documents"}},
		"a list":               {"- a\n- b\n", []string{"1:1 wrong-type"}},
		"nothing":              {"", []string{"1:1 empty"}},
		"only a comment":       {"# later\n", []string{"1:1 empty"}},
		"broken":               {"name: [a\nowner: b\n", []string{"2:1 yaml-syntax"}},
		"too large":            {good + "#" + strings.Repeat("x", 70000), []string{"1:1 too-large"}},
		"everything at once":   {"name: A\nttl: x\nservices: [ghost, B]\n", []string{"1:1 missing-field", "1:1 missing-field", "1:1 no-trigger", "1:1 missing-field", "1:7 bad-value", "2:6 bad-value", "3:12 unknown-service", "3:19 bad-value"}},
		"password in a target": {good + "kind: postgres\ntarget:\n  host: h\n  database: d\n  owner: o\n  fields: {password: x}\n", []string{"13:12 value-in-contract"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := source.Load(folder(map[string]string{"c.yaml": c.text}))
			var want []string
			for _, w := range c.want {
				want = append(want, "c.yaml:"+w)
			}
			got := places(problems)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n%s", diff, problems)
			}
		})
	}
}

func TestCompliancesKeepTheirDigits(t *testing.T) {
	b, problems := source.Load(folder(map[string]string{
		"c.yaml": good + "compliance: {pci_dss: 3.10, iso_27001: A.9.2, nist: 800}\npolicy: {ttl: 3600, revoke_old: true, incident_severity: 8.0}\n",
	}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]string{"pci_dss": "3.10", "iso_27001": "A.9.2", "nist": "800"}
	if diff := cmp.Diff(want, b.Contracts[0].Compliance); diff != "" {
		t.Error(diff)
	}
	policy := map[string]string{"ttl": "3600", "revoke_old": "true", "incident_severity": "8.0"}
	if diff := cmp.Diff(policy, b.Contracts[0].Policy); diff != "" {
		t.Error(diff)
	}
}

func TestAcrossFiles(t *testing.T) {
	_, problems := source.Load(folder(map[string]string{
		"a.yaml": good, "b.yaml": good, "broken.yaml": ": :\n\t", "services/other.yaml": strings.Replace(billing, "delivery: {kind: external}", "delivery: {kind: ecs}", 1),
		"README.md": "not a contract", "schema/x.yaml": "not: one",
	}))
	got := places(problems)
	for _, want := range []string{
		"b.yaml:1:7 duplicate-id", "services/other.yaml:1:7 file-name", "services/other.yaml:5:5 missing-field",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "broken.yaml:") }) {
		t.Errorf("the broken file is not among %v", got)
	}
	if !slices.IsSorted(files(problems)) {
		t.Errorf("the problems are not in the order of files: %v", got)
	}
}

func files(ps source.Problems) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.File)
	}
	return out
}

func TestNoContracts(t *testing.T) {
	_, problems := source.Load(fstest.MapFS{})
	if got := places(problems); !slices.Contains(got, ".:1:1 no-contracts") || !slices.Contains(got, "services:1:1 unreadable") {
		t.Errorf("an empty folder has the problems %v", got)
	}
}

func TestProblemShowsTheLineAndWhatToDo(t *testing.T) {
	_, problems := source.Load(folder(map[string]string{"c.yaml": strings.Replace(good, "rotate_on", "rotate_in", 1)}))
	want := `c.yaml:6:1: unknown-field: "rotate_in" is not a field here
  6 | rotate_in: [******]
    | ^
  do: did you mean rotate_on?
`
	if got := problems.Error(); !strings.Contains(got, want) {
		t.Errorf("got\n%swithout\n%s", got, want)
	}
}

// A password that somebody wrote into a contract must not travel on into build logs.
func TestPasswordsAreNotShown(t *testing.T) {
	_, problems := source.Load(folder(map[string]string{
		"c.yaml": good + "password: hunter2\nlogin: {user: x, code: [hunter5]}\nkind: postgres\ntarget: {host: h, database: d, owner: o, password: \"hunter3\", fields: {token: hunter4}}\n",
	}))
	if len(problems) != 4 {
		t.Errorf("%d problems:\n%s", len(problems), problems)
	}
	if strings.Contains(problems.Error(), "hunter") {
		t.Errorf("a password is shown:\n%s", problems)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(payment)
	f.Add(good)
	f.Add("a: &a [*a, *a]\n<<: *a\n? b\n: !!int c\n")
	f.Add("ttl: 0x1F\nservices: [[[[{}]]]]\n\"a/b~\": |\n  x\n")
	f.Add("{a: 1, a: .inf, b: .nan, c: 1e9999}")
	f.Fuzz(func(t *testing.T, text string) {
		b, problems := source.Load(folder(map[string]string{"c.yaml": text}))
		for _, p := range problems {
			if p.Code == "" || p.Message == "" || p.Do == "" || p.Line < 1 || p.Column < 1 {
				t.Errorf("a problem without code, place or advice: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		file, err := b.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := contract.Read(file); err != nil {
			t.Errorf("lint let pass what is refused later: %v", err)
		}
	})
}
