package infra_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/infra"
)

const (
	contracts = "dynamodb:table/mayfly-contracts"
	due       = contracts + "/index/due"
	lookup    = contracts + "/index/lookup"
	runs      = "dynamodb:table/mayfly-runs"
	secrets   = "secretsmanager:secret:prod/*"
	bucket    = "s3:mayfly-audit-000000000000-us-east-1"
	fleets    = "s3:mayfly-dispatch-000000000000-us-east-1"
	// Nobody else makes fingerprints, or tries values against them.
	fingerprints = `kms:GenerateMac on kms:key/mayfly-fingerprints if {"StringEquals":{"kms:MacAlgorithm":"HMAC_SHA_256"}}`
)

// What a function may do with the key of a contract, through Secrets Manager.
const (
	payments = "kms:key/of-payments"
	through  = ` if {"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"},"StringLike":{"kms:EncryptionContext:SecretARN":["` + secrets + `"`
	decrypts = "kms:Decrypt on " + payments + through + "]}}"
	underKey = "secretsmanager:secret:prod/settlement-key-??????"

	establishKeys   = "kms:Decrypt kms:Encrypt kms:GenerateDataKey on " + payments + through + `,"RequestToValidateKeyAccess"]}}`
	changeKey       = "secretsmanager:UpdateSecret on " + underKey + ` if {"StringEquals":{"secretsmanager:KmsKeyArn":["` + payments + `"]}}`
	seeGrants       = "kms:ListGrants kms:RevokeGrant on " + payments
	grantToServices = "kms:CreateGrant on " + payments + ` if {"ForAllValues:StringEquals":{"kms:GrantOperations":"Decrypt"},` +
		`"StringEquals":{"kms:GrantConstraintType":"EncryptionContextSubset","kms:GranteePrincipal":["iam:role/prod-worker"]},` +
		`"StringLike":{"kms:EncryptionContext:SecretARN":["` + secrets + `"]}}`
)

// What those may do who put resource policies.
const decideAccess = "secretsmanager:GetResourcePolicy secretsmanager:PutResourcePolicy on " + secrets

// everyFunction may append to the audit trail and write its log.
var everyFunction = []string{
	"kms:Decrypt kms:GenerateDataKey on kms:key/mayfly",
	"logs:CreateLogStream logs:PutLogEvents on logs:log-group:/mayfly/audit:*",
	"s3:GetObject s3:PutObject s3:PutObjectRetention on " + bucket + "/audit/*",
	"s3:ListBucket on " + bucket,
}

