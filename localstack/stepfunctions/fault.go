package stepfunctions

import (
	"errors"
	"fmt"
)

// Names that the interpreter itself gives to errors:
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-error-representation
const (
	errAll               = "States.ALL"
	errTaskFailed        = "States.TaskFailed"
	errTimeout           = "States.Timeout"
	errHeartbeat         = "States.HeartbeatTimeout"
	errRuntime           = "States.Runtime"
	errDataLimit         = "States.DataLimitExceeded"
	errNoChoice          = "States.NoChoiceMatched"
	errParameterPath     = "States.ParameterPathFailure"
	errResultPath        = "States.ResultPathMatchFailure"
	errIntrinsic         = "States.IntrinsicFailure"
	errBranchFailed      = "States.BranchFailed"
	errPermissions       = "States.Permissions"
	errToleratedExceeded = "States.ExceedToleratedFailureThreshold"
	errItemReader        = "States.ItemReaderFailed"
	errResultWriter      = "States.ResultWriterFailed"
)

// fault is an error of the Amazon States Language: a name for Retry and Catch, and a cause for people.
type fault struct{ name, cause string }

func (f *fault) Error() string { return f.name + ": " + f.cause }

func faultf(name, format string, args ...any) *fault {
	return &fault{name, fmt.Sprintf(format, args...)}
}

// Why an execution, or one branch of it, ends before its time. They are causes of a cancelled context, not faults: no
// Retry or Catch sees them.
var (
	errStopped      = errors.New("stopped by StopExecution")
	errOutOfTime    = errors.New("the state machine's TimeoutSeconds have passed")
	errOutOfHistory = errors.New("the execution reached the maximum number of history events (25000)")
	errClosed       = errors.New("the local stack is closing")
	errSibling      = errors.New("another branch failed")
)
