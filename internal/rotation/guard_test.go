package rotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	local "github.com/mayfly-secrets/mayfly/localstack/secretsmanager"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// desk is the registry and the audit, as far as admission needs them: it has one contract and keeps what is written.
type desk struct {
	contract contract.Contract
	records  []audit.Record
	opened   bool
	released bool
	early    bool // the contract was applied by a version of Mayfly that did not note who reads
}

func (d *desk) Append(_ context.Context, h audit.Head, r audit.Record) (audit.Head, error) {
	d.records = append(d.records, r)
	return h, nil
}

func (d *desk) Acquire(context.Context, registry.Claim) (registry.Entry, error) {
	e := registry.Entry{Contract: d.contract}
	if !d.early {
		e.Readers = []string{}
	}
	return e, nil
}

func (d *desk) Release(context.Context, string, string, time.Time, audit.Head) error {
	d.released = true
	return nil
}

func (d *desk) Open(context.Context, registry.Run) error {
	d.opened = true
	return nil
}

func (d *desk) Abandon(context.Context, string, string, time.Time) error    { return nil }
func (d *desk) Join(context.Context, string, string, trigger.Trigger) error { return nil }

// Which runs wait for the organisation's rules, and what is on record of those that do not.
func TestGuardrailsAtAdmission(t *testing.T) {
	const rules = `@id("all") permit (principal, action, resource);
@id("expires") @reason("it must expire") @do("say so") forbid (principal, action, resource) when { resource.on_expiry == "keep" };`
	const pending = "mayfly-a-0000000000000000000000000000000000000000" // of a run that died
	for name, c := range map[string]struct {
		tags    map[string]string
		text    string
		pending bool
		trigger trigger.Trigger
		want    fault.Code // "" goes on
		noted   string     // where it goes on: what its record says of rules
	}{
		"kept":                        {nil, rules, false, trigger.Trigger{Type: trigger.Manual}, "", ""},
		"broken":                      {map[string]string{"on_expiry": "keep"}, rules, false, trigger.Trigger{Type: trigger.Manual}, fault.GuardrailDenied, ""},
		"broken, by schedule":         {map[string]string{"on_expiry": "keep"}, rules, false, trigger.Trigger{Type: trigger.Schedule}, fault.GuardrailDenied, ""},
		"broken, and high":            {map[string]string{"on_expiry": "keep"}, rules, false, trigger.Trigger{Type: trigger.Incident, Severity: 7}, "", "expires: it must expire (say so)"},
		"broken, and critical":        {map[string]string{"on_expiry": "keep"}, rules, false, trigger.Trigger{Type: trigger.Incident, Severity: 9}, "", "expires: it must expire (say so)"},
		"broken, and marked":          {map[string]string{"on_expiry": "keep", "compromised": "true"}, rules, false, trigger.Trigger{Type: trigger.Schedule}, "", "expires: it must expire (say so)"},
		"broken, a run half done":     {map[string]string{"on_expiry": "keep"}, rules, true, trigger.Trigger{Type: trigger.Schedule}, "", "expires: it must expire (say so)"},
		"unreadable":                  {nil, "forbid", false, trigger.Trigger{Type: trigger.Manual}, fault.GuardrailsInvalid, ""},
		"unreadable, and critical":    {nil, "forbid", false, trigger.Trigger{Type: trigger.Incident, Severity: 9}, "", "GuardrailsInvalid"},
		"nothing permits":             {nil, "", false, trigger.Trigger{Type: trigger.Manual}, fault.GuardrailDenied, ""},
		"nothing permits, a critical": {nil, "", false, trigger.Trigger{Type: trigger.Incident, Severity: 9.5}, "", "not-permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := stack.NewClock()
			sm := secretsmanager.NewFromConfig(stacktest.Start(t, clock, local.New(clock)).Config)
			in := &secretsmanager.CreateSecretInput{Name: aws.String("prod/x"), SecretString: aws.String("one")}
			for k, v := range c.tags {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String("mayfly:" + k), Value: aws.String(v)})
			}
			if _, err := sm.CreateSecret(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if c.pending {
				if _, err := sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/x"),
					SecretString: aws.String("two"), ClientRequestToken: aws.String(pending), VersionStages: []string{"AWSPENDING"}}); err != nil {
					t.Fatal(err)
				}
			}
			d := &desk{contract: contract.WithDefaults(contract.Contract{Name: "x", Owner: "team", Environment: "prod", Services: []string{"s"},
				TTL: contract.Duration(24 * time.Hour), RotateOn: []string{"incident"}, BlastRadius: "minimal"})}
			step := &rotation.AdmitRotation{Log: d, Registry: d, Secrets: sm,
				Rules: func() (blastradius.Guardrails, error) { return blastradius.ReadGuardrails([]byte(c.text)) }}
			a := rotation.Admission{}
			a.Input, _ = json.Marshal(map[string]any{"secret": "prod/x", "trigger": c.trigger})
			a.Context.Execution.ID, a.Context.Execution.Name, a.Context.Execution.StartTime = "arn", "name", clock.Now()
			a.Context.State.EnteredTime = clock.Now()
			_, err := step.Handle(t.Context(), a)
			last := d.records[len(d.records)-1]
			if c.want == "" {
				if err != nil || !d.opened || last.Event != rotation.EventAdmitted || !strings.Contains(last.Reason, c.noted) || (c.noted == "") == strings.Contains(last.Reason, "not waited for") {
					t.Fatalf("%v; opened %t; on record: %s: %s", err, d.opened, last.Event, last.Reason)
				}
				return
			}
			var code *fault.Error
			if !errors.As(err, &code) || code.Code != c.want || d.opened || !d.released {
				t.Fatalf("%v, want %s; opened %t, released %t", err, c.want, d.opened, d.released)
			}
			if last.Event != rotation.EventRefused || last.Outcome != audit.FailedClean || last.ReasonCode != string(c.want) {
				t.Errorf("on record: %s: %s %s %s", last.Event, last.Outcome, last.ReasonCode, last.Reason)
			}
			if c.want == fault.GuardrailDenied && c.text != "" && !strings.Contains(last.Reason, "expires: it must expire (say so)") {
				t.Errorf("the record does not name the rule: %s", last.Reason)
			}
		})
	}
}

// Without the roles of the declared services a rotation would lock them all out, so none begins.
func TestAdmissionNeedsToKnowWhoReads(t *testing.T) {
	d := &desk{contract: contract.Contract{Name: "x", Owner: "team", Environment: "prod", RotateOn: []string{"incident"}}, early: true}
	a := rotation.Admission{Input: json.RawMessage(`{"secret":"prod/x"}`)}
	a.Context.Execution.ID, a.Context.Execution.Name, a.Context.Execution.StartTime = "arn", "name", time.Now()
	a.Context.State.EnteredTime = time.Now()
	_, err := (&rotation.AdmitRotation{Log: d, Registry: d}).Handle(t.Context(), a)
	if fault.CodeOf(err) != fault.ContractInvalid || d.opened || !d.released || d.records[0].Event != rotation.EventRefused {
		t.Errorf("%v; opened %t, released %t, on record %+v", err, d.opened, d.released, d.records)
	}
}
