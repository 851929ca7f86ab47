package transform_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/transform"
)

// What AWS's documentation says of input transformers, and what was seen of them where it says nothing.
func TestApply(t *testing.T) {
	const event = `{"source":"s","detail-type":"T","detail":{"name":"Ana","quoted":"a \"b\"","list":[{"n":1},{"n":2}],"none":null,"empty":""}}`
	for name, c := range map[string]struct {
		template, want string // "" cannot be delivered
	}{
		"a text gets quotes":              {`{"a":<name>}`, `{"a":"Ana"}`},
		"within quotes it has them":       {`{"a":"hi <name>"}`, `{"a":"hi Ana"}`},
		"a path that leads nowhere":       {`{"a":<nowhere>,"b":"<nowhere>"}`, `{"a":"","b":""}`},
		"an element that is not there":    {`{"a":<third>}`, `{"a":""}`},
		"null":                            {`{"a":<none>}`, `{"a":null}`},
		"an object":                       {`{"a":[<first>]}`, `{"a":[{"n":1}]}`},
		"texts are not escaped":           {`{"a":<quoted>}`, ``},
		"in an object they are":           {`{"a":<detail>}`, `{"a":{"empty":"","list":[{"n":1},{"n":2}],"name":"Ana","none":null,"quoted":"a \"b\""}}`},
		"the envelope, as AWS spells it":  {`{"a":<aws.events.event>}`, `{"a":{"detailType":"T","source":"s"}}`},
		"a text that is no JSON is taken": {`<name> is <quoted>`, `Ana is a "b"`},
	} {
		transformer := transform.Transformer{InputTemplate: c.template, InputPathsMap: map[string]string{
			"name": "$.detail.name", "nowhere": "$.detail.no.where", "none": "$.detail.none", "first": "$.detail.list[0]", "third": "$.detail.list[2]",
			"quoted": "$.detail.quoted", "detail": "$.detail"}}
		if err := transformer.Check(); err != nil {
			t.Error(name, err)
		}
		got, err := transformer.Apply([]byte(event), transform.Rule{}, time.Time{})
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s %v, want %s", name, got, err, c.want)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add("$.detail.a", `{"x":<a>,"y":"<a>"}`, []byte(`{"detail":{"a":[1,"\"",null]}}`))
	f.Add("$.detail.list[*].n", `<a>`, []byte(`{"detail":{"list":[{"n":1},{}]}}`))
	f.Add("$", `[<aws.events.event>,<aws.events.event.json>]`, []byte(`[]`))
	f.Fuzz(func(t *testing.T, path, template string, event []byte) {
		transformer := transform.Transformer{InputPathsMap: map[string]string{"a": path}, InputTemplate: template}
		if transformer.Check() != nil || !json.Valid(event) {
			return
		}
		out, err := transformer.Apply(event, transform.Rule{ARN: "arn", Name: "rule"}, time.Time{})
		if err == nil && template[0] == '{' && !json.Valid(out) {
			t.Errorf("%q makes %q of %q", template, out, event)
		}
	})
}
