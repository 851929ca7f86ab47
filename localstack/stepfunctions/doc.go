// Package stepfunctions is AWS Step Functions: it runs state machines in the Amazon States Language with JSONPath.
//
// Operations: StartExecution, DescribeExecution, ListExecutions, GetExecutionHistory, StopExecution, CreateStateMachine,
// UpdateStateMachine, DeleteStateMachine, DescribeStateMachine, ListStateMachines, DescribeMapRun, SendTaskSuccess,
// SendTaskFailure, SendTaskHeartbeat. Resource: AWS::StepFunctions::StateMachine.
//
// States: all of them, Map in both modes, with Retry and Catch, payload templates, the context object and the intrinsic
// functions. Integrations: lambda:invoke (also .waitForTaskToken), a Lambda function's ARN, states:startExecution (also
// .sync, .sync:2), events:putEvents, aws-sdk:sfn:describeMapRun. A distributed Map reads a JSON array with s3:getObject and
// writes its results with s3:putObject. What a definition says and this package does not know is an error when the machine
// is created.
//
//   - https://states-language.net/spec.html
//   - https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
//   - https://docs.aws.amazon.com/step-functions/latest/dg/concepts-input-output-filtering.html
//   - https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html
//
// Left out: JSONata, variables (Assign), activities, versions and aliases of machines, redrive, synchronous express
// executions, ItemBatcher, other datasets than a JSON array, WriterConfig, and every other aws-sdk integration.
package stepfunctions
