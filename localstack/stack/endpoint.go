package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds what one request may carry; the largest body that the stack's users send is a function's package.
const maxBody = 32 << 20

// Endpoint is the one address at which every service of the local stack answers, as an http.Handler. It routes by the
// service in the credential scope of a request's signature, so that services with overlapping paths (path-style S3
// beside AWS JSON at "/") live together, and it takes each request through one chain: identity, authorization, quotas,
// latency, faults before, the service, faults after, ledger.
type Endpoint struct {
	// Kill ends the Lambda process that holds these credentials. Faults of mode "kill" use it; if nil, such a fault
	// only drops the connection.
	Kill func(Identity)
	// Authorize decides whether a caller may make a call; its error is what the caller sees. If nil, everybody may do
	// everything.
	Authorize func(ctx context.Context, call *Call) error
	// Observe sees every call that reached its service, with the answer, whether or not the caller gets it. It is
	// CloudTrail's place; if nil, nobody watches.
	Observe func(ctx context.Context, call *Call, reply Reply)
	// Idle reports that work is in progress and all of it waits for the clock and for nothing else. The automatic
	// clock jumps to the next timer while it says so; if nil, the automatic clock never moves.
	Idle func() bool

	clock    *Clock
	ids      *Identities
	services map[string]Service
	mux      *http.ServeMux
	inFlight atomic.Int64

	mu      sync.Mutex // guards what follows
	faults  []*fault
	latency map[operation]time.Duration
	quotas  []*bucket
	calls   []LedgerEntry
	auto    context.CancelFunc // nil while the clock moves by itself only as real time passes
}

// operation names one operation of one service, or all of them where a part is empty.
type operation struct{ service, operation string }

// NewEndpoint puts services behind one address.
func NewEndpoint(clock *Clock, ids *Identities, services ...Service) *Endpoint {
	e := &Endpoint{clock: clock, ids: ids, services: map[string]Service{}, latency: map[operation]time.Duration{}, mux: http.NewServeMux()}
	for _, s := range services {
		e.services[s.Name()] = s
	}
	e.control()
	return e
}

// Mount adds a control route below /_local/, such as "/_local/cfn/".
func (e *Endpoint) Mount(path string, h http.Handler) { e.mux.Handle(path, h) }

// ServeHTTP answers control requests and AWS requests.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_local/") {
		e.mux.ServeHTTP(w, r)
		return
	}
	e.inFlight.Add(1)
	defer e.inFlight.Add(-1)
	began := time.Now()
	scope, err := readScope(r)
	if err != nil {
		write(w, (&JSON{Version: "1.1"}).Fail(err))
		return
	}
	service, ok := e.services[scope.service]
	if !ok {
		write(w, (&JSON{Version: "1.1"}).Fail(&Error{Code: "UnrecognizedClientException", Status: http.StatusForbidden,
			Message: fmt.Sprintf("the local stack has no service %q (from the request's credential scope)", scope.service)}))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		write(w, failure(service, r, bodyError(err)))
		return
	}
	call := &Call{Service: scope.service, Time: e.clock.Now(), Request: r, Body: body}
	if call.Operation, err = service.Operation(r, body); err != nil {
		write(w, failure(service, r, err))
		return
	}
	reply, dropped := e.pass(r.Context(), service, call, scope)
	e.record(call, reply, time.Since(began))
	if dropped {
		panic(http.ErrAbortHandler) // net/http closes the connection without an answer
	}
	write(w, reply)
}

// pass takes one call through the chain. dropped says that the caller must not get an answer.
func (e *Endpoint) pass(ctx context.Context, service Service, call *Call, scope scope) (reply Reply, dropped bool) {
	var err error
	if call.Caller, err = e.identify(ctx, call, scope); err != nil {
		return failure(service, call.Request, err), false
	}
	if e.Authorize != nil {
		if err := e.Authorize(ctx, call); err != nil {
			return failure(service, call.Request, err), false
		}
	}
	if err := e.takeQuota(call); err != nil {
		return failure(service, call.Request, err), false
	}
	if err := e.delay(ctx, call); err != nil {
		return failure(service, call.Request, err), false
	}
	if f := e.takeFault(call, "before"); f != nil {
		return e.strike(f, service, call)
	}
	// The client may hang up while the operation runs; the operation still takes effect, as it does in AWS.
	reply = service.Serve(context.WithoutCancel(ctx), call)
	if e.Observe != nil {
		e.Observe(context.WithoutCancel(ctx), call, reply)
	}
	if f := e.takeFault(call, "after"); f != nil {
		return e.strike(f, service, call)
	}
	return reply, false
}

// failure writes an error in the protocol of a service, or of the request where a service speaks several.
func failure(service Service, r *http.Request, err error) Reply {
	if f, ok := service.(interface {
		FailFor(*http.Request, error) Reply
	}); ok {
		return f.FailFor(r, err)
	}
	if f, ok := service.(interface{ Fail(error) Reply }); ok {
		reply := f.Fail(err)
		var e *Error
		if reply.Code == "" && errors.As(err, &e) {
			reply.Code = e.Code
		}
		return reply
	}
	return (&JSON{Version: "1.1"}).Fail(err)
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("the body is larger than %d bytes, the local stack's limit", tooLarge.Limit)}
	}
	return &Error{Code: "RequestAbortedException", Message: fmt.Sprintf("reading the body: %v", err)}
}

func write(w http.ResponseWriter, reply Reply) {
	h := w.Header()
	for k, v := range reply.Header {
		h[k] = v
	}
	if h.Get("X-Amzn-Requestid") == "" {
		h.Set("X-Amzn-Requestid", requestID())
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // a client that hung up has no use for the error
}

func requestID() string {
	id := random(16)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// delay waits as long as POST /_local/latency asked for; real time, because what is measured with it is real time.
func (e *Endpoint) delay(ctx context.Context, call *Call) error {
	d := e.latencyOf(call)
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &Error{Code: "RequestAbortedException", Message: "the client hung up before the operation began"}
	}
}

// latencyOf finds the most specific setting: the operation's, the service's, everybody's.
func (e *Endpoint) latencyOf(call *Call) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, key := range []operation{{call.Service, call.Operation}, {call.Service, ""}, {"", ""}} {
		if d, ok := e.latency[key]; ok {
			return d
		}
	}
	return 0
}

// SetLatency delays an operation ("" for every operation) of a service ("" for every service); 0 takes that back.
func (e *Endpoint) SetLatency(service, op string, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d == 0 {
		delete(e.latency, operation{service, op})
		return
	}
	e.latency[operation{service, op}] = d
}
