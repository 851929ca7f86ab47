package trigger

import "github.com/mayfly-secrets/mayfly/internal/fault"

// codePipeline reads "CodePipeline Pipeline Execution State Change":
// https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
// Stages and actions are parts of it; only the whole pipeline says that the release is out.
func codePipeline(e envelope) (Resolution, error) {
	var d struct {
		Pipeline  string `json:"pipeline"`
		Execution string `json:"execution-id"`
		State     string `json:"state"`
		Cause     struct {
			Detail string `json:"trigger-detail"`
		} `json:"execution-trigger"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.Pipeline == "" || d.Execution == "" || d.State == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "CodePipeline event %q lacks pipeline, execution-id or state", clip(e.ID, 64))
	}
	t := Trigger{Type: Deployment, ID: identity(d.Execution), Source: e.Source}
	if d.State != "SUCCEEDED" {
		return ignore(t, "pipeline state "+clip(d.State, 20)+" is not SUCCEEDED"), nil
	}
	t.Actor, t.Reason = clip(d.Cause.Detail, 256), "CodePipeline released "+clip(d.Pipeline, 100)
	return found(t, key("codepipeline", d.Pipeline)...)
}
