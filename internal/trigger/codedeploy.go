package trigger

import "github.com/mayfly-secrets/mayfly/internal/fault"

// codeDeploy reads "CodeDeploy Deployment State-change Notification":
// https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
// Only a deployment that succeeded ends the life of what ran before it; one that failed leaves the old version at work.
func codeDeploy(e envelope) (Resolution, error) {
	var d struct {
		Application     string `json:"application"`
		DeploymentGroup string `json:"deploymentGroup"`
		DeploymentID    string `json:"deploymentId"`
		State           string `json:"state"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.Application == "" || d.DeploymentID == "" || d.State == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "CodeDeploy event %q lacks application, deploymentId or state", clip(e.ID, 64))
	}
	app, group := clip(d.Application, 100), clip(d.DeploymentGroup, 100)
	t := Trigger{
		Type: Deployment, ID: identity(d.DeploymentID), Source: e.Source,
		Reason: "CodeDeploy deployed application " + app + ", group " + group,
	}
	if d.State != "SUCCESS" {
		t.Reason = ""
		return ignore(t, "deployment state "+clip(d.State, 20)+" is not SUCCESS"), nil
	}
	keys := []string{"codedeploy:" + app}
	if group != "" {
		keys = append(keys, "codedeploy:"+app+"/"+group)
	}
	return found(t, keys...)
}
