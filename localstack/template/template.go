// Package template deploys a CloudFormation template, or the cloud assembly that the CDK synthesizes, into the
// services of the local stack.
//
// It resolves parameters, pseudo parameters, conditions, mappings and intrinsic functions, orders the resources by
// their dependencies, and makes each through the stack.Make of the service that owns its type. A type that nobody
// knows, an intrinsic function that is not here, or a template section that is not here is an error, found before
// anything is made.
//
// Sources:
//   - https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
//   - https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/pseudo-parameter-reference.html
//   - https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html (custom resources)
//
// Left out: nested stacks, macros and transforms, Fn::ImportValue, Fn::Cidr, change sets, rollback (a failed deployment
// keeps what it made, and deploying again continues from there), and deletion of resources that a changed template no
// longer holds, but for custom resources, whose provider gets its Delete request.
package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Template is a template as read, nothing of it resolved yet.
type Template struct {
	Name   string            // the stack's name in the assembly, or the file's name up to the first dot
	Assets map[string]string // object key -> the folder or file that the CDK would have uploaded under it
	body   body
}

type body struct {
	AWSTemplateFormatVersion string
	Description              string
	Metadata                 json.RawMessage
	Parameters               map[string]parameter
	Rules                    map[string]json.RawMessage
	Mappings                 map[string]map[string]map[string]any
	Conditions               map[string]any
	Resources                map[string]resource
	Outputs                  map[string]output
}

type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           names
	Condition           string
	Metadata            json.RawMessage // for tools, such as the CDK's construct path
	DeletionPolicy      string          // nothing is deleted here, so the policies of deletion and replacement have no effect
	UpdateReplacePolicy string
	UpdatePolicy        json.RawMessage // how AutoScaling groups, Lambda aliases and such are rolled: not here
	CreationPolicy      json.RawMessage // waits for signals that no resource here sends
}

type output struct {
	Description string
	Value       any
	Condition   string
	Export      json.RawMessage // nothing here imports from another stack
}

// names is a string or a list of strings.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*n = names{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(n))
}

// Load reads a template: path is a cloud assembly (cdk.out) or a template in JSON. Of an assembly with several stacks,
// stackName picks one; otherwise it may be empty.
func Load(path, stackName string) (*Template, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w; synthesize it first", path, err)
	}
	if info.IsDir() {
		return loadAssembly(path, stackName)
	}
	name := stackName
	if name == "" {
		name, _, _ = strings.Cut(filepath.Base(path), ".")
	}
	return loadFile(path, name)
}

func loadFile(path, name string) (*Template, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	t, err := Parse(name, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse reads a template's JSON text. Name becomes the stack's name unless Options give another.
func Parse(name string, text []byte) (*Template, error) {
	t := &Template{Name: name, Assets: map[string]string{}}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // a number must come out as it went in: account ids, 64-bit values
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t.body); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("template %s: more than one JSON value", name)
	}
	if len(t.body.Resources) == 0 {
		return nil, fmt.Errorf("template %s: at least one member must be defined in its Resources", name)
	}
	for _, id := range sortedKeys(t.body.Resources) {
		if t.body.Resources[id].Type == "" {
			return nil, fmt.Errorf("template %s: resource %s has no Type", name, id)
		}
	}
	for rule := range t.body.Rules {
		// Asks for a bootstrap stack of a high enough version: nothing is bootstrapped here.
		if rule != "CheckBootstrapVersion" {
			return nil, fmt.Errorf("template %s: rule %s: the local stack evaluates no Rules", name, rule)
		}
	}
	return t, nil
}

// Types lists the resource types of the template, each with the logical ids that have it.
func (t *Template) Types() map[string][]string {
	types := map[string][]string{}
	for _, id := range sortedKeys(t.body.Resources) {
		typ := t.body.Resources[id].Type
		types[typ] = append(types[typ], id)
	}
	return types
}

// Set gives a property of every resource of a type another value.
func (t *Template) Set(kind, property string, value any) {
	for _, r := range t.body.Resources {
		if r.Type == kind && r.Properties != nil {
			r.Properties[property] = value
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
