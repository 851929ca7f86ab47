package infra_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// The table's columns are the record's members, in order, environment being the partition.
func TestAuditTableHasTheColumnsOfARecord(t *testing.T) {
	types := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "int", reflect.Int64: "bigint"}
	var want []string
	for f := range fields(reflect.TypeFor[audit.Record]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "environment" {
			want = append(want, name+" "+types[f.Type.Kind()])
		}
	}
	input := tableInput(t)
	if diff := cmp.Diff(want, columns(input["StorageDescriptor"].(map[string]any)["Columns"])); diff != "" {
		t.Errorf("columns (- record, + table):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"environment string", "date string"}, columns(input["PartitionKeys"])); diff != "" {
		t.Errorf("partitions (- want, + template):\n%s", diff)
	}
}

func fields(record reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range record.NumField() {
			if !yield(record.Field(i)) {
				return
			}
		}
	}
}

func tableInput(t *testing.T) map[string]any {
	made := synthesized()
	return made.resolve(made.the(t, "AWS::Glue::Table", "", "").Properties["TableInput"]).(map[string]any)
}

func columns(list any) []string {
	var lines []string
	for _, c := range list.([]any) {
		column := c.(map[string]any)
		lines = append(lines, column["Name"].(string)+" "+column["Type"].(string))
	}
	return lines
}

// The projection must compute the very prefix that records are written under.
func TestPartitionsAreWhereRecordsLie(t *testing.T) {
	parameters := tableInput(t)["Parameters"].(map[string]any)
	const location = "s3://mayfly-audit-000000000000-us-east-1/audit/environment=${environment}/date=${date}/"
	if parameters["storage.location.template"] != location {
		t.Errorf("location %v, want %s", parameters["storage.location.template"], location)
	}
	for key, want := range map[string]string{
		"projection.enabled": "true", "projection.environment.type": "injected", "projection.date.type": "date",
		"projection.date.format": "yyyy-MM-dd",
	} {
		if parameters[key] != want {
			t.Errorf("%s = %v, want %s", key, parameters[key], want)
		}
	}
}

func TestAuditorsFourQuestions(t *testing.T) {
	made := synthesized()
	queries := made.all("AWS::Athena::NamedQuery", "Name")
	for name, selects := range map[string][]string{
		"mayfly-when-last-rotated": {"last_rotated"},
		"mayfly-why":               {"trigger_type", "trigger_id", "trigger_source", "actor", "reason"},
		"mayfly-by-which-workflow": {"execution_arn", "run_id", "contract_commit"},
		"mayfly-did-it-succeed":    {"outcome", "reason_code"},
	} {
		q, ok := queries[name]
		if !ok {
			t.Errorf("no query %s", name)
			continue
		}
		text := q.Properties["QueryString"].(string)
		for _, column := range selects {
			if !strings.Contains(text, column) {
				t.Errorf("%s does not ask for %s:\n%s", name, column, text)
			}
		}
		// An injected partition without a value is an error of Athena's.
		if !strings.Contains(text, "environment = 'prod'") || strings.Contains(text, "{") {
			t.Errorf("%s names no environment:\n%s", name, text)
		}
		if q.Properties["Database"] != "mayfly" || made.text(q.Properties["WorkGroup"]) != "mayfly" {
			t.Errorf("%s runs elsewhere: %s", name, made.text(q.Properties))
		}
	}
	if len(queries) != 4 {
		t.Errorf("%d queries, want 4", len(queries))
	}
	for name, q := range other().all("AWS::Athena::NamedQuery", "Name") {
		if text := q.Properties["QueryString"].(string); !strings.Contains(text, "environment = 'staging'") {
			t.Errorf("%s does not follow the context:\n%s", name, text)
		}
	}
}

func TestResultsStayInAthena(t *testing.T) {
	p := synthesized().the(t, "AWS::Athena::WorkGroup", "Name", "mayfly").Properties["WorkGroupConfiguration"]
	text, _ := json.Marshal(p)
	const want = `{"EnforceWorkGroupConfiguration":true,"ManagedQueryResultsConfiguration":{"Enabled":true}}`
	if string(text) != want {
		t.Errorf("workgroup %s, want %s", text, want)
	}
}
