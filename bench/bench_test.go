package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// The short form of the bench: a function that outgrew its limits fails the tests, too.
func TestFunctionsAreSmallAndStartFast(t *testing.T) {
	if testing.Short() {
		t.Skip("starts every function a dozen times")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const slack = 1.25 // other tests run at the same time
	var broken []string
	for range 2 { // once more, in case the machine had something better to do
		_, functions, err := measureFunctions(t.Context(), root, filepath.Join(root, "build", "local"), filepath.Join(root, "build", "local"),
			filepath.Join(root, ".mayfly", "cdk.out", "Mayfly.template.json"), 12)
		if err != nil {
			t.Fatal(err)
		}
		if broken = breachesOfFunctions(functions, slack); len(broken) == 0 {
			return
		}
	}
	t.Error(strings.Join(broken, "\n"))
}

// What our own packages do while a function starts, every function that imports them pays for. Bytes are counted and not
// time, because they are the same on every machine: half a millisecond is about 300 KB of them.
func TestOurPackagesStartLight(t *testing.T) {
	const most = 64 << 10
	variables, err := environments("../.mayfly/cdk.out/Mayfly.template.json")
	if err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob("../build/local/*/bootstrap")
	if len(names) == 0 {
		t.Fatal("no functions: run `make build-local`")
	}
	// https://pkg.go.dev/runtime#hdr-Environment_Variables
	line := regexp.MustCompile(`(?m)^init (github\.com/mayfly-secrets/\S+) @.* ms clock, (\d+) bytes, `)
	for _, bootstrap := range names {
		name := filepath.Base(filepath.Dir(bootstrap))
		cmd := exec.CommandContext(t.Context(), bootstrap)
		cmd.Env = slices.Concat(reserved, variables["mayfly-"+name], []string{"GODEBUG=inittrace=1", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"})
		trace, _ := cmd.CombinedOutput() // it ends because nobody answers
		found := line.FindAllStringSubmatch(string(trace), -1)
		if len(found) == 0 {
			t.Errorf("%s says nothing of how it starts: %s", name, trace)
		}
		for _, m := range found {
			if n, err := strconv.Atoi(m[2]); err != nil || n > most {
				t.Errorf("%s: %s allocates %s bytes at start, at most %d: what is not always needed can be made when it is", name, m[1], m[2], most)
			}
		}
	}
}

// The empty function is a measure only if it is built as the others are.
func TestFlagsAreTheMakefiles(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	want := "GOFUNCTION := CGO_ENABLED=0 go build " + strings.Join(flags[:5], " ") + ` "` + flags[5] + `"`
	if !strings.Contains(string(makefile), want+"\n") {
		t.Errorf("the Makefile builds functions in another way than %q", want)
	}
}

func TestDepth(t *testing.T) {
	at := func(begin, end float64) stack.LedgerEntry {
		return stack.LedgerEntry{At: time.UnixMilli(0).Add(time.Duration(begin * float64(time.Millisecond))), DurationMS: end - begin}
	}
	for name, c := range map[string]struct {
		calls []stack.LedgerEntry
		want  int
	}{
		"none":                   {nil, 0},
		"one after the other":    {[]stack.LedgerEntry{at(0, 1), at(1, 2), at(3, 4)}, 3},
		"all at once":            {[]stack.LedgerEntry{at(0, 3), at(1, 4), at(2, 5)}, 1},
		"a long one beside two":  {[]stack.LedgerEntry{at(0, 9), at(1, 2), at(3, 4)}, 2},
		"in the order of ending": {[]stack.LedgerEntry{at(5, 6), at(0, 4), at(1, 2), at(6, 7)}, 3},
	} {
		if got := depth(c.calls); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 6, 10, 9, 8, 7}
	for q, want := range map[float64]float64{0: 1, 0.1: 1, 0.5: 5, 0.9: 9, 0.95: 10, 1: 10} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v of 1 to 10 is %v, want %v", q, got, want)
		}
	}
}
