package property_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/property"
)

type properties struct {
	N   property.Int
	B   *property.Bool
	Doc property.Document
}

func decode(text string) (properties, error) {
	var p properties
	err := property.Decode(stack.Resource{LogicalID: "Thing", Type: "Test::Thing", Properties: []byte(text)}, &p)
	return p, err
}

func TestDecode(t *testing.T) {
	for _, text := range []string{`{"N":60,"B":true,"Doc":{"a":1}}`, `{"N":"60","B":"true","Doc":"{\"a\":1}"}`} {
		p, err := decode(text)
		if err != nil || p.N != 60 || p.B == nil || !bool(*p.B) || string(p.Doc) != `{"a":1}` {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{`{"N":"six"}`, `{"N":1.5}`, `{"B":"yes"}`, `{"Doc":"{"}`, `{"Colour":"red"}`} {
		if _, err := decode(text); err == nil || !strings.HasPrefix(err.Error(), "Thing (Test::Thing): ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := decode(""); err != nil {
		t.Errorf("no properties: %v", err)
	}
}
