// Package executions asks Step Functions whether runs are under way. It is a package of its own for the sake of the functions
// that do not ask.
package executions

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Executions is Step Functions.
type Executions struct {
	SFN interface {
		DescribeExecution(ctx context.Context, in *sfn.DescribeExecutionInput, opts ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
	}
}

// Alive asks whether an execution still runs. One that Step Functions no longer knows ended long ago.
// Errors: RegistryUnavailable.
func (e Executions) Alive(ctx context.Context, execution string) (bool, error) {
	out, err := e.SFN.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
	var unknown *types.ExecutionDoesNotExist
	if errors.As(err, &unknown) {
		return false, nil
	}
	if err != nil {
		return false, fault.Wrap(err, fault.RegistryUnavailable, "ask whether %s still runs", execution)
	}
	return out.Status == types.ExecutionStatusRunning || out.Status == types.ExecutionStatusPendingRedrive, nil
}
