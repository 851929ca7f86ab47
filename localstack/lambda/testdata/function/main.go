// Command function is the Lambda function that the tests of the local stack run: it does what its event asks for.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do      string `json:"do"` // echo, fail, panic, exit, sleep, env, print
	Seconds float64
	Text    string
	Code    int
	Value   any    `json:"value"`
	Body    string `json:"body"` // of a request to the function's URL
}

// RefusedError is an error with a name of its own.
type RefusedError struct{ text string }

func (e *RefusedError) Error() string { return e.text }

func main() {
	if text := os.Getenv("FAIL_INIT"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		os.Exit(3)
	}
	count := 0
	lambda.Start(func(ctx context.Context, raw json.RawMessage) (any, error) {
		count++
		var e event
		_ = json.Unmarshal(raw, &e) // an event in another shape is echoed
		switch {
		case strings.HasPrefix(e.Body, `{"statusCode"`):
			return json.RawMessage(e.Body), nil
		case strings.HasPrefix(e.Body, `{"do"`):
			_ = json.Unmarshal([]byte(e.Body), &e)
		}
		switch e.Do {
		case "fail":
			return nil, &RefusedError{e.Text}
		case "panic":
			panic(e.Text)
		case "exit":
			os.Exit(e.Code)
		case "sleep":
			time.Sleep(time.Duration(e.Seconds * float64(time.Second)))
		case "env":
			return os.Environ(), nil
		case "print":
			fmt.Println(e.Text)
			fmt.Fprintln(os.Stderr, e.Text)
		case "self":
			lc, _ := lambdacontext.FromContext(ctx)
			deadline, _ := ctx.Deadline()
			dir, _ := os.Getwd()
			return map[string]any{"pid": os.Getpid(), "count": count, "arn": lc.InvokedFunctionArn, "id": lc.AwsRequestID, "left": time.Until(deadline).Seconds(), "dir": dir}, nil
		case "big":
			return string(make([]byte, e.Code)), nil
		}
		return raw, nil
	})
}
