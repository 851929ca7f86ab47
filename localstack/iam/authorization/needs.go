package authorization

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// needs finds out what a call needs. All of them must be permitted.
func (a *Authorizer) needs(call *stack.Call) ([]need, error) {
	switch call.Service {
	case "secretsmanager":
		return a.secretsmanager(call)
	case "dynamodb":
		return a.dynamodb(call)
	case "s3":
		return a.s3(call)
	case "kms":
		return a.kms(call)
	case "states":
		return a.states(call)
	case "lambda":
		return a.lambda(call)
	case "events":
		return a.events(call)
	case "scheduler":
		return a.scheduler(call)
	case "sqs":
		return a.sqs(call)
	case "sns":
		return a.sns(call)
	case "logs":
		return a.logs(call)
	case "monitoring":
		return a.monitoring(call)
	case "iam":
		return a.iam(call)
	case "sts":
		return a.sts(call)
	}
	return nil, errUnknown
}

// arn writes an ARN of the account and Region.
func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + stack.Region + ":" + stack.Account + ":" + resource
}

// service is the part of an action before the colon.
func service(action string) string {
	s, _, _ := strings.Cut(action, ":")
	return s
}

// read decodes a JSON body as the services do, but for members that only the service is interested in.
func read(call *stack.Call, into any) error {
	if len(call.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(call.Body, into); err != nil {
		return &stack.Error{Code: "SerializationException", Message: fmt.Sprintf("%s.%s: %v", call.Service, call.Operation, err)}
	}
	return nil
}

// form reads the body of an AWS Query request.
func form(call *stack.Call) (url.Values, error) {
	values, err := url.ParseQuery(string(call.Body))
	if err != nil {
		return nil, &stack.Error{Code: "MalformedQueryString", Message: fmt.Sprintf("%s.%s: the body is not a form", call.Service, call.Operation)}
	}
	return values, nil
}

// tag is a tag as most services write them.
type tag struct{ Key, Value string }

// tagging sets the condition keys for tags of a request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html
func tagging(c policy.Context, tags []tag, keys []string) {
	for _, t := range tags {
		c.Set("aws:RequestTag/"+t.Key, t.Value)
		keys = append(keys, t.Key)
	}
	c.Set("aws:TagKeys", slices.Compact(slices.Sorted(slices.Values(keys)))...)
}

// pass is the permission to hand a role to a service.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
func pass(roleARN, to string) need {
	return need{action: "iam:PassRole", resource: roleARN, keys: policy.Context{"iam:PassedToService": {to}}}
}

// valid refuses a resource policy that could not be evaluated later: it must not get into a service.
func valid(text, code string) error {
	if text == "" {
		return nil
	}
	if _, err := policy.Parse([]byte(text), policy.Resource); err != nil {
		return &stack.Error{Code: code, Message: err.Error()}
	}
	return nil
}
