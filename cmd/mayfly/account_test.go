package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/rotation/executions"
	"github.com/mayfly-secrets/mayfly/internal/rotator/random"
	localdynamodb "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/events"
	"github.com/mayfly-secrets/mayfly/localstack/iam"
	localkms "github.com/mayfly-secrets/mayfly/localstack/kms"
	locallambda "github.com/mayfly-secrets/mayfly/localstack/lambda"
	locals3 "github.com/mayfly-secrets/mayfly/localstack/s3"
	localsecrets "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

// A bench is an account with Mayfly in it: real services over HTTP, the real state machine, and the real steps, called in
// this process instead of through Lambda.
type bench struct {
	*testing.T
	*stacktest.Server
	events       *events.Service
	steps        map[string]step
	fingerprints fingerprint.Maker
	dir          string // of contracts
}

type step func(ctx context.Context, payload []byte) (any, error)

const auditBucketName = "mayfly-audit-000000000000-us-east-1"

// account starts the services, points the environment at them, and makes tables, bucket and state machine.
func account(t *testing.T) *bench {
	t.Helper()
	clock, ids := stack.NewClock(), stack.NewIdentities()
	machines, bus := stepfunctions.New(clock), events.New(clock)
	tables, buckets, functions := localdynamodb.New(clock), locals3.New(clock), locallambda.New(clock, ids, nil)
	b := &bench{T: t, events: bus, dir: t.TempDir()}
	machines.Invoke = b.invoke
	keys := localkms.New(clock)
	b.Server = stacktest.StartWith(t, clock, ids, tables, buckets, keys, localsecrets.New(clock),
		functions, machines, bus, sqs.New(clock, ""), sts.New(clock, ids, iam.New(clock)))
	t.Cleanup(func() { machines.Close(); functions.Close() })
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": b.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(name, value)
	}
	b.make(tables, "AWS::DynamoDB::Table", contractsTable)
	b.make(tables, "AWS::DynamoDB::Table", runsTable)
	b.make(buckets, "AWS::S3::Bucket", auditBucket)
	b.fingerprints = fingerprint.New(b.Config,
		b.make(keys, "AWS::KMS::Key", `{"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}`).Ref)
	b.make(functions, "AWS::Lambda::Function", applyContracts)
	b.functions()
	b.machine("mayfly-rotate", "rotate.asl.json")
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// make makes a resource as the template has it.
func (b *bench) make(from stack.Provider, kind, properties string) stack.Made {
	b.Helper()
	made, err := from.Resources()[kind](b.Context(), stack.Resource{LogicalID: "Made", Type: kind, Properties: json.RawMessage(properties),
		Asset: func(string, string) (string, error) { return b.TempDir(), nil }})
	b.must(err)
	return made
}

const (
	contractsTable = `{"TableName": "mayfly-contracts", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
		"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "item", "AttributeType": "S"},
			{"AttributeName": "due_pool", "AttributeType": "S"}, {"AttributeName": "due_at", "AttributeType": "N"}, {"AttributeName": "lookup", "AttributeType": "S"}],
		"GlobalSecondaryIndexes": [
			{"IndexName": "due", "Projection": {"ProjectionType": "KEYS_ONLY"},
				"KeySchema": [{"AttributeName": "due_pool", "KeyType": "HASH"}, {"AttributeName": "due_at", "KeyType": "RANGE"}]},
			{"IndexName": "lookup", "Projection": {"ProjectionType": "KEYS_ONLY"},
				"KeySchema": [{"AttributeName": "lookup", "KeyType": "HASH"}, {"AttributeName": "secret", "KeyType": "RANGE"}]}]}`
	runsTable = `{"TableName": "mayfly-runs", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "run", "KeyType": "RANGE"}],
		"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "run", "AttributeType": "S"}, {"AttributeName": "execution", "AttributeType": "S"}],
		"GlobalSecondaryIndexes": [{"IndexName": "execution", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [{"AttributeName": "execution", "KeyType": "HASH"}]}]}`
	// The deployed function that knows who reads; nothing calls it here.
	readers        = "arn:aws:iam::000000000000:role/mayfly-set-secret,arn:aws:iam::000000000000:role/mayfly-test-secret"
	applyContracts = `{"FunctionName": "mayfly-apply-contracts", "Handler": "bootstrap", "Runtime": "provided.al2023", "Architectures": ["arm64"],
		"Role": "arn:aws:iam::000000000000:role/mayfly-apply-contracts", "Code": {"S3Bucket": "assets", "S3Key": "apply-contracts"},
		"Environment": {"Variables": {"MAYFLY_READER_ROLES": "` + readers + `"}}}`
	auditBucket = `{"BucketName": "mayfly-audit-000000000000-us-east-1", "ObjectLockEnabled": true, "VersioningConfiguration": {"Status": "Enabled"},
		"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 400}}}}`
)

func (b *bench) s3() *s3.Client {
	return s3.NewFromConfig(b.Config, func(o *s3.Options) { o.UsePathStyle = true })
}

