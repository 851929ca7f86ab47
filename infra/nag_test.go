package infra_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// accepted are the findings of cdk-nag's AwsSolutions pack that stay, each for a reason. A finding that is not here
// fails the test, and so does a line here that finds nothing any more.
var accepted = []struct{ rule, path, why string }{
	{"AwsSolutions-S1", `Audit/Bucket/Resource`,
		"Server access logs would need a second bucket without a lock, weaker than what it watches. Reads and writes of records " +
			"are S3 data events in the account's CloudTrail, whose digest chain is the anchor of this one."},
	{"AwsSolutions-S1", `Dispatch/Bucket/Resource`,
		"Its lists are scratch of a week's life; access logs would outlive them, in a bucket that nobody else needs."},
	{"AwsSolutions-IAM5[Resource::<DispatchBucket.Arn>/dispatch/*]", `(Functions/(ResolveTrigger|TraceLineage|ListSecrets)/Role|Machines/(Respond|Inspect)Role)/DefaultPolicy/Resource`,
		"Lists lie below dispatch/, each under the name of an execution."},
	{"AwsSolutions-IAM5[Resource::<DispatchBucket.Arn>/deliveries/*]", `Webhook/ReceiveWebhook/Role/DefaultPolicy/Resource`,
		"Deliveries lie below deliveries/, each under the hash of its id."},
	{"AwsSolutions-IAM5[Resource::<DispatchBucket.Arn>/results/*]", `Machines/(Respond|Inspect)Role/DefaultPolicy/Resource`,
		"Results lie below results/, each under the name of an execution."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:mayfly-respond/StartFleet:*]",
		`Machines/RespondRole/DefaultPolicy/Resource`, "The children of a Map Run get their names at run time; machine and Map are named."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:mapRun:mayfly-respond/StartFleet:*]",
		`Machines/RespondRole/DefaultPolicy/Resource`, "A Map Run gets its id at run time; machine and Map are named."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:mayfly-inspect/InspectBatches:*]",
		`Machines/InspectRole/DefaultPolicy/Resource`, "The children of a Map Run get their names at run time; machine and Map are named."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:mapRun:mayfly-inspect/InspectBatches:*]",
		`Machines/InspectRole/DefaultPolicy/Resource`, "A Map Run gets its id at run time; machine and Map are named."},
	{"AwsSolutions-SF1", `Machines/(Rotate|Respond|Inspect)/Resource`,
		"Every decision is an audit record of its own and Step Functions keeps each execution's history: logging all events " +
			"again would cost more than the rotations."},
	{"AwsSolutions-SF2", `Machines/(Rotate|Respond|Inspect)/Resource`,
		"A run is traced by its audit records, which are chained and complete; sampled traces add another store to protect."},
	{"AwsSolutions-SQS3", `DeadLetters/(Events|Ticks)/Resource`,
		"These are the dead-letter queues: of EventBridge's and Scheduler's targets, which the rule does not look at."},
	{"AwsSolutions-IAM5[Resource::*]", `Machines/(Rotate|Respond|Inspect)Role/DefaultPolicy/Resource`,
		"Log delivery actions know no narrower resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"},
	{"AwsSolutions-IAM5[Resource::<AuditBucket.Arn>/audit/*]", `(Functions/\w+|Webhook/ReceiveWebhook)/Role/DefaultPolicy/Resource`,
		"Records of every secret lie below audit/."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:prod/*]",
		`((Functions/\w+|BreakGlass)/Role|Triggers/Stranger)/DefaultPolicy/Resource`,
		"Secrets end in six random characters and are as many as contracts: the environment is what bounds a role."},
	{"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:mayfly-rotate:*]",
		`Functions/AdmitRotation/Role/DefaultPolicy/Resource`,
		"Executions get their names at run time; the machine is named."},
	{"AwsSolutions-IAM5[Resource::*]", `Functions/(ConfirmAdoption|ContainSecret|ProbeTargets|RevokeSecret|RollBack|SetSecret|TestSecret)/Role/DefaultPolicy/Resource`,
		"Lambda makes the network interfaces of a function in a VPC, which have no name before; the function itself is denied the same."},
}

var logicalHash = regexp.MustCompile(`<(\w+?)[0-9A-F]{8}\.`)

func TestNag(t *testing.T) {
	met := make([]int, len(accepted))
	findings := nag(t, nil, met) + nag(t, map[string]any{"vpc": ownVPC}, met)
	for i, a := range accepted {
		if met[i] == 0 {
			t.Errorf("%s at %s is accepted and not found any more: take it off the list", a.rule, a.path)
		}
		if len(a.why) < 40 {
			t.Errorf("%s at %s: say why", a.rule, a.path)
		}
	}
	if findings == 0 {
		t.Error("nothing found at all: the checks did not run")
	}
}

// nag runs the checks on a deployment, counts what is accepted, and returns how much was found.
func nag(t *testing.T, context map[string]any, met []int) (findings int) {
	t.Helper()
	app, _ := newStack(t, context)
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true), Reports: jsii.Bool(false)}), nil)
	for path, said := range annotations(t, app) {
		for _, says := range said {
			if strings.Contains(says, "[ack: mayfly:") {
				continue // said by the stack itself
			}
			findings++
			says = logicalHash.ReplaceAllString(says, "<$1.")
			known := false
			for i, a := range accepted {
				if strings.HasPrefix(says, a.rule+":") && regexp.MustCompile("^("+a.path+")$").MatchString(path) {
					known = true
					met[i]++
				}
			}
			if !known {
				t.Errorf("%s: %s", path, says)
			}
		}
	}
	return findings
}

// annotations are the errors and warnings of a synthesis, by construct path below the stack.
func annotations(t *testing.T, app awscdk.App) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(*app.Synth(nil).Directory(), "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Artifacts map[string]struct {
			Metadata map[string][]struct {
				Type string
				Data any
			}
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for path, entries := range manifest.Artifacts["Mayfly"].Metadata {
		for _, e := range entries {
			if message, ok := e.Data.(string); ok && (e.Type == "aws:cdk:error" || e.Type == "aws:cdk:warning") {
				path = strings.TrimPrefix(path, "/Mayfly/")
				said[path] = append(said[path], message)
			}
		}
	}
	return said
}
