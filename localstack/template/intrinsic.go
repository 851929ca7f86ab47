package template

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// call carries out one intrinsic function.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (s *scope) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		return s.ref(arg)
	case "Fn::GetAtt":
		return s.getAtt(arg)
	case "Fn::Sub":
		return s.sub(arg)
	case "Fn::Join":
		return s.join(arg)
	case "Fn::Select":
		return s.selectOne(arg)
	case "Fn::Split":
		return s.split(arg)
	case "Fn::If":
		return s.choose(arg)
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return s.condition(map[string]any{name: arg})
	case "Fn::FindInMap":
		return s.findInMap(arg)
	case "Fn::Base64":
		text, err := s.text(arg)
		return base64.StdEncoding.EncodeToString([]byte(text)), err
	case "Fn::GetAZs":
		return s.zones(arg)
	case "Fn::ImportValue":
		return nil, fmt.Errorf("there is no other stack to import from: the local stack deploys one")
	}
	return nil, fmt.Errorf("the local stack does not know this intrinsic function")
}

func (s *scope) getAtt(arg any) (any, error) {
	if path, ok := arg.(string); ok {
		id, att, ok := strings.Cut(path, ".")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form LogicalId.Attribute", path)
		}
		return s.att(id, att)
	}
	args, err := arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	id, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("%s is not a logical id", show(args[0]))
	}
	att, err := s.text(args[1]) // CloudFormation allows a Ref for the attribute's name
	if err != nil {
		return nil, err
	}
	return s.att(id, att)
}

// placeholder is ${Name}, ${Name.Attribute} or the escaped ${!Literal} of Fn::Sub.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// subForm takes both forms of Fn::Sub apart.
func subForm(arg any) (text string, vars map[string]any, err error) {
	if text, ok := arg.(string); ok {
		return text, nil, nil
	}
	args, err := arguments(arg, 2)
	if err != nil {
		return "", nil, err
	}
	text, ok := args[0].(string)
	vars, isMap := args[1].(map[string]any)
	if !ok || !isMap {
		return "", nil, fmt.Errorf("wants a string and a map, not %s", show(arg))
	}
	return text, vars, nil
}

func (s *scope) sub(arg any) (any, error) {
	text, vars, err := subForm(arg)
	if err != nil {
		return nil, err
	}
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.TrimSpace(match[2 : len(match)-1])
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		var v any
		if given, ok := vars[name]; ok {
			v = given
		} else if strings.Contains(name, ".") {
			v = map[string]any{"Fn::GetAtt": name}
		} else {
			v = map[string]any{"Ref": name}
		}
		part, e := s.text(v)
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %w", match, e)
		}
		return part
	})
	return out, err
}

func (s *scope) join(arg any) (any, error) {
	args, err := arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	sep, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("the delimiter is %s, not a string", show(args[0]))
	}
	items, err := s.list(args[1])
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	for i, item := range items {
		if parts[i], err = s.text(item); err != nil {
			return nil, err
		}
	}
	return strings.Join(parts, sep), nil
}

func (s *scope) selectOne(arg any) (any, error) {
	args, err := arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	index, err := s.text(args[0])
	if err != nil {
		return nil, err
	}
	items, err := s.list(args[1])
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(items) {
		return nil, fmt.Errorf("cannot select nonexistent value at index %s of %d", index, len(items))
	}
	return items[i], nil
}

func (s *scope) split(arg any) (any, error) {
	args, err := arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	sep, ok := args[0].(string)
	if !ok || sep == "" {
		return nil, fmt.Errorf("the delimiter is %s, not a string with something in it", show(args[0]))
	}
	text, err := s.text(args[1])
	if err != nil {
		return nil, err
	}
	items := []any{}
	for _, part := range strings.Split(text, sep) {
		items = append(items, part)
	}
	return items, nil
}

