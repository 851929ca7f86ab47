package authorization

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/lambda"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
func (a *Authorizer) states(call *stack.Call) ([]need, error) {
	var r struct{ StateMachineArn, ExecutionArn, MapRunArn, Name, RoleArn string }
	if err := read(call, &r); err != nil {
		return nil, err
	}
	n := need{action: "states:" + call.Operation, resource: "*"}
	switch call.Operation {
	case "ListStateMachines", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat":
	case "StartExecution", "ListExecutions", "DescribeStateMachine", "DeleteStateMachine", "UpdateStateMachine":
		n.resource = r.StateMachineArn
	case "CreateStateMachine":
		n.resource = arn("states", "stateMachine:"+r.Name)
	case "DescribeExecution", "GetExecutionHistory", "StopExecution":
		n.resource = r.ExecutionArn
	case "DescribeMapRun":
		n.resource = r.MapRunArn
	default:
		return nil, errUnknown
	}
	if r.RoleArn != "" {
		return []need{n, pass(r.RoleArn, "states.amazonaws.com")}, nil
	}
	return []need{n}, nil
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
func (a *Authorizer) lambda(call *stack.Call) ([]need, error) {
	qualifier := call.Request.URL.Query().Get("Qualifier")
	segments := strings.Split(call.Request.URL.EscapedPath(), "/")
	name := ""
	if len(segments) > 3 { // /2015-03-31/functions/NAME/…
		var err error
		if name, err = url.PathUnescape(segments[3]); err != nil {
			return nil, &stack.Error{Code: "InvalidParameterValueException", Message: "the path of the request is not well-formed"}
		}
	}
	switch call.Operation {
	case "ListFunctions":
		return []need{{action: "lambda:ListFunctions", resource: "*"}}, nil
	case "Invoke":
		return []need{a.function("lambda:InvokeFunction", name, qualifier)}, nil
	case "GetFunction", "GetFunctionConfiguration":
		return []need{a.function("lambda:"+call.Operation, name, qualifier)}, nil
	case "UpdateFunctionConfiguration":
		var r struct{ Role string }
		if err := read(call, &r); err != nil {
			return nil, err
		}
		needs := []need{a.function("lambda:UpdateFunctionConfiguration", name, "")}
		if r.Role != "" {
			needs = append(needs, pass(r.Role, "lambda.amazonaws.com"))
		}
		return needs, nil
	}
	return nil, errUnknown
}

// functionARN takes a name, a partial ARN (account:function:name) or an ARN, each with or without a qualifier.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func functionARN(ref string) string {
	if strings.HasPrefix(ref, "arn:") {
		return ref
	}
	return arn("lambda", "function:"+strings.TrimPrefix(ref, stack.Account+":function:"))
}

// function is a need on a function. Its resource policy is made of the permissions that were added to it.
func (a *Authorizer) function(action, ref, qualifier string) need {
	n := need{action: action, resource: functionARN(ref)}
	if qualifier != "" && strings.Count(n.resource, ":") == 6 {
		n.resource += ":" + qualifier
	}
	if a.resources.Function == nil {
		return n
	}
	d := policy.Document{Version: "2012-10-17"}
	for _, p := range a.resources.Function(n.resource) {
		d.Statement = append(d.Statement, permission(p, n.resource))
	}
	if len(d.Statement) > 0 {
		n.guard = guard{name: n.resource, document: &d}
	}
	return n
}

// permission is AddPermission's statement.
// https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
func permission(p lambda.Permission, function string) policy.Statement {
	s := policy.Statement{Sid: p.Action + " by " + p.Principal, Effect: "Allow", Action: policy.Strings{p.Action}, Resource: policy.Strings{function}}
	switch {
	case p.Principal == "*":
		s.Principal = policy.Principal{"*": {"*"}}
	case strings.HasSuffix(p.Principal, ".amazonaws.com"):
		s.Principal = policy.Principal{"Service": {p.Principal}}
	default:
		s.Principal = policy.Principal{"AWS": {p.Principal}}
	}
	if p.Qualifier != "" && !strings.HasSuffix(function, ":"+p.Qualifier) {
		s.Resource = policy.Strings{function + ":" + p.Qualifier} // the permission is for that version or alias only
	}
	s.Condition = map[string]map[string]policy.Strings{"ArnLike": {}, "StringEquals": {}, "Bool": {}}
	if p.SourceArn != "" {
		s.Condition["ArnLike"]["aws:SourceArn"] = policy.Strings{p.SourceArn}
	}
	if p.SourceAccount != "" {
		s.Condition["StringEquals"]["aws:SourceAccount"] = policy.Strings{p.SourceAccount}
	}
	if p.URLAuthType != "" {
		s.Condition["StringEquals"]["lambda:FunctionUrlAuthType"] = policy.Strings{p.URLAuthType}
	}
	if p.ViaURL {
		s.Condition["Bool"]["lambda:InvokedViaFunctionUrl"] = policy.Strings{"true"}
	}
	return s
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
func (a *Authorizer) scheduler(call *stack.Call) ([]need, error) {
	segments := strings.Split(strings.Trim(call.Request.URL.EscapedPath(), "/"), "/")
	var r struct {
		GroupName string
		Target    struct{ RoleArn string }
	}
	if err := read(call, &r); err != nil {
		return nil, err
	}
	if call.Operation == "GetSchedule" || call.Operation == "DeleteSchedule" {
		r.GroupName = call.Request.URL.Query().Get("groupName")
	}
	if r.GroupName == "" {
		r.GroupName = "default"
	}
	n := need{action: "scheduler:" + call.Operation, resource: "*"}
	name := ""
	if len(segments) > 1 {
		name, _ = url.PathUnescape(segments[1]) // the endpoint found a route, so that it is well-formed
	}
	switch call.Operation {
	case "ListSchedules":
	case "CreateScheduleGroup":
		n.resource = arn("scheduler", "schedule-group/"+name)
	case "CreateSchedule", "UpdateSchedule", "GetSchedule", "DeleteSchedule":
		n.resource = arn("scheduler", fmt.Sprintf("schedule/%s/%s", r.GroupName, name))
	default:
		return nil, errUnknown
	}
	if r.Target.RoleArn != "" {
		return []need{n, pass(r.Target.RoleArn, "scheduler.amazonaws.com")}, nil
	}
	return []need{n}, nil
}
