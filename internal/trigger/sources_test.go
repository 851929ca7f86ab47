package trigger_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// event puts EventBridge's envelope around a detail.
func event(source, detailType, detail string, resources ...string) string {
	list, _ := json.Marshal(append([]string{}, resources...)) // texts always marshal
	return fmt.Sprintf(`{"id":"e-1","source":%q,"detail-type":%q,"resources":%s,"detail":%s}`, source, detailType, list, detail)
}

// meaning is a resolution in one line: type, mode and keys, or why it is ignored, or the error's code.
func meaning(text string) string {
	r, err := trigger.Resolve([]byte(text))
	switch {
	case err != nil:
		return string(fault.CodeOf(err))
	case r.Ignored != "":
		return "ignored: " + r.Ignored
	default:
		return string(r.Trigger.Type) + " " + string(r.Mode) + " " + strings.Join(r.Keys, " ")
	}
}

type sourceCase struct{ name, event, want string }

func check(t *testing.T, cases []sourceCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := meaning(c.event)
			if got != c.want && (!strings.HasPrefix(c.want, "ignored: ") || !strings.HasPrefix(got, "ignored: ") || !strings.Contains(got, strings.TrimPrefix(c.want, "ignored: "))) {
				t.Errorf("means %q, want %q", got, c.want)
			}
		})
	}
}

const secretARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/orders-db-Kq3xYz"

func TestDeployments(t *testing.T) {
	pipeline := func(detail string) string {
		return event("aws.codepipeline", "CodePipeline Pipeline Execution State Change", detail)
	}
	ecs := func(detail string, arns ...string) string {
		return event("aws.ecs", "ECS Deployment State Change", detail, arns...)
	}
	github := func(environment, state string) string {
		return event(trigger.WebhookSource, trigger.TypeGitHubDeployment,
			`{"repository":"Orders/Web","environment":"`+environment+`","deployment":7,"state":"`+state+`"}`)
	}
	check(t, []sourceCase{
		{"pipeline", pipeline(`{"pipeline":"p","execution-id":"1","state":"SUCCEEDED"}`), "deployment routine codepipeline:p"},
		{"pipeline that was superseded", pipeline(`{"pipeline":"p","execution-id":"1","state":"SUPERSEDED"}`), "ignored: SUPERSEDED"},
		{"pipeline without id", pipeline(`{"pipeline":"p","state":"SUCCEEDED"}`), "InputMalformed"},
		{"service", ecs(`{"eventName":"SERVICE_DEPLOYMENT_COMPLETED","deploymentId":"d"}`, "arn:aws:ecs:us-east-1:0:service/c/s"), "deployment routine ecs:c/s"},
		{"service, short ARN", ecs(`{"eventName":"SERVICE_DEPLOYMENT_COMPLETED","deploymentId":"d"}`, "arn:aws:ecs:us-east-1:0:service/s"), "ignored: short form"},
		{"service, no id", ecs(`{"eventName":"SERVICE_DEPLOYMENT_COMPLETED"}`, "arn:aws:ecs:us-east-1:0:service/c/s"), "InputMalformed"},
		{"task", event("aws.ecs", "ECS Task State Change", `{}`), "ignored: only the deployment of a service"},
		{"github", github("production", "success"), "deployment routine github:orders/web github:orders/web@production"},
		{"github, no environment", github("", "success"), "deployment routine github:orders/web"},
		{"github, inactive", github("production", "inactive"), "ignored: inactive"},
		{"github, more than its members", event(trigger.WebhookSource, trigger.TypeGitHubDeployment, `{"token":"hunter2"}`), "InputMalformed"},
	})
}

