package stepfunctions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// machine is a parsed definition, or the part of one that a Parallel or Map state runs.
type machine struct {
	startAt string
	states  map[string]*state
	timeout time.Duration // of the execution; 0 for none

	distributed bool // of a Map's processor
	express     bool // type of a distributed Map's children
}

// state is one state with its paths and templates compiled.
type state struct {
	name, kind string
	next       string // "" at the end

	input, output filter
	result        target
	parameters    template // Parameters, or a Map's ItemSelector; nil if absent
	selector      template // ResultSelector; nil if absent
	retry         []retrier
	catch         []catcher

	task  task     // Task
	rules []choice // Choice
	other string   // Choice: Default

	literal any  // Pass: Result
	pass    bool // Pass: whether Result is there

	wait wait // Wait

	errorName, cause           string // Fail
	errorTemplate, causeSource template

	branches []*machine // Parallel; the processor of a Map is the only one
	each     each       // Map
	label    string     // Map: of a distributed one's children
}

type choice struct {
	rule rule
	next string
}

// parser collects everything that is wrong with a definition.
type parser struct {
	problems []string
	names    map[string]bool // of all states: they are unique in the whole machine
}

func (p *parser) problem(at, format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...)+" at "+at)
}

// parse reads a definition. What is not understood is an error, never passed over.
func parse(definition string) (*machine, error) {
	p := &parser{names: map[string]bool{}}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(definition), &raw); err != nil {
		return nil, &stack.Error{Code: "InvalidDefinition", Message: fmt.Sprintf("Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: %v'", err)}
	}
	f := p.fields("/", raw)
	if v := f.text("Version"); v != "" && v != "1.0" {
		p.problem("/Version", "the version must be 1.0")
	}
	timeout := f.seconds("TimeoutSeconds")
	m := p.scope(f)
	f.finish()
	m.timeout = timeout
	sort.Strings(p.problems) // they were found in the random order of maps
	if len(p.problems) > 0 {
		return nil, &stack.Error{Code: "InvalidDefinition", Message: "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: " + strings.Join(p.problems, ", SCHEMA_VALIDATION_FAILED: ") + "'"}
	}
	return m, nil
}

// scope reads StartAt and States, at the top or in a branch. A transition stays within its scope.
func (p *parser) scope(f *fields) *machine {
	m := &machine{states: map[string]*state{}, startAt: f.text("StartAt")}
	p.language(f)
	var raw map[string]map[string]json.RawMessage
	f.decode("States", &raw)
	for name, fields := range raw {
		if p.names[name] {
			p.problem(f.at, "the state name %q is there twice", name)
		}
		if len(name) == 0 || len(name) > 80 {
			p.problem(f.at, "a state name has 1 to 80 characters")
		}
		p.names[name] = true
		m.states[name] = p.state(name, p.fields(strings.TrimSuffix(f.at, "/")+"/States/"+name, fields))
	}
	if m.states[m.startAt] == nil {
		p.problem(f.at, "MISSING_TRANSITION_TARGET: StartAt names no state: %q", m.startAt)
	}
	for name, s := range m.states {
		for _, to := range s.targets() {
			if m.states[to] == nil {
				p.problem(f.at+"/States/"+name, "MISSING_TRANSITION_TARGET: there is no state %q", to)
			}
		}
	}
	return m
}

func (p *parser) language(f *fields) {
	if l := f.text("QueryLanguage"); l != "" && l != "JSONPath" {
		p.problem(f.at, "the query language %s is not supported", l)
	}
}

// targets are the states that a state may lead to.
func (s *state) targets() []string {
	var to []string
	if s.next != "" {
		to = append(to, s.next)
	}
	if s.other != "" {
		to = append(to, s.other)
	}
	for _, c := range s.rules {
		to = append(to, c.next)
	}
	for _, c := range s.catch {
		to = append(to, c.next)
	}
	return to
}

// state reads one state; the fields that its type does not have are problems.
func (p *parser) state(name string, f *fields) *state {
	s := &state{name: name, kind: f.text("Type")}
	defer f.finish()
	p.language(f)
	if s.kind != "Fail" {
		s.input, s.output = f.filter("InputPath"), f.filter("OutputPath")
	}
	switch s.kind {
	case "Task", "Parallel", "Map", "Pass", "Wait":
		s.next = f.text("Next")
		if end := f.has("End") && f.flag("End"); end == (s.next != "") {
			p.problem(f.at, "a %s state has either Next or End: true", s.kind)
		}
	}
	switch s.kind {
	case "Task", "Parallel", "Map":
		s.result, s.selector = f.target("ResultPath"), f.template("ResultSelector")
		s.retry, s.catch = p.retriers(f), p.catchers(f)
	case "Pass":
		s.result, s.parameters = f.target("ResultPath"), f.template("Parameters")
		if s.pass = f.has("Result"); s.pass {
			s.literal = f.value("Result")
		}
	}
	switch s.kind {
	case "Task":
		s.parameters = f.template("Parameters")
		s.task = p.task(f, s.parameters)
	case "Parallel":
		s.parameters = f.template("Parameters")
		s.branches = p.branches(f)
	case "Map":
		p.mapState(f, s)
	case "Wait":
		s.wait = p.wait(f)
	case "Choice":
		s.rules, s.other = p.choices(f), f.text("Default")
	case "Fail":
		p.failState(f, s)
	case "Pass", "Succeed":
	default:
		p.problem(f.at, "the state type %q is none of Task, Choice, Wait, Pass, Succeed, Fail, Parallel, Map", s.kind)
	}
	return s
}

