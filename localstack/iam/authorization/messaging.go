package authorization

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
func (a *Authorizer) events(call *stack.Call) ([]need, error) {
	var r struct {
		Name, Rule, EventBusName, RoleArn string
		Entries                           []struct{ EventBusName, Source, DetailType string }
		Targets                           []struct{ RoleArn string }
	}
	if err := read(call, &r); err != nil {
		return nil, err
	}
	action := "events:" + call.Operation
	var needs []need
	switch call.Operation {
	case "PutEvents":
		for _, e := range r.Entries {
			n := a.bus(action, e.EventBusName)
			n.keys = policy.Context{"events:source": {e.Source}, "events:detail-type": {e.DetailType}}
			needs = append(needs, n)
		}
		return needs, nil
	case "ListRules", "ListEventBuses", "TestEventPattern":
		return []need{{action: action, resource: "*"}}, nil
	case "CreateEventBus", "DeleteEventBus", "DescribeEventBus":
		return []need{a.bus(action, r.Name)}, nil
	case "PutRule", "DeleteRule", "DescribeRule", "EnableRule", "DisableRule":
		needs = append(needs, need{action: action, resource: ruleARN(r.EventBusName, r.Name)})
	case "PutTargets", "RemoveTargets", "ListTargetsByRule":
		needs = append(needs, need{action: action, resource: ruleARN(r.EventBusName, r.Rule)})
	default:
		return nil, errUnknown
	}
	roles := []string{r.RoleArn}
	for _, t := range r.Targets {
		roles = append(roles, t.RoleArn)
	}
	for _, role := range roles {
		if role != "" {
			needs = append(needs, pass(role, "events.amazonaws.com"))
		}
	}
	return needs, nil
}

func busName(nameOrARN string) string {
	if nameOrARN == "" {
		return "default"
	}
	return strings.TrimPrefix(nameOrARN, arn("events", "event-bus/"))
}

func (a *Authorizer) bus(action, nameOrARN string) need {
	name := busName(nameOrARN)
	n := need{action: action, resource: arn("events", "event-bus/"+name)}
	if a.resources.Bus != nil {
		n.guard = guard{name: n.resource, text: a.resources.Bus(name)}
	}
	return n
}

// ruleARN leaves the default bus out.
func ruleARN(bus, rule string) string {
	if name := busName(bus); name != "default" {
		rule = name + "/" + rule
	}
	return arn("events", "rule/"+rule)
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
func (a *Authorizer) sqs(call *stack.Call) ([]need, error) {
	var r struct {
		QueueUrl, QueueName string
		Attributes          map[string]string
	}
	if err := read(call, &r); err != nil {
		return nil, err
	}
	action := "sqs:" + call.Operation
	name := r.QueueUrl[strings.LastIndex(r.QueueUrl, "/")+1:]
	switch call.Operation {
	case "ListQueues":
		return []need{{action: action, resource: "*"}}, nil
	case "CreateQueue", "GetQueueUrl":
		name = r.QueueName
	case "SendMessageBatch", "DeleteMessageBatch":
		action = strings.TrimSuffix(action, "Batch") // a batch is no action of its own
	case "DeleteQueue", "GetQueueAttributes", "SetQueueAttributes", "PurgeQueue", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility":
	default:
		return nil, errUnknown
	}
	if err := valid(r.Attributes["Policy"], "InvalidAttributeValue"); err != nil {
		return nil, err
	}
	n := need{action: action, resource: arn("sqs", name)}
	if a.resources.Queue != nil {
		n.guard = guard{name: n.resource, text: a.resources.Queue(n.resource)}
	}
	return append([]need{n}, a.sealed(action, n.resource)...), nil
}

// sealed is what the key needs under which a queue or topic keeps its messages.
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func (a *Authorizer) sealed(action, resource string) []need {
	seal := []string{"kms:GenerateDataKey", "kms:Decrypt"}
	switch {
	case action == "sqs:SendMessage" && a.resources.QueueKey != nil:
		return a.through("sqs", a.resources.QueueKey(resource), map[string]string{"aws:sqs:arn": resource}, seal...)
	case action == "sqs:ReceiveMessage" && a.resources.QueueKey != nil:
		return a.through("sqs", a.resources.QueueKey(resource), map[string]string{"aws:sqs:arn": resource}, "kms:Decrypt")
	case action == "sns:Publish" && a.resources.TopicKey != nil:
		return a.through("sns", a.resources.TopicKey(resource), map[string]string{"aws:sns:topicArn": resource}, seal...)
	}
	return nil
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
func (a *Authorizer) sns(call *stack.Call) ([]need, error) {
	r, err := form(call)
	if err != nil {
		return nil, err
	}
	n := need{action: "sns:" + call.Operation, resource: r.Get("TopicArn"), keys: policy.Context{}}
	switch call.Operation {
	case "ListTopics":
		n.resource = "*"
		return []need{n}, nil
	case "CreateTopic":
		n.resource = arn("sns", r.Get("Name"))
	case "Publish":
		if n.resource == "" {
			n.resource = r.Get("TargetArn")
		}
	case "Unsubscribe":
		// A subscription's ARN is its topic's with an id behind it.
		sub := r.Get("SubscriptionArn")
		n.resource = sub[:max(0, strings.LastIndex(sub, ":"))]
	case "Subscribe":
		n.keys.Set("sns:Protocol", r.Get("Protocol"))
		n.keys.Set("sns:Endpoint", r.Get("Endpoint"))
	case "SetTopicAttributes":
		if r.Get("AttributeName") == "Policy" {
			if err := valid(r.Get("AttributeValue"), "InvalidParameter"); err != nil {
				return nil, err
			}
		}
	case "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic":
	default:
		return nil, errUnknown
	}
	if a.resources.Topic != nil {
		n.guard = guard{name: n.resource, text: a.resources.Topic(n.resource)}
	}
	return append([]need{n}, a.sealed(n.action, n.resource)...), nil
}
