package fault

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-lambda-go/lambda/messages"
)

// Boundary is where errors leave a function: whatever the handler returns is converted, once, into the error that Lambda
// writes out, with the code as its type. Without it aws-lambda-go would name the error after its outermost Go type, and
// no ErrorEquals would ever match; that goes for panics and for inputs that do not parse as well. Each error is also one
// line on lines.
func Boundary[In, Out any](lines io.Writer, handle func(context.Context, In) (Out, error)) func(context.Context, json.RawMessage) (Out, error) {
	return func(ctx context.Context, payload json.RawMessage) (out Out, err error) {
		defer func() {
			var stack string
			p := recover()
			if p != nil {
				err, stack = New(Internal, "panic: %v", p), string(debug.Stack())
			}
			if err != nil {
				var none Out
				out, err = none, report(lines, err, stack)
			}
		}()
		var in In
		if err := json.Unmarshal(payload, &in); err != nil {
			return out, Wrap(err, InputMalformed, "the input is not what this function takes")
		}
		return handle(ctx, in)
	}
}

// report writes an error down and makes Lambda's of it. A process that panicked (stack is not empty) is not used again:
// nobody knows in what state it is.
func report(lines io.Writer, err error, stack string) messages.InvokeResponse_Error {
	code, message := CodeOf(err), Redact(err.Error())
	said := map[string]string{"schema": "mayfly.fault.v1", "code": string(code), "class": string(code.Class()), "message": message}
	if stack != "" {
		said["stack"] = Redact(stack)
	}
	line, _ := json.Marshal(said) // strings alone always marshal
	_, _ = lines.Write(append(line, '\n'))
	return messages.InvokeResponse_Error{Type: string(code), Message: message, ShouldExit: stack != ""}
}

var word = regexp.MustCompile(`[A-Za-z0-9_-]+`)

// Redact takes out whatever looks like a generated value. No error should ever hold one; this is the second lock on the
// door. A generated value is 43 characters of base64url, of which fewer than one in 10^9 have no upper-case letter; nothing
// that Mayfly writes has that length and one: hashes, version ids and names are of lower case.
func Redact(message string) string {
	return word.ReplaceAllStringFunc(message, func(w string) string {
		if len(w) == 43 && strings.ToLower(w) != w {
			return "[redacted]"
		}
		return w
	})
}