func (p *parser) choices(f *fields) []choice {
	var raw []map[string]json.RawMessage
	f.decode("Choices", &raw)
	if len(raw) == 0 {
		p.problem(f.at, "Choices needs at least one rule")
	}
	var list []choice
	for i, r := range raw {
		at := fmt.Sprintf("%s/Choices[%d]", f.at, i)
		c := choice{rule: p.rule(at, r)}
		if err := json.Unmarshal(r["Next"], &c.next); err != nil || c.next == "" {
			p.problem(at, "a rule needs a Next")
		}
		list = append(list, c)
	}
	return list
}

// failState reads Error and Cause, each as a text or as a path.
func (p *parser) failState(f *fields, s *state) {
	s.errorName, s.errorTemplate = f.either("Error")
	s.cause, s.causeSource = f.either("Cause")
}

// fields reads one object of a definition and notes which fields were asked for.
type fields struct {
	p    *parser
	at   string
	raw  map[string]json.RawMessage
	seen map[string]bool
}

func (p *parser) fields(at string, raw map[string]json.RawMessage) *fields {
	return &fields{p: p, at: at, raw: raw, seen: map[string]bool{"Comment": true}}
}

// finish complains about every field that nobody asked for.
func (f *fields) finish() {
	for _, k := range sortedKeys(f.raw) {
		if !f.seen[k] {
			f.p.problem(f.at, "the field %q is not supported here", k)
		}
	}
}

func (f *fields) has(name string) bool {
	f.seen[name] = true
	_, ok := f.raw[name]
	return ok
}

// decode reads a field into a Go value; an absent field leaves it as it is.
func (f *fields) decode(name string, into any) {
	if !f.has(name) {
		return
	}
	if err := json.Unmarshal(f.raw[name], into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			f.p.problem(f.at+"/"+name, "a JSON %s cannot stand here", kind.Value)
			return
		}
		f.p.problem(f.at+"/"+name, "%v", err)
	}
}

func (f *fields) text(name string) (s string) { f.decode(name, &s); return }
func (f *fields) flag(name string) (b bool)   { f.decode(name, &b); return }

// value reads any JSON value.
func (f *fields) value(name string) any {
	if !f.has(name) {
		return nil
	}
	v, err := decode(f.raw[name])
	if err != nil {
		f.p.problem(f.at+"/"+name, "%v", err)
	}
	return v
}

// whole reads a number that is at least least; absent gives the default.
func (f *fields) whole(name string, least, otherwise int) int {
	if !f.has(name) {
		return otherwise
	}
	v, ok := f.value(name).(int64)
	if !ok || v < int64(least) || v > math.MaxInt32 {
		f.p.problem(f.at+"/"+name, "this must be a whole number of at least %d", least)
	}
	return int(v)
}

// seconds reads a time of at least a second; absent is 0.
func (f *fields) seconds(name string) time.Duration {
	return time.Duration(f.whole(name, 1, 0)) * time.Second
}

// path reads a path; nil if absent.
func (f *fields) path(name string) *path {
	if !f.has(name) {
		return nil
	}
	text := f.text(name)
	p, err := parsePath(text)
	if err != nil {
		f.p.problem(f.at+"/"+name, "%v", err)
	}
	return p
}

// filter reads InputPath or OutputPath.
func (f *fields) filter(name string) filter {
	if f.has(name) && string(f.raw[name]) == "null" {
		return filter{field: name, null: true}
	}
	return filter{field: name, path: f.path(name)}
}

// target reads ResultPath.
func (f *fields) target(name string) target {
	switch {
	case !f.has(name):
		return target{}
	case string(f.raw[name]) == "null":
		return target{null: true}
	}
	t, err := parseTarget(f.text(name))
	if err != nil {
		f.p.problem(f.at+"/"+name, "%v", err)
	}
	return t
}

// template reads a payload template; nil if absent.
func (f *fields) template(name string) template {
	if !f.has(name) {
		return nil
	}
	t, err := parseTemplate(f.value(name))
	if err != nil {
		f.p.problem(f.at+"/"+name, "%v", err)
	}
	return t
}

// either reads NAME as a text or NAMEPath as a path or intrinsic function.
func (f *fields) either(name string) (string, template) {
	if !f.has(name + "Path") {
		return f.text(name), nil
	}
	if f.has(name) {
		f.p.problem(f.at, "%s and %sPath exclude each other", name, name)
	}
	t, err := parseExpression(name+"Path", f.text(name+"Path"))
	if err != nil {
		f.p.problem(f.at+"/"+name+"Path", "%v", err)
	}
	return "", t
}
