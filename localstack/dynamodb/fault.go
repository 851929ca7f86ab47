package dynamodb

import (
	"fmt"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Errors carry the codes and messages of
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html

func invalid(format string, args ...any) *stack.Error {
	return &stack.Error{Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

func invalidParameter(format string, args ...any) *stack.Error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

// unmet is the answer to a member that breaks a constraint of the API model.
func unmet(value any, member, constraint string) *stack.Error {
	return invalid("1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: %s", value, member, constraint)
}

func noTable() *stack.Error {
	return &stack.Error{Code: "ResourceNotFoundException", Message: "Requested resource not found"}
}

func noTableNamed(name string) *stack.Error {
	return &stack.Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Table: " + name + " not found"}
}

const conditionFailed = "The conditional request failed"

// conditionalCheckFailed carries the item only when the caller asked for it and there is one.
func conditionalCheckFailed(old item) *stack.Error {
	e := &stack.Error{Code: "ConditionalCheckFailedException", Message: conditionFailed}
	if old != nil {
		e.Fields = map[string]any{"Item": old}
	}
	return e
}

// oneOf checks an enumerated member; empty means that it was not given.
func oneOf(value, member string, allowed ...string) error {
	if value == "" {
		return nil
	}
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return unmet(value, member, fmt.Sprintf("Member must satisfy enum value set: %v", spaced(allowed)))
}

// spaced writes a list as AWS's messages do: [a, b].
func spaced[T any](list []T) string {
	s := "["
	for i, v := range list {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(v)
	}
	return s + "]"
}
