package authorization_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	"github.com/mayfly-secrets/mayfly/localstack/events"
	"github.com/mayfly-secrets/mayfly/localstack/iam"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/logs"
	"github.com/mayfly-secrets/mayfly/localstack/scheduler"
	"github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/sns"
	"github.com/mayfly-secrets/mayfly/localstack/sqs"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
	"github.com/mayfly-secrets/mayfly/localstack/sts"
)

// operations lists what the services serve, as far as they have a table of it.
func operations(services map[string]stack.Service) map[string][]string {
	out := map[string][]string{}
	add := func(name string, ops map[string]stack.Op) {
		for op := range ops {
			out[name] = append(out[name], op)
		}
	}
	for name, s := range services {
		switch s := s.(type) {
		case *secretsmanager.Service:
			add(name, s.Ops)
		case *dynamodb.Service:
			add(name, s.Ops)
		case *kms.Service:
			add(name, s.Ops)
		case *logs.Service:
			add(name, s.Ops)
		case *sqs.Service:
			add(name, s.Ops)
		case *events.Service:
			add(name, s.Ops)
		case *stepfunctions.Service:
			add(name, s.Ops)
		case *sns.Service:
			add(name, s.Ops)
		case *iam.Service:
			add(name, s.Ops)
		case *sts.Service:
			add(name, s.Ops)
		case *lambda.Service:
			for _, r := range s.Routes {
				out[name] = append(out[name], r.Operation)
			}
		case *scheduler.Service:
			for _, r := range s.Routes {
				out[name] = append(out[name], r.Operation)
			}
		}
	}
	return out
}

// TestEveryOperationIsKnown: an operation that a service has and that is not written down here would be denied to every
// role, without a reason that the owner of a policy could remove.
func TestEveryOperationIsKnown(t *testing.T) {
	w := newWorld(t)
	role := w.role(document())
	all := operations(w.services)
	if len(all) < 12 {
		t.Fatalf("operations of %d services only", len(all))
	}
	for service, ops := range all {
		for _, op := range ops {
			body := "{}"
			switch op {
			case "TransactWriteItems", "TransactGetItems":
				body = `{"TransactItems":[{"Get":{"TableName":"t"}}]}`
			}
			call := &stack.Call{Service: service, Operation: op, Caller: session(role), Time: w.Clock.Now(),
				Request: httptest.NewRequest("POST", "/", strings.NewReader(body)), Body: []byte(body)}
			if err := w.authorizer.Call(t.Context(), call); err != nil && strings.Contains(err.Error(), "does not know what permission") {
				t.Errorf("%s.%s: %v", service, op, err)
			}
		}
	}
}

// Nobody but the root gets past an operation that is not written down.
func TestAnUnknownOperationIsDenied(t *testing.T) {
	w := newWorld(t)
	role := w.role(document(grant{"*", "*"}))
	for name, c := range map[string]struct {
		service, operation string
		caller             stack.Identity
		denied             bool
	}{
		"operation":               {"secretsmanager", "RotateSecret", session(role), true},
		"service":                 {"ec2", "RunInstances", session(role), true},
		"batch by filters":        {"secretsmanager", "BatchGetSecretValue", session(role), true},
		"operation, root":         {"secretsmanager", "RotateSecret", stack.Identity{ARN: "arn:aws:iam::000000000000:root"}, false},
		"a role that is gone":     {"secretsmanager", "ListSecrets", session("gone"), true},
		"somebody without a name": {"secretsmanager", "ListSecrets", stack.Identity{}, true},
	} {
		body := `{"Filters":[{"Key":"name"}]}`
		call := &stack.Call{Service: c.service, Operation: c.operation, Caller: c.caller, Time: w.Clock.Now(), Request: httptest.NewRequest("POST", "/", nil), Body: []byte(body)}
		if err := w.authorizer.Call(t.Context(), call); (err != nil) != c.denied {
			t.Errorf("%s: %v", name, err)
		}
	}
}
