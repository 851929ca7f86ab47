package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	machineLogGroup = "/aws/vendedlogs/states/mayfly"
	rotateMachine   = "mayfly-rotate"
	respondMachine  = "mayfly-respond"
	inspectMachine  = "mayfly-inspect"
)

// Machines are the state machines: one answers events, one rotates a secret, one looks whether everything is as it was left.
type Machines struct {
	constructs.Construct
	Respond, Rotate, Inspect awsstepfunctions.StateMachine
	log                      awslogs.LogGroup
}

// NewMachines reads respond.asl.json, rotate.asl.json and inspect.asl.json of the folder. A machine may call the functions that its
// definition names as ${State}, and nothing else.
func NewMachines(scope constructs.Construct, id, folder string, functions *Functions, encryption Encryption) (Machines, error) {
	m := Machines{Construct: constructs.NewConstruct(scope, &id)}
	m.log = awslogs.NewLogGroup(m.Construct, jsii.String("Log"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String(machineLogGroup),
		Retention:     awslogs.RetentionDays_THREE_MONTHS,
		EncryptionKey: encryption.Key,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	known := map[string]*Function{}
	for _, f := range functions.all {
		known[f.State] = f
	}
	var err error
	if m.Rotate, err = m.machine("Rotate", rotateMachine, filepath.Join(folder, "rotate.asl.json"), known, nil); err != nil {
		return m, err
	}
	m.Respond, err = m.machine("Respond", respondMachine, filepath.Join(folder, "respond.asl.json"), known,
		map[string]awsstepfunctions.StateMachine{"RotateMachine": m.Rotate})
	if err != nil {
		return m, err
	}
	m.Inspect, err = m.machine("Inspect", inspectMachine, filepath.Join(folder, "inspect.asl.json"), known, nil)
	return m, err
}

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// machine makes one Standard state machine. Errors are logged without execution data: the audit trail says what
// happened, and the execution history, which Step Functions keeps for 90 days, says the rest.
func (m Machines) machine(id, name, file string, functions map[string]*Function, starts map[string]awsstepfunctions.StateMachine) (awsstepfunctions.StateMachine, error) {
	definition, err := readDefinition(file)
	if err != nil {
		return nil, err
	}
	role := awsiam.NewRole(m.Construct, jsii.String(id+"Role"), &awsiam.RoleProps{
		Description: jsii.String("Mayfly: what the state machine " + name + " may do"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("states.amazonaws.com"), nil),
	})
	values := map[string]*string{}
	var invoked, started []*string
	for _, word := range placeholders(definition) {
		if f, ok := functions[word]; ok {
			values[word] = f.Function.FunctionArn()
			invoked = append(invoked, f.Function.FunctionArn())
		} else if s, ok := starts[word]; ok {
			values[word] = s.StateMachineArn()
			started = append(started, s.StateMachineArn())
		} else {
			return nil, fmt.Errorf("%s: ${%s} is neither a function nor a state machine of this stack", file, word)
		}
	}
	allow(role, "InvokeSteps", "lambda:InvokeFunction", invoked)
	allow(role, "StartRuns", "states:StartExecution", started)
	return awsstepfunctions.NewStateMachine(m.Construct, &id, &awsstepfunctions.StateMachineProps{
		StateMachineName:        &name,
		StateMachineType:        awsstepfunctions.StateMachineType_STANDARD,
		DefinitionBody:          awsstepfunctions.DefinitionBody_FromString(&definition),
		DefinitionSubstitutions: &values,
		Role:                    role,
		Logs: &awsstepfunctions.LogOptions{
			Destination:          m.log,
			Level:                awsstepfunctions.LogLevel_ERROR,
			IncludeExecutionData: jsii.Bool(false),
		},
	}), nil
}

func allow(role awsiam.Role, sid, action string, resources []*string) {
	if len(resources) == 0 {
		return
	}
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: &sid, Actions: &[]*string{&action}, Resources: &resources,
	}))
}

// readDefinition reads a definition without its white space, inlined so that cfn-lint checks it too.
func readDefinition(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("state machine: %w", err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", fmt.Errorf("state machine %s: %w", file, err)
	}
	return b.String(), nil
}

// placeholders are the words that the template has to fill in, sorted.
func placeholders(definition string) []string {
	var words []string
	for _, m := range placeholder.FindAllStringSubmatch(definition, -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// GrantDescribeRuns lets a function ask whether a run is still alive, to tell a lease in use from one left behind.
func (m Machines) GrantDescribeRuns(f *Function) {
	f.Allow("DescribeRuns", []string{"states:DescribeExecution"},
		arn(awscdk.Stack_Of(m.Construct), "states", "execution:"+rotateMachine+":*"))
}

// GrantRespond lets a role hand events in.
func (m Machines) GrantRespond(role awsiam.Role) {
	allow(role, "StartRespond", "states:StartExecution", []*string{m.Respond.StateMachineArn()})
}
