package template

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// Options say how a template becomes a stack.
type Options struct {
	// StackName is AWS::StackName; if empty, the template's name.
	StackName string
	// Types holds what every service provides. NoEffect's types are known as well, where no service owns them.
	Types map[string]stack.Make
	// Asset finds the unpacked file asset of an S3 location. If it is nil or returns "", the assembly's folder counts:
	// so the composition root can point functions to binaries that were built for this machine.
	Asset func(bucket, key string) (path string, err error)
	// Parameters are values for the template's parameters, by name.
	Parameters map[string]string
	// Invoke calls a custom resource's function and returns when it is done; Responses is where the function answers.
	// If Invoke is nil, the template may hold no custom resources.
	Invoke    func(ctx context.Context, functionARN string, payload []byte) error
	Responses *Responses
	// ResponseTimeout is how long a custom resource that names no ServiceTimeout may take; if 0, 60 seconds.
	ResponseTimeout time.Duration
	// Previous is the stack as Deploy last returned it, also with an error; nil creates a new one.
	Previous *Stack
}

// Stack is a deployed template.
type Stack struct {
	Name    string
	ID      string
	Outputs map[string]string
	// Resources is what each logical id became.
	Resources map[string]stack.Made
	deployed  map[string]deployed
	replaced  []customResource // to be sent their Delete request once everything else stands
}

// deployed remembers what a resource was made of, so that only what changed is made again.
type deployed struct {
	Type       string
	Properties string // resolved, as JSON
	assets     []asset
}

// asset is an asset that a resource asked for, and where it was.
type asset struct{ bucket, key, path string }

// Physical is the value of Ref for a logical id, or "".
func (s *Stack) Physical(logicalID string) string { return s.Resources[logicalID].Ref }

// Of lists the values of Ref of all resources of a type, sorted.
func (s *Stack) Of(kind string) []string {
	var refs []string
	for id, d := range s.deployed {
		if d.Type == kind {
			refs = append(refs, s.Resources[id].Ref)
		}
	}
	slices.Sort(refs)
	return refs
}

// Deploy makes the template's resources in the order of their dependencies.
//
// With Previous it updates that stack: what is new is made, what has other properties than before is made again (a
// Make replaces or changes its resource in place), what is unchanged is left alone, and what the template no longer
// holds stays as it is, but for custom resources, whose function gets a Delete request in the end. Other content of an
// asset in the same place goes unnoticed: the CDK names assets by their content. Another place under the same key is a change.
//
// When a resource fails, Deploy returns the stack as far as it got along with the error; nothing is rolled back. Pass
// that stack as Previous to go on.
func Deploy(ctx context.Context, t *Template, o Options) (*Stack, error) {
	d, err := prepare(t, o)
	if err != nil {
		return o.Previous, err
	}
	order, err := d.scope.order()
	if err != nil {
		return o.Previous, fmt.Errorf("stack %s: %w", d.stack.Name, err)
	}
	if err := d.checkOutputs(); err != nil {
		return o.Previous, err
	}
	for _, id := range order {
		if err := d.make(ctx, id); err != nil {
			return d.stack, fmt.Errorf("stack %s: resource %s (%s): %w", d.stack.Name, id, t.body.Resources[id].Type, err)
		}
	}
	if err := d.outputs(); err != nil {
		return d.stack, err
	}
	return d.stack, d.cleanUp(ctx, order)
}

type deployment struct {
	template *Template
	options  Options
	types    map[string]stack.Make
	scope    *scope
	stack    *Stack
}

func prepare(t *Template, o Options) (*deployment, error) {
	if o.StackName == "" {
		o.StackName = t.Name
	}
	if o.ResponseTimeout == 0 {
		o.ResponseTimeout = time.Minute
	}
	d := &deployment{template: t, options: o, types: map[string]stack.Make{}}
	for typ, make := range NoEffect() {
		d.types[typ] = make
	}
	for typ, make := range o.Types {
		d.types[typ] = make
	}
	if err := d.checkTypes(); err != nil {
		return nil, err
	}
	parameters, err := t.parameterValues(o.Parameters)
	if err != nil {
		return nil, err
	}
	d.stack = &Stack{Name: o.StackName, Outputs: map[string]string{}, Resources: map[string]stack.Made{}, deployed: map[string]deployed{}}
	d.stack.ID = fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/%s", stack.Region, stack.Account, o.StackName, name.UUID())
	if p := o.Previous; p != nil {
		d.stack.ID, d.stack.replaced = p.ID, p.replaced
		for id := range p.Resources {
			d.stack.Resources[id], d.stack.deployed[id] = p.Resources[id], p.deployed[id]
		}
	}
	d.scope = &scope{
		template: t, stackName: d.stack.Name, stackID: d.stack.ID, parameters: parameters,
		conditions: map[string]bool{}, settling: map[string]bool{}, made: map[string]stack.Made{},
	}
	return d, nil
}