func TestCommits(t *testing.T) {
	push := func(detail string) string { return event(trigger.WebhookSource, trigger.TypeGitHubPush, detail) }
	codecommit := func(kind, reference, name string) string {
		return event("aws.codecommit", "CodeCommit Repository State Change",
			`{"event":"`+kind+`","repositoryName":"shop","referenceType":"`+reference+`","referenceName":"`+name+`","commitId":"abc"}`)
	}
	check(t, []sourceCase{
		{"default branch", push(`{"repository":"Orders/Web","ref":"refs/heads/trunk","default_branch":"trunk","after":"abc","commits":1,"files":["a"]}`), "commit routine repository:orders/web"},
		{"other branch", push(`{"repository":"o/w","ref":"refs/heads/x","default_branch":"main","after":"abc","commits":1,"files":["a"]}`), "ignored: default branch"},
		{"tag named as the branch", push(`{"repository":"o/w","ref":"refs/tags/main","default_branch":"main","after":"abc","commits":1,"files":["a"]}`), "ignored: default branch"},
		{"deleted", push(`{"repository":"o/w","ref":"refs/heads/main","default_branch":"main","after":"0000000000000000000000000000000000000000","commits":0,"files":[]}`), "ignored: deleted"},
		{"no commit", push(`{"repository":"o/w","ref":"refs/heads/main","default_branch":"main","after":"abc","commits":0,"files":[]}`), "ignored: no commit"},
		{"rewritten", push(`{"repository":"o/w","ref":"refs/heads/main","default_branch":"main","after":"abc","commits":0,"files":[],"files_unknown":"x"}`), "commit routine repository:o/w"},
		{"no repository", push(`{"repository":"w","ref":"refs/heads/main","default_branch":"main","after":"abc","commits":1,"files":[]}`), "InputMalformed"},
		{"codecommit updated", codecommit("referenceUpdated", "branch", "main"), "commit routine codecommit:shop"},
		{"codecommit created", codecommit("referenceCreated", "branch", "master"), "commit routine codecommit:shop"},
		{"codecommit tag", codecommit("referenceCreated", "tag", "main"), "ignored: tag main"},
		{"codecommit deleted", codecommit("referenceDeleted", "branch", "main"), "ignored: no commit"},
		{"codecommit, pull request", event("aws.codecommit", "CodeCommit Pull Request State Change", `{}`), "ignored: branch that moved"},
	})
}

func TestCommitPaths(t *testing.T) {
	c := contract.Contract{
		Name: "x", Environment: "prod", RotateOn: []string{"commit"}, Repositories: []string{"o/w"}, CommitPaths: []string{"db/**", "config/*.yaml"},
	}
	commit := trigger.Trigger{Type: trigger.Commit, ID: "1"}
	for name, x := range map[string]struct {
		paths   []string
		changes trigger.Changes
		because string // "" if it is spared
	}{
		"by the second path":  {c.CommitPaths, trigger.Changes{Files: []string{"README.md", "config/app.yaml"}}, "config/app.yaml is in config/*.yaml"},
		"elsewhere":           {c.CommitPaths, trigger.Changes{Files: []string{"README.md"}}, ""},
		"nothing":             {c.CommitPaths, trigger.Changes{}, ""},
		"no paths":            {nil, trigger.Changes{Files: []string{"README.md"}}, "commits in o/w count"},
		"files unknown":       {c.CommitPaths, trigger.Changes{Unknown: "too many"}, "any file may have changed, too many"},
		"some known, and one": {c.CommitPaths, trigger.Changes{Files: []string{"db/1"}, Unknown: "too many"}, "db/1 is in db/**"},
	} {
		t.Run(name, func(t *testing.T) {
			c := c
			c.CommitPaths = x.paths
			r := trigger.Resolution{Trigger: commit, Mode: trigger.Routine, Keys: []string{"repository:o/w"}, Changes: &x.changes}
			affected, spared := trigger.Affected(r, []trigger.Candidate{{Contract: c, Via: "repository:o/w"}})
			switch {
			case x.because == "" && (len(affected) != 0 || len(spared) != 1 || !strings.Contains(spared[0].Because, "commit_paths")):
				t.Errorf("affected %v, spared %v", affected, spared)
			case x.because != "" && (len(affected) != 1 || !strings.Contains(affected[0].Because, x.because)):
				t.Errorf("affected %v, spared %v, want because %q", affected, spared, x.because)
			}
		})
	}
}

func TestEnvironmentsOfDeployments(t *testing.T) {
	c := contract.Contract{Name: "x", Environment: "prod", RotateOn: []string{"deployment"}}
	for _, x := range []struct {
		theirs, via string
		affected    bool
	}{
		{"prod", "github:o/w", true},
		{"Production", "github:o/w", true},
		{"", "github:o/w", true},
		{"staging", "github:o/w", false},
		{"eu-live", "github:o/w", false},
		{"eu-live", "github:o/w@eu-live", true},
	} {
		r := trigger.Resolution{
			Trigger: trigger.Trigger{Type: trigger.Deployment, ID: "1"}, Mode: trigger.Routine, Keys: []string{x.via}, Environment: x.theirs,
		}
		affected, spared := trigger.Affected(r, []trigger.Candidate{{Contract: c, Via: x.via}})
		if (len(affected) == 1) != x.affected || len(affected)+len(spared) != 1 {
			t.Errorf("deployed to %q, found by %s: affected %v, spared %v", x.theirs, x.via, affected, spared)
		}
	}
}
