package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Function is one Lambda function with a role of its own that may do nothing but write its log, until a Grant method of
// another construct says otherwise.
type Function struct {
	constructs.Construct
	State    string // PascalCase, as the state that calls it: "AdmitRotation"
	Function awslambda.Function
	role     awsiam.Role
}

// FunctionProps says what one function needs.
type FunctionProps struct {
	State   string // PascalCase: "AdmitRotation" is folder admit-rotation and function mayfly-admit-rotation
	Does    string // one line, the function's description
	Memory  int    // MB; CPU comes with it
	Timeout int    // seconds
}

// NewFunction makes the function from folder/<name>, which must hold its bootstrap. Its role is named like it: the resource
// policies of secrets name those that read, and a name that CloudFormation makes up is another one in every stack.
//
// Its standard output is the audit trail's log group: a record is one JSON line there, and Lambda adds none of its own
// below WARN. Lines without a level count as INFO and pass.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
func NewFunction(scope constructs.Construct, folder string, log awslogs.LogGroup, props FunctionProps) (*Function, error) {
	name := functionName(props.State)
	code := filepath.Join(folder, name)
	if _, err := os.Stat(filepath.Join(code, "bootstrap")); err != nil {
		return nil, fmt.Errorf("function %s is not built: %w; run `make build` (or `make build-local`) first", name, err)
	}
	f := &Function{Construct: constructs.NewConstruct(scope, &props.State), State: props.State}
	f.role = awsiam.NewRole(f.Construct, jsii.String("Role"), &awsiam.RoleProps{
		RoleName:    jsii.String("mayfly-" + name),
		Description: jsii.String("Mayfly: what the function " + name + " may do"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	f.Allow("WriteLog", []string{"logs:CreateLogStream", "logs:PutLogEvents"}, log.LogGroupArn())
	f.Function = awslambda.NewFunction(f.Construct, jsii.String("Function"), &awslambda.FunctionProps{
		FunctionName:     jsii.String("mayfly-" + name),
		Description:      &props.Does,
		Runtime:          awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:     awslambda.Architecture_ARM_64(),
		Handler:          jsii.String("bootstrap"),
		Code:             awslambda.Code_FromAsset(&code, nil),
		MemorySize:       jsii.Number(props.Memory),
		Timeout:          awscdk.Duration_Seconds(jsii.Number(props.Timeout)),
		Role:             f.role,
		LogGroup:         log,
		LoggingFormat:    awslambda.LoggingFormat_JSON,
		SystemLogLevelV2: awslambda.SystemLogLevel_WARN,
	})
	return f, nil
}

// Allow adds one statement to the function's role. Sid says why it is there.
func (f *Function) Allow(sid string, actions []string, resources ...*string) {
	f.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       &sid,
		Actions:   jsii.Strings(actions...),
		Resources: &resources,
	}))
}

// Deny adds one statement that nothing else can outweigh. Sid says what never happens.
func (f *Function) Deny(sid string, actions []string, resources ...*string) {
	f.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       &sid,
		Effect:    awsiam.Effect_DENY,
		Actions:   jsii.Strings(actions...),
		Resources: &resources,
	}))
}

// Set gives the function an environment variable, named in package env. It never holds a secret value.
func (f *Function) Set(name string, value *string) { f.Function.AddEnvironment(&name, value, nil) }

// roleByName is the ARN of the function's role, for a resource that the role's own policy needs first.
func (f *Function) roleByName() *string {
	stack := awscdk.Stack_Of(f.Construct)
	return jsii.String("arn:" + *stack.Partition() + ":iam::" + *stack.Account() + ":role/mayfly-" + functionName(f.State))
}

// functionName is the folder of a state's function: AdmitRotation is admit-rotation.
func functionName(state string) string { return kebab(state) }

func kebab(pascal string) string {
	var b strings.Builder
	for i, r := range pascal {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
