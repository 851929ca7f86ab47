// Package mayfly_test holds the repository to its own structure: who may import whom, what belongs together, how long a
// file may be, and which dependencies run in somebody's account.
package mayfly_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mayfly-secrets/mayfly"

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

// dependencies lists the packages that match, and everything they import without their tests.
func dependencies(t *testing.T, patterns ...string) map[string]goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-json=ImportPath,Standard,Imports,Module"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", patterns, err, stderr.String())
	}
	packages := map[string]goPackage{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	return packages
}

// reach is the closure of one package's imports.
func reach(packages map[string]goPackage, from string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		for _, next := range packages[path].Imports {
			walk(next)
		}
	}
	walk(from)
	return seen
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// functionNames are the folders below functions.
func functionNames(t *testing.T) []string {
	t.Helper()
	mains, err := filepath.Glob("functions/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	names := make([]string, len(mains))
	for i, m := range mains {
		names[i] = filepath.Base(filepath.Dir(m))
	}
	return names
}

func TestWhoImportsWhom(t *testing.T) {
	for _, c := range []struct {
		from   string
		forbid []string
	}{
		{"./functions/...", []string{module + "/infra", module + "/localstack", module + "/cmd", "github.com/aws/aws-cdk-go", "github.com/aws/jsii-runtime-go"}},
		{"./internal/...", []string{module + "/infra", module + "/localstack", module + "/cmd", module + "/functions", module + "/bench", "github.com/aws/aws-cdk-go"}},
		{"./localstack/...", []string{module + "/infra", module + "/cmd", module + "/functions"}},
		{"./infra/...", []string{module + "/localstack", module + "/cmd", module + "/functions"}},
	} {
		for path := range dependencies(t, c.from) {
			for _, f := range c.forbid {
				if within(path, f) {
					t.Errorf("%s imports %s", c.from, path)
				}
			}
		}
	}
}

// A function's start is mostly the start of what it imports, and what it does not import it cannot be made to do.
func TestFunctionsImportWhatTheyNeed(t *testing.T) {
	const (
		postgres = "github.com/jackc/pgx/v5"
		dynamodb = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
		kms      = "github.com/aws/aws-sdk-go-v2/service/kms"
		config   = "github.com/aws/aws-sdk-go-v2/config" // looks for credentials where Lambda has none; a third of a start
	)
	needs := map[string][]string{
		postgres: {"contain-secret", "set-secret", "test-secret", "confirm-adoption", "revoke-secret", "roll-back", "probe-targets"},
		dynamodb: {"resolve-trigger", "trace-lineage", "admit-rotation", "finish-secret", "close-run", "apply-contracts",
			"list-secrets", "inspect-secrets", "probe-targets", "probe-access"},
		kms:    {"apply-contracts", "inspect-secrets"}, // grants; fingerprints are made without it
		config: {},
	}
	nobody := []string{"github.com/goccy/go-yaml", "gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml", "github.com/santhosh-tekuri/jsonschema",
		"github.com/ohler55/ojg", "github.com/alecthomas/kong", "net/http/pprof", "testing", module + "/internal/contract/source", module + "/contracts"}
	packages := dependencies(t, "./functions/...")
	for _, name := range functionNames(t) {
		imports := reach(packages, module+"/functions/"+name)
		if !imports[module+"/internal/function"] {
			t.Errorf("%s does not import internal/function: this test looks at the wrong thing, or it starts in a way of its own", name)
		}
		for what, who := range needs {
			if imports[what] && !slices.Contains(who, name) {
				t.Errorf("%s imports %s and has no use for it", name, what)
			}
		}
		for path := range imports {
			for _, n := range nobody {
				if within(path, n) {
					t.Errorf("%s imports %s, which no function needs", name, path)
				}
			}
		}
	}
}

// State name = function name in PascalCase.
func TestEveryFunctionHasItsState(t *testing.T) {
	elsewhere := map[string]string{
		"ApplyContracts": "called by CloudFormation on every deployment",
		"ReceiveWebhook": "called through its function URL",
	}
	called := regexp.MustCompile(`"FunctionName": "\$\{(\w+)\}"`)
	states := map[string]bool{}
	files, _ := filepath.Glob("statemachines/*.asl.json")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllStringSubmatch(string(text), -1) {
			states[m[1]] = true
			if !strings.Contains(string(text), `"`+m[1]+`": {`) {
				t.Errorf("%s calls the function %s from a state of another name", file, m[1])
			}
		}
	}
	for _, name := range functionNames(t) {
		state := pascal(name)
		if !states[state] && elsewhere[state] == "" {
			t.Errorf("functions/%s is the function of no state", name)
		}
		delete(states, state)
	}
	for state := range states {
		t.Errorf("state %s has no function", state)
	}
}

func pascal(kebab string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(kebab, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// Files above 400 lines want a reason.
func TestFilesAreShort(t *testing.T) {
	const most = 400
	reasons := map[string]string{
		"localstack/events/conformance_test.go":        "one suite of one API, read from top to bottom",
		"localstack/lambda/conformance_test.go":        "one suite of one API, with the functions that it runs",
		"localstack/stepfunctions/conformance_test.go": "one table of definitions, each with what AWS documents for it",
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".mayfly", "build", "cdk.out", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := bytes.Count(text, []byte("\n")); n > most && reasons[path] == "" {
			t.Errorf("%s has %d lines, at most %d: split it, or give a reason here", path, n, most)
		} else if n <= most && reasons[path] != "" {
			t.Errorf("%s has %d lines and needs no reason any more", path, n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What runs in somebody's account is listed, each with a reason, in docs/dependencies.md.
func TestDependenciesHaveReasons(t *testing.T) {
	text, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		if len(strings.TrimSpace(m[2])) < 20 {
			t.Errorf("docs/dependencies.md: %q is no reason for %s", m[2], m[1])
		}
		listed[m[1]] = true
	}
	used := map[string]bool{}
	packages := dependencies(t, "./functions/...")
	for _, p := range packages {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		for _, path := range p.Imports {
			if m := packages[path].Module; m != nil && m.Path != module {
				used[m.Path] = true
			}
		}
	}
	for m := range used {
		if !listed[m] {
			t.Errorf("functions use %s, which docs/dependencies.md does not list", m)
		}
	}
	for m := range listed {
		if !used[m] {
			t.Errorf("docs/dependencies.md lists %s, which no function uses", m)
		}
	}
}
