package stepfunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources are the CloudFormation types of Step Functions.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{"AWS::StepFunctions::StateMachine": s.makeStateMachine}
}

// machineProperties are on
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-stepfunctions-statemachine.html
type machineProperties struct {
	StateMachineName, StateMachineType, RoleArn, DefinitionString string

	Definition              json.RawMessage
	DefinitionS3Location    *struct{ Bucket, Key, Version string }
	DefinitionSubstitutions map[string]any

	LoggingConfiguration, TracingConfiguration, EncryptionConfiguration any // kept for DescribeStateMachine

	Tags json.RawMessage // known: the local stack keeps no tags of machines
}

// makeStateMachine makes a machine, or changes it when a template is loaded again. Ref is its ARN.
func (s *Service) makeStateMachine(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p machineProperties
	if err := strict(string(r.Properties), &p); err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: properties: %w", r.Type, r.LogicalID, err)
	}
	definition, err := p.definition(r.Asset)
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	if p.StateMachineName == "" {
		p.StateMachineName = r.LogicalID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.install(&createInput{
		Name: p.StateMachineName, Definition: definition, RoleArn: p.RoleArn, Type: p.StateMachineType,
		LoggingConfiguration: lowerKeys(p.LoggingConfiguration), TracingConfiguration: lowerKeys(p.TracingConfiguration),
		EncryptionConfiguration: lowerKeys(p.EncryptionConfiguration),
	})
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s %s: %w", r.Type, r.LogicalID, err)
	}
	return stack.Made{Ref: m.arn, Att: map[string]string{"Arn": m.arn, "Name": m.name}}, nil
}

var substitution = regexp.MustCompile(`\$\{([a-zA-Z0-9_]+)\}`)

// definition is the text of the definition, from wherever the template has it, with its substitutions made. A name that
// is left over is an error: the definition would otherwise run with the placeholder as a value.
func (p *machineProperties) definition(asset func(bucket, key string) (string, error)) (string, error) {
	text := p.DefinitionString
	switch {
	case p.DefinitionS3Location != nil:
		path, err := asset(p.DefinitionS3Location.Bucket, p.DefinitionS3Location.Key)
		if err != nil {
			return "", fmt.Errorf("definition: %w", err)
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, p.DefinitionS3Location.Key)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("definition: %w", err)
		}
		text = string(b)
	case len(p.Definition) > 0:
		text = string(p.Definition)
	}
	var missing []string
	text = substitution.ReplaceAllStringFunc(text, func(place string) string {
		name := place[2 : len(place)-1]
		v, ok := p.DefinitionSubstitutions[name]
		if !ok {
			missing = append(missing, place)
			return place
		}
		if s, ok := v.(string); ok {
			quoted := encode(s)
			return quoted[1 : len(quoted)-1]
		}
		return encode(v)
	})
	if missing != nil {
		return "", fmt.Errorf("DefinitionSubstitutions has no value for %s", strings.Join(missing, ", "))
	}
	return text, nil
}

// lowerKeys turns a template's spelling of a structure (LogGroupArn) into the API's (logGroupArn).
func lowerKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[strings.ToLower(k[:1])+k[1:]] = lowerKeys(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = lowerKeys(inner)
		}
		return out
	}
	return v
}

// strict reads JSON into a Go value and refuses members that it does not have.
func strict(text string, into any) error {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// parse reads a definition and refuses integrations that this local stack does not have.
func (s *Service) parse(definition string) (*machine, error) {
	m, err := parse(definition)
	if err != nil {
		return nil, err
	}
	if problem := s.lacks(m); problem != "" {
		return nil, &stack.Error{Code: "InvalidDefinition", Message: "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: " + problem + "'"}
	}
	return m, nil
}

func (s *Service) lacks(m *machine) string {
	for name, st := range m.states {
		switch k := st.task; {
		case st.kind == "Task" && s.Invoke == nil && (k.function != "" || k.service == "lambda"):
			return fmt.Sprintf("this local stack runs without Lambda at /States/%s", name)
		case st.kind == "Task" && s.Put == nil && k.service == "events":
			return fmt.Sprintf("this local stack runs without EventBridge at /States/%s", name)
		case s.Objects == nil && (st.each.reader != nil || st.each.writer != nil):
			return fmt.Sprintf("this local stack runs without S3 at /States/%s", name)
		}
		for _, b := range st.branches {
			if problem := s.lacks(b); problem != "" {
				return problem
			}
		}
	}
	return ""
}
