// Package cloudtrail is the local stack's AWS CloudTrail, as far as EventBridge shows it: each management call that changes
// something, or reads the value of a secret, becomes an "AWS API Call via CloudTrail" event on the default bus, failed calls
// too.
//
// Sources:
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
//   - https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html (who gets reads)
//   - https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
//   - https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-cloudtrail.html
//
// Left out: trails, Lake, data events, Insights, the delivery of files. Here events come at once; in AWS within minutes.
package cloudtrail

import (
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// changing are the operations that Mayfly's rules and its users' could ask for, by signing name. A call of another
// operation leaves no event.
var changing = map[string]map[string]bool{
	"secretsmanager": set("CreateSecret", "DeleteSecret", "RestoreSecret", "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage",
		"TagResource", "UntagResource", "PutResourcePolicy", "DeleteResourcePolicy", "RotateSecret", "CancelRotateSecret"),
	"iam": set("PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy", "CreateRole", "DeleteRole"),
	"kms": set("CreateGrant", "RetireGrant", "RevokeGrant", "PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey"),
}

// reading are the calls that give values away: who has seen one is worth knowing. Of other reads nobody asks.
var reading = set("GetSecretValue", "BatchGetSecretValue")

// hidden are members of requests that CloudTrail never records.
var hidden = set("SecretString", "SecretBinary", "RotationToken")

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}

// Record makes the events of a call that was carried out, or refused: none, one, or, for a batch, one more for each of it.
func Record(call *stack.Call, reply stack.Reply) [][]byte {
	reads := call.Service == "secretsmanager" && reading[call.Operation]
	if !reads && !changing[call.Service][call.Operation] {
		return nil
	}
	detail := map[string]any{
		"eventVersion": "1.11", "eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": true, "readOnly": reads,
		"eventSource": call.Service + ".amazonaws.com", "eventName": call.Operation, "eventTime": stamp(call.Time), "eventID": name.UUID(),
		"awsRegion": stack.Region, "recipientAccountId": stack.Account, "sourceIPAddress": "127.0.0.1", "requestID": name.UUID(),
		"userAgent": call.Request.UserAgent(), "userIdentity": identity(call.Caller),
		"requestParameters": parameters(call), "responseElements": nil,
	}
	if reply.Status >= 300 {
		detail["errorCode"] = reply.Code
	} else if !reads {
		detail["responseElements"] = response(reply)
	}
	events := [][]byte{event(call, detail)}
	if call.Operation != "BatchGetSecretValue" || reply.Status >= 300 {
		return events
	}
	// Each value that a batch gives away has an entry of its own.
	// Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
	var given struct{ SecretValues []struct{ ARN string } }
	_ = json.Unmarshal(reply.Body, &given) // an answer of the service's own
	for _, v := range given.SecretValues {
		one := maps.Clone(detail)
		one["eventName"], one["eventID"], one["requestParameters"] = "GetSecretValue", name.UUID(), map[string]any{"secretId": v.ARN}
		events = append(events, event(call, one))
	}
	return events
}

func event(call *stack.Call, detail map[string]any) []byte {
	text, _ := json.Marshal(map[string]any{ // maps of texts always marshal
		"source": "aws." + call.Service, "detail-type": "AWS API Call via CloudTrail", "time": stamp(call.Time), "detail": detail,
	})
	return text
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// identity is the userIdentity element: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func identity(caller stack.Identity) map[string]any {
	if caller.Role == "" {
		return map[string]any{"type": "Root", "arn": caller.ARN, "accountId": stack.Account, "principalId": stack.Account}
	}
	session := map[string]any{"sessionIssuer": map[string]any{
		"type": "Role", "accountId": stack.Account, "userName": caller.Role, "arn": "arn:aws:iam::" + stack.Account + ":role/" + caller.Role,
	}}
	if caller.Session != nil {
		session["attributes"] = map[string]any{"mfaAuthenticated": strconv.FormatBool(caller.Session.MFA)}
	}
	return map[string]any{
		"type": "AssumedRole", "arn": caller.ARN, "accountId": stack.Account,
		"principalId":    "AROALOCAL:" + caller.ARN[strings.LastIndex(caller.ARN, "/")+1:],
		"sessionContext": session,
	}
}

// parameters is the request as CloudTrail writes it: members begin with a small letter, values of secrets are left out.
func parameters(call *stack.Call) map[string]any {
	members := map[string]any{}
	if json.Unmarshal(call.Body, &members) != nil { // the Query protocol
		form, err := url.ParseQuery(string(call.Body))
		if err != nil {
			return nil
		}
		for k := range form {
			if k != "Action" && k != "Version" {
				members[k] = form.Get(k)
			}
		}
	}
	return lower(members)
}

// response is the answer without what it should not repeat; CloudTrail records none of the answers that hold values.
func response(reply stack.Reply) map[string]any {
	members := map[string]any{}
	if json.Unmarshal(reply.Body, &members) != nil || len(members) == 0 {
		return nil
	}
	return lower(members)
}

func lower(members map[string]any) map[string]any {
	out := make(map[string]any, len(members))
	for k, v := range members {
		switch {
		case hidden[k]:
			continue
		case k == "ARN": // newer records; older ones have aRN
			k = "arn"
		default:
			k = strings.ToLower(k[:1]) + k[1:]
		}
		out[k] = lowered(v)
	}
	return out
}

func lowered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return lower(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = lowered(v[i])
		}
		return out
	default:
		return v
	}
}