// permissions is what each function may do beyond that: this table and the template are the same.
var permissions = map[string][]string{
	"resolve-trigger": {
		"dynamodb:BatchGetItem on " + contracts,
		"dynamodb:Query on " + due + " " + lookup,
		"s3:GetObject s3:PutObject on " + fleets + "/dispatch/*",
	},
	"trace-lineage": {
		"dynamodb:Query on " + contracts + " " + lookup,
		"s3:GetObject s3:PutObject on " + fleets + "/dispatch/*",
	},
	"admit-rotation": {
		"dynamodb:UpdateItem on " + contracts,
		"dynamodb:UpdateItem on " + runs,
		"secretsmanager:DescribeSecret secretsmanager:ListSecretVersionIds on " + secrets,
		"states:DescribeExecution on states:execution:mayfly-rotate:*",
	},
	"contain-secret": {decrypts, "secretsmanager:GetSecretValue on " + secrets},
	"create-secret": {
		decrypts,
		"kms:GenerateDataKey on " + payments + through + "]}}",
		"secretsmanager:GetSecretValue on " + secrets,
		"secretsmanager:PutSecretValue on " + secrets,
	},
	"set-secret":  {decrypts, "secretsmanager:GetSecretValue on " + secrets},
	"test-secret": {fingerprints, decrypts, "secretsmanager:GetSecretValue on " + secrets},
	"finish-secret": {
		"dynamodb:UpdateItem on " + contracts,
		"secretsmanager:DescribeSecret on " + secrets,
		"secretsmanager:UpdateSecretVersionStage on " + secrets,
	},
	"propagate-secret": {decideAccess},
	"confirm-adoption": {decrypts, "secretsmanager:GetSecretValue on " + secrets},
	"revoke-secret":    {decrypts, "secretsmanager:GetSecretValue on " + secrets},
	"roll-back": {
		decrypts,
		"secretsmanager:DescribeSecret on " + secrets,
		"secretsmanager:GetSecretValue on " + secrets,
	},
	"close-run": {
		"dynamodb:GetItem on " + contracts,
		"dynamodb:UpdateItem on " + contracts,
		"dynamodb:UpdateItem on " + runs,
		"secretsmanager:TagResource on " + secrets,
		"secretsmanager:UntagResource on " + secrets,
		"secretsmanager:UpdateSecretVersionStage on " + secrets,
	},
	"receive-webhook": {
		fingerprints,
		`events:PutEvents on events:event-bus/mayfly if {"StringEquals":{"events:source":"mayfly.webhook"}}`,
		"s3:GetObject s3:PutObject on " + fleets + "/deliveries/*",
	},
	"list-secrets": {
		"dynamodb:Query on " + due,
		"s3:GetObject s3:PutObject on " + fleets + "/dispatch/*",
	},
	"inspect-secrets": {
		decideAccess,
		establishKeys, grantToServices, seeGrants, changeKey,
		"secretsmanager:ListSecretVersionIds on " + underKey,
		"dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem on " + contracts,
		`events:PutEvents on events:event-bus/mayfly if {"StringEquals":{"events:source":"mayfly.inspect"}}`,
		"secretsmanager:DescribeSecret on " + secrets,
		"secretsmanager:RestoreSecret on " + secrets,
		"secretsmanager:TagResource on " + secrets,
	},
	"probe-access": {
		"dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem on " + contracts,
		`events:PutEvents on events:event-bus/mayfly if {"StringEquals":{"events:source":"mayfly.inspect"}}`,
		"secretsmanager:DescribeSecret secretsmanager:ListSecretVersionIds on " + secrets,
		"sts:AssumeRole on iam:role/prod-worker",
	},
	"probe-targets": {
		decrypts, fingerprints,
		"dynamodb:Query on " + contracts + " " + lookup,
		"dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem on " + contracts,
		`events:PutEvents on events:event-bus/mayfly if {"StringEquals":{"events:source":"mayfly.inspect"}}`,
		"secretsmanager:DescribeSecret secretsmanager:ListSecretVersionIds on " + secrets,
		"secretsmanager:GetSecretValue on " + secrets,
	},
	"apply-contracts": {
		"dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem on " + contracts,
		"dynamodb:Query on " + due,
		establishKeys, grantToServices, seeGrants, changeKey,
		decideAccess,
		"secretsmanager:CreateSecret on " + secrets,
		"secretsmanager:DescribeSecret on " + secrets,
		"secretsmanager:TagResource on " + secrets,
	},
}

// never is what a function is denied whatever allows it: who reads values decides nothing, and all others read none.
func never(name string) []string {
	switch {
	case name == "receive-webhook":
		const reach = "Deny secretsmanager:BatchGetSecretValue secretsmanager:Cancel* secretsmanager:Create* secretsmanager:Delete* " +
			"secretsmanager:Put* secretsmanager:Remove* secretsmanager:Replicate* secretsmanager:Restore* secretsmanager:Rotate* " +
			"secretsmanager:Stop* secretsmanager:Tag* secretsmanager:Untag* secretsmanager:Update* " +
			"dynamodb:* iam:* lambda:* states:* sts:AssumeRole* on *"
		const keys = "secretsmanager:secret:prod/webhook-github-?????? secretsmanager:secret:prod/webhook-pagerduty-??????" +
			" secretsmanager:secret:prod/webhook-siem-?????? secretsmanager:secret:prod/webhook-provider-??????"
		return []string{reach, "Deny secretsmanager:GetSecretValue on all but " + keys}
	case slices.Contains(permissions[name], "secretsmanager:GetSecretValue on "+secrets):
		return []string{"Deny secretsmanager:UpdateSecretVersionStage secretsmanager:PutResourcePolicy secretsmanager:DeleteResourcePolicy on *"}
	}
	return []string{"Deny secretsmanager:GetSecretValue secretsmanager:BatchGetSecretValue on *"}
}