// functions are the steps as functions/*/main.go put them together.
func (b *bench) functions() {
	log := &audit.Log{S3: b.s3(), Bucket: auditBucketName, Retention: 400 * 24 * time.Hour, Account: "000000000000", Region: "us-east-1", Lines: io.Discard}
	sm, reg := secretsmanager.NewFromConfig(b.Config), &dynamo.Registry{DB: dynamodb.NewFromConfig(b.Config), Contracts: "mayfly-contracts", Runs: "mayfly-runs"}
	kinds := rotation.Rotators{contract.Random: random.Rotator{}}
	b.steps = map[string]step{
		"AdmitRotation": handler((&rotation.AdmitRotation{Log: log, Registry: reg, Secrets: sm, Executions: executions.Executions{SFN: sfn.NewFromConfig(b.Config)},
			Rules: func() (blastradius.Guardrails, error) {
				return blastradius.ReadGuardrails(blastradius.Rules(contract.Bundle{}))
			}}).Handle),
		"CreateSecret":    handler((&rotation.CreateSecret{Log: log, Secrets: sm, Rand: rand.Reader}).Handle),
		"SetSecret":       handler((&rotation.SetSecret{Log: log, Secrets: sm, Rotators: kinds}).Handle),
		"TestSecret":      handler((&rotation.TestSecret{Log: log, Secrets: sm, Rotators: kinds, Fingerprints: b.fingerprints}).Handle),
		"FinishSecret":    handler((&rotation.FinishSecret{Log: log, Registry: reg, Secrets: sm}).Handle),
		"PropagateSecret": handler((&rotation.PropagateSecret{Log: log, Access: rotation.Access{Secrets: sm, Mayfly: strings.Split(readers, ",")}}).Handle),
		"ConfirmAdoption": handler((&rotation.ConfirmAdoption{Log: log, Secrets: sm, Rotators: kinds}).Handle),
		"RevokeSecret":    handler((&rotation.RevokeSecret{Log: log, Secrets: sm, Rotators: kinds}).Handle),
		"RollBack":        handler((&rotation.RollBack{Log: log, Secrets: sm, Rotators: kinds}).Handle),
		"CloseRun":        handler((&rotation.CloseRun{Log: log, Registry: reg, Secrets: sm}).Handle),
	}
}

func handler[In, Out any](handle func(context.Context, In) (Out, error)) step {
	return func(ctx context.Context, payload []byte) (any, error) {
		var in In
		if err := json.Unmarshal(payload, &in); err != nil {
			return nil, err
		}
		return handle(ctx, in)
	}
}

func (b *bench) invoke(ctx context.Context, function string, payload []byte, _ string) (stepfunctions.Invoked, error) {
	name := function[strings.LastIndex(function, ":")+1:]
	if b.steps[name] == nil {
		return stepfunctions.Invoked{}, errors.New("no step " + name)
	}
	out, err := b.steps[name](ctx, payload)
	if err != nil {
		failure := map[string]string{"errorType": string(fault.CodeOf(err)), "errorMessage": err.Error()}
		payload, _ := json.Marshal(failure) // texts always marshal
		return stepfunctions.Invoked{Payload: payload, FunctionError: "Unhandled", ErrorType: failure["errorType"], ErrorMessage: failure["errorMessage"]}, nil
	}
	answer, err := json.Marshal(out)
	return stepfunctions.Invoked{Payload: answer}, err
}

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

func (b *bench) machine(name, file string) {
	definition, err := os.ReadFile(filepath.Join("../../statemachines", file))
	b.must(err)
	text := placeholder.ReplaceAllString(string(definition), "arn:aws:lambda:us-east-1:000000000000:function:$1")
	_, err = sfn.NewFromConfig(b.Config).CreateStateMachine(b.Context(), &sfn.CreateStateMachineInput{
		Name: &name, RoleArn: aws.String("arn:aws:iam::000000000000:role/mayfly-rotate"), Definition: &text,
	})
	b.must(err)
}

// write puts a file into the folder of contracts.
func (b *bench) write(name, text string) {
	b.Helper()
	file := filepath.Join(b.dir, name)
	b.must(os.MkdirAll(filepath.Dir(file), 0o755))
	b.must(os.WriteFile(file, []byte(text), 0o644))
}

const billing = `name: billing
environments:
  prod:
    role: arn:aws:iam::000000000000:role/prod-billing
    delivery: {kind: external}
`

// contracts writes two contracts of the service billing.
func (b *bench) contracts() {
	b.write("services/billing.yaml", billing)
	b.write("token.yaml", contractText("token", "24h"))
	b.write("signing-key.yaml", contractText("signing-key", "7d"))
}

func contractText(name, ttl string) string {
	return "name: " + name + "\nowner: payments\nenvironment: prod\nservices: [billing]\nttl: " + ttl +
		"\nrotate_on: [incident]\nblast_radius: minimal\npolicy: {max_overlap: 0s}\n"
}

// mayfly runs a command, demands its exit code, and gives what it wrote.
func (b *bench) mayfly(code int, args ...string) (stdout, stderr string) {
	b.Helper()
	var out, err bytes.Buffer
	if got := run(args, &out, &err); got != code {
		b.Fatalf("mayfly %s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), got, code, &out, &err)
	}
	return out.String(), err.String()
}

// answer runs a command with --json and decodes what it wrote.
func answer[T any](b *bench, code int, args ...string) T {
	b.Helper()
	stdout, _ := b.mayfly(code, append(args, "--json")...)
	var v T
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		b.Fatalf("mayfly %s --json: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return v
}

func (b *bench) contains(text string, wants ...string) {
	b.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			b.Errorf("%q is not in:\n%s", want, text)
		}
	}
}
