package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// check finds what makes a document invalid for its kind.
func (d *Document) check(kind Kind) error {
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return fmt.Errorf("the Version is %q, not 2012-10-17 or 2008-10-17", d.Version)
	}
	if len(d.Statement) == 0 {
		return errors.New("no Statement")
	}
	for i := range d.Statement {
		s := &d.Statement[i]
		if err := s.check(kind, d.variables()); err != nil {
			return fmt.Errorf("statement %d %s: %w", i, s.Sid, err)
		}
	}
	return nil
}

// variables says whether ${…} means something: only the newer version of the language has variables.
func (d *Document) variables() bool { return d.Version == "2012-10-17" }

func (s *Statement) check(kind Kind, variables bool) error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("the Effect is %q, not Allow or Deny", s.Effect)
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return errors.New("want either Action or NotAction")
	}
	for _, a := range slices.Concat(s.Action, s.NotAction) {
		if !actionForm.MatchString(a) {
			return fmt.Errorf("%q is not an action: want service:Action", a)
		}
	}
	if err := s.checkPrincipal(kind); err != nil {
		return err
	}
	if err := s.checkResource(kind, variables); err != nil {
		return err
	}
	for _, op := range slices.Sorted(maps.Keys(s.Condition)) {
		o, err := parseOperator(op)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(s.Condition[op])) {
			if !known(key) {
				return fmt.Errorf("%s: the condition key %s is not known here", op, key)
			}
			if err := o.check(s.Condition[op][key], variables); err != nil {
				return fmt.Errorf("%s %s: %w", op, key, err)
			}
		}
	}
	return nil
}

var (
	actionForm  = regexp.MustCompile(`^(\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+)$`)
	accountForm = regexp.MustCompile(`^\d{12}$`)
	uniqueForm  = regexp.MustCompile(`^[A-Z0-9]{16,128}$`) // AROA…, AIDA…: what becomes of the ARN of a role that was deleted
	serviceForm = regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com$`)
)

// checkPrincipal holds a statement to who may be named where: nobody in a policy that hangs on an identity, somebody in
// one that hangs on a resource.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func (s *Statement) checkPrincipal(kind Kind) error {
	if kind != Resource && kind != Trust {
		if s.Principal != nil || s.NotPrincipal != nil {
			return errors.New("a policy of an identity names no principal")
		}
		return nil
	}
	switch {
	case (s.Principal == nil) == (s.NotPrincipal == nil):
		return errors.New("want either Principal or NotPrincipal")
	case s.NotPrincipal != nil && (kind == Trust || s.Effect == "Allow"):
		return errors.New("NotPrincipal goes with Deny in resource policies only")
	}
	for kind, names := range s.principals() {
		for _, name := range names {
			if !validPrincipal(kind, name) {
				return fmt.Errorf("%s principal %q is not valid", kind, name)
			}
		}
	}
	return nil
}

func (s *Statement) principals() Principal {
	if s.NotPrincipal != nil {
		return s.NotPrincipal
	}
	return s.Principal
}

// validPrincipal refuses wildcards inside a name: IAM knows "everybody" and exact names, nothing between.
func validPrincipal(kind, name string) bool {
	switch kind {
	case "*":
		return name == "*"
	case "AWS":
		if name == "*" || accountForm.MatchString(name) || uniqueForm.MatchString(name) {
			return true
		}
		p := strings.SplitN(name, ":", 6)
		return len(p) == 6 && p[0] == "arn" && (p[2] == "iam" || p[2] == "sts") && accountForm.MatchString(p[4]) &&
			p[5] != "" && !strings.ContainsAny(name, "*?")
	case "Service":
		return serviceForm.MatchString(name)
	case "Federated", "CanonicalUser":
		return name != ""
	}
	return false
}

func (s *Statement) checkResource(kind Kind, variables bool) error {
	if kind == Trust {
		if s.Resource != nil || s.NotResource != nil {
			return errors.New("a trust policy has no Resource: it is the role's")
		}
		return nil
	}
	if (len(s.Resource) == 0) == (len(s.NotResource) == 0) {
		return errors.New("want either Resource or NotResource")
	}
	for _, r := range slices.Concat(s.Resource, s.NotResource) {
		if r != "*" && !strings.HasPrefix(r, "arn:") {
			return fmt.Errorf("%q is not a resource: want an ARN or *", r)
		}
		if _, err := parseTemplate(r, variables, true); err != nil {
			return err
		}
	}
	return nil
}
