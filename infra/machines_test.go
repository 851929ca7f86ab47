package infra_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/infra"
)

func TestMachinesAreTheFilesWithEveryNameFilledIn(t *testing.T) {
	made := synthesized()
	for name, file := range map[string]string{"mayfly-rotate": "rotate.asl.json", "mayfly-respond": "respond.asl.json", "mayfly-inspect": "inspect.asl.json"} {
		p := made.the(t, "AWS::StepFunctions::StateMachine", "StateMachineName", name).Properties
		if p["StateMachineType"] != "STANDARD" {
			t.Errorf("%s is %v: only Standard executions are exactly-once and have names that join", name, p["StateMachineType"])
		}
		text, err := os.ReadFile(filepath.Join("..", "statemachines", file))
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, string(text), p["DefinitionString"].(string)) {
			t.Errorf("%s is not what %s says", name, file)
		}
		names := map[string]bool{}
		for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		want := slices.Sorted(maps.Keys(names))
		got := slices.Sorted(maps.Keys(p["DefinitionSubstitutions"].(map[string]any)))
		if !slices.Equal(want, got) {
			t.Errorf("%s fills in %v, the file names %v", name, got, want)
		}
		const logging = `{"Destinations":[{"CloudWatchLogsLogGroup":{"LogGroupArn":"arn:aws:logs:us-east-1:000000000000:log-group:` +
			`/aws/vendedlogs/states/mayfly:*"}}],"IncludeExecutionData":false,"Level":"ERROR"}`
		if got := made.text(p["LoggingConfiguration"]); got != logging {
			t.Errorf("%s logs %s", name, got)
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var texts [2]string
	for i, s := range []string{a, b} {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}

func TestMachineWithAnUnknownNameIsRefused(t *testing.T) {
	folder := t.TempDir()
	write(filepath.Join(folder, "rotate.asl.json"), `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"${RotateSecrte}","End":true}}}`)
	_, stack := newStack(t, nil)
	encryption := infra.NewEncryption(stack, "More")
	audit := infra.NewAudit(stack, "MoreAudit", encryption.Key, 1)
	functions, err := infra.NewFunctions(stack, "MoreFunctions", built, audit.Log)
	if err != nil {
		t.Fatal(err)
	}
	_, err = infra.NewMachines(stack, "MoreMachines", folder, functions, encryption)
	if err == nil || !strings.Contains(err.Error(), "${RotateSecrte}") {
		t.Errorf("error = %v, want it to name ${RotateSecrte}", err)
	}
}
