package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// guardDuty reads "GuardDuty Finding":
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html
// A finding that occurs again is sent again under its old id, so that the id is the trigger's. Archived findings are sent
// too: somebody has dealt with those.
func guardDuty(e envelope) (Resolution, error) {
	var f finding
	if err := detail(e, &f); err != nil {
		return Resolution{}, err
	}
	if f.ID == "" || f.Severity == nil || !(*f.Severity >= 0 && *f.Severity <= 10) {
		return Resolution{}, fault.New(fault.InputMalformed, "GuardDuty event %q lacks the finding's id, or a severity from 0 to 10", clip(e.ID, 64))
	}
	t := Trigger{
		Type: Incident, ID: identity(f.ID), Source: e.Source, Severity: *f.Severity,
		Reason: fmt.Sprintf("GuardDuty %s, severity %.1f", clip(f.Type, 128), *f.Severity),
	}
	switch keys := f.keys(); {
	case f.sample():
		return ignore(t, "it is a sample finding"), nil
	case f.Service.Archived:
		return ignore(t, "the finding is archived"), nil
	case len(keys) == 0:
		return ignore(t, "the finding names no role, user, access key, task, function, workload or database login"), nil
	default:
		return found(t, keys...)
	}
}

// sample findings say so in additionalInfo, as a member or inside its text "value".
func (f finding) sample() bool {
	var info struct {
		Sample any    `json:"sample"`
		Value  string `json:"value"`
	}
	if json.Unmarshal(f.Service.Additional, &info) != nil {
		return false
	}
	var inner struct {
		Sample any `json:"sample"`
	}
	_ = json.Unmarshal([]byte(info.Value), &inner) // a value that is no JSON says nothing about samples
	return isTrue(info.Sample) || isTrue(inner.Sample)
}

func isTrue(v any) bool { return v == true || v == "true" }

// keys name everybody whom the finding names, as contract.Keys does.
func (f finding) keys() []string {
	r := f.Resource
	keys := append(r.AccessKey.keys(), profileKeys(r.Instance.Profile.ARN)...)
	keys = append(keys, lambdaKeys(r.Lambda.Name)...)
	keys = append(keys, principalKeys(r.Lambda.Role)...)
	keys = append(keys, taskKeys(r.ECS.Name, r.ECS.Task.Group, r.ECS.Task.Definition)...)
	keys = append(keys, r.Kubernetes.keys(r.EKS.Name)...)
	keys = append(keys, f.logins()...)
	for _, a := range f.Service.Detection.Sequence.Actors {
		keys = append(keys, accessKey{ID: a.User.Credential, UserName: a.User.Name, UserType: a.User.Type}.keys()...)
		keys = append(keys, principalKeys(a.Session.Issuer)...)
	}
	for _, s := range f.Service.Detection.Sequence.Resources {
		keys = append(keys, s.keys()...)
	}
	return keys
}

// logins of a database finding: the user that the resource names, or those that the action counts.
func (f finding) logins() []string {
	users := []string{f.Resource.DatabaseUser.User}
	for _, l := range f.Service.Action.Login.Attributes {
		users = append(users, l.User)
	}
	var keys []string
	for _, server := range []string{f.Resource.Database.Instance, f.Resource.Database.Cluster, f.Resource.Limitless.Group, f.Resource.Limitless.Cluster} {
		for _, user := range users {
			if user != "" && server != "" {
				keys = append(keys, key("dbuser", user+"@"+server)...)
			}
		}
	}
	return keys
}

// keys of an access key are those of the role or user that it was issued for. Root is no service's identity.
func (k accessKey) keys() []string {
	keys := accessKeyKeys(k.ID)
	switch k.UserType {
	case "AssumedRole", "Role":
		keys = append(keys, key("role", k.UserName)...)
	case "IAMUser":
		keys = append(keys, key("user", k.UserName)...)
	}
	return keys
}

// keys of a workload in Kubernetes, or of the service account that it was seen to act as. A service account is taken to
// have its workload's name, since findings from the cluster's audit log name no other.
func (k kubernetes) keys(cluster string) []string {
	keys := workloadKeys(cluster, k.Workload.Namespace, k.Workload.Name, k.Workload.Type)
	keys = append(keys, key("eks", cluster, k.Workload.Namespace, k.Workload.Account)...)
	if account, ok := strings.CutPrefix(k.User.Name, "system:serviceaccount:"); ok {
		namespace, name, _ := strings.Cut(account, ":")
		keys = append(keys, key("eks", cluster, namespace, name)...)
	}
	return append(keys, principalKeys(k.User.Name)...)
}

// keys of one of the resources that an attack went through.
func (s sequenceResource) keys() []string {
	keys := s.Data.AccessKey.keys()
	if s.Kind == "ACCESS_KEY" {
		keys = append(keys, accessKeyKeys(s.UID)...)
	}
	keys = append(keys, profileKeys(s.Data.Instance.Profile.ARN)...)
	keys = append(keys, profileKeys(s.UID)...)
	keys = append(keys, principalKeys(s.UID)...)
	if s.Kind == "LAMBDA" || strings.Contains(s.UID, ":function:") {
		keys = append(keys, lambdaKeys(s.UID)...)
	}
	if _, path, ok := strings.Cut(s.UID, ":task/"); ok { // arn:aws:ecs:…:task/<cluster>/<id>
		cluster, _, _ := strings.Cut(path, "/")
		keys = append(keys, taskKeys(cluster, "", s.Data.Task.Definition)...)
	}
	if _, group, ok := strings.Cut(s.UID, ":autoScalingGroupName/"); ok {
		keys = append(keys, key("ec2", group)...)
	}
	return keys
}
