package trigger

import (
	"bytes"
	"encoding/json"
)

// Reads are the members of an event's detail that Resolve reads, as JSON paths from there, for the kinds of events that may
// be larger than Step Functions carries; nil for all others, which come whole. Everything else of such an event may be left
// out on its way here, and a member that the event does not have may come as an empty text, as null, or not at all: it
// means the same.
//
// EventBridge does not escape the texts that it extracts. So a text is listed by itself only where it can hold no quote and
// no backslash, as ids, ARNs and words from a list cannot; other texts come within the object that holds them.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-issues
func Reads(detailType string) []string {
	switch detailType {
	case "GuardDuty Finding": // attack sequences list up to a hundred signals
		return []string{
			"id", "type", "severity",
			"resource.accessKeyDetails", "resource.instanceDetails.iamInstanceProfile",
			"resource.lambdaDetails.functionName", "resource.lambdaDetails.role",
			"resource.ecsClusterDetails.name", "resource.ecsClusterDetails.taskDetails.group", "resource.ecsClusterDetails.taskDetails.definitionArn",
			"resource.eksClusterDetails.name", "resource.kubernetesDetails.kubernetesUserDetails",
			"resource.kubernetesDetails.kubernetesWorkloadDetails.name", "resource.kubernetesDetails.kubernetesWorkloadDetails.type",
			"resource.kubernetesDetails.kubernetesWorkloadDetails.namespace", "resource.kubernetesDetails.kubernetesWorkloadDetails.serviceAccountName",
			"resource.rdsDbInstanceDetails.dbInstanceIdentifier", "resource.rdsDbInstanceDetails.dbClusterIdentifier",
			"resource.rdsLimitlessDbDetails.dbShardGroupIdentifier", "resource.rdsLimitlessDbDetails.dbClusterIdentifier", "resource.rdsDbUserDetails",
			"service.archived", "service.additionalInfo", "service.action.rdsLoginAttemptAction.LoginAttributes",
			"service.detection.sequence.actors", "service.detection.sequence.resources",
		}
	case "Security Hub Findings - Imported":
		// "Each event sends a single finding": https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html
		return []string{
			"findings[0].Id", "findings[0].Types", "findings[0].Sample", "findings[0].RecordState", "findings[0].Workflow.Status",
			"findings[0].Severity.Label", "findings[0].Severity.Normalized", "findings[0].Resources",
		}
	case "AWS Health Event": // with a description in each of several languages
		return []string{"eventArn", "eventTypeCode", "statusCode", "affectedEntities"}
	case "AWS API Call via CloudTrail": // with the policies that were set
		return []string{
			"eventID", "eventSource", "eventName", "errorCode", "readOnly", "userIdentity", "resources",
			"requestParameters.secretId", "requestParameters.tags", "requestParameters.tagKeys", "requestParameters.roleName",
			"requestParameters.userName", "requestParameters.groupName", "requestParameters.instanceProfileName",
			"requestParameters.policyArn", "requestParameters.keyId",
			"responseElements.arn", "responseElements.aRN", "responseElements.ARN", "responseElements.name",
		}
	}
	return nil
}

// present leaves out the members that are an empty text: what EventBridge puts in the place of one that the event did not
// have. Elsewhere an empty text says as little.
func present(detail json.RawMessage) json.RawMessage {
	if !bytes.Contains(detail, []byte(`""`)) {
		return detail
	}
	d := json.NewDecoder(bytes.NewReader(detail))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return detail
	}
	prune(value)
	pruned, err := json.Marshal(value)
	if err != nil {
		return detail
	}
	return pruned
}

func prune(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if member == "" {
				delete(v, name)
				continue
			}
			prune(member)
		}
	case []any:
		for _, member := range v {
			prune(member)
		}
	}
}
