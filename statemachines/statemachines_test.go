// Package statemachines_test holds the state machines' definitions to how they are written: explained, in one order, with
// every error name known and every fault that no retry can mend named as such.
package statemachines_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
	"github.com/mayfly-secrets/mayfly/localstack/stepfunctions"
)

// object is a JSON object with its members in the order of the file.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

func (o *object) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		m := member{name: name.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

func (o object) names() []string {
	names := make([]string, len(o))
	for i, m := range o {
		names[i] = m.name
	}
	return names
}

// get reads a member; into stays as it is where there is none.
func (o object) get(t *testing.T, name string, into any) {
	t.Helper()
	for _, m := range o {
		if m.name != name {
			continue
		}
		if err := json.Unmarshal(m.value, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// handler is an entry of Retry or Catch.
type handler struct {
	Comment        string
	ErrorEquals    []string
	MaxAttempts    *int
	JitterStrategy string
	Next           string
}

type task struct {
	name    string
	members object
	retry   []handler
	catch   []handler
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.asl.json")
	if err != nil || len(found) < 2 {
		t.Fatalf("state machines %v, %v, want at least two", found, err)
	}
	return found
}

// tasks are all Task states, those of a Map's processor too.
func tasks(t *testing.T, definition object) []task {
	t.Helper()
	var states object
	definition.get(t, "States", &states)
	var found []task
	for _, s := range states {
		var members, processor object
		if err := json.Unmarshal(s.value, &members); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if members.get(t, "ItemProcessor", &processor); processor != nil {
			found = append(found, tasks(t, processor)...)
		}
		var kind string
		if members.get(t, "Type", &kind); kind != "Task" {
			continue
		}
		k := task{name: s.name, members: members}
		members.get(t, "Retry", &k.retry)
		members.get(t, "Catch", &k.catch)
		found = append(found, k)
	}
	return found
}

// everyTask runs f for each Task state of each machine.
func everyTask(t *testing.T, f func(t *testing.T, file string, k task)) {
	for _, file := range files(t) {
		var definition object
		if err := json.Unmarshal([]byte(read(t, file)), &definition); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found := tasks(t, definition)
		if len(found) == 0 {
			t.Errorf("%s has no task", file)
		}
		for _, k := range found {
			t.Run(strings.TrimSuffix(file, ".asl.json")+"/"+k.name, func(t *testing.T) { f(t, file, k) })
		}
	}
}

func TestLength(t *testing.T) {
	for _, file := range files(t) {
		if n := strings.Count(read(t, file), "\n"); n > 200 {
			t.Errorf("%s has %d lines, at most 200: split it", file, n)
		}
	}
}

func TestEveryTaskIsExplained(t *testing.T) {
	everyTask(t, func(t *testing.T, _ string, k task) {
		var comment string
		if k.members.get(t, "Comment", &comment); len(comment) < 10 {
			t.Errorf("its comment is %q", comment)
		}
		for _, h := range slices.Concat(k.retry, k.catch) {
			if len(h.Comment) < 10 {
				t.Errorf("the comment on %v is %q", h.ErrorEquals, h.Comment)
			}
		}
	})
}

func TestOrderOfMembers(t *testing.T) {
	order := []string{"Type", "Comment", "Resource", "Parameters", "ResultSelector", "ResultPath", "Retry", "Catch", "OutputPath", "Next", "End"}
	everyTask(t, func(t *testing.T, _ string, k task) {
		names := k.members.names()
		want := slices.DeleteFunc(slices.Clone(order), func(n string) bool { return !slices.Contains(names, n) })
		if !slices.Equal(names, want) {
			t.Errorf("its members are %v, want %v", names, want)
		}
	})
}

// Lambda hands our codes over as they are. Those of the platform have their service's name in front.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
func TestErrorNamesAreKnown(t *testing.T) {
	platform := regexp.MustCompile(`^(States|Lambda|StepFunctions)\.\w+$`)
	everyTask(t, func(t *testing.T, _ string, k task) {
		for _, h := range slices.Concat(k.retry, k.catch) {
			for _, name := range h.ErrorEquals {
				if fault.Code(name).Class() == "" && !platform.MatchString(name) {
					t.Errorf("%q is neither a fault code nor a name of the platform", name)
				}
			}
		}
	})
}

// Errors that no retry mends come first; everything else is transient until proven otherwise, and is tried again with
// jitter, so that many runs that failed together do not come back together.
func TestRetries(t *testing.T) {
	everyTask(t, func(t *testing.T, _ string, k task) {
		if len(k.retry) < 2 {
			t.Fatalf("%d retriers, want what is never retried and what is", len(k.retry))
		}
		last := len(k.retry) - 1
		for i, h := range k.retry {
			never := h.MaxAttempts != nil && *h.MaxAttempts == 0
			if never != (i != last) {
				t.Errorf("retrier %d of %d, %v: what is never retried comes first, and only the last retries", i+1, last+1, h.ErrorEquals)
			}
		}
		if h := k.retry[last]; !slices.Equal(h.ErrorEquals, []string{"States.ALL"}) || h.JitterStrategy != "FULL" || h.MaxAttempts == nil {
			t.Errorf("the last retrier is %+v, want States.ALL with a number of attempts and full jitter", h)
		}
	})
}

// A step of mayfly-rotate that fails for good leads to RollBack, CloseRun or an end: no run just stops.
func TestEveryStepIsCaught(t *testing.T) {
	everyTask(t, func(t *testing.T, file string, k task) {
		if file != "rotate.asl.json" {
			return
		}
		if len(k.catch) == 0 || !slices.Equal(k.catch[len(k.catch)-1].ErrorEquals, []string{"States.ALL"}) {
			t.Errorf("it catches %+v, want States.ALL at the end", k.catch)
		}
	})
}

func TestEveryFaultIsHandled(t *testing.T) {
	never := map[fault.Code][]string{}
	everyTask(t, func(_ *testing.T, _ string, k task) {
		for _, h := range k.retry {
			if h.MaxAttempts == nil || *h.MaxAttempts != 0 {
				continue
			}
			for _, name := range h.ErrorEquals {
				never[fault.Code(name)] = append(never[fault.Code(name)], k.name)
			}
		}
	})
	for _, code := range fault.Codes() {
		switch code.Class() {
		case fault.Retry, fault.Verify:
			if len(never[code]) > 0 {
				t.Errorf("%s may pass by itself (class %s), and %v never retry it", code, code.Class(), never[code])
			}
		case fault.StopClean, fault.Undo, fault.Dirty:
			if len(never[code]) == 0 {
				t.Errorf("%s is of class %s: no retry mends it, and no state says so", code, code.Class())
			}
		}
	}
}

// The local stack's interpreter refuses what it does not know, so what it takes it runs.
func TestMachinesParse(t *testing.T) {
	clock := stack.NewClock()
	service := stepfunctions.New(clock)
	t.Cleanup(service.Close)
	service.Objects = s3.New(clock)
	service.Invoke = func(context.Context, string, []byte, string) (stepfunctions.Invoked, error) {
		return stepfunctions.Invoked{}, errors.New("nothing is started here")
	}
	client := sfn.NewFromConfig(stacktest.Start(t, clock, service).Config)
	placeholder := regexp.MustCompile(`\$\{(\w+)\}`)
	create := func(name, definition string) error {
		_, err := client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: &name, Definition: &definition, RoleArn: aws.String("arn:aws:iam::" + stack.Account + ":role/machine")})
		return err
	}
	for _, file := range files(t) {
		definition := placeholder.ReplaceAllString(read(t, file), "arn:aws:lambda:"+stack.Region+":"+stack.Account+":function:$1")
		if err := create(strings.TrimSuffix(file, ".asl.json"), definition); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		broken := strings.Replace(definition, `"Next": "`, `"Next": "Nowhere`, 1)
		if err := create("broken-"+strings.TrimSuffix(file, ".asl.json"), broken); err == nil {
			t.Errorf("%s with a state that is not there was accepted", file)
		}
	}
}
