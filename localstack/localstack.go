// Package localstack puts the local stack together: just enough AWS, in one process on one address, to run the synthesized
// template with the real function binaries over the real wire protocols. Each service lives in its own package and knows
// none of the others; here is where they meet.
package localstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/mayfly-secrets/mayfly/localstack/cloudtrail"
	"github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/events"
	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
	"github.com/mayfly-secrets/mayfly/localstack/iam"
	"github.com/mayfly-secrets/mayfly/localstack/iam/authorization"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/logs"
	"github.com/mayfly-secrets/mayfly/localstack/metrics"
	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/scheduler"
	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/sns"
	"github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
	"github.com/mayfly-secrets/mayfly/localstack/template"
)

// Options choose how the stack is reached.
type Options struct {
	Listen string // host:port; "" takes a free port of 127.0.0.1
}

// Stack is the running local stack. Its services are exported for tests that look inside.
type Stack struct {
	URL        string
	Clock      *stack.Clock
	Identities *stack.Identities
	Endpoint   *stack.Endpoint

	Secrets   *secretsmanager.Service
	Tables    *dynamodb.Service
	Buckets   *s3.Service
	Logs      *logs.Service
	Metrics   *metrics.Service
	Functions *lambda.Service
	Machines  *stepfunctions.Service
	Events    *events.Service
	Schedules *scheduler.Service
	Queues    *sqs.Service
	Topics    *sns.Service
	Keys      *kms.Service
	Access    *authorization.Authorizer

	client    *awshttp.BuildableClient // of all configurations: each of its own would keep its connections for a minute and a half
	roles     *iam.Service
	providers []stack.Provider
	responses *template.Responses
	server    *http.Server
	deployed  *template.Stack
	scratch   string // folder of copies of functions' folders
}

// Start starts every service behind one endpoint.
func Start(_ context.Context, o Options) (*Stack, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("the local stack cannot listen: %w; is another one running?", err)
	}
	s := &Stack{URL: "http://" + listener.Addr().String(), Clock: stack.NewClock(), Identities: stack.NewIdentities(), client: awshttp.NewBuildableClient()}
	s.wire()
	s.server = &http.Server{Handler: s.Endpoint, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // ends with Close
	return s, nil
}