func TestFunctionsMayDoExactlyThis(t *testing.T) { checkFunctions(t, synthesized()) }

func checkFunctions(t testing.TB, made template) {
	functions := made.all("AWS::Lambda::Function", "FunctionName")
	if len(functions) != len(permissions) {
		t.Errorf("%d functions, the table has %d", len(functions), len(permissions))
	}
	for name, more := range permissions {
		want := slices.Concat(everyFunction, more, never(name))
		slices.Sort(want)
		got := made.roleStatements(t, functions["mayfly-"+name].Properties["Role"])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s may do something else (- table, + template):\n%s", name, diff)
		}
	}
}

// Without a contract that names a key, no function may use or manage any but Mayfly's own.
func TestNoPermissionsOnKeysWithoutAContract(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(built)); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(folder, "apply-contracts", infra.ContractsFile), `{"commit":"4f2d","contracts":[{"name":"a","environment":"prod"}],"services":[]}`)
	made := synthesize(t, map[string]any{"functions": folder})
	tried := 0
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		for _, may := range made.roleStatements(t, f.Properties["Role"]) {
			tried++
			if strings.Contains(may, "kms:") && !strings.Contains(may, " on kms:key/mayfly") || strings.Contains(may, "UpdateSecret ") {
				t.Errorf("%s: %s", name, may)
			}
		}
	}
	if tried == 0 {
		t.Error("no statement was looked at")
	}
}

// Whoever decides which version is current, or who may read, never sees a value (design: no function does both).
func TestNoFunctionBothReadsValuesAndDecides(t *testing.T) { checkDivision(t, synthesized()) }

func checkDivision(t testing.TB, made template) {
	readers, deciders := 0, 0
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		all := made.roleStatements(t, f.Properties["Role"])
		may := strings.Join(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.HasPrefix(s, "Deny ") }), "\n")
		reads := strings.Contains(may, "GetSecretValue")
		decides := strings.Contains(may, "UpdateSecretVersionStage") || strings.Contains(may, "PutResourcePolicy") || strings.Contains(may, "DeleteResourcePolicy")
		if reads && decides {
			t.Errorf("%s both reads values and decides about them:\n%s", name, may)
		}
		if reads {
			readers++
		}
		if decides {
			deciders++
		}
		if strings.Contains(may, "secretsmanager:*") || strings.Contains(may, "on *") {
			t.Errorf("%s has a permission that names neither action nor resource:\n%s", name, may)
		}
	}
	if readers == 0 || deciders == 0 {
		t.Errorf("%d functions read and %d decide: this test looks at the wrong thing", readers, deciders)
	}
}

// Resource policies spare the readers by their roles' names, and nobody else: who compiles them is told exactly these. The
// webhook receiver is none of them: it is the declared service of its keys.
func TestReadersAreThoseThatRead(t *testing.T) {
	made := synthesized()
	var readers []string
	functions := made.all("AWS::Lambda::Function", "FunctionName")
	for name, f := range functions {
		if slices.Contains(made.roleStatements(t, f.Properties["Role"]), "secretsmanager:GetSecretValue on "+secrets) {
			readers = append(readers, "arn:aws:iam::000000000000:role/"+name)
		}
	}
	slices.Sort(readers)
	told := 0
	for name, f := range functions {
		list := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["MAYFLY_READER_ROLES"]
		if list == nil {
			continue
		}
		told++
		got := strings.Split(made.text(list), ",")
		slices.Sort(got)
		if diff := cmp.Diff(readers, got); diff != "" {
			t.Errorf("%s is told other readers (- those that read, + those it is told):\n%s", name, diff)
		}
	}
	if told == 0 || len(readers) == 0 {
		t.Errorf("%d readers, %d functions are told: this test looks at the wrong thing", len(readers), told)
	}
}

