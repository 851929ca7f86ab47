package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mayfly": main,
		"exits":  exits,
	})
}

// exits runs mayfly with the arguments after the first and demands the exit code that the first names: testscript itself
// only knows success and failure.
func exits() {
	want, got := os.Args[1], run(os.Args[2:], os.Stdout, os.Stderr)
	if want != string(rune('0'+got)) {
		os.Stderr.WriteString("\nexit code " + string(rune('0'+got)) + "\n")
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CONTRACTS", filepath.Join(root, "contracts"))
			e.Setenv("EVENTS", filepath.Join(root, "events"))
			return nil
		},
	})
}
