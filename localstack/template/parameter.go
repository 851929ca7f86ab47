package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// parameter is one of the template's Parameters.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
type parameter struct {
	Type                  string
	Default               any
	AllowedValues         []any
	AllowedPattern        string
	ConstraintDescription string
	Description           string
	NoEcho                any
	MinLength, MaxLength  json.Number // lengths and ranges guard what people type into a console: not checked here
	MinValue, MaxValue    json.Number
}

// bootstrapVersion is what the CDK's BootstrapVersion parameter reads from Parameter Store here: high enough for
// every CheckBootstrapVersion rule so far.
const bootstrapVersion = "30"

// parameterValues settles every parameter: given, else its default.
func (t *Template) parameterValues(given map[string]string) (map[string]any, error) {
	for name := range given {
		if _, ok := t.body.Parameters[name]; !ok {
			return nil, fmt.Errorf("stack %s: parameter %s is given, and the template has none of that name", t.Name, name)
		}
	}
	values := map[string]any{}
	for _, name := range sortedKeys(t.body.Parameters) {
		v, err := t.body.Parameters[name].value(given, name)
		if err != nil {
			return nil, fmt.Errorf("stack %s: parameter %s: %w", t.Name, name, err)
		}
		values[name] = v
	}
	return values, nil
}

func (p parameter) value(given map[string]string, name string) (any, error) {
	text, ok := given[name]
	if !ok {
		if p.Default == nil {
			return nil, fmt.Errorf("no value is given and it has no Default")
		}
		text = fmt.Sprint(p.Default)
	}
	if strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value<") {
		switch {
		case ok: // the caller gives the value itself, there being no Parameter Store
			return text, nil
		case strings.HasPrefix(text, "/cdk-bootstrap/"):
			return bootstrapVersion, nil
		}
		return nil, fmt.Errorf("the local stack has no Parameter Store to read %s from: give the value", text)
	}
	if err := p.check(text); err != nil {
		return nil, err
	}
	if p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<") {
		list := []any{}
		for _, item := range strings.Split(text, ",") {
			list = append(list, strings.TrimSpace(item))
		}
		return list, nil
	}
	return text, nil
}

func (p parameter) check(text string) error {
	if p.AllowedPattern != "" {
		pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
		if err != nil {
			return fmt.Errorf("AllowedPattern: %w", err)
		}
		if !pattern.MatchString(text) {
			return fmt.Errorf("must match pattern %s. %s", p.AllowedPattern, p.ConstraintDescription)
		}
	}
	if p.AllowedValues == nil {
		return nil
	}
	for _, allowed := range p.AllowedValues {
		if fmt.Sprint(allowed) == text {
			return nil
		}
	}
	return fmt.Errorf("%q is none of the AllowedValues %v", text, p.AllowedValues)
}
