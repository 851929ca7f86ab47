package playground_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Inspections come by themselves every 15 minutes, and once a day with probes of access; the alarm on their absence stays quiet.
func TestInspectionsComeByThemselves(t *testing.T) {
	t.Parallel()
	p := startInspected(t, playground.Options{Policy: brisk})
	hasten(p)
	for range 4 {
		p.Stack.Clock.Advance(15 * time.Minute)
		settled(t, p)
	}
	p.Stack.Clock.Advance(24 * time.Hour)
	settled(t, p)
	inputs := map[string]int{}
	pages := sfn.NewListExecutionsPaginator(sfn.NewFromConfig(p.AWS), &sfn.ListExecutionsInput{StateMachineArn: aws.String(playground.InspectMachine)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t)(nil, err)
		for _, x := range page.Executions {
			out, err := sfn.NewFromConfig(p.AWS).DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
			must(t)(nil, err)
			if out.Status != "SUCCEEDED" {
				t.Errorf("%s ended %s: %s %s", aws.ToString(x.Name), out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
			}
			inputs[aws.ToString(out.Input)]++
		}
	}
	if inputs[`{"access":false}`] < 5 || inputs[`{"access":true}`] < 1 || len(inputs) != 2 {
		t.Errorf("inspections by input: %v", inputs)
	}
	clean(t, p)
}

// What nobody rotates becomes late, overdue, expired: found by the age of the value, with no error anywhere to be found. Each is
// on record once, and its line is there at every inspection.
func TestMissingSuccessIsFound(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	(&failing{Playground: p}).rotate(t, "onboard")
	silence(t, p)
	halt(t, p, "mayfly-evaluate") // nobody comes to rotate it, and nothing fails
	lines := func(code inspection.Code) int {
		n := 0
		for _, l := range p.Stack.Logs.Lines(playground.AuditGroup) {
			if strings.Contains(l.Text, `"schema":"mayfly.finding.v1"`) && strings.Contains(l.Text, `"code":"`+string(code)+`"`) && strings.Contains(l.Text, orders) {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		after time.Duration
		code  inspection.Code // "" is nothing
	}{{10 * time.Hour, ""}, {6*time.Hour + 30*time.Minute, inspection.Late}, {4 * time.Hour, inspection.Overdue}, {4 * time.Hour, inspection.Expired}} {
		p.Stack.Clock.Advance(step.after)
		inspect(t, p, false)
		inspect(t, p, false)
		codes, days := []string{}, map[string]int{}
		for _, r := range found(t, p, orders) {
			codes = append(codes, r.ReasonCode)
			days[r.ReasonCode+" of "+r.Time[:len("2006-01-02")]]++
		}
		if step.code == "" {
			if len(codes) > 0 {
				t.Errorf("found %v of a fresh value", codes)
			}
			continue
		}
		if len(codes) == 0 || codes[len(codes)-1] != string(step.code) {
			t.Errorf("after %v on record: %v, want %s last", step.after, codes, step.code)
		}
		for what, n := range days {
			if n != 1 {
				t.Errorf("%s is on record %d times, want once a day", what, n)
			}
		}
		if n := lines(step.code); n != 2 {
			t.Errorf("%d lines of %s in the log, want one of each inspection", n, step.code)
		}
	}
	tag(t, p, orders, "on_expiry", "keep")
	inspect(t, p, false)
	if all := found(t, p, orders); !slices.ContainsFunc(all, func(r audit.Record) bool { return r.ReasonCode == string(inspection.KeepsExpired) }) {
		t.Errorf("kept past its expiry, on record: %+v", all[len(all)-1])
	}
	clean(t, p)
}

// One value in two secrets is found before it leaks.
func TestSharedValueIsFound(t *testing.T) {
	t.Parallel()
	const siem = "prod/webhook-siem"
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	silence(t, p)
	inspect(t, p, false)
	text, _ := value(t, p, siem)
	put(t, p, payments, text)
	inspect(t, p, false)
	inspect(t, p, false) // the two may have been looked at side by side
	for one, other := range map[string]string{siem: payments, payments: siem} {
		if !slices.ContainsFunc(found(t, p, one), func(r audit.Record) bool {
			return r.ReasonCode == string(inspection.SharedValue) && strings.Contains(r.Reason, other)
		}) {
			t.Errorf("%s: %+v", one, found(t, p, one))
		}
	}
	clean(t, p)
}

// The probes find, when they are about to write a record, that a dozen others were written meanwhile.
func TestProbesFindTheEndOfTheChain(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	(&failing{Playground: p}).rotate(t, "onboard")
	silence(t, p)
	inspect(t, p, false)
	v, _, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	must(t)(nil, p.Server.Exec(t.Context(), "orders", "ALTER ROLE "+v.User()+" PASSWORD 'hunter2'"))
	others := &audit.Log{S3: s3.NewFromConfig(p.AWS), Bucket: playground.AuditBucket, Account: stack.Account, Region: stack.Region,
		Retention: 24 * time.Hour, Lines: io.Discard}
	for i, function := range []string{"mayfly-probe-targets", "mayfly-probe-access"} {
		clear := during(t, p, write{function, "s3", "PutObject", 0}, func() {
			for _, c := range p.Bundle.Contracts { // whichever it is about to write of
				for n := range 12 {
					if _, err := others.Append(context.Background(), audit.Head{}, audit.Record{ID: fmt.Sprint("other-", i, "-", n),
						Time: audit.Stamp(p.Stack.Clock.Now()), Environment: c.Environment, Secret: c.ID(), Event: "noted", Step: "Test"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		inspect(t, p, i == 1)
		clear()
	}
	if all := found(t, p, orders); len(all) != 1 || all[0].ReasonCode != string(inspection.CurrentRefused) {
		t.Errorf("on record: %+v", all)
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	clean(t, p)
}
