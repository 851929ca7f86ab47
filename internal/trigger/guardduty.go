package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// finding holds the members of a GuardDuty finding that say who is meant:
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
type finding struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Severity *float64 `json:"severity"`
	Resource struct {
		AccessKey accessKey `json:"accessKeyDetails"`
		Instance  instance  `json:"instanceDetails"`
		Lambda    struct {
			Name string `json:"functionName"`
			Role string `json:"role"`
		} `json:"lambdaDetails"`
		ECS struct {
			Name string `json:"name"`
			Task struct {
				Group string `json:"group"` // "service:<name>" for the tasks of a service
			} `json:"taskDetails"`
		} `json:"ecsClusterDetails"`
		Database struct {
			Instance string `json:"dbInstanceIdentifier"`
			Cluster  string `json:"dbClusterIdentifier"`
		} `json:"rdsDbInstanceDetails"`
		DatabaseUser struct {
			User string `json:"user"`
		} `json:"rdsDbUserDetails"`
	} `json:"resource"`
	Service struct {
		Archived   bool            `json:"archived"`
		Additional json.RawMessage `json:"additionalInfo"`
		Detection  struct {
			Sequence sequence `json:"sequence"`
		} `json:"detection"`
	} `json:"service"`
}

type accessKey struct {
	UserName string `json:"userName"`
	UserType string `json:"userType"` // AssumedRole, IAMUser, Root, …
}

type instance struct {
	Profile struct {
		ARN string `json:"arn"`
	} `json:"iamInstanceProfile"`
}

// sequence is what AttackSequence findings have instead of one resource.
type sequence struct {
	Actors []struct {
		User struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"user"`
	} `json:"actors"`
	Resources []struct {
		Data struct {
			AccessKey accessKey `json:"accessKey"`
			Instance  instance  `json:"ec2Instance"`
		} `json:"data"`
	} `json:"resources"`
}

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
		Type: Incident, ID: clip(f.ID, 256), Source: e.Source, Severity: *f.Severity,
		Reason: fmt.Sprintf("GuardDuty %s, severity %.1f", clip(f.Type, 128), *f.Severity),
	}
	switch keys := f.keys(); {
	case f.sample():
		return ignore(t, "it is a sample finding"), nil
	case f.Service.Archived:
		return ignore(t, "the finding is archived"), nil
	case len(keys) == 0:
		return ignore(t, "the finding names no role, task, function or database login"), nil
	default:
		return found(t, keys...), nil
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
	keys := append(r.AccessKey.keys(), r.Instance.keys()...)
	for _, a := range f.Service.Detection.Sequence.Actors {
		keys = append(keys, accessKey{UserName: a.User.Name, UserType: a.User.Type}.keys()...)
	}
	for _, s := range f.Service.Detection.Sequence.Resources {
		keys = append(keys, s.Data.AccessKey.keys()...)
		keys = append(keys, s.Data.Instance.keys()...)
	}
	if r.Lambda.Name != "" {
		keys = append(keys, "lambda:"+clip(r.Lambda.Name, 140))
	}
	if role := contract.RoleName(r.Lambda.Role); role != "" {
		keys = append(keys, "role:"+clip(role, 64))
	}
	if service, ok := strings.CutPrefix(r.ECS.Task.Group, "service:"); ok && r.ECS.Name != "" {
		keys = append(keys, "ecs:"+clip(r.ECS.Name, 255)+"/"+clip(service, 255))
	}
	for _, server := range []string{r.Database.Instance, r.Database.Cluster} {
		if server != "" && r.DatabaseUser.User != "" {
			keys = append(keys, "dbuser:"+clip(r.DatabaseUser.User, 63)+"@"+clip(server, 63))
		}
	}
	return keys
}

// keys of an access key are those of the role that it was issued for; users and root are no service's identity.
func (k accessKey) keys() []string {
	if k.UserName == "" || (k.UserType != "AssumedRole" && k.UserType != "Role") {
		return nil
	}
	return []string{"role:" + clip(k.UserName, 64)}
}

// keys of an instance are those of the role with its profile's name, as the console creates the two:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html
func (i instance) keys() []string {
	_, path, ok := strings.Cut(i.Profile.ARN, ":instance-profile/")
	if !ok {
		return nil
	}
	return []string{"role:" + clip(path[strings.LastIndex(path, "/")+1:], 128)}
}
