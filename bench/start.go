package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Start is how one start of a function went.
type Start struct {
	Took time.Duration // from the start of the process to its first GET /next
	RSS  int64         // resident memory at that moment, bytes
}

// nextPath is where a runtime asks for its first invocation.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next
const nextPath = "/2018-06-01/runtime/invocation/next"

// reserved is what Lambda itself sets, with credentials that lead nowhere: a function that is only started calls nobody.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
var reserved = []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_SESSION_TOKEN=bench"}

// start starts a function's binary, by its absolute path, against a Runtime API that has no invocation for it, and kills it
// once it has asked for one.
func start(ctx context.Context, bootstrap string, environment []string) (Start, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Start{}, err
	}
	asked := make(chan time.Time, 1)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != nextPath {
			http.Error(w, "only "+nextPath+" is served here", http.StatusNotFound)
			return
		}
		asked <- time.Now()
		<-r.Context().Done() // there is no work, until the process is gone
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()                       //nolint:errcheck // nothing was written

	cmd := exec.CommandContext(ctx, bootstrap)
	cmd.Dir = filepath.Dir(bootstrap)
	cmd.Env = slices.Concat(reserved, environment, []string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String()})
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return Start{}, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() { _ = cmd.Process.Kill(); <-ended }()
	select {
	case at := <-asked:
		rss, err := resident(cmd.Process.Pid)
		return Start{Took: at.Sub(began), RSS: rss}, err
	case <-ended:
		return Start{}, fmt.Errorf("%s ended before it asked for work: %s", bootstrap, stderr.String())
	case <-time.After(10 * time.Second):
		return Start{}, fmt.Errorf("%s did not ask for work within 10 s", bootstrap)
	}
}

// resident reads the resident memory of a process, in bytes. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the process has")
}
