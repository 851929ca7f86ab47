package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Function is what a function costs before it does anything.
type Function struct {
	Name       string  `json:"name"`
	Bootstrap  int64   `json:"bootstrap_bytes"`
	Zip        int64   `json:"zip_bytes"` // of its whole folder, as it is uploaded
	Packages   int     `json:"packages"`  // that it is made of, the standard library's among them
	StartMS    float64 `json:"start_ms"`  // from the start of the process to its first GET /next, p50
	StartRatio float64 `json:"start_ratio"`
	RSS        int64   `json:"rss_bytes"` // at its first GET /next, p50
	RSSRatio   float64 `json:"rss_ratio"`
}

// flags build a function; they are the Makefile's, so that the empty function is built like all others.
var flags = []string{"-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid="}

// measureFunctions measures the functions in local, built for this machine, each as a ratio to an empty one: all are started
// in turn, rounds times, so that whatever else the machine does meets them alike. Sizes are taken from packed, where the
// functions are as they are deployed.
func measureFunctions(ctx context.Context, root, local, packed, template string, rounds int) (empty Function, functions []Function, err error) {
	variables, err := environments(template)
	if err != nil {
		return empty, nil, err
	}
	scratch, err := os.MkdirTemp("", "mayfly-bench-")
	if err != nil {
		return empty, nil, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, flags, []string{"-o", filepath.Join(scratch, "bootstrap"), "./bench/empty"})...)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return empty, nil, fmt.Errorf("build the empty function: %w\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(local, "*", "bootstrap"))
	if err != nil || len(names) == 0 {
		return empty, nil, fmt.Errorf("no functions in %s: run `make build-local` (%w)", local, err)
	}
	if empty, err = weigh(ctx, root, "empty", "./bench/empty", scratch); err != nil {
		return empty, nil, err
	}
	for _, bootstrap := range names {
		name := filepath.Base(filepath.Dir(bootstrap))
		f, err := weigh(ctx, root, name, "./functions/"+name, filepath.Join(packed, name))
		if err != nil {
			return empty, nil, err
		}
		functions = append(functions, f)
	}
	took, rss := make([][]float64, len(functions)+1), make([][]float64, len(functions)+1)
	for range rounds {
		for i, bootstrap := range append([]string{filepath.Join(scratch, "bootstrap")}, names...) {
			s, err := start(ctx, bootstrap, variables["mayfly-"+filepath.Base(filepath.Dir(bootstrap))])
			if err != nil {
				return empty, nil, err
			}
			took[i], rss[i] = append(took[i], milliseconds(s.Took)), append(rss[i], float64(s.RSS))
		}
	}
	empty.StartMS, empty.RSS, empty.StartRatio, empty.RSSRatio = quantile(took[0], 0.5), int64(quantile(rss[0], 0.5)), 1, 1
	for i := range functions {
		f := &functions[i]
		f.StartMS, f.RSS = quantile(took[i+1], 0.5), int64(quantile(rss[i+1], 0.5))
		f.StartRatio, f.RSSRatio = f.StartMS/empty.StartMS, float64(f.RSS)/float64(empty.RSS)
	}
	return empty, functions, nil
}

// weigh measures what does not need a start.
func weigh(ctx context.Context, root, name, pkg, folder string) (Function, error) {
	f := Function{Name: name}
	info, err := os.Stat(filepath.Join(folder, "bootstrap"))
	if err != nil {
		return f, fmt.Errorf("%w: run `make build`", err)
	}
	f.Bootstrap = info.Size()
	if f.Zip, err = zipped(folder); err != nil {
		return f, err
	}
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-tags", "lambda.norpc", pkg)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return f, fmt.Errorf("list what %s imports: %w", name, err)
	}
	f.Packages = strings.Count(string(out), "\n")
	return f, nil
}

// zipped is the size of a folder as a zip file, packed as hard as the CDK packs it.
func zipped(folder string) (int64, error) {
	var size counter
	w := zip.NewWriter(&size)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	if err := w.AddFS(os.DirFS(folder)); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return int64(size), nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// environments reads from a synthesized template which variables each function gets. Where a value is known only after
// deployment, any text stands for it: nothing is called at start.
func environments(template string) (map[string][]string, error) {
	text, err := os.ReadFile(template)
	if err != nil {
		return nil, fmt.Errorf("%w: run `make synth-local`", err)
	}
	var t struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				FunctionName any
				Environment  struct{ Variables map[string]any }
			}
		}
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", template, err)
	}
	found := map[string][]string{}
	for _, r := range t.Resources {
		if r.Type != "AWS::Lambda::Function" {
			continue
		}
		name := fmt.Sprint(r.Properties.FunctionName)
		for k, v := range r.Properties.Environment.Variables {
			if _, known := v.(string); !known {
				v = "bench"
			}
			found[name] = append(found[name], fmt.Sprint(k, "=", v))
		}
	}
	return found, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile is the smallest value that at least the share q of all values does not exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, min(len(sorted)-1, int(q*float64(len(sorted))+0.999999)-1))]
}
