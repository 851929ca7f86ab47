package infra_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// heard takes what a check says instead of failing.
type heard struct {
	testing.TB
	said []string
}

func (h *heard) Errorf(format string, a ...any) { h.said = append(h.said, fmt.Sprintf(format, a...)) }

// objections are what the checks of permissions have against a template.
func objections(t *testing.T, made template) []string {
	h := &heard{TB: t}
	checkFunctions(h, made)
	checkDivision(h, made)
	checkMachines(h, made)
	return h.said
}

// copied is a template that can be changed.
func (t template) copied(tb testing.TB) template {
	text, err := json.Marshal(t)
	if err != nil {
		tb.Fatal(err)
	}
	var c template
	if err := json.Unmarshal(text, &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

// policies are the logical ids of the policies of functions and state machines, sorted.
func (t template) policies(tb testing.TB) []string {
	roles := map[any]bool{}
	for _, r := range t {
		for kind, property := range map[string]string{"AWS::Lambda::Function": "Role", "AWS::StepFunctions::StateMachine": "RoleArn"} {
			if r.Type == kind {
				roles[r.Properties[property].(map[string]any)["Fn::GetAtt"].([]any)[0]] = true
			}
		}
	}
	var ids []string
	for id, r := range t {
		if r.Type == "AWS::IAM::Policy" && roles[r.Properties["Roles"].([]any)[0].(map[string]any)["Ref"]] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) < 15 {
		tb.Fatalf("%d policies of functions and machines: this looks at the wrong thing", len(ids))
	}
	return ids
}

func (t template) document(policy string) map[string]any {
	return t[policy].Properties["PolicyDocument"].(map[string]any)
}

// Whatever somebody adds to a role is objected to.
func TestAddedPermissionsAreObjectedTo(t *testing.T) {
	made := synthesized()
	if said := objections(t, made); len(said) > 0 {
		t.Fatalf("against the template as it is: %q", said)
	}
	for _, policy := range made.policies(t) {
		for name, statement := range map[string]map[string]any{
			"everything about secrets": {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"},
			"one more action":          {"Effect": "Allow", "Action": "secretsmanager:DeleteSecret", "Resource": "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/*"},
			"another environment":      {"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "arn:aws:secretsmanager:us-east-1:000000000000:secret:test/*"},
		} {
			changed := made.copied(t)
			document := changed.document(policy)
			document["Statement"] = append(document["Statement"].([]any), statement)
			if len(objections(t, changed)) == 0 {
				t.Errorf("%s in %s: nobody objects", name, policy)
			}
		}
	}
}

// So is whatever somebody takes away: each action and each resource of each statement, denials included.
func TestMissingPermissionsAreObjectedTo(t *testing.T) {
	made := synthesized()
	tried := 0
	for _, policy := range made.policies(t) {
		for i, s := range made.document(policy)["Statement"].([]any) {
			for _, element := range []string{"Action", "Resource", "NotResource"} {
				for j := range values(s.(map[string]any)[element]) {
					changed := made.copied(t)
					document := changed.document(policy)
					statements := document["Statement"].([]any)
					statement := statements[i].(map[string]any)
					if rest := slices.Delete(values(statement[element]), j, j+1); len(rest) > 0 {
						statement[element] = rest
					} else {
						document["Statement"] = slices.Delete(statements, i, i+1)
					}
					tried++
					if len(objections(t, changed)) == 0 {
						t.Errorf("%s without %s %d of statement %d: nobody objects", policy, element, j, i)
					}
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("%d things were taken away: this looks at the wrong thing", tried)
	}
}

func values(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}
