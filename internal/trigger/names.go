package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// key is a lookup key as contract.Keys makes them; none for a name that is missing.
func key(kind string, name ...string) []string {
	for _, part := range name {
		if part == "" {
			return nil
		}
	}
	return []string{kind + ":" + clip(strings.Join(name, "/"), 512)}
}

// principalKeys of an IAM or STS ARN: the role, also where a session of it is named, or the user.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func principalKeys(arn string) []string {
	if role := contract.RoleName(arn); role != "" {
		return key("role", role)
	}
	if _, session, ok := strings.Cut(arn, ":assumed-role/"); ok {
		role, _, _ := strings.Cut(session, "/")
		return key("role", role)
	}
	if _, path, ok := strings.Cut(arn, ":user/"); ok {
		return key("user", lastOf(path, "/"))
	}
	return nil
}

// profileKeys of an instance profile: its own, and that of the role with its name, as the console creates the two.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html
func profileKeys(arn string) []string {
	_, path, ok := strings.Cut(arn, ":instance-profile/")
	if !ok {
		return nil
	}
	return append(key("profile", lastOf(path, "/")), key("role", lastOf(path, "/"))...)
}

// Compiled when it is first needed: counted repeats are unrolled, and every function that only starts would pay for it.
var longLived = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
})

// accessKeyKeys of an access key's id. Those that are issued for a session (ASIA…) are in no contract: the role is.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
func accessKeyKeys(id string) []string {
	if !longLived().MatchString(id) {
		return nil
	}
	return key("accesskey", id)
}

// lambdaKeys of a function's name or ARN, without a version.
func lambdaKeys(name string) []string {
	if _, rest, ok := strings.Cut(name, ":function:"); ok {
		name, _, _ = strings.Cut(rest, ":")
	}
	return key("lambda", name)
}

// taskKeys of an ECS task: its service, and where that is not named, the service with the name of its task definition.
// Group is "service:<name>" for the tasks of a service.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
func taskKeys(cluster, group, definition string) []string {
	cluster = lastOf(cluster, "/")
	if service, ok := strings.CutPrefix(group, "service:"); ok {
		return key("ecs", cluster, service)
	}
	_, family, ok := strings.Cut(definition, ":task-definition/")
	if !ok || group != "" && !strings.HasPrefix(group, "family:") {
		return nil
	}
	family, _, _ = strings.Cut(family, ":")
	return key("ecs", cluster, family)
}

// workloadKeys of something that runs in Kubernetes. A pod is named after its workload: <workload>-<hash>-<id> by a
// deployment, <workload>-<id> by a daemon set or stateful set.
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
func workloadKeys(cluster, namespace, name, kind string) []string {
	keys := key("eks", cluster, namespace, name)
	if kind != "pods" {
		return keys
	}
	for range 2 {
		at := strings.LastIndex(name, "-")
		if at <= 0 {
			break
		}
		name = name[:at]
		keys = append(keys, key("eks", cluster, namespace, name)...)
	}
	return keys
}

var suffixed = regexp.MustCompile(`^(.+)-[A-Za-z0-9]{6}$`)

// secretKeys of what an API call calls a secret: its name, its ARN, or its ARN without the six characters that Secrets
// Manager adds; a name that no contract could have gives none.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen
func secretKeys(id string) []string {
	_, name, arn := strings.Cut(id, ":secret:")
	if !arn {
		name = id
	}
	var keys []string
	if arn {
		if m := suffixed.FindStringSubmatch(name); m != nil && secretID.MatchString(m[1]) {
			keys = append(keys, KeySecret+clip(m[1], 128))
		}
	}
	if secretID.MatchString(name) && len(name) <= 128 {
		keys = append(keys, KeySecret+name)
	}
	return keys
}

// identity makes an id from outside fit for a trigger without making two ids one.
func identity(text string) string {
	if text == clip(text, 256) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func lastOf(path, separator string) string { return path[strings.LastIndex(path, separator)+1:] }
