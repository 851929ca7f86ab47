package trigger_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// pushed is the body of a push of so many commits, each of which adds one file, with further members.
func pushed(commits int, file func(int) string, members string) []byte {
	var list []string
	for i := range commits {
		name, _ := json.Marshal(file(i)) // text marshals
		list = append(list, fmt.Sprintf(`{"message":"hunter2","added":[%s],"modified":["m"],"removed":[]}`, name))
	}
	return []byte(`{"ref":"refs/heads/main","after":"abc","repository":{"full_name":"o/w","default_branch":"main"},"pusher":{"name":"dana"},` +
		members + `"commits":[` + strings.Join(list, ",") + `]}`)
}

func TestGitHubPush(t *testing.T) {
	short := func(i int) string { return fmt.Sprint("f", i) }
	for name, c := range map[string]struct {
		body    []byte
		files   int
		unknown string
	}{
		"three commits":       {pushed(3, short, ""), 4, ""},
		"rewritten":           {pushed(1, short, `"forced":true,`), 2, "rewritten"},
		"too many files":      {pushed(1500, short, ""), 0, "more files"},
		"too long names":      {pushed(30, func(i int) string { return strings.Repeat("<", 500) + short(i) }, ""), 0, "more files"},
		"as many as are sent": {pushed(2048, func(int) string { return "same" }, ""), 2, "2048 commits"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := trigger.NewGitHubPush(c.body)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Files) != c.files || (p.FilesUnknown == "") != (c.unknown == "") || !strings.Contains(p.FilesUnknown, c.unknown) {
				t.Errorf("%d files, unknown %q; want %d, %q", len(p.Files), p.FilesUnknown, c.files, c.unknown)
			}
			if detail, _ := json.Marshal(p); strings.Contains(string(detail), "hunter2") || len(detail) > 100<<10 {
				t.Errorf("the event has %d bytes and what people wrote", len(detail))
			}
			onTheBus(t, p)
		})
	}
}

// The body of a webhook means the same with mayfly explain as what the receiver makes of it.
func TestBodiesAndTheirEvents(t *testing.T) {
	for file, read := range map[string]func([]byte) (trigger.Normalised, error){
		"github-push.json":                  func(b []byte) (trigger.Normalised, error) { return trigger.NewGitHubPush(b) },
		"github-deployment-status.json":     func(b []byte) (trigger.Normalised, error) { return trigger.NewGitHubDeployment(b) },
		"pagerduty-incident-triggered.json": func(b []byte) (trigger.Normalised, error) { return trigger.NewPagerDutyIncident(b) },
	} {
		n, err := read(sample(t, file))
		if err != nil {
			t.Fatal(err)
		}
		onTheBus(t, n)
		want, err := n.Resolution()
		if err != nil {
			t.Fatal(err)
		}
		got, err := trigger.Resolve(sample(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || got.Ignored != "" {
			t.Errorf("%s: ignored %q %s", file, got.Ignored, diff)
		}
	}
}

func TestLimits(t *testing.T) {
	names := func(n int, format string) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return strings.Join(list, ",")
	}
	sequence := func(n int) string {
		return finding(`"severity":9.5,"service":{"detection":{"sequence":{"actors":[` + names(n, `{"user":{"name":"r%d","type":"Role"}}`) + `]}}}`)
	}
	if r, err := trigger.Resolve([]byte(sequence(trigger.MaxKeys))); err != nil || len(r.Keys) != trigger.MaxKeys {
		t.Errorf("%d keys, %v", len(r.Keys), err)
	}
	check(t, []sourceCase{{"one too many", sequence(trigger.MaxKeys + 1), "InputMalformed"}})
	long := strings.Repeat("x", 600)
	one, err := trigger.Resolve([]byte(finding(`"severity":8,"resource":{"accessKeyDetails":{"userName":"r","userType":"Role"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{one.Trigger.ID: true}
	for _, id := range []string{long + "a", long + "b", "a\\nb", "a b"} {
		r, err := trigger.Resolve([]byte(strings.Replace(finding(`"severity":8,"resource":{"accessKeyDetails":{"userName":"r","userType":"Role"}}`), "f-1", id, 1)))
		if err != nil || ids[r.Trigger.ID] || len(r.Trigger.ID) > 256 {
			t.Errorf("id %.20q… becomes %q (%v)", id, r.Trigger.ID, err)
		}
		ids[r.Trigger.ID] = true
	}
}
