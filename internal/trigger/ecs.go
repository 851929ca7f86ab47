package trigger

import (
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// ecs reads "ECS Deployment State Change", whose resources are the service's ARN:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
func ecs(e envelope) (Resolution, error) {
	var d struct {
		Name       string `json:"eventName"`
		Deployment string `json:"deploymentId"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.Name == "" || d.Deployment == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "ECS event %q lacks eventName or deploymentId", clip(e.ID, 64))
	}
	t := Trigger{Type: Deployment, ID: identity(d.Deployment), Source: e.Source}
	if d.Name != "SERVICE_DEPLOYMENT_COMPLETED" {
		return ignore(t, clip(d.Name, 40)+" is not SERVICE_DEPLOYMENT_COMPLETED"), nil
	}
	var keys []string
	for _, arn := range e.Resources {
		if _, path, ok := strings.Cut(arn, ":service/"); ok && strings.Count(path, "/") == 1 {
			keys = append(keys, key("ecs", strings.Split(path, "/")...)...)
			t.Reason = "ECS deployed service " + clip(path, 255)
		}
	}
	if len(keys) == 0 {
		return ignore(t, "the event names no service with its cluster; services with the short form of ARN are not found"), nil
	}
	return found(t, keys...)
}
