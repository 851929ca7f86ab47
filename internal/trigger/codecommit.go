package trigger

import (
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// codeCommit reads "CodeCommit Repository State Change":
// https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
// These events name neither the repository's default branch nor the files that changed. So the branches main and master
// count, and a contract with commit_paths is affected by every commit there: a rotation too many disturbs nobody, a value
// that should have ended and did not is what the contract forbids.
func codeCommit(e envelope) (Resolution, error) {
	var d struct {
		Event      string `json:"event"`
		Repository string `json:"repositoryName"`
		Kind       string `json:"referenceType"`
		Reference  string `json:"referenceName"`
		Commit     string `json:"commitId"`
		Caller     string `json:"callerUserArn"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if d.Event == "" || d.Repository == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "CodeCommit event %q lacks event or repositoryName", clip(e.ID, 64))
	}
	t := Trigger{Type: Commit, ID: identity(d.Repository + "@" + d.Commit), Source: e.Source, Actor: clip(d.Caller, 256)}
	switch {
	case d.Event != "referenceCreated" && d.Event != "referenceUpdated":
		return ignore(t, clip(d.Event, 40)+" brings no commit"), nil
	case d.Kind != "branch" || !slices.Contains([]string{"main", "master"}, d.Reference):
		return ignore(t, clip(d.Kind+" "+d.Reference, 100)+" is not the branch main or master"), nil
	case d.Commit == "":
		return Resolution{}, fault.New(fault.InputMalformed, "CodeCommit event %q lacks commitId", clip(e.ID, 64))
	}
	t.Reason = "commit " + clip(d.Commit, 40) + " in CodeCommit repository " + clip(d.Repository, 100)
	r, err := found(t, key("codecommit", d.Repository)...)
	r.Changes = &Changes{Unknown: "CodeCommit does not say which files changed"}
	return r, err
}
