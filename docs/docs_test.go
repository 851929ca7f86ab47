// Package docs_test holds the documentation to the code: links resolve, and what the code can say is explained.
package docs_test

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

const root = ".."

// pages are every Markdown file of the project, by path from here.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (slices.Contains([]string{"node_modules", "build", "cdk.out", "testdata"}, d.Name()) || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			texts[path] = read(t, path)
		}
		return nil
	})
	if err != nil || len(texts) < 10 {
		t.Fatalf("%d pages, %v", len(texts), err)
	}
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence   = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// anchors are the fragments by which GitHub reaches the headings of a page.
func anchors(page string) []string {
	var found []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		found = append(found, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			default:
				return -1
			}
		}, strings.ToLower(h[1])))
	}
	return found
}

func TestRelativeLinksResolve(t *testing.T) {
	all := pages(t)
	checked := 0
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // another site
			}
			checked++
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
				continue
			}
			if fragment != "" && !slices.Contains(anchors(all[file]), fragment) {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("%d links checked: the test looks at the wrong thing", checked)
	}
}

// rows are the first cells of the table rows of a page, without their backticks.
func rows(page string) map[string]string {
	found := map[string]string{}
	for _, line := range strings.Split(page, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.TrimSpace(cells[0]) != "" {
			continue
		}
		for _, name := range strings.Split(cells[1], ",") {
			found[strings.Trim(strings.TrimSpace(name), "`")] = line
		}
	}
	return found
}

func demand(t *testing.T, page string, names []string) {
	t.Helper()
	if len(names) == 0 {
		t.Fatalf("%s: nothing to look for", page)
	}
	has := rows(read(t, page))
	for _, name := range names {
		if has[name] == "" {
			t.Errorf("%s has no table row for %s", page, name)
		}
	}
}

func TestEveryFaultCodeIsInTheRunbook(t *testing.T) {
	var names []string
	has := rows(read(t, "operations.md"))
	for _, c := range fault.Codes() {
		names = append(names, string(c))
		if row := has[string(c)]; row != "" && !strings.Contains(row, "| "+string(c.Class())+" |") {
			t.Errorf("operations.md does not say that %s is of class %s: %s", c, c.Class(), row)
		}
	}
	demand(t, "operations.md", names)
}

// constants are the values of the text constants in a folder whose name, or whose type's name, matches.
func constants(t *testing.T, folder, name, kind string) []string {
	t.Helper()
	matches := regexp.MustCompile(name)
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST || strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				typed, _ := v.Type.(*ast.Ident)
				if kind != "" && (typed == nil || typed.Name != kind) || !matches.MatchString(v.Names[0].Name) {
					continue
				}
				if literal, ok := v.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					values = append(values, unquote(t, literal.Value))
				}
			}
		}
	}
	return values
}

