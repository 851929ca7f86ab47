package infra_test

import (
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	made := synthesized()
	for name, want := range map[string][]string{
		"mayfly-contracts": {
			"key secret item",
			"index due: due_pool due_at KEYS_ONLY",
			"index lookup: lookup secret KEYS_ONLY",
		},
		"mayfly-runs": {
			"key secret run",
			"index execution: execution ALL",
		},
	} {
		table := made.the(t, "AWS::DynamoDB::Table", "TableName", name)
		p := table.Properties
		got := []string{"key " + keys(p)}
		for _, i := range p["GlobalSecondaryIndexes"].([]any) {
			index := i.(map[string]any)
			got = append(got, "index "+index["IndexName"].(string)+": "+keys(index)+" "+
				index["Projection"].(map[string]any)["ProjectionType"].(string))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s has\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if p["BillingMode"] != "PAY_PER_REQUEST" {
			t.Errorf("%s: billing %v", name, p["BillingMode"])
		}
		ttl, _ := p["TimeToLiveSpecification"].(map[string]any)
		if want := map[string]any{"mayfly-contracts": "expires"}[name]; ttl["AttributeName"] != want {
			t.Errorf("%s deletes by %v, want %v", name, ttl["AttributeName"], want)
		}
		if p["PointInTimeRecoverySpecification"].(map[string]any)["PointInTimeRecoveryEnabled"] != true {
			t.Errorf("%s has no point-in-time recovery", name)
		}
		if p["DeletionProtectionEnabled"] != true || table.DeletionPolicy != "Retain" || table.UpdateReplacePolicy != "Retain" {
			t.Errorf("%s can be deleted with the stack", name)
		}
		for _, a := range p["AttributeDefinitions"].([]any) {
			attribute := a.(map[string]any)
			want := "S"
			if attribute["AttributeName"] == "due_at" {
				want = "N" // epoch seconds, compared as numbers
			}
			if attribute["AttributeType"] != want {
				t.Errorf("%s: %v is %v, want %s", name, attribute["AttributeName"], attribute["AttributeType"], want)
			}
		}
	}
}

func keys(p map[string]any) string {
	var names []string
	for _, k := range p["KeySchema"].([]any) {
		names = append(names, k.(map[string]any)["AttributeName"].(string))
	}
	return strings.Join(names, " ")
}

func TestDeletionProtectionFollowsTheContext(t *testing.T) {
	for name, table := range other().all("AWS::DynamoDB::Table", "TableName") {
		if table.Properties["DeletionProtectionEnabled"] != false {
			t.Errorf("%s is protected although the context says not to", name)
		}
		if table.DeletionPolicy != "Retain" {
			t.Errorf("%s goes with the stack", name)
		}
	}
}
