package trigger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// asff holds the members of a finding in the AWS Security Finding Format that say who is meant:
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html
type asff struct {
	ID       string   `json:"Id"`
	Types    []string `json:"Types"`
	Sample   bool     `json:"Sample"`
	Record   string   `json:"RecordState"`
	Workflow struct {
		Status string `json:"Status"`
	} `json:"Workflow"`
	Severity struct {
		Label      string   `json:"Label"`
		Normalized *float64 `json:"Normalized"` // 0 to 100
	} `json:"Severity"`
	Resources []asffResource `json:"Resources"`
}

type asffResource struct {
	Type    string          `json:"Type"`
	ID      string          `json:"Id"`
	Details json.RawMessage `json:"Details"` // one member, named as Type is
}

type imported struct {
	Findings []asff `json:"findings"`
}

// securityHub reads "Security Hub Findings - Imported":
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html
// A finding that Security Hub has from GuardDuty keeps GuardDuty's id and source, so that the run is joined that
// GuardDuty's own event started.
func securityHub(e envelope) (Resolution, error) {
	var d imported
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if len(d.Findings) == 0 {
		return Resolution{}, fault.New(fault.InputMalformed, "Security Hub event %q has no findings", clip(e.ID, 64))
	}
	t, why := Trigger{Type: Incident, Source: e.Source}, ""
	var ids, ignored, keys, kinds []string
	for _, f := range d.Findings {
		if f.ID == "" || f.Severity.Label == "" && f.Severity.Normalized == nil {
			return Resolution{}, fault.New(fault.InputMalformed, "Security Hub event %q has a finding without Id or Severity", clip(e.ID, 64))
		}
		of := f.keys()
		if w := f.irrelevant(of); w != "" {
			why, ignored = cmp.Or(why, w), append(ignored, f.ID)
			continue
		}
		keys, ids, kinds = append(keys, of...), append(ids, f.ID), append(kinds, f.Types...)
		t.Severity = max(t.Severity, f.severity())
	}
	if len(ids) == 0 {
		ids = ignored
	}
	t.ID = identity(strings.Join(ids, " "))
	if len(ids) == 1 && strings.Contains(ids[0], ":guardduty:") {
		t.ID, t.Source = identity(lastOf(ids[0], "/")), "aws.guardduty"
	}
	if len(keys) == 0 {
		return ignore(t, why), nil
	}
	t.Reason = fmt.Sprintf("Security Hub: %s, severity %.1f", clip(strings.Join(kinds, ", "), 200), t.Severity)
	return found(t, keys...)
}

// irrelevant says why the finding is nothing to act on; "" if it is something.
func (f asff) irrelevant(keys []string) string {
	check := func(t string) bool { return strings.HasPrefix(t, "Software and Configuration Checks") }
	switch {
	case f.Sample:
		return "it is a sample finding"
	case f.Record == "ARCHIVED":
		return "the finding is archived"
	case f.Workflow.Status == "SUPPRESSED" || f.Workflow.Status == "RESOLVED":
		return "the finding is " + strings.ToLower(f.Workflow.Status)
	case len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(t string) bool { return !check(t) }):
		return "the finding is a check of the configuration, and no sign of an attack"
	case len(keys) == 0:
		return "the finding names no secret, role, user, access key, task or function"
	}
	return ""
}

// severity on GuardDuty's scale, which is a tenth of Normalized's, with the same borders: LOW 1 to 39, MEDIUM to 69, HIGH
// to 89, CRITICAL to 100. Where Label says otherwise, Label holds, and stands for the beginning of its band.
// https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html#Severity
func (f asff) severity() float64 {
	bands := map[string][2]float64{"INFORMATIONAL": {0, 0}, "LOW": {1, 3.9}, "MEDIUM": {4, 6.9}, "HIGH": {7, 8.9}, "CRITICAL": {9, 10}}
	n := 0.0
	if f.Severity.Normalized != nil {
		n = min(max(*f.Severity.Normalized/10, 0), 10)
	}
	band, labelled := bands[f.Severity.Label]
	if labelled && (n < band[0] || n > band[1]) {
		return band[0]
	}
	return n
}

func (f asff) keys() []string {
	var keys []string
	for _, r := range f.Resources {
		keys = append(keys, r.keys()...)
	}
	return keys
}

// keys of a resource: its Id is its ARN, and the details say the rest.
// https://docs.aws.amazon.com/securityhub/latest/userguide/asff-resources.html
func (r asffResource) keys() []string {
	var d struct {
		AccessKey struct {
			ID            string `json:"AccessKeyId"`
			PrincipalType string `json:"PrincipalType"` // Role, AssumedRole, IAMUser, …
			PrincipalName string `json:"PrincipalName"`
			Session       struct {
				Issuer struct {
					ARN string `json:"Arn"`
				} `json:"SessionIssuer"`
			} `json:"SessionContext"`
		} `json:"AwsIamAccessKey"`
		Instance struct {
			Profile string `json:"IamInstanceProfileArn"`
		} `json:"AwsEc2Instance"`
		Function struct {
			Role string `json:"Role"`
		} `json:"AwsLambdaFunction"`
		Task struct {
			Cluster    string `json:"ClusterArn"`
			Group      string `json:"Group"`
			Definition string `json:"TaskDefinitionArn"`
		} `json:"AwsEcsTask"`
	}
	_ = json.Unmarshal(r.Details, &d) // details that are missing or of another shape say nothing; Id does
	switch r.Type {
	case "AwsSecretsManagerSecret":
		return secretKeys(r.ID)
	case "AwsIamRole", "AwsIamUser":
		return principalKeys(r.ID)
	case "AwsIamAccessKey":
		keys := accessKey{ID: d.AccessKey.ID, UserName: d.AccessKey.PrincipalName, UserType: d.AccessKey.PrincipalType}.keys()
		keys = append(keys, accessKeyKeys(lastOf(r.ID, ":"))...) // AWS::IAM::AccessKey:AKIA…
		return append(keys, principalKeys(d.AccessKey.Session.Issuer.ARN)...)
	case "AwsEc2Instance":
		return profileKeys(d.Instance.Profile)
	case "AwsLambdaFunction":
		return append(lambdaKeys(r.ID), principalKeys(d.Function.Role)...)
	case "AwsEcsTask":
		return taskKeys(d.Task.Cluster, d.Task.Group, d.Task.Definition)
	case "AwsEcsService":
		if _, path, ok := strings.Cut(r.ID, ":service/"); ok && strings.Count(path, "/") == 1 {
			return key("ecs", strings.Split(path, "/")...)
		}
	case "AwsAutoScalingAutoScalingGroup":
		if _, group, ok := strings.Cut(r.ID, ":autoScalingGroupName/"); ok {
			return key("ec2", group)
		}
	}
	return nil
}
