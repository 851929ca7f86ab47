package authorization_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/events"
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
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

// world is every service behind one endpoint that enforces IAM, with one resource of each kind.
type world struct {
	*stacktest.Server
	t          *testing.T
	roles      *iam.Service
	functions  *lambda.Service
	authorizer *authorization.Authorizer
	services   map[string]stack.Service
	made       map[string]stack.Made // by logical id
	serial     int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stacktest.Local(t)
	clock, ids := stack.NewClock(), stack.NewIdentities()
	counts := metrics.New(clock, nil)
	lines := logs.New(clock, counts)
	secrets, tables, buckets, keys := secretsmanager.New(clock), dynamodb.New(clock), s3.New(clock), kms.New(clock)
	queues, topics, buses := sqs.New(clock, "http://127.0.0.1"), sns.New(clock), events.New(clock)
	machines, schedules, functions := stepfunctions.New(clock), scheduler.New(clock), lambda.New(clock, ids, lines)
	t.Cleanup(machines.Close)
	t.Cleanup(functions.Close)
	w := &world{t: t, roles: iam.New(clock), functions: functions, services: map[string]stack.Service{}, made: map[string]stack.Made{}}
	all := []stack.Service{counts, lines, secrets, tables, buckets, keys, queues, topics, buses, machines, schedules, functions, w.roles, sts.New(clock, ids, w.roles)}
	for _, s := range all {
		w.services[s.Name()] = s
	}
	w.Server = stacktest.StartWith(t, clock, ids, all...)
	w.authorizer = authorization.New(clock, w.roles, authorization.Resources{
		Secret: secrets.Guard, SecretKey: secrets.Key, VersionKeys: secrets.VersionKeys,
		Key: keys.Guard, Grants: keys.Grants, Grant: keys.Granted, Bucket: buckets.Policy, Encryption: buckets.Encryption, Queue: queues.Policy,
		Topic: topics.Policy, Bus: buses.Policy, Function: functions.Permissions, PartitionKey: tables.PartitionKey,
	})
	w.Endpoint.Authorize = w.authorizer.Call
	secrets.Keys = secretsmanager.Keys{Usable: keys.Usable, Permits: w.authorizer.Permits}
	return w
}

// make makes a resource of a template.
func (w *world) make(kind, id, properties string) stack.Made {
	w.t.Helper()
	for _, s := range w.services {
		p, ok := s.(stack.Provider)
		if !ok {
			continue
		}
		if f, ok := p.Resources()[kind]; ok {
			made, err := f(context.Background(), stack.Resource{LogicalID: id, Type: kind, Properties: []byte(properties),
				Asset: func(string, string) (string, error) { return w.t.TempDir(), nil }})
			if err != nil {
				w.t.Fatalf("%s %s: %v", kind, id, err)
			}
			w.made[id] = made
			return made
		}
	}
	w.t.Fatalf("no service makes %s", kind)
	return stack.Made{}
}

// grant is an Allow of an action on a resource.
type grant struct{ action, resource string }

// document writes grants as a policy document, or as one that allows nothing of interest.
func document(grants ...grant) string {
	var statements []string
	for _, g := range grants {
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, g.action, g.resource))
	}
	statements = append(statements, `{"Effect":"Allow","Action":"nothing:AtAll","Resource":"*"}`)
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const trustAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`

// role makes a new role with a policy and returns its name.
func (w *world) role(policy string) string {
	w.t.Helper()
	w.serial++
	name := fmt.Sprintf("role-%d", w.serial)
	w.make("AWS::IAM::Role", name, fmt.Sprintf(`{"RoleName":%q,"AssumeRolePolicyDocument":%s,"Policies":[{"PolicyName":"p","PolicyDocument":%s}]}`, name, trustAll, policy))
	return name
}

// as is the configuration of a session of a role.
func (w *world) as(role string) aws.Config {
	cfg := w.As(session(role))
	cfg.RetryMaxAttempts = 1
	return cfg
}

func session(role string) stack.Identity {
	return stack.Identity{Role: role, ARN: "arn:aws:sts::000000000000:assumed-role/" + role + "/test"}
}

// code is the error code of an API call, "" for none.
func code(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

// isDenied says whether a call was refused for want of permission.
func isDenied(err error) bool {
	c := code(err)
	return c == "AccessDenied" || c == "AccessDeniedException" || c == "AuthorizationError" || c == "AuthorizationErrorException" || c == "Forbidden"
}

func quote(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
