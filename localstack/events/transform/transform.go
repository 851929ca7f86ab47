// Package transform makes a target's input out of an event, as EventBridge's input paths and input transformers do.
package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Transformer makes a target's input out of an event.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
type Transformer struct {
	InputPathsMap map[string]string `json:",omitempty"` // JSON paths
	InputTemplate string
}

// Rule is what a template can say of the rule that matched.
type Rule struct{ ARN, Name string }

// placeholder is <name>. Angle brackets cannot be escaped.
var placeholder = regexp.MustCompile(`<([A-Za-z0-9_.\-]+)>`)

// Check refuses what PutTargets refuses.
func (t *Transformer) Check() error {
	if t.InputTemplate == "" || len(t.InputTemplate) > 8192 {
		return fmt.Errorf("InputTemplate must have 1 to 8192 characters")
	}
	if len(t.InputPathsMap) > 100 {
		return fmt.Errorf("InputPathsMap may have 100 entries, not %d", len(t.InputPathsMap))
	}
	for name, path := range t.InputPathsMap {
		if strings.HasPrefix(strings.ToLower(name), "aws") {
			return fmt.Errorf("InputPathsMap: the key %s begins with AWS, which is reserved", name)
		}
		if _, err := ParsePath(path); err != nil {
			return fmt.Errorf("InputPathsMap %s: %w", name, err)
		}
	}
	for _, match := range placeholder.FindAllStringSubmatch(t.InputTemplate, -1) {
		if _, ok := t.InputPathsMap[match[1]]; !ok && !predefined(match[1]) {
			return fmt.Errorf("InputTemplate: <%s> is neither in InputPathsMap nor predefined", match[1])
		}
	}
	return nil
}

func predefined(name string) bool {
	switch name {
	case "aws.events.rule-arn", "aws.events.rule-name", "aws.events.event", "aws.events.event.json", "aws.events.event.ingestion-time":
		return true
	}
	return false
}

// Apply fills the template. A placeholder within quotes becomes the bare text of its value; outside of quotes it becomes the
// value's JSON, so that a text gets its quotes. Texts are not escaped: one with a quote or a backslash in it makes JSON that
// is none, and the event undeliverable. A path that leads nowhere gives an empty text, as EventBridge was seen to do; its
// documentation says only that the variable is not created and does not appear in the output.
// A template that is a JSON object or list must give JSON; other templates give text as it is.
func (t *Transformer) Apply(event []byte, r Rule, ingested time.Time) ([]byte, error) {
	root, err := Decode(event)
	if err != nil {
		return nil, err
	}
	trimmed := strings.TrimSpace(t.InputTemplate)
	isJSON := strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") || placeholder.FindString(trimmed) == trimmed
	var out strings.Builder
	quoted := false
	for i := 0; i < len(t.InputTemplate); i++ {
		c := t.InputTemplate[i]
		if c == '<' {
			if match := placeholder.FindStringSubmatchIndex(t.InputTemplate[i:]); match != nil && match[0] == 0 {
				name := t.InputTemplate[i+match[2] : i+match[3]]
				value, err := t.value(name, root, event, r, ingested)
				if err != nil {
					return nil, err
				}
				out.WriteString(render(value, isJSON && !quoted))
				i += match[1] - 1
				continue
			}
		}
		switch {
		case c == '\\' && i+1 < len(t.InputTemplate):
			out.WriteByte(c)
			i++
			c = t.InputTemplate[i]
		case c == '"':
			quoted = !quoted
		}
		out.WriteByte(c)
	}
	if !isJSON {
		return []byte(out.String()), nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(out.String())); err != nil {
		return nil, fmt.Errorf("the input template gives no valid JSON for this event: %w", err)
	}
	return compact.Bytes(), nil
}

func (t *Transformer) value(name string, root any, event []byte, r Rule, ingested time.Time) (any, error) {
	switch name {
	case "aws.events.rule-arn":
		return r.ARN, nil
	case "aws.events.rule-name":
		return r.Name, nil
	case "aws.events.event.ingestion-time":
		return ingested.UTC().Format("2006-01-02T15:04:05Z"), nil
	case "aws.events.event.json":
		return json.RawMessage(event), nil
	case "aws.events.event":
		members, _ := root.(map[string]any)
		without := map[string]any{}
		for k, v := range members {
			switch k {
			case "detail":
			case "detail-type": // as it was seen to be written
				without["detailType"] = v
			default:
				without[k] = v
			}
		}
		return without, nil
	}
	path, err := ParsePath(t.InputPathsMap[name])
	if err != nil {
		return nil, err
	}
	if v, ok := Find(root, path); ok {
		return v, nil
	}
	return "", nil
}

func render(value any, asJSON bool) string {
	if s, ok := value.(string); ok {
		if asJSON {
			return `"` + s + `"`
		}
		return s
	}
	b, err := Encode(value)
	if err != nil {
		return ""
	}
	return string(b)
}

// Step is a member's name, an index (when name is ""), or a wildcard.
type Step struct {
	name  string
	index int
	all   bool
}

var (
	memberStep = regexp.MustCompile(`^\.([A-Za-z0-9_\-/]+)`)
	indexStep  = regexp.MustCompile(`^\[(\d+|\*)\]`)
)

// ParsePath reads the JSON paths that EventBridge takes: $.detail.some-member[0].list[*]
func ParsePath(path string) ([]Step, error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return nil, fmt.Errorf("the JSON path %q does not begin with $", path)
	}
	var steps []Step
	for rest != "" {
		if m := memberStep.FindStringSubmatch(rest); m != nil {
			steps = append(steps, Step{name: m[1]})
			rest = rest[len(m[0]):]
		} else if m := indexStep.FindStringSubmatch(rest); m != nil {
			n, _ := strconv.Atoi(m[1]) // "*" is no number and stands for all
			steps = append(steps, Step{index: n, all: m[1] == "*"})
			rest = rest[len(m[0]):]
		} else if tail, ok := strings.CutPrefix(rest, ".*"); ok {
			steps = append(steps, Step{all: true})
			rest = tail
		} else {
			return nil, fmt.Errorf("the JSON path %q is not of the form $.name.name[0]", path)
		}
	}
	return steps, nil
}

// Find follows a path; false where it leads nowhere.
func Find(value any, path []Step) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	s := path[0]
	switch v := value.(type) {
	case map[string]any:
		member, ok := v[s.name]
		if s.name == "" || !ok {
			return nil, false
		}
		return Find(member, path[1:])
	case []any:
		if s.all {
			found := []any{}
			for _, e := range v {
				if f, ok := Find(e, path[1:]); ok {
					found = append(found, f)
				}
			}
			return found, len(found) > 0
		}
		if s.name != "" || s.index >= len(v) {
			return nil, false
		}
		return Find(v[s.index], path[1:])
	}
	return nil, false
}

// Decode reads JSON, numbers as they are written.
func Decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// Encode writes JSON without the escapes for HTML.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