// wire makes the services and gives each what it needs of the others.
func (s *Stack) wire() {
	s.Secrets = secretsmanager.New(s.Clock)
	s.Tables = dynamodb.New(s.Clock)
	s.Buckets = s3.New(s.Clock)
	s.Queues = sqs.New(s.Clock, s.URL)
	s.Topics = sns.New(s.Clock)
	s.Metrics = metrics.New(s.Clock, s.Topics.Publish)
	s.Logs = logs.New(s.Clock, s.Metrics)
	s.Functions = lambda.New(s.Clock, s.Identities, s.Logs)
	s.Machines = stepfunctions.New(s.Clock)
	s.Events = events.New(s.Clock)
	s.Events.RootPlaysAWS = true
	s.Schedules = scheduler.New(s.Clock)
	roles := iam.New(s.Clock)
	s.roles = roles
	s.Keys = kms.New(s.Clock)
	s.Keys.Principal, s.Secrets.Principal = roles.Exists, roles.Exists

	metric := func(namespace, name string, dimensions map[string]string, value float64) {
		s.Metrics.Add(namespace, name, dimensions, value, s.Clock.Now())
	}
	emit := func(ctx context.Context, event []byte) { _ = s.Events.Put(ctx, "default", event) } // only a malformed event fails
	s.Secrets.Emit = emit
	s.Functions.Endpoint, s.Functions.Send, s.Functions.Metric = s.URL, s.Queues.Send, metric
	s.Machines.Invoke, s.Machines.Put, s.Machines.Emit, s.Machines.Metric = s.invoke, s.Events.Put, emit, metric
	s.Machines.Objects = s.Buckets
	s.Events.Targets = delivery.Targets{
		Invoke: s.invokeAsync, Start: s.Machines.Start, Send: s.Queues.Send, Publish: s.Topics.Publish, Log: s.Logs.Put,
	}
	s.Schedules.Targets = s.Events.Targets
	s.Schedules.Targets.Put = s.Events.Put
	s.Topics.Send, s.Topics.Invoke = s.Queues.Send, s.invokeAsync
	s.Endpoint = stack.NewEndpoint(s.Clock, s.Identities, s.Secrets, s.Tables, s.Buckets, s.Queues, s.Topics, s.Metrics, s.Logs,
		s.Functions, s.Machines, s.Events, s.Schedules, roles, s.Keys, sts.New(s.Clock, s.Identities, roles))
	s.providers = []stack.Provider{s.Secrets, s.Tables, s.Buckets, s.Queues, s.Topics, s.Metrics, s.Logs, s.Functions,
		s.Machines, s.Events, s.Schedules, roles, s.Keys}
	s.Access = authorization.New(s.Clock, roles, authorization.Resources{
		Secret: s.Secrets.Guard, SecretKey: s.Secrets.Key, VersionKeys: s.Secrets.VersionKeys,
		Key: s.Keys.Guard, Grants: s.Keys.Grants, Grant: s.Keys.Granted, Bucket: s.Buckets.Policy, Encryption: s.Buckets.Encryption,
		Queue: s.Queues.Policy, Topic: s.Topics.Policy, Bus: s.Events.Policy, Function: s.Functions.Permissions,
		QueueKey: s.Queues.Key, TopicKey: s.Topics.Key, PartitionKey: s.Tables.PartitionKey,
	})
	s.Endpoint.Authorize, s.Machines.Authorize, s.Functions.Authorize = s.Access.Call, s.Access.Service, s.Access.Service
	s.Events.Targets.Authorize, s.Schedules.Targets.Authorize = s.Access.Service, s.Access.Service
	s.Secrets.Keys = secretsmanager.Keys{Usable: s.Keys.Usable, Permits: s.Access.Permits}
	s.Endpoint.Observe = func(ctx context.Context, call *stack.Call, reply stack.Reply) {
		for _, event := range cloudtrail.Record(call, reply) {
			emit(ctx, event)
		}
	}
	s.Endpoint.Kill = func(id stack.Identity) { s.Functions.Kill(id) }
	s.Endpoint.Idle = func() bool {
		return s.Machines.Idle() && s.Functions.Busy() == 0 && s.Events.Busy() == 0 && s.Schedules.Busy() == 0
	}
	s.responses = template.NewResponses(s.URL + "/_local/cfn/")
	s.Endpoint.Mount("/_local/cfn/", s.responses)
	s.Endpoint.Mount(lambda.URLPath, s.Functions.URLs())
}

// invoke runs a function for an execution of a state machine.
func (s *Stack) invoke(ctx context.Context, function string, payload []byte, execution string) (stepfunctions.Invoked, error) {
	r, err := s.Functions.Invoke(ctx, function, payload, execution)
	return stepfunctions.Invoked{Payload: r.Payload, FunctionError: r.FunctionError, ErrorType: r.ErrorType, ErrorMessage: r.ErrorMessage}, err
}

// invokeAsync hands an event to a function and does not wait for what it makes of it.
func (s *Stack) invokeAsync(ctx context.Context, function string, payload []byte) error {
	return s.Functions.InvokeAsync(ctx, function, payload, "")
}

// invokeNow runs a function of a custom resource; one that fails without an answer fails the deployment at once.
func (s *Stack) invokeNow(ctx context.Context, function string, payload []byte) error {
	r, err := s.Functions.Invoke(ctx, function, payload, "")
	if err == nil && r.FunctionError != "" {
		err = fmt.Errorf("%s ended with %s: %s", function, r.ErrorType, r.ErrorMessage)
	}
	return err
}

// Config reaches the stack as the account's root.
func (s *Stack) Config() aws.Config { return s.config("test", "test", "") }