// checkTypes refuses every type that nobody knows, all at once.
func (d *deployment) checkTypes() error {
	var unknown []string
	types := d.template.Types()
	for _, typ := range sortedKeys(types) {
		if isCustom(typ) {
			if d.options.Invoke == nil || d.options.Responses == nil {
				return fmt.Errorf("stack %s: %s is a custom resource, and Options.Invoke and Options.Responses are not set", d.options.StackName, strings.Join(types[typ], ", "))
			}
			continue
		}
		if _, ok := d.types[typ]; !ok {
			unknown = append(unknown, fmt.Sprintf("%s (%s)", typ, strings.Join(types[typ], ", ")))
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("stack %s: the local stack does not know these resource types: %s; give them to a service, or to the list of types without effect", d.options.StackName, strings.Join(unknown, "; "))
	}
	return nil
}

func (d *deployment) checkOutputs() error {
	for _, id := range sortedKeys(d.template.body.Outputs) {
		if err := d.scope.references(d.template.body.Outputs[id].Value, map[string]bool{}); err != nil {
			return fmt.Errorf("stack %s: output %s: %w", d.stack.Name, id, err)
		}
	}
	return nil
}

func (d *deployment) make(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := d.template.body.Resources[id]
	properties, err := d.scope.resolve(orEmpty(r.Properties))
	if err != nil {
		return err
	}
	text, err := plainJSON(properties)
	if err != nil {
		return err
	}
	now := deployed{Type: r.Type, Properties: string(text)}
	before, was := d.stack.deployed[id]
	if was && before.Type == now.Type && before.Properties == now.Properties && d.inPlace(before.assets) {
		d.scope.made[id] = d.stack.Resources[id]
		return nil
	}
	var made stack.Made
	if isCustom(r.Type) {
		made, err = d.custom(ctx, id, r.Type, properties.(map[string]any), before)
	} else {
		made, err = d.types[r.Type](ctx, stack.Resource{LogicalID: id, Type: r.Type, Properties: text, Asset: func(bucket, key string) (string, error) {
			path, err := d.asset(bucket, key)
			if err == nil {
				now.assets = append(now.assets, asset{bucket, key, path})
			}
			return path, err
		}})
	}
	if err != nil {
		return err
	}
	d.scope.made[id], d.stack.Resources[id], d.stack.deployed[id] = made, made, now
	return nil
}

// plainJSON writes JSON without the escapes for HTML, which documents such as event patterns would show.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func orEmpty(properties map[string]any) map[string]any {
	if properties == nil {
		return map[string]any{}
	}
	return properties
}

func (d *deployment) asset(bucket, key string) (string, error) {
	if d.options.Asset != nil {
		path, err := d.options.Asset(bucket, key)
		if err != nil || path != "" {
			return path, err
		}
	}
	if path, ok := d.template.Assets[key]; ok {
		return path, nil
	}
	return "", fmt.Errorf("s3://%s/%s is no file asset of stack %s, which has %d", bucket, key, d.stack.Name, len(d.template.Assets))
}

// inPlace says whether assets are where they were.
func (d *deployment) inPlace(assets []asset) bool {
	return !slices.ContainsFunc(assets, func(a asset) bool {
		path, err := d.asset(a.bucket, a.key)
		return err != nil || path != a.path
	})
}

func (d *deployment) outputs() error {
	for _, id := range sortedKeys(d.template.body.Outputs) {
		o := d.template.body.Outputs[id]
		if o.Condition != "" {
			there, err := d.scope.named(o.Condition)
			if err != nil {
				return fmt.Errorf("stack %s: output %s: %w", d.stack.Name, id, err)
			}
			if !there {
				continue
			}
		}
		text, err := d.scope.text(o.Value)
		if err != nil {
			return fmt.Errorf("stack %s: output %s: %w", d.stack.Name, id, err)
		}
		d.stack.Outputs[id] = text
	}
	return nil
}

// cleanUp forgets resources that the template no longer holds and sends Delete to the functions of custom resources
// that are gone or were replaced. As in CloudFormation, an update stands even when its clean-up fails: the error says
// what is left over.
func (d *deployment) cleanUp(ctx context.Context, order []string) error {
	kept := map[string]bool{}
	for _, id := range order {
		kept[id] = true
	}
	for _, id := range sortedKeys(d.stack.deployed) {
		if kept[id] {
			continue
		}
		if gone := d.stack.deployed[id]; isCustom(gone.Type) {
			d.stack.replaced = append(d.stack.replaced, customResource{id: id, typ: gone.Type, physical: d.stack.Resources[id].Ref, properties: gone.Properties})
		}
		delete(d.stack.deployed, id)
		delete(d.stack.Resources, id)
	}
	var errs []error
	replaced := d.stack.replaced
	d.stack.replaced = nil
	for _, old := range replaced {
		if err := d.deleteCustom(ctx, old); err != nil {
			errs = append(errs, fmt.Errorf("stack %s is up to date; deleting what %s (%s) was before: %w", d.stack.Name, old.id, old.physical, err))
		}
	}
	return errors.Join(errs...)
}
