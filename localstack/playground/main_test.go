package playground_test

import (
	"flag"
	"os"
	"testing"
)

// These tests mostly wait: for retries, quiet periods, looks at open sessions. So more of them run at once than there are
// cores, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "5"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
