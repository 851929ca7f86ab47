package contract_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, file string
		want          bool
	}{
		{"db/migrations/**", "db/migrations/0042.sql", true},
		{"db/migrations/**", "db/migrations/2026/03/0042.sql", true},
		{"db/migrations/**", "db/migrations.sql", false},
		{"db/migrations/**", "src/db/migrations/0042.sql", false},
		{"**/migrations/*.sql", "db/migrations/0042.sql", true},
		{"**/migrations/*.sql", "migrations/0042.sql", true},
		{"**/migrations/*.sql", "migrations/x/0042.sql", false},
		{"**", "anything/at/all", true},
		{"*", "README.md", true},
		{"*", "docs/README.md", false},
		{"*.tf", "main.tf", true},
		{"*.tf", "infra/main.tf", false},
		{"/config/app.yaml", "config/app.yaml", true},
		{"./config/app.yaml", "config/app.yaml", true},
		{"config/app.yaml", "config/App.yaml", false},
		{"a/**/b/**/c", "a/x/b/y/z/c", true},
		{"a/**/b/**/c", "a/b/c", true},
		{"a/**/b/**/c", "a/c/b", false},
		{"v[0-9]/?.go", "v2/a.go", true},
		{"v[0-9]/?.go", "vx/a.go", false},
		{"", "x", false},
		{"[", "[", false},
	} {
		contract := contract.Contract{CommitPaths: []string{"nowhere/else", c.pattern}}
		by, got := contract.Covers(c.file)
		if got != c.want || got && by != c.pattern {
			t.Errorf("%q covers %q: %t (by %q), want %t", c.pattern, c.file, got, by, c.want)
		}
	}
	deep := contract.Contract{CommitPaths: []string{strings.Repeat("**/*a*/", 100) + "b"}}
	if _, ok := deep.Covers(strings.Repeat("aaaa/", 500) + "c"); ok { // ends soon, or this test does not
		t.Error("a file that ends otherwise is covered")
	}
}

func TestKeysOfRepositoriesAndIdentities(t *testing.T) {
	services := []contract.Service{{Name: "billing", Environments: map[string]contract.Placement{"prod": {
		Identities: contract.Identities{
			Users: []string{"legacy-billing"}, Groups: []string{"readers"}, Policies: []string{"read-billing"},
			InstanceProfiles: []string{"billing-ec2"}, AccessKeys: []string{"AKIA000000000000EXMP"},
		},
		Deployments: contract.Deployments{GitHub: []string{"Payments/Billing@production"}},
		Delivery:    contract.Delivery{Kind: "eks", Cluster: "main", Namespace: "shop", Workload: "billing"},
	}}}}
	c := contract.Contract{Name: "x", Environment: "prod", Services: []string{"billing"}, KMSKey: "arn:aws:kms:us-east-1:000000000000:key/1234abcd"}
	want := "accesskey:AKIA000000000000EXMP eks:main/shop/billing environment:prod github:payments/billing@production group:readers " +
		"kms:1234abcd policy:read-billing profile:billing-ec2 repository:payments/billing service:prod/billing user:legacy-billing"
	if got := strings.Join(contract.Keys(c, services), " "); got != want {
		t.Errorf("keys\n%s, want\n%s", got, want)
	}
	c.Repositories = []string{"Payments/Schema", "billing-schema"}
	got := strings.Join(contract.Keys(c, services), " ")
	if !strings.Contains(got, "codecommit:billing-schema") || !strings.Contains(got, "repository:payments/schema") || strings.Contains(got, "repository:payments/billing") {
		t.Errorf("the contract's own repositories, and only they, count: %s", got)
	}
}

func FuzzCovers(f *testing.F) {
	f.Add("db/**/*.sql", "db/a/b.sql")
	f.Add("[a-", "[a-")
	f.Fuzz(func(t *testing.T, pattern, file string) {
		c := contract.Contract{CommitPaths: []string{pattern}}
		if by, ok := c.Covers(file); ok && by != pattern {
			t.Errorf("covered by %q", by)
		}
		everything := contract.Contract{CommitPaths: []string{"**"}}
		if _, ok := everything.Covers(file); !ok {
			t.Errorf("** does not cover %q", file)
		}
	})
}

func TestCommitPathsAreChecked(t *testing.T) {
	c := good(func(c *contract.Contract) { c.CommitPaths = []string{"db/**", "a/[x", "/", ""} })
	var paths []string
	for _, p := range contract.Validate(c, services()) {
		paths = append(paths, p.Path)
	}
	if got := strings.Join(paths, " "); got != "/commit_paths/1 /commit_paths/2 /commit_paths/3" {
		t.Errorf("problems at %s", got)
	}
}
