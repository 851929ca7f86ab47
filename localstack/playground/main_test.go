package playground_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// These tests mostly wait: for retries, quiet periods, looks at open sessions. So more of them run at once than there are
// cores, unless -parallel says otherwise. When all of them ran and passed, what they needed is compared with what the
// template grants.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { chosen[f.Name] = true })
	if !chosen["test.parallel"] {
		if err := flag.Set("test.parallel", "5"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if file := os.Getenv("MAYFLY_USAGE"); file != "" {
		if err := saveUsages(file); err != nil {
			panic(err)
		}
	}
	partial := testing.Short() || chosen["test.run"] || chosen["test.skip"] || chosen["test.list"] || chosen["test.fuzz"]
	if code == 0 && !partial {
		if err := leastPrivilege(); err != nil {
			fmt.Println("FAIL: least privilege:", err)
			code = 1
		}
	}
	os.Exit(code)
}
