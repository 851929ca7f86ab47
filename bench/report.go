package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is everything that was measured.
type Report struct {
	Rotation    Rotation    `json:"rotation"`
	Empty       Function    `json:"empty_function"`
	Functions   []Function  `json:"functions"`
	Containment Containment `json:"containment"`
	Throughput  Throughput  `json:"throughput"`
	Broken      []string    `json:"limits_broken"`
}

// The limits.
const (
	mostSecretsManager = 10
	mostCalls          = 26
	mostKeepingAccess  = 3
	mostZip            = 5_000_000 // bytes
	mostStart          = 2.0       // times an empty function's
	mostChain          = 8         // AWS calls, one after the other, from the event to the COMMIT that bars
	mostChainFunctions = 3         // functions on that way, each of which may have to start
)

// What AWS's own PostgreSQL rotation function calls, measured unmodified on a machine of two cores against PostgreSQL 15.
// https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas
var theirs = struct {
	operations          map[string]int
	calls, invocations  int
	startMS, residentMB string
}{
	operations: map[string]int{"secretsmanager.DescribeSecret": 5, "secretsmanager.GetSecretValue": 6, "secretsmanager.GetRandomPassword": 1,
		"secretsmanager.PutSecretValue": 1, "secretsmanager.UpdateSecretVersionStage": 1},
	calls: 14, invocations: 4, startMS: "355-389", residentMB: "50",
}

// breaches lists every limit that does not hold.
func (r *Report) breaches() []string {
	var broken []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	check(r.Rotation.SecretsManager <= mostSecretsManager, "a routine rotation makes %d Secrets Manager calls, at most %d", r.Rotation.SecretsManager, mostSecretsManager)
	check(r.Rotation.KeepingAccess <= mostKeepingAccess, "a routine rotation makes %d calls to keep access, at most %d", r.Rotation.KeepingAccess, mostKeepingAccess)
	check(r.Rotation.Calls <= mostCalls, "a routine rotation makes %d AWS calls, at most %d", r.Rotation.Calls, mostCalls)
	for _, w := range r.Containment.Ways {
		check(w.Depth <= mostChain, "%d AWS calls, one after the other, from the event to the bar, at most %d: %s", w.Depth, mostChain, w.When)
		check(w.Functions <= mostChainFunctions, "%d functions from the event to the bar, at most %d: %s", w.Functions, mostChainFunctions, w.When)
	}
	return append(broken, breachesOfFunctions(r.Functions, 1)...)
}

// breachesOfFunctions looks at sizes and starts; slack multiplies what a start may take.
func breachesOfFunctions(functions []Function, slack float64) []string {
	var broken []string
	for _, f := range functions {
		if f.Zip > mostZip {
			broken = append(broken, fmt.Sprintf("%s is %.2f MB as a zip file, at most %.0f", f.Name, float64(f.Zip)/1e6, mostZip/1e6))
		}
		if f.StartRatio > mostStart*slack {
			broken = append(broken, fmt.Sprintf("%s takes %.2f times as long to start as an empty function, at most %.2f", f.Name, f.StartRatio, mostStart*slack))
		}
	}
	return broken
}

// print writes the report as tables.
func (r *Report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "%v\t", c)
		}
		fmt.Fprintln(w)
	}
	title := func(text string) { _ = w.Flush(); fmt.Fprintf(out, "\n%s\n\n", text) } // Print's own Flush reports an error

	title("One routine dual rotation, by schedule, on a day's first run (AWS: its own single-user function)")
	line("call", "Mayfly", "AWS")
	names := maps.Clone(r.Rotation.Operations)
	maps.Copy(names, theirs.operations)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		line(name, r.Rotation.Operations[name], theirs.operations[name])
	}
	line("Secrets Manager, in all", fmt.Sprintf("%d of at most %d", r.Rotation.SecretsManager, mostSecretsManager), theirs.calls)
	line("AWS calls, in all", fmt.Sprintf("%d of at most %d", r.Rotation.Calls, mostCalls), theirs.calls)
	line("keeping access, beside that", fmt.Sprintf("%d of at most %d", r.Rotation.KeepingAccess, mostKeepingAccess), 0)
	line("one after the other", r.Rotation.Depth, theirs.calls)
	line("functions invoked", r.Rotation.Functions, theirs.invocations)
	line("state transitions", r.Rotation.Transitions, "-")

	title("Functions, before they do anything (AWS's own starts in " + theirs.startMS + " ms with " + theirs.residentMB + " MB)")
	line("function", "bootstrap MB", "zip MB", "packages", "start ms", "ratio", "memory MB", "ratio")
	for _, f := range append([]Function{r.Empty}, r.Functions...) {
		line(f.Name, fixed(f.Bootstrap), fixed(f.Zip), f.Packages, fmt.Sprintf("%.1f", f.StartMS), fmt.Sprintf("%.2f", f.StartRatio), fixed(f.RSS), fmt.Sprintf("%.2f", f.RSSRatio))
	}
	line("at most", "", fixed(mostZip), "", "", fmt.Sprintf("%.2f", mostStart), "", "")

	title("From a critical finding to a refused credential")
	line("from PutEvents to refused, p50 ms", fmt.Sprintf("%.0f", r.Containment.RefusedP50))
	line("p95 ms", fmt.Sprintf("%.0f", r.Containment.RefusedP95))
	for _, way := range r.Containment.Ways {
		title("Calls until it is barred, " + way.When)
		line("AWS calls", len(way.Chain))
		line("one after the other", fmt.Sprintf("%d of at most %d", way.Depth, mostChain))
		line("functions", fmt.Sprintf("%d of at most %d", way.Functions, mostChainFunctions))
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(out, "\n  %s\n", strings.Join(way.Chain, "\n  "))
	}

	title(fmt.Sprintf("%d secrets rotated at once", r.Throughput.Secrets))
	line("rotations per minute", fmt.Sprintf("%.0f", r.Throughput.PerMinute))
	line("one run, p50 ms", fmt.Sprintf("%.0f", r.Throughput.RunP50))
	line("p95 ms", fmt.Sprintf("%.0f", r.Throughput.RunP95))
	return w.Flush()
}

// fixed writes bytes as megabytes.
func fixed(bytes int64) string { return fmt.Sprintf("%.2f", float64(bytes)/1e6) }