func (s *scope) findInMap(arg any) (any, error) {
	args, err := arguments(arg, 3)
	if err != nil {
		return nil, err
	}
	var keys [3]string
	for i, a := range args {
		if keys[i], err = s.text(a); err != nil {
			return nil, err
		}
	}
	v, ok := s.template.body.Mappings[keys[0]][keys[1]][keys[2]]
	if !ok {
		return nil, fmt.Errorf("unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
	}
	return v, nil
}

func (s *scope) zones(arg any) (any, error) {
	region, err := s.text(arg)
	if err != nil {
		return nil, err
	}
	if region != "" && region != stack.Region {
		return nil, fmt.Errorf("the local stack is %s and knows no zones of %s", stack.Region, region)
	}
	zones := []any{}
	for _, letter := range "abcdef" {
		zones = append(zones, stack.Region+string(letter))
	}
	return zones, nil
}

func (s *scope) choose(arg any) (any, error) {
	branch, err := s.branch(arg)
	if err != nil {
		return nil, err
	}
	return s.resolve(branch)
}

// branch is the side of an Fn::If that its condition picks, unresolved.
func (s *scope) branch(arg any) (any, error) {
	args, err := arguments(arg, 3)
	if err != nil {
		return nil, err
	}
	yes, err := s.named(args[0])
	if err != nil {
		return nil, err
	}
	if yes {
		return args[1], nil
	}
	return args[2], nil
}

func (s *scope) named(name any) (bool, error) {
	id, ok := name.(string)
	if !ok {
		return false, fmt.Errorf("%s is not the name of a condition", show(name))
	}
	if v, ok := s.conditions[id]; ok {
		return v, nil
	}
	raw, ok := s.template.body.Conditions[id]
	if !ok {
		return false, fmt.Errorf("the template has no condition %s", id)
	}
	if s.settling[id] {
		return false, fmt.Errorf("condition %s depends on itself", id)
	}
	s.settling[id] = true
	v, err := s.condition(raw)
	delete(s.settling, id)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", id, err)
	}
	s.conditions[id] = v
	return v, nil
}

// condition evaluates the functions that may stand in Conditions.
func (s *scope) condition(v any) (bool, error) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return false, fmt.Errorf("%s is not a condition", show(v))
	}
	name := sortedKeys(m)[0]
	if name == "Condition" {
		return s.named(m[name])
	}
	args, ok := m[name].([]any)
	if !ok {
		return false, fmt.Errorf("%s: wants a list", name)
	}
	switch name {
	case "Fn::Equals":
		return s.equal(args)
	case "Fn::Not":
		if len(args) != 1 {
			return false, fmt.Errorf("Fn::Not: wants one condition")
		}
		v, err := s.condition(args[0])
		return !v, err
	case "Fn::And", "Fn::Or":
		return s.combine(name, args)
	}
	return false, fmt.Errorf("%s cannot stand in a condition", name)
}

func (s *scope) equal(args []any) (bool, error) {
	if len(args) != 2 {
		return false, fmt.Errorf("Fn::Equals: wants two values")
	}
	left, err := s.resolve(args[0])
	if err != nil {
		return false, err
	}
	right, err := s.resolve(args[1])
	if err != nil {
		return false, err
	}
	l, _ := json.Marshal(asText(left))
	r, _ := json.Marshal(asText(right))
	return string(l) == string(r), nil
}

func (s *scope) combine(name string, args []any) (bool, error) {
	if len(args) < 2 || len(args) > 10 {
		return false, fmt.Errorf("%s: wants 2 to 10 conditions, not %d", name, len(args))
	}
	out := name == "Fn::And"
	for _, a := range args {
		v, err := s.condition(a)
		if err != nil {
			return false, err
		}
		if name == "Fn::And" {
			out = out && v
		} else {
			out = out || v
		}
	}
	return out, nil
}

// asText is v with every number and boolean as the text that CloudFormation makes of it.
func asText(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = asText(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = asText(item)
		}
		return out
	}
	return v
}
