package infra_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/events/pattern"
	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
)

// bulk is what makes events of each kind large, where it lies in the detail; * is every element of a list.
var bulk = map[string][]string{
	"GuardDuty Finding": {"description", "title", "resource.instanceDetails.networkInterfaces", "resource.s3BucketDetails",
		"resource.kubernetesDetails.kubernetesWorkloadDetails.containers", "service.runtimeDetails", "service.detection.sequence.signals",
		"service.detection.sequence.endpoints", "service.evidence"},
	"Security Hub Findings - Imported": {"findings.*.Description", "findings.*.ProductFields", "findings.*.Vulnerabilities", "findings.*.Process",
		"findings.*.UserDefinedFields", "findings.*.FindingProviderFields"},
	"AWS Health Event":            {"eventDescription", "eventMetadata"},
	"AWS API Call via CloudTrail": {"requestParameters.policyDocument", "requestParameters.resourcePolicy", "requestParameters.policy", "responseElements.policy", "additionalEventData"},
}

// What is larger than Step Functions carries arrives small and means the same, whatever of it is missing.
func TestLargeEventsArriveSmall(t *testing.T) {
	const megabyte, small = 1 << 20, 32 << 10
	made := synthesized()
	rules, patterns := made.rules(t), made.patterns(t)
	files, err := filepath.Glob("../events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range answering(t, patterns, event) {
			transformer := rules[by].transformer
			if transformer == nil {
				continue
			}
			seen[by]++
			large, kind := enlarged(t, event, megabyte)
			if got := matching(t, patterns, large); !slices.Contains(got, by) {
				t.Errorf("%s, as large as that, is answered by %v", file, got)
			}
			want, err := trigger.Resolve(event)
			if err != nil {
				t.Fatal(file, err)
			}
			input, err := transformer.Apply(large, transform.Rule{}, time.Time{})
			if err != nil {
				t.Fatalf("%s: %s cannot be delivered: %v", file, kind, err)
			}
			if len(input) > small {
				t.Errorf("%s: %d bytes arrive as %d, want at most %d", file, len(large), len(input), small)
			}
			got, err := trigger.Resolve(input)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s means something else when it arrives (- whole, + input): %s %v", file, diff, err)
			}
			if strings.Contains(string(input), "xxxx") {
				t.Errorf("%s: the bulk comes along", file)
			}
		}
	}
	for by, r := range rules {
		if r.transformer != nil && seen[by] == 0 {
			t.Errorf("no sample tries what %s hands over", by)
		}
	}
	for _, by := range []string{"mayfly-guard-duty", "mayfly-security-hub", "mayfly-health", "mayfly-secret-change", "mayfly-principal-change", "mayfly-key-change", "mayfly-tag-change"} {
		if seen[by] == 0 {
			t.Errorf("%s hands over events whole", by)
		}
	}
}

// answering are the rules that an event of a bus is answered by; none for what is on no bus.
func answering(t *testing.T, patterns map[string]*pattern.Pattern, event []byte) []string {
	t.Helper()
	var envelope struct{ Source string }
	if json.Unmarshal(event, &envelope) != nil || envelope.Source == "" {
		return nil
	}
	return matching(t, patterns, event)
}

// enlarged adds to an event what makes its kind large.
func enlarged(t *testing.T, event []byte, to int) (large []byte, kind string) {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	kind, _ = e["detail-type"].(string)
	for _, path := range bulk[kind] {
		fill(e["detail"], strings.Split(path, "."), strings.Repeat("x", (to-len(event))/len(bulk[kind])))
	}
	large, err := json.Marshal(e)
	if err != nil || len(large) < to*3/4 {
		t.Fatalf("%s has only %d bytes, %v", kind, len(large), err)
	}
	return large, kind
}

func fill(value any, path []string, with string) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			fill(element, path[1:], with)
		}
	case map[string]any:
		if len(path) == 1 {
			v[path[0]] = with
			return
		}
		if v[path[0]] == nil {
			v[path[0]] = map[string]any{}
		}
		fill(v[path[0]], path[1:], with)
	}
}
