package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// narrowed makes the input transformer for a pattern's events: the envelope, and of the detail what trigger.Reads lists. Nil
// for kinds of events that come whole, because they are small, or because a transformer would be wrong: docs/triggers.md.
//
// A member that an event does not have comes out as an empty text; package trigger takes it for one that is not there.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func narrowed(pattern object) *awsevents.CfnRule_InputTransformerProperty {
	kinds, _ := pattern["detail-type"].(one)
	if len(kinds) != 1 {
		return nil
	}
	reads := trigger.Reads(kinds[0].(string))
	if reads == nil {
		return nil
	}
	paths := map[string]*string{}
	for _, member := range []string{"id", "source", "detail-type", "time"} {
		paths[member] = jsii.String("$." + member)
	}
	var detail template
	for i, path := range reads {
		variable := fmt.Sprint("d", i)
		paths[variable] = jsii.String("$.detail." + path)
		detail.put(strings.Split(path, "."), "<"+variable+">")
	}
	return &awsevents.CfnRule_InputTransformerProperty{
		InputPathsMap: &paths,
		InputTemplate: jsii.String(`{"id":<id>,"source":<source>,"detail-type":<detail-type>,"time":<time>,"detail":` + detail.text() + `}`),
	}
}

// template is one JSON object of an input template. Variables stand in it without quotes, so it is no JSON itself.
type template struct {
	names   []string // in the order of their coming
	members map[string]*template
	value   string // instead, a variable
}

// put lays a variable at a path. A name that ends with [0] is a list of one.
func (t *template) put(path []string, variable string) {
	if len(path) == 0 {
		t.value = variable
		return
	}
	if t.members == nil {
		t.members = map[string]*template{}
	}
	if !slices.Contains(t.names, path[0]) {
		t.names, t.members[path[0]] = append(t.names, path[0]), &template{}
	}
	t.members[path[0]].put(path[1:], variable)
}

func (t *template) text() string {
	if t.value != "" {
		return t.value
	}
	var members []string
	for _, name := range t.names {
		plain, list := strings.CutSuffix(name, "[0]")
		text := t.members[name].text()
		if list {
			text = "[" + text + "]"
		}
		members = append(members, `"`+plain+`":`+text)
	}
	return "{" + strings.Join(members, ",") + "}"
}
