package trigger

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Bounds of a push. Beyond them the files count as unknown, and then every path may have changed.
const (
	maxFiles     = 1000
	maxFileBytes = 64 << 10 // as JSON
	// GitHub lists no more commits than these: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
	maxCommits = 2048
)

// GitHubPush says which files a push to a branch changed. No commit message: people write anything there.
type GitHubPush struct {
	Repository    string   `json:"repository"` // owner/name
	Ref           string   `json:"ref"`        // refs/heads/main
	DefaultBranch string   `json:"default_branch"`
	After         string   `json:"after"` // commit that the branch is at now; zeros when it was deleted
	Commits       int      `json:"commits"`
	Pusher        string   `json:"pusher,omitempty"`
	Files         []string `json:"files"`                   // added, modified or removed, sorted
	FilesUnknown  string   `json:"files_unknown,omitempty"` // why Files is not everything
}

// DetailType is TypeGitHubPush.
func (GitHubPush) DetailType() string { return TypeGitHubPush }

// Compiled when it is first needed: counted repeats are unrolled, and every function that only starts would pay for it.
var repository = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_.-]{1,39}/[A-Za-z0-9_.-]{1,100}$`)
})

// NewGitHubPush reads the body of GitHub's webhook "push", whose signature the caller has checked.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
// Errors: InputMalformed.
func NewGitHubPush(body []byte) (GitHubPush, error) {
	var b struct {
		Ref        string `json:"ref"`
		After      string `json:"after"`
		Forced     bool   `json:"forced"`
		Repository struct {
			FullName      string `json:"full_name"`
			DefaultBranch string `json:"default_branch"`
		} `json:"repository"`
		Pusher struct {
			Name string `json:"name"`
		} `json:"pusher"`
		Commits []struct {
			Added    []string `json:"added"`
			Modified []string `json:"modified"`
			Removed  []string `json:"removed"`
		} `json:"commits"`
	}
	if err := outside(body, &b, "the push"); err != nil {
		return GitHubPush{}, err
	}
	p := GitHubPush{
		Repository: clip(b.Repository.FullName, 140), Ref: clip(b.Ref, 250), DefaultBranch: clip(b.Repository.DefaultBranch, 250),
		After: clip(b.After, 64), Commits: len(b.Commits), Pusher: clip(b.Pusher.Name, 100), Files: []string{},
	}
	for _, c := range b.Commits {
		p.Files = slices.Concat(p.Files, c.Added, c.Modified, c.Removed)
	}
	slices.Sort(p.Files)
	p.Files = slices.Compact(p.Files)
	if list, _ := json.Marshal(p.Files); len(p.Files) > maxFiles || len(list) > maxFileBytes { // a list of texts marshals
		p.Files, p.FilesUnknown = []string{}, "the push changes more files than fit in an event"
	}
	switch {
	case b.Forced:
		p.FilesUnknown = "history was rewritten, and what is gone is not listed"
	case len(b.Commits) >= maxCommits:
		p.FilesUnknown = fmt.Sprintf("GitHub lists no more than %d commits", maxCommits)
	}
	return p, nil
}

// Resolution affects the contracts that count the repository's commits, if the push is to its default branch.
func (p GitHubPush) Resolution() (Resolution, error) {
	if !repository().MatchString(p.Repository) || p.Ref == "" || p.DefaultBranch == "" || p.After == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "the push lacks repository, default branch, ref or commit")
	}
	t := Trigger{Type: Commit, ID: identity(p.Repository + "@" + p.After), Source: "github", Actor: clip(p.Pusher, 100)}
	switch {
	case p.Ref != "refs/heads/"+p.DefaultBranch:
		return ignore(t, "the push is to "+clip(p.Ref, 100)+" and not to the default branch "+clip(p.DefaultBranch, 100)), nil
	case strings.Trim(p.After, "0") == "":
		return ignore(t, "the branch was deleted"), nil
	case p.Commits == 0 && p.FilesUnknown == "":
		return ignore(t, "the push brings no commit"), nil
	}
	t.Reason = "commit " + clip(p.After, 40) + " in " + p.Repository
	r, err := found(t, "repository:"+strings.ToLower(p.Repository))
	r.Changes = &Changes{Files: p.Files, Unknown: clip(p.FilesUnknown, 100)}
	return r, err
}

// GitHubDeployment is the state that a deployment has come to.
type GitHubDeployment struct {
	Repository  string `json:"repository"`  // owner/name
	Environment string `json:"environment"` // as GitHub calls it
	Deployment  int64  `json:"deployment"`  // id
	State       string `json:"state"`       // success, failure, …
	Commit      string `json:"commit,omitempty"`
	Creator     string `json:"creator,omitempty"`
}

// DetailType is TypeGitHubDeployment.
func (GitHubDeployment) DetailType() string { return TypeGitHubDeployment }

// NewGitHubDeployment reads the body of GitHub's webhook "deployment_status", whose signature the caller has checked.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status
// Errors: InputMalformed.
func NewGitHubDeployment(body []byte) (GitHubDeployment, error) {
	var b struct {
		Status struct {
			State       string `json:"state"`
			Environment string `json:"environment"`
		} `json:"deployment_status"`
		Deployment struct {
			ID          int64  `json:"id"`
			SHA         string `json:"sha"`
			Environment string `json:"environment"`
			Creator     struct {
				Login string `json:"login"`
			} `json:"creator"`
		} `json:"deployment"`
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	if err := outside(body, &b, "the deployment status"); err != nil {
		return GitHubDeployment{}, err
	}
	environment := b.Status.Environment
	if environment == "" {
		environment = b.Deployment.Environment
	}
	return GitHubDeployment{
		Repository: clip(b.Repository.FullName, 140), Environment: clip(environment, 255), Deployment: b.Deployment.ID,
		State: clip(b.Status.State, 20), Commit: clip(b.Deployment.SHA, 64), Creator: clip(b.Deployment.Creator.Login, 100),
	}, nil
}

// Resolution affects the secrets of the services that the repository deploys to this environment, if it succeeded.
func (d GitHubDeployment) Resolution() (Resolution, error) {
	if !repository().MatchString(d.Repository) || d.Deployment == 0 || d.State == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "the deployment status lacks repository, deployment or state")
	}
	t := Trigger{
		Type: Deployment, ID: fmt.Sprintf("%s#%d", d.Repository, d.Deployment), Source: "github", Actor: clip(d.Creator, 100),
	}
	if d.State != "success" {
		return ignore(t, "deployment state "+clip(d.State, 20)+" is not success"), nil
	}
	t.Reason = "GitHub deployed " + d.Repository + " to " + clip(d.Environment, 100)
	keys := []string{"github:" + strings.ToLower(d.Repository)}
	if d.Environment != "" {
		keys = append(keys, clip(keys[0]+"@"+strings.ToLower(d.Environment), 512))
	}
	r, err := found(t, keys...)
	r.Environment = clip(d.Environment, 255)
	return r, err
}

// MaxFingerprints is how many leaked tokens one event may bring.
const MaxFingerprints = 100

// SecretScanning says that tokens, of which some may be values that Mayfly keeps, were found in a place where they do not
// belong. The tokens themselves end with the receiver: a fingerprint is made with a key of Mayfly's own, and leads to a
// secret through the registry alone.
type SecretScanning struct {
	ID           string   `json:"id"`                 // the same whenever the same tokens are found
	Fingerprints []string `json:"fingerprints"`       // 64 hex digits each, 1 to MaxFingerprints of them
	Kind         string   `json:"kind,omitempty"`     // GitHub's name for this type of token
	Where        string   `json:"where,omitempty"`    // content, commit, issue_body, …
	Location     string   `json:"location,omitempty"` // URL of the place, without query
}

// DetailType is TypeSecretScanning.
func (SecretScanning) DetailType() string { return TypeSecretScanning }

// Resolution contains the secrets whose values were found, if any: what is in the open is in wrong hands.
func (s SecretScanning) Resolution() (Resolution, error) {
	if s.ID == "" || len(s.Fingerprints) == 0 || len(s.Fingerprints) > MaxFingerprints {
		return Resolution{}, fault.New(fault.InputMalformed, "the alert lacks its id, or has not 1 to %d fingerprints", MaxFingerprints)
	}
	t := Trigger{Type: Incident, ID: identity(s.ID), Source: "github", Severity: exposed, Reason: "GitHub found the value in the open"}
	if s.Location != "" {
		at, _, _ := strings.Cut(s.Location, "?")
		t.Reason += " at " + clip(at, 300)
	}
	keys := make([]string, len(s.Fingerprints))
	for i, print := range s.Fingerprints {
		if len(print) != 64 || strings.Trim(print, "0123456789abcdef") != "" {
			return Resolution{}, fault.New(fault.InputMalformed, "fingerprint %d of the alert has not 64 hex digits", i)
		}
		keys[i] = KeyFingerprint + print
	}
	return found(t, keys...)
}
