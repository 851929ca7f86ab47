package playground_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract/source"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// TestEachPermissionIsNeeded takes one permission out of the template, deploys that, and sees something fail.
//
// The short form takes three at random of those that one routine rotation needs, and does that again; MAYFLY_SEED repeats
// it. The long form (`make mutate`) takes each in turn and runs the test that needs it and takes the shortest: what needed
// what comes from a full run before, in the file MAYFLY_MUTATE.
func TestEachPermissionIsNeeded(t *testing.T) {
	if file := os.Getenv("MAYFLY_MUTATE"); file != "" {
		everyMutant(t, file)
		return
	}
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MAYFLY_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t)(nil, err)
	}
	t.Logf("MAYFLY_SEED=%d", seed)
	needed, err := once(t, assembly())
	if err != nil {
		t.Fatalf("nothing is missing, and: %v", err)
	}
	if len(needed) < 50 {
		t.Fatalf("a routine rotation needs %d permissions: this looks at the wrong thing", len(needed))
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3 {
		missing := needed[random.IntN(len(needed))]
		t.Run(missing.name(), func(t *testing.T) {
			_, err := once(t, mutant(t, missing))
			if err == nil {
				t.Fatalf("without %s on %s everything works: nobody needs it, or nothing shows that it is missing", missing.name(), missing.Resource)
			}
			t.Logf("without it: %.300s", err)
		})
	}
}

func (u usage) name() string { return fmt.Sprintf("%s %s %s %d", u.Role, u.Sid, u.Action, u.Index) }

