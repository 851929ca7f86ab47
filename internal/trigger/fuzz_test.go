package trigger_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// seed gives a fuzz test every sample, and every sample's detail.
func seed(f *testing.F) {
	files, err := filepath.Glob(samples + "/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		var e struct {
			Detail json.RawMessage `json:"detail"`
		}
		if json.Unmarshal(data, &e) == nil && len(e.Detail) > 0 {
			f.Add([]byte(e.Detail))
		}
	}
}

// sound checks what holds of every resolution, whatever it was made of.
func sound(t *testing.T, r trigger.Resolution, err error) {
	t.Helper()
	if err != nil {
		if fault.CodeOf(err) != fault.InputMalformed {
			t.Errorf("error of another code: %v", err)
		}
		if len(err.Error()) > 1024 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		return
	}
	if (r.Ignored == "") != (len(r.Keys) > 0) || (r.Mode == trigger.None) != (r.Ignored != "") {
		t.Errorf("neither affecting nor ignored, or both: %+v", r)
	}
	if r.Ignored == "" && (r.Trigger.ID == "" || r.Trigger.Type == "" || r.Trigger.Source == "") {
		t.Errorf("a trigger without id, type or source: %+v", r)
	}
	if r.Trigger.Severity < 0 || r.Trigger.Severity > 10 || len(r.Keys) > trigger.MaxKeys {
		t.Errorf("severity %g, %d keys", r.Trigger.Severity, len(r.Keys))
	}
	text := r.Trigger.ID + r.Trigger.Source + r.Trigger.Actor + r.Trigger.Reason + r.Ignored
	if len(text) > 4096 {
		t.Errorf("the record gets %d bytes: %.200q…", len(text), text)
	}
	text += strings.Join(r.Keys, "")
	if strings.ContainsAny(text, "\n\r\x00\x1b") || !bytes.Equal([]byte(text), bytes.ToValidUTF8([]byte(text), nil)) {
		t.Errorf("control characters reach the record: %q", text)
	}
}

func FuzzResolve(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, event []byte) {
		r, err := trigger.Resolve(event)
		sound(t, r, err)
	})
}

// FuzzDetail gives any detail to every source.
func FuzzDetail(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, detail []byte) {
		if !json.Valid(detail) {
			return
		}
		for _, k := range trigger.Read() {
			source := k.Source
			switch {
			case source == "": // any that calls are reported of
				source = "aws.secretsmanager"
			case strings.HasSuffix(source, "/"):
				source += "1/x"
			}
			r, err := trigger.Resolve([]byte(event(source, k.DetailType, string(detail), "arn:aws:ecs:us-east-1:0:service/c/s")))
			sound(t, r, err)
		}
	})
}

// FuzzWebhooks gives any body to every reader of webhooks. What they make of it fits on the bus and means the same there.
func FuzzWebhooks(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func([]byte) (trigger.Normalised, error){
			func(b []byte) (trigger.Normalised, error) { return trigger.NewGitHubPush(b) },
			func(b []byte) (trigger.Normalised, error) { return trigger.NewGitHubDeployment(b) },
			func(b []byte) (trigger.Normalised, error) { return trigger.NewPagerDutyIncident(b) },
			func(b []byte) (trigger.Normalised, error) { return trigger.NewSIEMAlert(b) },
			func(b []byte) (trigger.Normalised, error) { return trigger.NewProviderChange(b) },
		} {
			n, err := read(body)
			if err != nil {
				sound(t, trigger.Resolution{}, err)
				continue
			}
			onTheBus(t, n)
		}
	})
}

// onTheBus sends a detail through the bus and back.
func onTheBus(t *testing.T, n trigger.Normalised) {
	t.Helper()
	want, wantErr := n.Resolution()
	sound(t, want, wantErr)
	detail, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(detail) > trigger.MaxEvent-4096 {
		return // the receiver refuses bodies of this size, and so does Resolve
	}
	got, gotErr := trigger.Resolve([]byte(event(trigger.WebhookSource, n.DetailType(), string(detail))))
	if (wantErr == nil) != (gotErr == nil) {
		t.Fatalf("%s: %v on the bus, %v before", n.DetailType(), gotErr, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s means something else on the bus: %s", n.DetailType(), diff)
	}
}
