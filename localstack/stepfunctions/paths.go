package stepfunctions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ohler55/ojg/jp"
)

// scope is what paths are evaluated in: a state's input and the context object.
type scope struct {
	input   any
	context map[string]any
	service *Service // for the randomness of intrinsic functions
}

// path is a JSONPath into the input ($) or the context object ($$).
type path struct {
	text      string
	inContext bool
	expr      jp.Expr
	definite  bool // names one node at most; any other path gives an array of what it found
}

func parsePath(text string) (*path, error) {
	p := &path{text: text, definite: true}
	rest := text
	if p.inContext = strings.HasPrefix(text, "$$"); p.inContext {
		rest = text[1:]
	}
	if !strings.HasPrefix(rest, "$") {
		return nil, fmt.Errorf("%q is no path: a path begins with $ or $$", text)
	}
	expr, err := jp.ParseString(rest)
	if err != nil {
		return nil, fmt.Errorf("%q is no JSONPath: %v", text, err)
	}
	for _, part := range expr {
		switch part.(type) {
		case jp.Root, jp.Child, jp.Nth:
		default:
			p.definite = false
		}
	}
	p.expr = expr
	return p, nil
}

// get finds what the path names; false if a definite path names nothing.
func (p *path) get(sc *scope) (any, bool) {
	from := sc.input
	if p.inContext {
		from = sc.context
	}
	found := p.expr.Get(from)
	if !p.definite {
		if found == nil {
			found = []any{}
		}
		return found, true
	}
	if len(found) == 0 {
		return nil, false
	}
	return found[0], true
}

// must is get for fields in which a path that names nothing is States.Runtime, such as InputPath.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#states-runtime-error
func (p *path) must(sc *scope, field string) (any, error) {
	v, ok := p.get(sc)
	if !ok {
		return nil, faultf(errRuntime, "Invalid path '%s' for the field '%s': it names nothing in the input.", p.text, field)
	}
	return v, nil
}

// filter is InputPath or OutputPath: absent ($), null (an empty object instead of the data), or a path.
type filter struct {
	field string
	null  bool
	path  *path
}

func (f filter) apply(sc *scope) (any, error) {
	switch {
	case f.null:
		return map[string]any{}, nil
	case f.path == nil:
		return sc.input, nil
	}
	return f.path.must(sc, f.field)
}

// target is ResultPath: absent ($), null (the result is dropped), or a reference path, which names exactly one place.
type target struct {
	null  bool
	text  string
	steps []any // string for a member, int for an element
}

func parseTarget(text string) (target, error) {
	p, err := parsePath(text)
	if err != nil {
		return target{}, err
	}
	t := target{text: text}
	if p.inContext || !p.definite {
		return t, fmt.Errorf("%q is no reference path", text)
	}
	for _, part := range p.expr[1:] {
		switch part := part.(type) {
		case jp.Child:
			t.steps = append(t.steps, string(part))
		case jp.Nth:
			t.steps = append(t.steps, int(part))
		}
	}
	return t, nil
}

// put combines a state's raw input with its result. The input is not changed: it is copied along the way.
func (t target) put(raw, result any) (any, error) {
	if t.null {
		return raw, nil
	}
	return t.place(raw, t.steps, result)
}

func (t target) place(at any, steps []any, result any) (any, error) {
	if len(steps) == 0 {
		return result, nil
	}
	mismatch := faultf(errResultPath, "Unable to apply ReferencePath %s to the state's input.", t.text)
	switch step := steps[0].(type) {
	case string:
		object, ok := at.(map[string]any)
		if !ok && at != nil {
			return nil, mismatch
		}
		clone := make(map[string]any, len(object)+1)
		for k, v := range object {
			clone[k] = v
		}
		inner, err := t.place(object[step], steps[1:], result)
		if err != nil {
			return nil, err
		}
		clone[step] = inner
		return clone, nil
	default:
		n := step.(int)
		array, ok := at.([]any)
		if !ok || n < 0 || n >= len(array) {
			return nil, mismatch
		}
		inner, err := t.place(array[n], steps[1:], result)
		if err != nil {
			return nil, err
		}
		clone := append([]any(nil), array...)
		clone[n] = inner
		return clone, nil
	}
}

// template is a payload template (Parameters, ResultSelector, ItemSelector):
// https://states-language.net/spec.html#payload-template
type template interface {
	eval(sc *scope) (any, error)
}

type (
	literal        struct{ value any }
	objectTemplate map[string]template
	arrayTemplate  []template
	pathTemplate   struct {
		field string
		path  *path
	}
)

func (t literal) eval(*scope) (any, error) { return t.value, nil }

func (t objectTemplate) eval(sc *scope) (any, error) {
	out := make(map[string]any, len(t))
	for k, inner := range t {
		v, err := inner.eval(sc)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

func (t arrayTemplate) eval(sc *scope) (any, error) {
	out := make([]any, len(t))
	for i, inner := range t {
		v, err := inner.eval(sc)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (t pathTemplate) eval(sc *scope) (any, error) {
	v, ok := t.path.get(sc)
	if !ok {
		return nil, faultf(errParameterPath, "The JSONPath '%s' specified for the field '%s' could not be found in the input.", t.path.text, t.field)
	}
	return v, nil
}

// parseTemplate compiles a template, so that a wrong path is found when the machine is created.
func parseTemplate(v any) (template, error) {
	switch v := v.(type) {
	case map[string]any:
		t := objectTemplate{}
		for k, inner := range v {
			name, dynamic := strings.CutSuffix(k, ".$")
			var err error
			if _, twice := t[name]; twice {
				return nil, fmt.Errorf("the field %q is there twice, with and without .$", name)
			}
			if !dynamic {
				t[k], err = parseTemplate(inner)
			} else if text, ok := inner.(string); ok {
				t[name], err = parseExpression(k, text)
			} else {
				err = fmt.Errorf("the value for the field '%s' must be a path or an intrinsic function", k)
			}
			if err != nil {
				return nil, err
			}
		}
		return t, nil
	case []any:
		t := make(arrayTemplate, len(v))
		for i, inner := range v {
			var err error
			if t[i], err = parseTemplate(inner); err != nil {
				return nil, err
			}
		}
		return t, nil
	}
	return literal{v}, nil
}

// parseExpression compiles the value of a field whose name ends in ".$".
func parseExpression(field, text string) (template, error) {
	if strings.HasPrefix(text, "States.") {
		return parseIntrinsic(text)
	}
	p, err := parsePath(text)
	if err != nil {
		return nil, fmt.Errorf("the value for the field '%s': %w", field, err)
	}
	return pathTemplate{field, p}, nil
}

// decode reads JSON so that whole numbers stay whole: they become int64, all others float64.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is something after the JSON value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // out of range becomes infinite, which no state machine compares
		return f
	case map[string]any:
		for k, inner := range v {
			v[k] = numbers(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = numbers(inner)
		}
	}
	return v
}

// encode writes JSON as it came: without escaping <, > and &.
func encode(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("stepfunctions: data that is no JSON: %v", err)) // data only ever comes from decode
	}
	return strings.TrimSuffix(b.String(), "\n")
}
