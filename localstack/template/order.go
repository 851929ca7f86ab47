package template

import (
	"fmt"
	"strings"
)

// order returns the logical ids of the resources whose condition holds, each after everything that it depends on.
// Among those that could come next, the alphabet decides, so that two deployments take the same order.
func (s *scope) order() ([]string, error) {
	needs := map[string][]string{}
	for _, id := range sortedKeys(s.template.body.Resources) {
		r := s.template.body.Resources[id]
		if r.Condition != "" {
			there, err := s.named(r.Condition)
			if err != nil {
				return nil, fmt.Errorf("resource %s: %w", id, err)
			}
			if !there {
				continue
			}
		}
		found := map[string]bool{}
		for _, d := range r.DependsOn {
			if _, ok := s.template.body.Resources[d]; !ok {
				return nil, fmt.Errorf("resource %s: DependsOn names %s, which the template does not hold", id, d)
			}
			found[d] = true
		}
		if err := s.references(r.Properties, found); err != nil {
			return nil, fmt.Errorf("resource %s: %w", id, err)
		}
		needs[id] = sortedKeys(found)
	}
	o := ordering{needs: needs, state: map[string]int{}}
	for _, id := range sortedKeys(needs) {
		if err := o.visit(id); err != nil {
			return nil, err
		}
	}
	return o.done, nil
}

type ordering struct {
	needs map[string][]string
	state map[string]int // 1 while on the path, 2 when placed
	path  []string
	done  []string
}

func (o *ordering) visit(id string) error {
	if _, there := o.needs[id]; !there || o.state[id] == 2 {
		return nil // a resource whose condition is false is no dependency
	}
	o.path = append(o.path, id)
	if o.state[id] == 1 {
		return fmt.Errorf("circular dependency between resources: %s", strings.Join(o.path, " -> "))
	}
	o.state[id] = 1
	for _, d := range o.needs[id] {
		if err := o.visit(d); err != nil {
			return err
		}
	}
	o.state[id] = 2
	o.path = o.path[:len(o.path)-1]
	o.done = append(o.done, id)
	return nil
}

// references collects the logical ids that v refers to. Of an Fn::If only the branch that is taken counts. A name that
// the template does not hold and a function that is not here are errors, found before anything is made.
func (s *scope) references(v any, found map[string]bool) error {
	if name, arg, ok := intrinsic(v); ok {
		if err := s.callReferences(name, arg, found); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if err := s.references(v[k], found); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
	case []any:
		for _, item := range v {
			if err := s.references(item, found); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scope) callReferences(name string, arg any, found map[string]bool) error {
	switch name {
	case "Ref":
		return s.note(arg, found)
	case "Fn::GetAtt":
		if path, ok := arg.(string); ok {
			id, _, _ := strings.Cut(path, ".")
			return s.note(id, found)
		}
		args, err := arguments(arg, 2)
		if err != nil {
			return err
		}
		return s.note(args[0], found)
	case "Fn::If":
		branch, err := s.branch(arg)
		if err != nil {
			return err
		}
		return s.references(branch, found)
	case "Fn::Sub":
		return s.subReferences(arg, found)
	case "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Fn::FindInMap", "Fn::Base64", "Fn::GetAZs":
		return s.references(arg, found)
	}
	_, err := s.call(name, nil) // says why this function is not here
	return err
}

func (s *scope) subReferences(arg any, found map[string]bool) error {
	text, vars, err := subForm(arg)
	if err != nil {
		return err
	}
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		name := strings.TrimSpace(match[1])
		if _, given := vars[name]; given || strings.HasPrefix(name, "!") {
			continue
		}
		id, _, _ := strings.Cut(name, ".")
		if err := s.note(id, found); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(vars) {
		if err := s.references(vars[name], found); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) note(id any, found map[string]bool) error {
	name, ok := id.(string)
	if !ok {
		return fmt.Errorf("%s is not a name", show(id))
	}
	if _, isResource := s.template.body.Resources[name]; isResource {
		found[name] = true
		return nil
	}
	_, isParameter := s.parameters[name]
	if _, isPseudo := s.pseudo(name); !isParameter && !isPseudo {
		return fmt.Errorf("%q is no parameter, no pseudo parameter and no resource of the template", name)
	}
	return nil
}
