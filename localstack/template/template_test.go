package template_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template"
)

// recorder is a provider of Test::Thing: Ref is "ref-ID", attribute Arn is "arn-ID".
type recorder struct {
	made  []string
	props map[string]string
	fail  string
}

func (r *recorder) types() map[string]stack.Make {
	r.props = map[string]string{}
	return map[string]stack.Make{"Test::Thing": func(_ context.Context, res stack.Resource) (stack.Made, error) {
		if res.LogicalID == r.fail {
			return stack.Made{}, fmt.Errorf("no room for %s", res.LogicalID)
		}
		r.made = append(r.made, res.LogicalID)
		r.props[res.LogicalID] = string(res.Properties)
		return stack.Made{Ref: "ref-" + res.LogicalID, Att: map[string]string{"Arn": "arn-" + res.LogicalID, "Endpoint.Port": "5432"}}, nil
	}}
}

func parse(t *testing.T, text string) *template.Template {
	t.Helper()
	tpl, err := template.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

const frame = `{
  "Parameters": {
    "Env": {"Type": "String", "Default": "prod", "AllowedValues": ["prod", "dev"]},
    "Zones": {"Type": "CommaDelimitedList", "Default": "a, b,c"},
    "BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}
  },
  "Mappings": {"Sizes": {"prod": {"Memory": 512}}},
  "Conditions": {
    "IsProd": {"Fn::Equals": [{"Ref": "Env"}, "prod"]},
    "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
    "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
    "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]}
  },
  "Resources": {
    "Other": {"Type": "Test::Thing"},
    "Thing": {"Type": "Test::Thing", "Properties": {"V": %s}}
  }
}`

func TestIntrinsicFunctions(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"scalars stay what they are":      {`[1, 12345678901234567890, 1.50, true, null, "x"]`, `[1,12345678901234567890,1.50,true,null,"x"]`},
		"Ref parameter":                   {`{"Ref": "Env"}`, `"prod"`},
		"Ref list parameter":              {`{"Ref": "Zones"}`, `["a","b","c"]`},
		"Ref bootstrap version":           {`{"Ref": "BootstrapVersion"}`, `"30"`},
		"Ref resource":                    {`{"Ref": "Other"}`, `"ref-Other"`},
		"pseudo parameters":               {`[{"Ref": "AWS::AccountId"}, {"Ref": "AWS::Region"}, {"Ref": "AWS::Partition"}, {"Ref": "AWS::URLSuffix"}, {"Ref": "AWS::StackName"}]`, `["000000000000","us-east-1","aws","amazonaws.com","test"]`},
		"NoValue in a map":                {`{"A": {"Ref": "AWS::NoValue"}, "B": 1}`, `{"B":1}`},
		"NoValue in a list":               {`[{"Ref": "AWS::NoValue"}, 2]`, `[2]`},
		"GetAtt list":                     {`{"Fn::GetAtt": ["Other", "Arn"]}`, `"arn-Other"`},
		"GetAtt string":                   {`{"Fn::GetAtt": "Other.Arn"}`, `"arn-Other"`},
		"GetAtt dotted attribute":         {`{"Fn::GetAtt": "Other.Endpoint.Port"}`, `"5432"`},
		"Sub string":                      {`{"Fn::Sub": "a-${Env}-${Other}-${Other.Arn}-${AWS::Region}"}`, `"a-prod-ref-Other-arn-Other-us-east-1"`},
		"Sub escape":                      {`{"Fn::Sub": "${!Env} ${Env} $Env {Env}"}`, `"${Env} prod $Env {Env}"`},
		"Sub with variables":              {`{"Fn::Sub": ["${X}/${Env}", {"X": {"Fn::Join": ["", ["p", "q"]]}}]}`, `"pq/prod"`},
		"Join":                            {`{"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, 1, true]]}`, `"arn:aws:1:true"`},
		"Join of a Split":                 {`{"Fn::Join": ["-", {"Fn::Split": [",", "a,b"]}]}`, `"a-b"`},
		"Select":                          {`{"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}`, `"b"`},
		"Select by string":                {`{"Fn::Select": ["0", {"Ref": "Zones"}]}`, `"a"`},
		"If true":                         {`{"Fn::If": ["IsProd", {"Ref": "Env"}, "no"]}`, `"prod"`},
		"If false, Not":                   {`{"Fn::If": ["IsDev", "yes", "no"]}`, `"no"`},
		"If And":                          {`{"Fn::If": ["Both", "yes", "no"]}`, `"no"`},
		"If Or":                           {`{"Fn::If": ["Either", "yes", "no"]}`, `"yes"`},
		"If NoValue":                      {`{"A": {"Fn::If": ["IsDev", 1, {"Ref": "AWS::NoValue"}]}}`, `{}`},
		"FindInMap":                       {`{"Fn::FindInMap": ["Sizes", {"Ref": "Env"}, "Memory"]}`, `512`},
		"Base64":                          {`{"Fn::Base64": {"Fn::Sub": "hi ${Env}"}}`, `"aGkgcHJvZA=="`},
		"GetAZs":                          {`{"Fn::Select": [5, {"Fn::GetAZs": ""}]}`, `"us-east-1f"`},
		"a condition block in a policy":   {`{"Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}`, `{"Condition":{"StringEquals":{"aws:SourceAccount":"000000000000"}}}`},
		"markup survives the JSON writer": {`"<a>&"`, `"<a>&"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			if _, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(frame, c.value)), template.Options{Types: r.types()}); err != nil {
				t.Fatal(err)
			}
			if got := r.props["Thing"]; got != `{"V":`+c.want+`}` {
				t.Errorf("got %s, want {\"V\":%s}", got, c.want)
			}
		})
	}
}

func TestErrorsBeforeAnythingIsMade(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"unknown function":         {`{"Fn::Transform": {}}`, "Fn::Transform: the local stack does not know this intrinsic function"},
		"Cidr":                     {`{"Fn::Cidr": ["10.0.0.0/16", 2, 8]}`, "Fn::Cidr"},
		"ImportValue":              {`{"Fn::ImportValue": "x"}`, "no other stack to import from"},
		"unknown Ref":              {`{"Ref": "Nope"}`, `"Nope" is no parameter`},
		"unknown name in a Sub":    {`{"Fn::Sub": "${Nope}"}`, `"Nope" is no parameter`},
		"unknown in a nested list": {`[{"A": [{"Fn::GetAtt": ["Nope", "Arn"]}]}]`, `"Nope"`},
		"unknown condition":        {`{"Fn::If": ["Nope", 1, 2]}`, "no condition Nope"},
		"itself":                   {`{"Ref": "Thing"}`, "circular dependency between resources: Thing -> Thing"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			_, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(frame, c.value)), template.Options{Types: r.types()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if len(r.made) > 0 {
				t.Errorf("%v was made first", r.made)
			}
		})
	}
}

func TestErrorsInValues(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"attribute that is not there": {`{"Fn::GetAtt": "Other.Name"}`, "Other (Test::Thing) has no attribute Name, only Arn, Endpoint.Port"},
		"Select beyond the end":       {`{"Fn::Select": [9, ["a"]]}`, "index 9 of 1"},
		"Join of a map":               {`{"Fn::Join": ["", [{"A": 1}]]}`, "not a string"},
		"no such mapping":             {`{"Fn::FindInMap": ["Sizes", "dev", "Memory"]}`, "Sizes::dev::Memory"},
		"zones elsewhere":             {`{"Fn::GetAZs": "eu-west-1"}`, "eu-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(frame, c.value)), template.Options{Types: (&recorder{}).types()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestParseIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown section":            `{"Transform": "AWS::Serverless-2016-10-31", "Resources": {"A": {"Type": "T"}}}`,
		"unknown resource attribute": `{"Resources": {"A": {"Type": "T", "Depends": "B"}}}`,
		"no resources":               `{"Resources": {}}`,
		"no type":                    `{"Resources": {"A": {}}}`,
		"foreign rule":               `{"Rules": {"X": {}}, "Resources": {"A": {"Type": "T"}}}`,
		"two documents":              `{"Resources": {"A": {"Type": "T"}}} {}`,
	} {
		if _, err := template.Parse("t", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestUnknownTypesAreNamedAtOnce(t *testing.T) {
	r := &recorder{}
	tpl := parse(t, `{"Resources": {"A": {"Type": "Test::Thing"}, "B": {"Type": "AWS::X::Y"}, "C": {"Type": "AWS::X::Y"}, "D": {"Type": "AWS::Z::Z"}}}`)
	_, err := template.Deploy(t.Context(), tpl, template.Options{Types: r.types()})
	if err == nil || !strings.Contains(err.Error(), "AWS::X::Y (B, C); AWS::Z::Z (D)") {
		t.Errorf("got %v", err)
	}
	if len(r.made) > 0 {
		t.Errorf("%v was made first", r.made)
	}
}

func TestOrder(t *testing.T) {
	r := &recorder{}
	tpl := parse(t, `{
	  "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
	  "Resources": {
	    "A": {"Type": "Test::Thing", "DependsOn": ["Z", "Off"]},
	    "B": {"Type": "Test::Thing", "Properties": {"X": {"Fn::If": ["Never", {"Ref": "Q"}, {"Fn::Sub": "${C.Arn}"}]}}},
	    "C": {"Type": "Test::Thing", "DependsOn": "A"},
	    "Off": {"Type": "Test::Thing", "Condition": "Never"},
	    "Q": {"Type": "Test::Thing", "Properties": {"X": {"Ref": "B"}}},
	    "Z": {"Type": "Test::Thing"}
	  },
	  "Outputs": {"Where": {"Value": {"Fn::Join": ["/", [{"Ref": "B"}, {"Fn::GetAtt": ["C", "Arn"]}]]}}, "Off": {"Condition": "Never", "Value": "x"}}}`)
	s, err := template.Deploy(t.Context(), tpl, template.Options{Types: r.types()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Z", "A", "C", "B", "Q"}, r.made); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"Where": "ref-B/arn-C"}, s.Outputs); diff != "" {
		t.Error(diff)
	}
}

func TestCircles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"resources":  {`{"Resources": {"A": {"Type": "Test::Thing", "DependsOn": "B"}, "B": {"Type": "Test::Thing", "Properties": {"X": {"Fn::Sub": "${A}"}}}}}`, "A -> B -> A"},
		"conditions": {`{"Conditions": {"P": {"Condition": "Q"}, "Q": {"Condition": "P"}}, "Resources": {"A": {"Type": "Test::Thing", "Condition": "P"}}}`, "condition P depends on itself"},
		"no such":    {`{"Resources": {"A": {"Type": "Test::Thing", "DependsOn": "B"}}}`, "DependsOn names B"},
	} {
		_, err := template.Deploy(t.Context(), parse(t, c.text), template.Options{Types: (&recorder{}).types()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestParameters(t *testing.T) {
	text := fmt.Sprintf(frame, `{"Ref": "Env"}`)
	r := &recorder{}
	if _, err := template.Deploy(t.Context(), parse(t, text), template.Options{Types: r.types(), Parameters: map[string]string{"Env": "dev"}}); err != nil {
		t.Fatal(err)
	}
	if r.props["Thing"] != `{"V":"dev"}` {
		t.Error(r.props["Thing"])
	}
	for _, given := range []map[string]string{{"Env": "test"}, {"Nope": "1"}} {
		if _, err := template.Deploy(t.Context(), parse(t, text), template.Options{Types: r.types(), Parameters: given}); err == nil {
			t.Errorf("%v was accepted", given)
		}
	}
}

func TestUpdateMakesOnlyWhatChanged(t *testing.T) {
	r := &recorder{}
	types := r.types()
	text := `{"Resources": {"A": {"Type": "Test::Thing", "Properties": {"V": %d}}, "B": {"Type": "Test::Thing", "Properties": {"X": {"Ref": "A"}}}%s}}`
	first, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(text, 1, "")), template.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	r.made = nil
	r.fail = "C"
	second, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(text, 2, `, "C": {"Type": "Test::Thing"}`)), template.Options{Types: types, Previous: first})
	if err == nil || !strings.Contains(err.Error(), "resource C (Test::Thing): no room for C") {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff([]string{"A"}, r.made); diff != "" {
		t.Error(diff)
	}
	// Deploying again continues where the failure was.
	r.made, r.fail = nil, ""
	third, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(text, 2, `, "C": {"Type": "Test::Thing"}`)), template.Options{Types: types, Previous: second})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"C"}, r.made); diff != "" {
		t.Error(diff)
	}
	if third.ID != first.ID {
		t.Errorf("the stack's id changed from %s to %s", first.ID, third.ID)
	}
	fourth, err := template.Deploy(t.Context(), parse(t, fmt.Sprintf(text, 2, "")), template.Options{Types: types, Previous: third})
	if err != nil || fourth.Physical("C") != "" {
		t.Errorf("C is still there: %q, %v", fourth.Physical("C"), err)
	}
}

func TestAssembly(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, v any) {
		b, _ := json.Marshal(v)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type m = map[string]any
	write("manifest.json", m{"version": "50.0.0", "artifacts": m{
		"Tree":          m{"type": "cdk:tree", "properties": m{"file": "tree.json"}},
		"Mayfly.assets": m{"type": "cdk:asset-manifest", "properties": m{"file": "Mayfly.assets.json"}},
		"Mayfly":        m{"type": "aws:cloudformation:stack", "properties": m{"templateFile": "Mayfly.template.json"}},
	}})
	write("Mayfly.template.json", m{"Resources": m{"F": m{"Type": "Test::Function", "Properties": m{
		"Bucket": m{"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}, "Key": "abc.zip"}}}})
	write("Mayfly.assets.json", m{"version": "50.0.0", "files": m{"abc": m{
		"displayName":  "Code",
		"source":       m{"path": "asset.abc", "packaging": "zip"},
		"destinations": m{"current": m{"bucketName": "b", "objectKey": "abc.zip"}}}}})

	tpl, err := template.Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if tpl.Name != "Mayfly" {
		t.Errorf("name %q", tpl.Name)
	}
	var found string
	types := map[string]stack.Make{"Test::Function": func(_ context.Context, r stack.Resource) (stack.Made, error) {
		var p struct{ Bucket, Key string }
		if err := json.Unmarshal(r.Properties, &p); err != nil {
			return stack.Made{}, err
		}
		path, err := r.Asset(p.Bucket, p.Key)
		found = path
		if _, other := r.Asset(p.Bucket, "nope.zip"); other == nil {
			t.Error("an asset that is not there was found")
		}
		return stack.Made{}, err
	}}
	first, err := template.Deploy(t.Context(), tpl, template.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "asset.abc"); found != want {
		t.Errorf("asset at %s, want %s", found, want)
	}
	override := func(bucket, key string) (string, error) {
		if key == "abc.zip" && bucket == "cdk-hnb659fds-assets-000000000000-us-east-1" {
			return "/built/here", nil
		}
		return "", nil
	}
	for _, previous := range []*template.Stack{nil, first} { // also where nothing else has changed
		found = ""
		second, err := template.Deploy(t.Context(), tpl, template.Options{Types: types, Asset: override, Previous: previous})
		if err != nil {
			t.Fatal(err)
		}
		if found != "/built/here" {
			t.Errorf("override ignored: %s", found)
		}
		found = "unchanged"
		if _, err := template.Deploy(t.Context(), tpl, template.Options{Types: types, Asset: override, Previous: second}); err != nil || found != "unchanged" {
			t.Errorf("the function was made again for the same asset: %v, %v", found, err)
		}
	}
	if _, err := template.Load(dir, "Other"); err == nil {
		t.Error("a stack that is not there was loaded")
	}
}

func TestNoEffectTypesResolve(t *testing.T) {
	tpl := parse(t, `{"Resources": {
	  "Vpc": {"Type": "AWS::EC2::VPC"},
	  "Net": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"}},
	  "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": {"Ref": "Vpc"}}},
	  "Table": {"Type": "AWS::Glue::Table", "Properties": {"TableInput": {"Name": "audit"}}},
	  "Param": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/a/b", "Type": "String", "Value": {"Fn::GetAtt": ["Group", "GroupId"]}}}},
	 "Outputs": {"Cidr": {"Value": {"Fn::GetAtt": ["Net", "CidrBlock"]}}, "Vpc": {"Value": {"Fn::GetAtt": ["Group", "VpcId"]}},
	   "Table": {"Value": {"Ref": "Table"}}, "Param": {"Value": {"Fn::GetAtt": ["Param", "Value"]}}}}`)
	s, err := template.Deploy(t.Context(), tpl, template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Outputs["Cidr"] != "10.0.1.0/24" || s.Outputs["Vpc"] != s.Physical("Vpc") || !strings.HasPrefix(s.Outputs["Vpc"], "vpc-0") ||
		s.Outputs["Table"] != "audit" || !strings.HasPrefix(s.Outputs["Param"], "sg-0") {
		t.Errorf("outputs %v", s.Outputs)
	}
}
