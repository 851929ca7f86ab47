package lambda

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// api is the Runtime API of one process: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (b *sandbox) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", b.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", b.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", b.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", b.initFailure)
	return mux
}

// next hands out the next invocation and waits for one if there is none.
func (b *sandbox) next(w http.ResponseWriter, r *http.Request) {
	select {
	case b.ready <- struct{}{}:
	default: // asked again without having answered: the signal is there already
	}
	select {
	case inv := <-b.work:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", inv.arn)
		h.Set("Lambda-Runtime-Trace-Id", inv.trace)
		_, _ = w.Write(inv.payload)
	case <-b.exited:
	case <-r.Context().Done():
	}
}

// response takes the answer of the invocation that is under way.
func (b *sandbox) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return // the process died while it answered: the end of the process is what counts
	}
	if len(body) > maxPayload {
		b.finish(w, r, failed("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes)."), http.StatusRequestEntityTooLarge)
		return
	}
	b.finish(w, r, Result{Payload: body}, http.StatusAccepted)
}

// failure takes the error of the invocation that is under way.
func (b *sandbox) failure(w http.ResponseWriter, r *http.Request) {
	if result, ok := reported(r); ok {
		b.finish(w, r, result, http.StatusAccepted)
	}
}

// initFailure takes an error from before the first invocation.
func (b *sandbox) initFailure(w http.ResponseWriter, r *http.Request) {
	result, ok := reported(r)
	if !ok {
		return
	}
	select {
	case b.initErr <- result:
	default:
	}
	w.WriteHeader(http.StatusAccepted)
}

// reported reads an error as runtimes post it; the header names the type when the body does not.
func reported(r *http.Request) (Result, bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	if err != nil {
		return Result{}, false
	}
	var e struct{ ErrorType, ErrorMessage string }
	_ = json.Unmarshal(body, &e) // a body in another shape stays as it is, with the type from the header
	if e.ErrorType == "" {
		e.ErrorType = r.Header.Get("Lambda-Runtime-Function-Error-Type")
	}
	return Result{Payload: body, FunctionError: "Unhandled", ErrorType: e.ErrorType, ErrorMessage: e.ErrorMessage}, true
}

func (b *sandbox) finish(w http.ResponseWriter, r *http.Request, result Result, status int) {
	inv := b.current.Load()
	if inv == nil || inv.id != r.PathValue("id") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`)
		return
	}
	select {
	case inv.done <- result:
	default: // a second answer is ignored
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}