func unquote(t *testing.T, literal string) string {
	t.Helper()
	text, err := strconv.Unquote(literal)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryEventReasonAndColumnIsExplained(t *testing.T) {
	demand(t, "audit.md", slices.Concat(constants(t, "internal/rotation", "^Event", ""), constants(t, "internal/audit", "^Event", ""), constants(t, "internal/inspection", "^Event", "")))
	demand(t, "audit.md", constants(t, "internal/policy", ".", "Reason"))
	demand(t, "operations.md", constants(t, "internal/inspection", ".", "Code"))
	var columns []string
	record := reflect.TypeFor[audit.Record]()
	for i := range record.NumField() {
		columns = append(columns, record.Field(i).Tag.Get("json"))
	}
	demand(t, "audit.md", columns)
}

func TestEveryContractFieldIsExplained(t *testing.T) {
	demand(t, "contracts.md", policy.Attributes())
	for _, file := range []string{"contract", "service"} {
		var schema struct {
			Properties map[string]any
			Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
		}
		if err := json.Unmarshal([]byte(read(t, filepath.Join(root, "contracts", "schema", file+".schema.json"))), &schema); err != nil {
			t.Fatal(err)
		}
		fields := []string{}
		for name := range schema.Properties {
			fields = append(fields, name)
		}
		for kind, def := range schema.Defs {
			if kind == "deployments" || kind == "delivery" {
				continue // explained in the row of the member that holds them
			}
			for name := range def.Properties {
				fields = append(fields, name)
			}
		}
		if len(fields) < 4 {
			t.Fatalf("the %s schema has the fields %v", file, fields)
		}
		page := read(t, "contracts.md")
		for _, f := range fields {
			if !strings.Contains(page, "| `"+f+"` |") && !strings.Contains(page, "`"+f+"`:") {
				t.Errorf("contracts.md does not explain %s of a %s", f, file)
			}
		}
	}
}

func TestEveryStateIsInTheReadme(t *testing.T) {
	for _, machine := range []string{"rotate", "respond", "inspect"} {
		var definition struct{ States map[string]any }
		if err := json.Unmarshal([]byte(read(t, filepath.Join(root, "statemachines", machine+".asl.json"))), &definition); err != nil {
			t.Fatal(err)
		}
		readme := read(t, filepath.Join(root, "README.md"))
		has := rows(readme)
		for state := range definition.States {
			if machine == "rotate" && has[state] == "" || !strings.Contains(readme, state) {
				t.Errorf("README.md does not say what the state %s of mayfly-%s does", state, machine)
			}
		}
	}
}

var (
	mention = regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z-]*)")
	goal    = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

func TestEveryMakeGoalExists(t *testing.T) {
	var goals []string
	for _, m := range goal.FindAllStringSubmatch(read(t, filepath.Join(root, "Makefile")), -1) {
		goals = append(goals, m[1])
	}
	seen := 0
	for path, text := range pages(t) {
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			if seen++; !slices.Contains(goals, m[1]) {
				t.Errorf("%s speaks of make %s, which the Makefile does not have", path, m[1])
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d mentions of make: the test looks at the wrong thing", seen)
	}
}

var update = flag.Bool("update", false, "write what is derived from the code into the pages")

// The golden table of the template test and the table for people are one: go test ./docs -update.
func TestPermissionsAreThoseOfTheTemplate(t *testing.T) {
	const begin, end = "<!-- permissions -->\n", "<!-- /permissions -->"
	page := read(t, "security.md")
	before, rest, found := strings.Cut(page, begin)
	table, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("security.md lacks %q or %q", begin, end)
	}
	want := permissionTable(t)
	if *update {
		if err := os.WriteFile("security.md", []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("security.md has other permissions than infra/permissions_test.go; go test ./docs -update writes:\n%s", want)
	}
}

// permissionTable renders the variable "permissions" of infra's template test.
func permissionTable(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "infra", "permissions_test.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]ast.Expr{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			named[v.Names[0].Name] = v.Values[0]
		}
		return true
	})
	var text func(ast.Expr) string
	text = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			return unquote(t, e.Value)
		case *ast.BinaryExpr:
			return text(e.X) + text(e.Y)
		case *ast.Ident:
			return text(named[e.Name])
		default:
			t.Fatalf("infra/permissions_test.go: %T in the table", e)
			return ""
		}
	}
	table, ok := named["permissions"].(*ast.CompositeLit)
	if !ok || len(table.Elts) < 10 {
		t.Fatal("infra/permissions_test.go has no table of permissions")
	}
	var b strings.Builder
	b.WriteString("| function | may, beyond that |\n|---|---|\n")
	for _, e := range table.Elts {
		entry := e.(*ast.KeyValueExpr)
		var may []string
		for _, s := range entry.Value.(*ast.CompositeLit).Elts {
			statement, condition, bound := strings.Cut(text(s), " if ")
			actions, resources, _ := strings.Cut(statement, " on ")
			line := "`" + strings.ReplaceAll(actions, " ", "`, `") + "` on `" + strings.ReplaceAll(resources, " ", "`, `") + "`"
			if bound {
				line += " if `" + condition + "`"
			}
			may = append(may, line)
		}
		if len(may) == 0 {
			may = []string{"nothing"}
		}
		b.WriteString("| `" + text(entry.Key) + "` | " + strings.Join(may, "; ") + " |\n")
	}
	return b.String()
}
