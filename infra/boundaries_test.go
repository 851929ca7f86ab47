package infra_test

import (
	"os/exec"
	"strings"
	"testing"
)

// What runs in AWS knows neither how it is deployed nor what it is tested on.
func TestBoundaries(t *testing.T) {
	const module = "github.com/mayfly-secrets/mayfly/"
	for _, from := range []string{"functions/...", "internal/..."} {
		out, err := exec.Command("go", "list", "-deps", module+from).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		seen := false
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			seen = seen || strings.HasPrefix(line, module+"internal/")
			for _, forbidden := range []string{module + "infra", module + "localstack", "github.com/aws/aws-cdk-go"} {
				if line == forbidden || strings.HasPrefix(line, forbidden+"/") {
					t.Errorf("%s imports %s", from, line)
				}
			}
		}
		if !seen {
			t.Errorf("%s: no package of internal among its imports: this test looks at the wrong thing", from)
		}
	}
}
