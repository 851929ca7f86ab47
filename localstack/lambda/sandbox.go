package lambda

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// sandbox is one process of a function with its own Runtime API, which serves one invocation at a time.
type sandbox struct {
	service *Service
	set     *settings
	cmd     *exec.Cmd
	key     string // access key of its credentials
	stream  string // log stream
	logged  atomic.Bool
	server  *http.Server

	current  atomic.Pointer[invocation]
	work     chan *invocation // holds at most the one invocation that the process has not fetched yet
	ready    chan struct{}    // one signal per call of /next
	initErr  chan Result      // the error that the process reported instead of a first /next
	exited   chan struct{}    // closed when the process has ended
	exit     error            // why it ended, readable once exited is closed
	drained  chan struct{}    // closed when its last line is logged
	killOnce sync.Once
}

// invocation is one event on its way through a process.
type invocation struct {
	id        string
	arn       string // as invoked, qualifier included
	payload   []byte
	execution string
	trace     string
	deadline  time.Time // on the machine's clock, as the process reads it
	done      chan Result
}

// start runs a new process. The error is what the caller of the function sees.
func (s *Service) start(set *settings) (*sandbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a Runtime API for function %s: %w", set.Name, err)
	}
	role := roleName(set.Role)
	// The credentials stay valid when the process has ended, as they do in AWS: a request of a killed process that is
	// still on its way must not count as the root's.
	creds := s.identities.Issue(stack.Identity{
		ARN:  fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", stack.Account, role, set.Name),
		Role: role, Function: set.Name,
	})
	b := &sandbox{
		service: s, set: set, key: creds.AccessKeyID,
		stream: s.clock.Now().Format("2006/01/02/") + "[$LATEST]" + randomHex(16),
		work:   make(chan *invocation, 1), ready: make(chan struct{}, 1), initErr: make(chan Result, 1),
		exited: make(chan struct{}), drained: make(chan struct{}),
	}
	read, write, err := os.Pipe()
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("open a pipe for the log of function %s: %w", set.Name, err)
	}
	b.cmd = exec.Command(filepath.Join(set.Folder, "bootstrap"))
	b.cmd.Dir = set.Folder
	b.cmd.Env = b.environ(creds, l.Addr().String())
	// One pipe for both keeps the order of the lines.
	b.cmd.Stdout, b.cmd.Stderr = write, write
	b.cmd.SysProcAttr = processAttributes()
	s.mu.Lock()
	if err = s.ctx.Err(); err == nil {
		err = b.cmd.Start()
	}
	write.Close()
	if err != nil {
		s.mu.Unlock()
		l.Close()
		read.Close()
		return nil, fmt.Errorf("start function %s: %w", set.Name, err)
	}
	s.sandboxes[b] = struct{}{}
	s.wg.Add(3)
	s.mu.Unlock()
	b.server = &http.Server{Handler: b.api(), ReadHeaderTimeout: time.Minute}
	go func() { defer s.wg.Done(); _ = b.server.Serve(l) }()
	go func() { defer s.wg.Done(); b.copyLog(read) }()
	go func() { defer s.wg.Done(); b.await() }()
	return b, nil
}

// environ is the whole environment of the process: what the function declares, and of what Lambda adds only what the
// Go runtime and SDK read. Nothing of the local stack's own environment is passed on.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func (b *sandbox) environ(creds stack.Credentials, api string) []string {
	env := map[string]string{}
	for k, v := range b.set.Environment {
		env[k] = v
	}
	for k, v := range map[string]string{
		"AWS_LAMBDA_RUNTIME_API": api,
		"AWS_REGION":             stack.Region, "AWS_DEFAULT_REGION": stack.Region,
		"AWS_ACCESS_KEY_ID": creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY": creds.SecretAccessKey, "AWS_SESSION_TOKEN": creds.SessionToken,
		"AWS_LAMBDA_FUNCTION_NAME": b.set.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(b.set.MemorySize),
		"LAMBDA_TASK_ROOT":                b.set.Folder, "_HANDLER": b.set.Handler,
		"_X_AMZN_TRACE_ID": newTrace(b.service.clock.Now()),
		"AWS_ENDPOINT_URL": b.service.Endpoint,
		"PATH":             "/usr/local/bin:/usr/bin:/bin",
	} {
		env[k] = v
	}
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	sort.Strings(list)
	return list
}

// newTrace makes an X-Ray trace header that is not sampled.
func newTrace(now time.Time) string {
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=0", now.Unix(), randomHex(12))
}

// kill ends the process at once. What it was working on ends with Runtime.ExitError.
func (b *sandbox) kill() {
	b.killOnce.Do(func() { _ = b.cmd.Process.Kill() })
}

// await notices the end of the process and gives up what belongs to it.
func (b *sandbox) await() {
	b.exit = b.cmd.Wait()
	close(b.exited)
	b.server.Close()
	<-b.drained
	b.service.forget(b)
}

// initLimit is how long the init phase may take before it counts against the function's own timeout:
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
const initLimit = 10 * time.Second

// run takes one invocation through the process and reports whether the process can take another one. The invoke phase
// ends when the process asks for its next event, so a process that panics after its answer is never used again.
func (b *sandbox) run(inv *invocation) (Result, bool) {
	timeout := time.Duration(b.set.Timeout) * time.Second
	limit := time.NewTimer(initLimit + timeout)
	defer limit.Stop()
	b.current.Store(inv)
	defer b.current.Store(nil)
	b.service.identities.Work(b.key, inv.execution)
	defer b.service.identities.Work(b.key, "")
	select {
	case <-b.ready:
	case r := <-b.initErr:
		b.kill()
		return r, false
	case <-b.exited:
		return b.crashed(inv), false
	case <-limit.C:
		b.kill()
		return timedOut(inv, timeout), false
	}
	limit.Reset(timeout)
	inv.deadline = time.Now().Add(timeout)
	b.work <- inv
	var result Result
	select {
	case result = <-inv.done:
	case <-b.exited:
		select { // it may have answered and then exited before this goroutine looked
		case result = <-inv.done:
		default:
			return b.crashed(inv), false
		}
	case <-limit.C:
		b.kill()
		return timedOut(inv, timeout), false
	}
	select {
	case <-b.ready:
		b.ready <- struct{}{} // for the next run
		return result, true
	case <-b.exited:
	case <-limit.C:
		b.kill()
	}
	return result, false
}

// crashed is the result of an invocation whose process ended without an answer.
func (b *sandbox) crashed(inv *invocation) Result {
	reason := "Runtime exited without providing a reason"
	if b.exit != nil {
		reason = "Runtime exited with error: " + b.exit.Error()
	}
	return failed("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: %s", inv.id, reason))
}

func timedOut(inv *invocation, timeout time.Duration) Result {
	return failed("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", inv.id, timeout.Seconds()))
}

// failed is a result in the shape of Lambda's own errors.
func failed(errorType, message string) Result {
	payload, _ := json.Marshal(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{errorType, message})
	return Result{Payload: payload, FunctionError: "Unhandled", ErrorType: errorType, ErrorMessage: message}
}
