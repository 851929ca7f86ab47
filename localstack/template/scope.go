package template

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// scope is what intrinsic functions are resolved in.
type scope struct {
	template   *Template
	stackName  string
	stackID    string
	parameters map[string]any
	conditions map[string]bool // settled so far
	settling   map[string]bool // being settled: conditions may name one another, but not in a circle
	made       map[string]stack.Made
}

// noValue is what Ref AWS::NoValue becomes: the property or list member that holds it goes away.
type noValue struct{}

// intrinsic returns the function's name and argument when v is a call of an intrinsic function.
func intrinsic(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for name, arg = range m {
	}
	return name, arg, name == "Ref" || strings.HasPrefix(name, "Fn::")
}

// resolve returns v with every intrinsic function replaced by its value.
func (s *scope) resolve(v any) (any, error) {
	if name, arg, ok := intrinsic(v); ok {
		out, err := s.call(name, arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return out, nil
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, k := range sortedKeys(v) {
			r, err := s.resolve(v[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			if _, gone := r.(noValue); !gone {
				out[k] = r
			}
		}
		return out, nil
	case []any:
		out := []any{}
		for i, item := range v {
			r, err := s.resolve(item)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			if _, gone := r.(noValue); !gone {
				out = append(out, r)
			}
		}
		return out, nil
	}
	return v, nil
}

func (s *scope) ref(arg any) (any, error) {
	name, ok := arg.(string)
	if !ok {
		return nil, fmt.Errorf("wants a name, not %s", show(arg))
	}
	if v, ok := s.pseudo(name); ok {
		return v, nil
	}
	if v, ok := s.parameters[name]; ok {
		return v, nil
	}
	made, err := s.resource(name)
	if err != nil {
		return nil, err
	}
	return made.Ref, nil
}

// pseudo knows the pseudo parameters.
func (s *scope) pseudo(name string) (any, bool) {
	switch name {
	case "AWS::AccountId":
		return stack.Account, true
	case "AWS::Region":
		return stack.Region, true
	case "AWS::Partition":
		return "aws", true
	case "AWS::URLSuffix":
		return "amazonaws.com", true
	case "AWS::StackName":
		return s.stackName, true
	case "AWS::StackId":
		return s.stackID, true
	case "AWS::NotificationARNs":
		return []any{}, true
	case "AWS::NoValue":
		return noValue{}, true
	}
	return nil, false
}

func (s *scope) resource(id string) (stack.Made, error) {
	made, ok := s.made[id]
	if ok {
		return made, nil
	}
	if _, known := s.template.body.Resources[id]; known {
		return made, fmt.Errorf("resource %s is not there: its condition is false, or it is not made yet", id)
	}
	return made, fmt.Errorf("%q is no parameter, no pseudo parameter and no resource of the template", id)
}

func (s *scope) att(id, name string) (any, error) {
	made, err := s.resource(id)
	if err != nil {
		return nil, err
	}
	v, ok := made.Att[name]
	if !ok {
		return nil, fmt.Errorf("resource %s (%s) has no attribute %s, only %s", id, s.template.body.Resources[id].Type, name, strings.Join(sortedKeys(made.Att), ", "))
	}
	return v, nil
}

// text resolves v to a string. Numbers and booleans become their text, as CloudFormation does.
func (s *scope) text(v any) (string, error) {
	r, err := s.resolve(v)
	if err != nil {
		return "", err
	}
	switch r := r.(type) {
	case string:
		return r, nil
	case json.Number:
		return r.String(), nil
	case bool:
		return fmt.Sprint(r), nil
	}
	return "", fmt.Errorf("%s is not a string", show(r))
}

// list resolves v to a list.
func (s *scope) list(v any) ([]any, error) {
	r, err := s.resolve(v)
	if err != nil {
		return nil, err
	}
	l, ok := r.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", show(r))
	}
	return l, nil
}

// arguments is v as a list of n items, unresolved.
func arguments(v any, n int) ([]any, error) {
	l, ok := v.([]any)
	if !ok || len(l) != n {
		return nil, fmt.Errorf("wants a list of %d, not %s", n, show(v))
	}
	return l, nil
}

// show is v's JSON, shortened: for error texts.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 80 {
		return string(b[:80]) + "..."
	}
	return string(b)
}
