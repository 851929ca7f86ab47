// Package source reads the contracts that people write: YAML files checked against the JSON Schemas in contracts/schema
// and against each other. It finds everything that is wrong at once, each with its place in the source. Functions never
// read YAML: what is right here is compiled to JSON, which package contract reads.
package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/contracts/schema"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
)

// Check is what somebody else demands of contracts that are sound in themselves. Each clash is reported at its place.
type Check func(contract.Bundle) []contract.Clash

// GuardrailsFile is the name of the organisation's rules in a folder of contracts. Load takes their text as it is.
const GuardrailsFile = "guardrails.cedar"

// Load reads a folder of contracts: *.yaml are contracts, services/*.yaml are services; anything else is passed over. With
// problems, the bundle holds what could be read and must not come into force. Checks see a bundle without problems only.
func Load(fsys fs.FS, checks ...Check) (contract.Bundle, Problems) {
	var l loading
	contracts, services := l.grammars()
	if l.problems != nil {
		return contract.Bundle{}, l.problems
	}
	var bundle contract.Bundle
	var declared []*document
	for _, file := range l.files(fsys, "services") {
		d := l.read(fsys, file, services)
		declared = append(declared, d)
		bundle.Services = append(bundle.Services, d.service())
	}
	l.serviceNames(bundle.Services, declared)

	var written []*document
	for _, file := range l.files(fsys, ".") {
		d := l.read(fsys, file, contracts)
		written = append(written, d)
		bundle.Contracts = append(bundle.Contracts, d.contract())
	}
	if len(written) == 0 {
		l.problems = append(l.problems, Problem{File: ".", Line: 1, Column: 1, Code: "no-contracts",
			Message: "the folder holds no contract", Do: "name a folder with *.yaml contracts, or write one"})
	}
	if rules, err := fs.ReadFile(fsys, GuardrailsFile); err == nil {
		bundle.Guardrails = rules
	} else if !errors.Is(err, fs.ErrNotExist) {
		l.fail(GuardrailsFile, "bad-guardrails", err, "make the file readable")
	}
	for i, d := range written {
		d.meaning(bundle.Contracts[i], bundle.Services)
	}
	for _, c := range contract.Clashes(bundle.Contracts) {
		if d := written[c.Index]; d.value != nil && !d.problems.about(c.Path) {
			d.report(c.Path, c.Code, c.Message, c.Do)
		}
	}
	documents := append(declared, written...)
	unsound := func(d *document) bool { return len(d.problems) > 0 }
	if len(l.problems) == 0 && !slices.ContainsFunc(documents, unsound) {
		for _, check := range checks {
			for _, c := range check(bundle) {
				written[c.Index].report(c.Path, c.Code, c.Message, c.Do)
			}
		}
	}
	for _, d := range documents {
		d.excerpts()
		l.problems = append(l.problems, d.problems...)
	}
	l.problems.sort()
	return bundle, l.problems
}

// loading is one pass; it collects what has no document to belong to.
type loading struct{ problems Problems }

func (l *loading) fail(file, code string, err error, do string) {
	l.problems = append(l.problems, Problem{File: file, Line: 1, Column: 1, Code: code, Message: err.Error(), Do: do})
}

func (l *loading) grammars() (contracts, services grammar) {
	var err error
	if contracts, err = compile(schema.Contract); err != nil {
		l.fail("schema/contract.schema.json", "bad-schema", err, "correct the schema and build again")
	}
	if services, err = compile(schema.Service); err != nil {
		l.fail("schema/service.schema.json", "bad-schema", err, "correct the schema and build again")
	}
	return contracts, services
}

func (l *loading) files(fsys fs.FS, folder string) []string {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		l.fail(folder, "unreadable", err, "the folder of contracts needs a folder services with the declared services")
		return nil
	}
	var files []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, path.Join(folder, e.Name()))
		}
	}
	return files
}

func (l *loading) read(fsys fs.FS, file string, g grammar) *document {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		l.fail(file, "unreadable", err, "make the file readable")
		return &document{file: file}
	}
	d := parse(file, data)
	if d.value != nil {
		g.check(d)
	}
	return d
}

// serviceNames checks that a service is declared once, in the file that bears its name, where the next reader looks.
func (l *loading) serviceNames(services []contract.Service, documents []*document) {
	for i, s := range services {
		d := documents[i]
		want := strings.TrimSuffix(path.Base(d.file), path.Ext(d.file))
		if d.value != nil && s.Name != want && !d.problems.about("/name") {
			d.report("/name", "file-name", fmt.Sprintf("service %q is declared in a file of another name", s.Name),
				"rename the file to "+s.Name+path.Ext(d.file)+", or the service")
		}
	}
}

// contract makes a contract of the document, with defaults. What the grammar refused is left out of it.
func (d *document) contract() contract.Contract {
	d.asText("/compliance")
	d.asText("/policy")
	var c contract.Contract
	d.decode(&c)
	return contract.WithDefaults(c)
}

func (d *document) service() contract.Service {
	var s contract.Service
	d.decode(&s)
	return s
}

// asText makes the scalars in a member the text that was written: 3.10 is a section number and not 3.1.
func (d *document) asText(pointer string) {
	m, _ := d.value[strings.TrimPrefix(pointer, "/")].(map[string]any)
	for name, v := range m {
		switch v.(type) {
		case json.Number, bool:
			m[name] = d.places[pointer+"/"+escape(name)].text
		}
	}
}

// decode reads the document into a struct, without the values that were complained about.
func (d *document) decode(into any) {
	if d.value == nil {
		return
	}
	data, err := json.Marshal(d.without(d.value, ""))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil && len(d.problems) == 0 {
		d.report("", "bad-value", err.Error(), "correct the value")
	}
}

// without copies a value, leaving out what was complained about. Elements of lists become nothing but keep their place, so
// that the others keep theirs.
func (d *document) without(v any, pointer string) any {
	bad := func(at string) bool { return d.problems.exactly(at) || d.problems.exactly(keyOf(at)) }
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, value := range v {
			if at := pointer + "/" + escape(name); !bad(at) {
				m[name] = d.without(value, at)
			}
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			if at := pointer + "/" + strconv.Itoa(i); !bad(at) {
				list[i] = d.without(value, at)
			}
		}
		return list
	default:
		return v
	}
}

// meaning reports what the grammar cannot see: services that are not declared, a strategy that the target cannot follow, an
// initial policy that loosens the contract.
func (d *document) meaning(c contract.Contract, services []contract.Service) {
	if d.value == nil {
		return
	}
	for _, p := range contract.Validate(c, services) {
		switch {
		case d.problems.about(p.Path):
		case p.Code == contract.ValueInContract:
			d.conceal(p.Path, p.Code, p.Message, p.Do)
		default:
			d.report(p.Path, p.Code, p.Message, p.Do)
		}
	}
	if c.TTL <= 0 {
		return // there is nothing to measure a policy by
	}
	tags := make(map[string]string, len(c.Policy))
	for name, value := range c.Policy {
		tags[policy.Prefix+name] = value
	}
	_, bad := policy.Check(tags, c)
	for _, b := range bad {
		if at := "/policy/" + b.Attribute; !d.problems.about(at) {
			d.report(at, "bad-policy", b.Attribute+" "+b.Message, "correct the initial policy, or leave it out for the default")
		}
	}
}