// As reaches the stack with credentials issued to an identity.
func (s *Stack) As(id stack.Identity) aws.Config {
	c := s.Identities.Issue(id)
	return s.config(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

func (s *Stack) config(key, secret, token string) aws.Config {
	return aws.Config{Region: stack.Region, BaseEndpoint: &s.URL, HTTPClient: s.client, Credentials: credentials.NewStaticCredentialsProvider(key, secret, token)}
}

// Files are texts by file name. Deploy puts each in the place of the file of that name beside a function's binary.
type Files map[string][]byte

// Deploy deploys a cloud assembly (cdk.out), or updates what is deployed, with other contracts and rules than those in it.
func (s *Stack) Deploy(ctx context.Context, assembly string, files Files) error {
	t, err := template.Load(assembly, "")
	if err != nil {
		return err
	}
	if contracts, other := files["contracts.json"]; other {
		// What CloudFormation sees of them, so that they are applied when they change: see infra.NewContracts.
		t.Set("AWS::CloudFormation::CustomResource", "Digest", fmt.Sprintf("%x", sha256.Sum256(contracts)))
	}
	types := map[string]stack.Make{}
	for _, p := range s.providers {
		for name, make := range p.Resources() {
			types[name] = make
		}
	}
	s.deployed, err = template.Deploy(ctx, t, template.Options{
		Types: types, Previous: s.deployed, Responses: s.responses,
		Asset:  func(_, key string) (string, error) { return s.asset(t.Assets[key], files) },
		Invoke: s.invokeNow,
	})
	return err
}

// asset is the folder to use in the place of a function's: "" for itself; where it holds a file that another is wanted for, a
// copy of it with that. A copy is named by what it holds and stays until Close: a function may still start from it.
func (s *Stack) asset(folder string, files Files) (string, error) {
	sum, wanted := sha256.New(), Files{}
	fmt.Fprintf(sum, "%q", folder)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Stat(filepath.Join(folder, name)); folder != "" && err == nil {
			wanted[name] = files[name]
			fmt.Fprintf(sum, "%q%q", name, files[name])
		}
	}
	if len(wanted) == 0 {
		return "", nil
	}
	if s.scratch == "" {
		var err error
		if s.scratch, err = os.MkdirTemp("", "mayfly-functions-"); err != nil {
			return "", err
		}
	}
	copied := filepath.Join(s.scratch, hex.EncodeToString(sum.Sum(nil)[:16]))
	err := os.Mkdir(copied, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return copied, nil
	}
	return copied, errors.Join(err, fill(copied, folder, wanted))
}

// fill puts files into a folder, and links to the others of another folder.
func fill(copied, folder string, files Files) error {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		file := filepath.Join(copied, e.Name())
		if text, other := files[e.Name()]; other {
			err = errors.Join(err, os.WriteFile(file, text, 0o600))
		} else {
			err = errors.Join(err, link(filepath.Join(folder, e.Name()), file))
		}
	}
	return err
}

// link makes a symbolic link that holds wherever it is followed from.
func link(from, to string) error {
	absolute, err := filepath.Abs(from)
	return errors.Join(err, os.Symlink(absolute, to))
}

// MakeRole makes a role that another template than the deployed one has: CloudFormation's properties of AWS::IAM::Role.
func (s *Stack) MakeRole(ctx context.Context, properties map[string]any) error {
	text, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	const kind = "AWS::IAM::Role"
	_, err = s.roles.Resources()[kind](ctx, stack.Resource{LogicalID: "Role", Type: kind, Properties: text})
	return err
}

// Roles are the names of the roles that the template made.
func (s *Stack) Roles() []string { return s.deployed.Of("AWS::IAM::Role") }

// Close ends every execution, function process and connection.
func (s *Stack) Close() error {
	s.Endpoint.SetAuto(false)
	s.Machines.Close()
	s.Functions.Close()
	err := s.server.Close()
	if s.scratch != "" {
		err = errors.Join(err, os.RemoveAll(s.scratch))
	}
	return err
}