func TestEachFunctionHasARoleOfItsOwn(t *testing.T) {
	made := synthesized()
	owner := map[string]string{}
	for name, f := range made.all("AWS::Lambda::Function", "FunctionName") {
		role := made.text(f.Properties["Role"])
		if other, taken := owner[role]; taken {
			t.Errorf("%s and %s share %s", name, other, role)
		}
		if role != "arn:aws:iam::000000000000:role/"+name {
			t.Errorf("the role of %s is %s: secrets' resource policies know it by the function's name", name, role)
		}
		owner[role] = name
	}
}

func TestMachinesMayDoExactlyThis(t *testing.T) { checkMachines(t, synthesized()) }

func checkMachines(t testing.TB, made template) {
	// Log delivery is managed per account, which AWS offers no narrower resource for:
	// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
	const logs = "logs:CreateLogDelivery logs:GetLogDelivery logs:UpdateLogDelivery logs:DeleteLogDelivery " +
		"logs:ListLogDeliveries logs:PutResourcePolicy logs:DescribeResourcePolicies logs:DescribeLogGroups on *"
	steps := []string{"admit-rotation", "close-run", "confirm-adoption", "contain-secret", "create-secret", "finish-secret",
		"propagate-secret", "revoke-secret", "roll-back", "set-secret", "test-secret"}
	for i, s := range steps {
		steps[i] = "lambda:function:mayfly-" + s
	}
	for name, want := range map[string][]string{
		"mayfly-rotate": {"lambda:InvokeFunction on " + strings.Join(steps, " "), logs},
		"mayfly-respond": {
			"kms:Decrypt kms:GenerateDataKey on kms:key/mayfly",
			"lambda:InvokeFunction on lambda:function:mayfly-resolve-trigger lambda:function:mayfly-trace-lineage", logs,
			"s3:AbortMultipartUpload s3:GetObject s3:ListMultipartUploadParts s3:PutObject on " + fleets + "/results/*",
			"s3:GetObject on " + fleets + "/dispatch/*",
			"states:DescribeExecution states:StopExecution on states:execution:mayfly-respond/StartFleet:*",
			"states:DescribeMapRun on states:mapRun:mayfly-respond/StartFleet:*",
			"states:StartExecution on states:stateMachine:mayfly-respond",
			"states:StartExecution on states:stateMachine:mayfly-rotate",
		},
		"mayfly-inspect": {
			"kms:Decrypt kms:GenerateDataKey on kms:key/mayfly",
			"lambda:InvokeFunction on lambda:function:mayfly-inspect-secrets lambda:function:mayfly-list-secrets lambda:function:mayfly-probe-access lambda:function:mayfly-probe-targets", logs,
			"s3:AbortMultipartUpload s3:GetObject s3:ListMultipartUploadParts s3:PutObject on " + fleets + "/results/*",
			"s3:GetObject on " + fleets + "/dispatch/*",
			"states:DescribeExecution states:StopExecution on states:execution:mayfly-inspect/InspectBatches:*",
			"states:DescribeMapRun on states:mapRun:mayfly-inspect/InspectBatches:*",
			"states:StartExecution on states:stateMachine:mayfly-inspect",
		},
	} {
		machine := made.the(t, "AWS::StepFunctions::StateMachine", "StateMachineName", name)
		if diff := cmp.Diff(want, made.roleStatements(t, machine.Properties["RoleArn"])); diff != "" {
			t.Errorf("%s may do something else (- want, + template):\n%s", name, diff)
		}
	}
}
