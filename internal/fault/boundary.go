package fault

import (
	"context"
	"encoding/json"
	"io"
	"regexp"

	"github.com/aws/aws-lambda-go/lambda/messages"
)

// Boundary is where errors leave a function: whatever the handler returns is converted, once, into the error that Lambda
// writes out, with the code as its type. Without it aws-lambda-go would name the error after its outermost Go type, and
// no ErrorEquals would ever match. Each error is also one line on lines.
func Boundary[In, Out any](lines io.Writer, handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		code, message := CodeOf(err), Redact(err.Error())
		line, _ := json.Marshal(map[string]string{"schema": "mayfly.fault.v1", "code": string(code), "class": string(code.Class()), "message": message})
		_, _ = lines.Write(append(line, '\n'))
		var none Out
		return none, messages.InvokeResponse_Error{Type: string(code), Message: message}
	}
}

// A generated value is 43 characters of base64url; nothing else that Mayfly writes has that length.
var generated = regexp.MustCompile(`(^|[^A-Za-z0-9_-])[A-Za-z0-9_-]{43}($|[^A-Za-z0-9_-])`)

// Redact takes out whatever looks like a generated value. No error should ever hold one; this is the second lock on the door.
func Redact(message string) string { return generated.ReplaceAllString(message, "${1}[redacted]${2}") }
