package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/spelling"
)

// grammar is a compiled JSON Schema and its text, which knows the fields that could have been meant.
type grammar struct {
	schema *jsonschema.Schema
	text   any
}

func compile(text []byte) (grammar, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return grammar{}, err
	}
	const url = "mem:///schema.json"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(url, doc); err != nil {
		return grammar{}, err
	}
	s, err := c.Compile(url)
	return grammar{schema: s, text: doc}, err
}

// check reports everything in the document that the grammar does not allow.
func (g grammar) check(d *document) {
	err := g.schema.Validate(d.value)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		g.report(d, invalid)
	}
}

// report walks down to what is wrong in the end; what lies between says only where.
func (g grammar) report(d *document, e *jsonschema.ValidationError) {
	pointer := pointerOf(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			g.unknown(d, pointer, name, e.SchemaURL)
		}
		return
	case *kind.PropertyNames:
		d.report(keyOf(pointer+"/"+escape(k.Property)), "bad-name", fmt.Sprintf("%q is not a name here", k.Property), namesRule)
		return
	case *kind.Required:
		for _, name := range k.Missing {
			missing(d, pointer, name)
		}
		return
	}
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			g.report(d, cause)
		}
		return
	}
	if d.problems.exactly(pointer) {
		return // it was refused already, and what stands in its place is not what was written
	}
	code, what, do := explain(e)
	d.report(pointer, code, what, do)
}

const namesRule = "use lowercase letters, digits and single separators"

func (g grammar) unknown(d *document, pointer, name, schemaURL string) {
	known := g.fields(schemaURL)
	do := "remove it; the fields here are: " + strings.Join(known, ", ")
	if meant := spelling.Nearest(name, known); meant != "" {
		do = "did you mean " + meant + "?"
	}
	d.conceal(pointer+"/"+escape(name), "unknown-field", fmt.Sprintf("%q is not a field here", name), do)
}

// missing says what a contract lacks; without expiry or trigger it is no contract at all, and says so.
func missing(d *document, pointer, name string) {
	at := d.find(pointer)
	code, what, do := "missing-field", fmt.Sprintf("%s is missing", name), "add "+name
	switch {
	case pointer == "" && name == "ttl":
		code, what, do = "no-expiry", "a contract without an expiry is refused", "add ttl, for example ttl: 24h"
	case pointer == "" && name == "rotate_on":
		code, what, do = "no-trigger", "a contract without a trigger is refused",
			"add rotate_on with at least one of: "+strings.Join(contract.TriggerTypes(), ", ")
	}
	d.at(at, code, what, do)
	d.problems[len(d.problems)-1].pointer = pointer + "/" + escape(name)
}

// fields are the members that the schema at this address names.
func (g grammar) fields(schemaURL string) []string {
	_, fragment, _ := strings.Cut(schemaURL, "#")
	at := g.text
	for _, segment := range strings.Split(strings.Trim(fragment, "/"), "/") {
		if segment == "" {
			continue
		}
		at = member(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(segment))
	}
	properties, _ := member(at, "properties").(map[string]any)
	var names []string
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func member(of any, name string) any {
	m, _ := of.(map[string]any)
	return m[name]
}

// explain puts one violation in words.
func explain(e *jsonschema.ValidationError) (code, what, do string) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return "wrong-type", fmt.Sprintf("this is a %s", k.Got), "give a " + strings.Join(k.Want, " or a ")
	case *kind.Enum:
		options := make([]string, len(k.Want))
		for i, w := range k.Want {
			options[i] = fmt.Sprint(w)
		}
		do = "use one of: " + strings.Join(options, ", ")
		if meant := spelling.Nearest(fmt.Sprint(k.Got), options); meant != "" {
			do = "did you mean " + meant + "?"
		}
		return "bad-value", fmt.Sprintf("%s is not possible here", quoted(k.Got)), do
	case *kind.Pattern:
		return "bad-value", fmt.Sprintf("%q is not written as it should be", k.Got), patternRule(k.Want)
	default:
		return "bad-value", e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), "give a value within the bounds"
	}
}

func patternRule(pattern string) string {
	switch {
	case strings.Contains(pattern, "smhdw"):
		return "write seconds (86400) or a number with s, m, h, d or w (24h, 7d)"
	case strings.HasPrefix(pattern, "^[a-z0-9]+(-"):
		return "use lowercase letters, digits and single hyphens"
	case strings.Contains(pattern, ":kms:"):
		return contract.KeyRule
	case strings.HasPrefix(pattern, "^arn:"):
		return "give the ARN of an IAM role: arn:aws:iam::<account>:role/<name>"
	case strings.Contains(pattern, "/[") && strings.HasPrefix(pattern, "^["):
		return "write it as one/other"
	default:
		return "use lowercase letters, digits and underscores"
	}
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