// once is the whole of a routine: a deployment, its first evaluation, a rotation, and what is left of them. It returns the
// permissions that were needed, each by itself. The error says what is not as it should be.
func once(t *testing.T, assembly string) ([]usage, error) {
	t.Helper()
	bundle, problems := source.Load(os.DirFS(filepath.Join("..", "..", "contracts")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := playground.Start(ctx, playground.Options{Assembly: assembly, Bundle: bundle, Policy: brisk, Random: func() float64 { return 0.02 }})
	if err != nil {
		return nil, fmt.Errorf("the deployment: %w", err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if runs, err := p.Runs(ctx, orders); err != nil || len(runs) == 0 {
		return nil, errors.Join(errors.New("the first evaluation led to no run"), err)
	}
	execution, err := p.Rotate(ctx, orders, "routine", "test")
	if err != nil {
		return nil, err
	}
	out, err := p.Wait(ctx, execution)
	if err == nil && out.Status != "SUCCEEDED" {
		err = fmt.Errorf("the run ended %s", out.Status)
	}
	if err == nil {
		err = p.Settle(ctx)
	}
	if err == nil {
		_, err = p.CheckAudit(ctx)
	}
	if err = errors.Join(err, p.CheckLaws(ctx, orders), logged(p)); err != nil {
		return nil, err
	}
	used := p.Stack.Access.Used()
	return slices.DeleteFunc(granted(p.Stack), func(u usage) bool { return !used[u.Permission] }), nil
}

// logged says which records are not in the log group, from which alarms come, too: there must be one of the evaluation.
func logged(p *playground.Playground) error {
	var lines strings.Builder
	for _, l := range p.Stack.Logs.Lines(playground.AuditGroup) {
		lines.WriteString(l.Text + "\n")
	}
	var missing []error
	for _, o := range p.Stack.Buckets.Objects(playground.AuditBucket) {
		if !strings.Contains(lines.String(), string(o.Body)) {
			missing = append(missing, fmt.Errorf("%s is not in the log", o.Key))
		}
	}
	if !strings.Contains(lines.String(), `"event":"evaluated"`) {
		missing = append(missing, errors.New("nothing was evaluated"))
	}
	return errors.Join(missing...)
}

// mutant is a copy of the assembly whose template lacks one permission.
func mutant(t *testing.T, missing usage) string {
	t.Helper()
	const file = "Mayfly.template.json"
	original, err := filepath.Abs(assembly())
	must(t)(nil, err)
	entries, err := os.ReadDir(original)
	must(t)(nil, err)
	folder := t.TempDir()
	for _, e := range entries {
		if e.Name() != file {
			must(t)(nil, os.Symlink(filepath.Join(original, e.Name()), filepath.Join(folder, e.Name())))
		}
	}
	text, err := os.ReadFile(filepath.Join(original, file))
	must(t)(nil, err)
	var template map[string]any
	must(t)(nil, json.Unmarshal(text, &template))
	if n := remove(template, missing); n != 1 {
		t.Fatalf("%d statements of the template hold %+v, want 1", n, missing.Permission)
	}
	text, err = json.Marshal(template)
	must(t)(nil, err)
	must(t)(nil, os.WriteFile(filepath.Join(folder, file), text, 0o600))
	return folder
}

// remove takes a permission out of a template and returns in how many statements it was.
func remove(template map[string]any, missing usage) (n int) {
	for _, r := range template["Resources"].(map[string]any) {
		properties, _ := r.(map[string]any)["Properties"].(map[string]any)
		if r.(map[string]any)["Type"] != "AWS::IAM::Policy" || properties["PolicyName"] != missing.Policy {
			continue
		}
		document := properties["PolicyDocument"].(map[string]any)
		var statements []any
		for _, s := range document["Statement"].([]any) {
			s := s.(map[string]any)
			actions, resources := list(s["Action"]), list(s["Resource"])
			if s["Effect"] != "Allow" || said(s["Sid"]) != missing.Sid || !slices.Contains(actions, any(missing.Action)) || missing.Index >= len(resources) {
				statements = append(statements, s)
				continue
			}
			n++
			others := slices.DeleteFunc(slices.Clone(actions), func(a any) bool { return a == missing.Action })
			elsewhere := slices.Delete(slices.Clone(resources), missing.Index, missing.Index+1)
			statements = append(statements, part(s, others, resources)...)
			statements = append(statements, part(s, []any{missing.Action}, elsewhere)...)
		}
		if len(statements) == 0 { // IAM refuses a policy without any
			statements = []any{map[string]any{"Effect": "Allow", "Action": "nothing:AtAll", "Resource": "*"}}
		}
		document["Statement"] = statements
	}
	return n
}

func list(v any) []any {
	if l, is := v.([]any); is {
		return l
	}
	return []any{v}
}

// part is a statement with some of its actions on some of its resources: none, if one of both is none.
func part(statement map[string]any, actions, resources []any) []any {
	if len(actions) == 0 || len(resources) == 0 {
		return nil
	}
	s := maps.Clone(statement)
	s["Action"], s["Resource"] = actions, resources
	return []any{s}
}

// everyMutant goes, for each permission in the file, through a routine and up to five tests that needed it, until one fails.
func everyMutant(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	must(t)(nil, err)
	var all []usage
	must(t)(nil, json.Unmarshal(text, &all))
	for _, missing := range all {
		if len(missing.Needed) == 0 {
			continue // said by the full run, unless AWS alone asks for it
		}
		if _, elsewhere := missing.Needed["TestUnderAKey"]; elsewhere && len(missing.Needed) == 1 {
			continue // a permission on keys, which the template of the repository's own contracts does not have
		}
		t.Run(missing.name(), func(t *testing.T) {
			t.Parallel()
			folder := mutant(t, missing)
			tests := slices.SortedFunc(maps.Keys(missing.Needed), func(a, b string) int { return cmp.Compare(missing.Needed[a], missing.Needed[b]) })
			began := time.Now()
			if _, err := once(t, folder); err != nil {
				t.Logf("a routine fails after %.0f s: %.200s", time.Since(began).Seconds(), err)
				return
			}
			tests = tests[:min(len(tests), 5)]
			for _, name := range tests {
				began = time.Now()
				if out, err := runOn(t, folder, name); err != nil {
					t.Logf("%s fails after %.0f s: %v", name, time.Since(began).Seconds(), err)
					return
				} else if !strings.Contains(out, "--- PASS") {
					t.Fatalf("%s did not run:\n%s", name, out)
				}
			}
			t.Errorf("without %s on %s a routine and these pass: %v", missing.name(), missing.Resource, tests)
		})
	}
}

// runOn runs a test of this package on another assembly.
func runOn(t *testing.T, folder, test string) (string, error) {
	t.Helper()
	var exact []string
	for _, part := range strings.Split(test, "/") {
		exact = append(exact, "^"+regexp.QuoteMeta(part)+"$")
	}
	binary, err := os.Executable()
	must(t)(nil, err)
	c := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout", "4m", "-test.run", strings.Join(exact, "/"))
	c.Env = append(os.Environ(), "MAYFLY_ASSEMBLY="+folder, "MAYFLY_MUTATE=", "MAYFLY_USAGE=")
	out, err := c.CombinedOutput()
	return string(out), err
}

// said is the text that a member of a template is, "" where there is none.
func said(v any) string {
	text, _ := v.(string)
	return text
}
