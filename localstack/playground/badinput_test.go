package playground_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/localstack"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/postgres"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const admin = "prod/orders-db-admin"

// brisk is the policy where nobody uses the old credential, so that nobody has to be waited for.
var brisk = map[string]string{"quiet_period": "0s", "max_overlap": "6s"}

// Whatever is wrong with what Mayfly is given: the run ends where the table says, a record of it carries a named code, and
// once the cause is gone the laws hold and the next run goes through without anybody's help.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Cut: true, Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	byHand := func(secret string) any { return map[string]any{"secret": secret} }
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T) (mend func()) // nil: only the input is bad
		input any                              // of mayfly-rotate; nil: orders-db, by hand
		end   string                           // the last state of the run
		code  fault.Code
	}{
		{"a secret without contract", nil, byHand("prod/orders-bd"), "FailedClean", fault.SecretUnknown},
		{"no secret", nil, map[string]any{}, "FailedClean", fault.InputMalformed},
		{"a secret that is no name", nil, byHand("../prod"), "FailedClean", fault.InputMalformed},
		{"a secret that is a number", nil, map[string]any{"secret": 5}, "FailedClean", fault.InputMalformed},
		{"a trigger that is a text", nil, map[string]any{"secret": orders, "trigger": "now"}, "FailedClean", fault.InputMalformed},
		{"a trigger of no known type", nil, map[string]any{"secret": orders, "trigger": map[string]any{"type": "whim"}}, "FailedClean", fault.InputMalformed},
		{"a trigger with a book for a reason", nil, map[string]any{"secret": orders, "trigger": map[string]any{"reason": strings.Repeat("x", 5000)}},
			"FailedClean", fault.InputMalformed},
		{"an input that is a list", nil, []any{orders}, "AdmitRotation", fault.InputMalformed}, // no Catch can put an error into a list

		{"database down", func(*testing.T) func() {
			p.Proxy.Refuse(true)
			return func() { p.Proxy.Refuse(false) }
		}, nil, "FailedClean", fault.TargetUnavailable},
		{"database down for a while", func(t *testing.T) func() {
			p.Proxy.Refuse(true)
			return during(t, p, write{"mayfly-set-secret", "s3", "PutObject", 2}, func() { p.Proxy.Refuse(false) })
		}, nil, "Rotated", ""},
		{"wrong admin password", func(t *testing.T) func() {
			right, _ := value(t, p, admin)
			put(t, p, admin, strings.Replace(right, `"password":"`, `"password":"wrong-`, 1))
			return func() { put(t, p, admin, right) }
		}, nil, "FailedClean", fault.AdminRefused},
		{"admin secret that is no login", func(t *testing.T) func() {
			right, _ := value(t, p, admin)
			put(t, p, admin, "just-a-text-of-somebody")
			return func() { put(t, p, admin, right) }
		}, nil, "FailedClean", fault.AdminMissing},
		{"admin secret without a value", func(t *testing.T) func() {
			right, _ := value(t, p, admin)
			must(t)(p.Secrets().DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String(admin), ForceDeleteWithoutRecovery: aws.Bool(true)}))
			must(t)(p.Secrets().CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(admin)}))
			return func() { put(t, p, admin, right) }
		}, nil, "FailedClean", fault.AdminMissing},
		{"server clock ahead", skewed(p, 10*time.Minute), nil, "FailedClean", fault.ClockSkew},
		{"server clock behind", skewed(p, -10*time.Minute), nil, "FailedClean", fault.ClockSkew},
		{"secret marked for deletion before the run", func(t *testing.T) func() {
			discard(t, p, orders)
			return func() { restore(t, p, orders) }
		}, nil, "FailedClean", fault.SecretMissing},
		{"secret marked for deletion before its target is set", func(t *testing.T) func() {
			clear := during(t, p, write{"mayfly-set-secret", "s3", "PutObject", 0}, func() { discard(t, p, orders) })
			return func() { clear(); restore(t, p, orders) }
		}, nil, "FailedClean", fault.SecretMissing},
		{"secret marked for deletion at the commit point", func(t *testing.T) func() {
			clear := during(t, p, write{"mayfly-finish-secret", "secretsmanager", "UpdateSecretVersionStage", 0}, func() { discard(t, p, orders) })
			return func() { clear(); restore(t, p, orders) }
		}, nil, "FailedClean", fault.SecretMissing},
		{"policy tag that does not parse", func(t *testing.T) func() {
			tag(t, p, orders, "max_overlap", "never")
			return func() { tag(t, p, orders, "max_overlap", "6s") }
		}, nil, "FailedClean", fault.PolicyInvalid},
		{"policy tag that does not parse, and an incident", func(t *testing.T) func() {
			tag(t, p, orders, "max_overlap", "never")
			return func() { tag(t, p, orders, "max_overlap", "6s") }
		}, incident("finding-1"), "Rotated", ""},
		{"Secrets Manager throttles", func(t *testing.T) func() {
			return planned(t, p, stack.Fault{Function: "mayfly-create-secret", Service: "secretsmanager", Operation: "PutSecretValue",
				Count: 4, Code: "ThrottlingException", Message: "Rate exceeded"})
		}, nil, "Rotated", ""},
		{"AWSPENDING that somebody else has just made", func(t *testing.T) func() {
			must(t)(p.Secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(orders),
				SecretString: aws.String(`{"username":"orders_app_a","password":"somebody-elses"}`), VersionStages: []string{"AWSPENDING"}}))
			return func() { // it never finishes: after an hour it is a leftover, which the next run takes over
				p.Stack.Clock.Advance(61 * time.Minute)
				settled(t, p)
			}
		}, nil, "FailedClean", fault.PendingForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			mend := func() {}
			if c.spoil != nil {
				mend = c.spoil(t)
			}
			if c.input == nil {
				c.input = byHand(orders)
			}
			execution := execute(t, p, playground.RotateMachine, c.input)
			if got := end(t, p, execution); got != c.end {
				t.Errorf("the run ended in %s, want %s%s", got, c.end, why(t, p, execution))
			}
			if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
				return r.ExecutionARN == execution && (r.ReasonCode == string(c.code) || c.code == "" && r.Outcome == audit.Rotated)
			}) {
				t.Errorf("no record of %s has the code %q", execution, c.code)
			}
			mend()
			if c.spoil != nil && c.end != "Rotated" {
				f.rotate(t, "after "+c.name)
			}
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
		})
	}
	clean(t, p)
}

// Whoever may start an execution says which secret and why, and nothing more: what the state of a run holds beside that is
// not for a caller to say.
func TestPlantedState(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	for _, planted := range []map[string]any{
		{"fence": 1 << 50, "run_id": "planted", "execution_arn": "planted", "next": "resume", "outcome": "rotated", "mode": "contain",
			"contract": map[string]any{"name": "orders-db", "environment": "prod", "kind": "random"}, "policy": map[string]any{"ttl": 1},
			"from": map[string]any{"id": "planted", "slot": "a"}, "to": map[string]any{"id": "planted", "slot": "b"}, "head": map[string]any{"seq": 99}},
		{"fence": "not a number", "contract": []int{1}, "error": true},
	} {
		planted["secret"] = orders
		execution := execute(t, p, playground.RotateMachine, planted)
		if got := end(t, p, execution); got != "Rotated" {
			t.Errorf("%v: the run ended in %s, want Rotated", planted, got)
		}
		if run := runs(t, p, orders)[0]; run.Execution != execution || run.Mode != "routine" || run.VersionTo == "planted" {
			t.Errorf("%v: %+v", planted, run)
		}
		if err := p.CheckLaws(t.Context(), orders); err != nil {
			t.Error(err)
		}
	}
	for _, r := range records(t, p) {
		if strings.Contains(fmt.Sprintf("%+v", r), "planted") {
			t.Errorf("what was planted is on record: %+v", r)
		}
	}
	// A planted fence would lock every later run out of the target.
	(&failing{Playground: p}).rotate(t, "afterwards")
	clean(t, p)
}

// An event that is not what its kind promises fails the execution by name; one that names nothing of ours is ignored. Both
// are on record.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	(&failing{Playground: p}).rotate(t, "onboard")
	for name, c := range map[string]struct {
		event     any
		end, code string
	}{
		"a finding without a finding":    {map[string]any{"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": map[string]any{}}, "ResolveTrigger", "InputMalformed"},
		"an envelope of the wrong types": {map[string]any{"source": "aws.guardduty", "detail-type": 7}, "ResolveTrigger", "InputMalformed"},
		"an evaluation without a time":   {map[string]any{"source": "mayfly.schedule", "detail-type": "Evaluation", "detail": map[string]any{}}, "ResolveTrigger", "InputMalformed"},
		"a request for no secret":        {map[string]any{"secret": "?", "trigger": map[string]any{"id": "x"}}, "ResolveTrigger", "InputMalformed"},
		"a secret without contract":      {map[string]any{"secret": "prod/none", "trigger": map[string]any{"id": "x"}}, "NothingAffected", "NothingAffected"},
		"a list":                         {[]any{1}, "NothingAffected", "NothingAffected"},
		"an unknown source":              {map[string]any{"source": "aws.coffee"}, "NothingAffected", "NothingAffected"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(runs(t, p, orders))
			execution := execute(t, p, playground.RespondMachine, c.event)
			if got := end(t, p, execution); got != c.end {
				t.Errorf("the execution ended in %s, want %s", got, c.end)
			}
			if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool { return r.ExecutionARN == execution && r.ReasonCode == c.code }) {
				t.Errorf("no record of %s has the code %q", execution, c.code)
			}
			if after := len(runs(t, p, orders)); after != before {
				t.Errorf("it started %d runs", after-before)
			}
		})
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
	clean(t, p)
}

// Contracts that do not hold never come into force, not even one of them: the deployment fails, by name and on record.
func TestBadContracts(t *testing.T) {
	t.Parallel()
	endless := contract.Bundle{Commit: "test", Contracts: []contract.Contract{{Name: "api-key", Owner: "team", Environment: "prod", RotateOn: []string{"manual"}, BlastRadius: "minimal"}}}
	compiled, err := endless.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"do not parse": []byte(`{"contracts": [`), "have no expiry": compiled} {
		t.Run(name, func(t *testing.T) {
			s, err := localstack.Start(t.Context(), localstack.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Deploy(t.Context(), assembly(), localstack.Files{"contracts.json": file}); err == nil || !strings.Contains(err.Error(), "ContractInvalid") {
				t.Errorf("the deployment said %v, want ContractInvalid", err)
			}
			p := &playground.Playground{Stack: s}
			if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
				return r.Step == "ApplyContracts" && r.Outcome == audit.FailedClean && r.ReasonCode == string(fault.ContractInvalid)
			}) {
				t.Error("there is no record of it")
			}
		})
	}
}

// hasten makes retries wait a fiftieth of their backoff.
func hasten(p *playground.Playground) { p.Stack.Machines.Random = func() float64 { return 0.02 } }

// incident is the input for a containment.
func incident(id string) any {
	return map[string]any{"secret": orders, "trigger": map[string]any{"type": "incident", "id": id, "source": "aws.guardduty", "severity": 9.5}}
}

// must fails the test where a call fails.
func must(t *testing.T) func(_ any, err error) {
	t.Helper()
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// execute runs an execution to its end.
func execute(t *testing.T, p *playground.Playground, machine string, input any) (execution string) {
	t.Helper()
	execution, err := p.Start(t.Context(), machine, input)
	must(t)(nil, err)
	must(t)(p.Wait(t.Context(), execution))
	return execution
}

// end is the last state of an execution.
func end(t *testing.T, p *playground.Playground, execution string) (state string) {
	t.Helper()
	pages := sfn.NewGetExecutionHistoryPaginator(sfn.NewFromConfig(p.AWS), &sfn.GetExecutionHistoryInput{ExecutionArn: &execution})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t)(nil, err)
		for _, e := range page.Events {
			if e.StateEnteredEventDetails != nil {
				state = aws.ToString(e.StateEnteredEventDetails.Name)
			}
		}
	}
	return state
}

// why is what is on record of an execution, for the message of a test that fails.
func why(t *testing.T, p *playground.Playground, execution string) (said string) {
	t.Helper()
	for _, r := range records(t, p) {
		if r.ExecutionARN == execution {
			said += fmt.Sprintf("\n%s, attempt %d, %s: %s %s %s", r.Step, r.Attempt, r.Event, r.Outcome, r.ReasonCode, r.Reason)
		}
	}
	return said
}

// records reads every audit record in the bucket, chain by chain.
func records(t *testing.T, p *playground.Playground) (all []audit.Record) {
	t.Helper()
	for _, o := range p.Stack.Buckets.Objects(playground.AuditBucket) {
		r, err := audit.Read(o.Body)
		must(t)(nil, err)
		all = append(all, r)
	}
	return all
}

// clean checks at the end of a test that the audit is whole and that no value got anywhere.
func clean(t *testing.T, p *playground.Playground) {
	t.Helper()
	if n, err := p.CheckAudit(t.Context()); err != nil || n == 0 {
		t.Errorf("%d audit records; %v", n, err)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values were found in %v, %v", leaks, err)
	}
}

// during plans something to be done once, at the moment when a function makes a call and before that takes effect. The call
// itself is lost on the way, so that the SDK makes it again afterwards.
func during(t *testing.T, p *playground.Playground, w write, do func()) (clear func()) {
	t.Helper()
	// A function of an execution that was stopped may still be about to make a call that would pass for the awaited one.
	waitFor(t, "the functions to be idle", func() bool { return p.Stack.Functions.Busy() == 0 })
	p.Stack.Endpoint.Kill = func(stack.Identity) { do() }
	return planned(t, p, stack.Fault{Function: w.function, Service: w.service, Operation: w.operation, Skip: w.nth, Mode: "kill"})
}

// planned plans a fault, and gives what takes it back.
func planned(t *testing.T, p *playground.Playground, f stack.Fault) (clear func()) {
	t.Helper()
	must(t)(nil, p.Stack.Endpoint.AddFault(f))
	return p.Stack.Endpoint.ClearFaults
}

// skewed moves the server's clock alone.
func skewed(p *playground.Playground, by time.Duration) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		if !postgres.CanFollowClock() {
			t.Skip("the server's clock cannot be moved on this machine")
		}
		must(t)(nil, p.Server.SetClock(p.Stack.Clock.Offset()+by))
		return func() { must(t)(nil, p.Server.SetClock(p.Stack.Clock.Offset())) }
	}
}

// value is the current value of a secret as it is stored, and its version.
func value(t *testing.T, p *playground.Playground, secret string) (text, version string) {
	t.Helper()
	v, version, err := p.Value(t.Context(), secret, "")
	must(t)(nil, err)
	return v.Reveal(), version
}

// put stores a value by hand: it becomes AWSCURRENT, under a version id that is not Mayfly's.
func put(t *testing.T, p *playground.Playground, secret, text string) {
	t.Helper()
	must(t)(p.Secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &secret, SecretString: &text}))
}

// tag sets a policy attribute or another of Mayfly's tags by hand.
func tag(t *testing.T, p *playground.Playground, secret, name, text string) {
	t.Helper()
	must(t)(p.Secrets().TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: &secret,
		Tags: []smtypes.Tag{{Key: aws.String("mayfly:" + name), Value: &text}}}))
}

func discard(t *testing.T, p *playground.Playground, secret string) {
	t.Helper()
	must(t)(p.Secrets().DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &secret, RecoveryWindowInDays: aws.Int64(7)}))
}

func restore(t *testing.T, p *playground.Playground, secret string) {
	t.Helper()
	must(t)(p.Secrets().RestoreSecret(t.Context(), &secretsmanager.RestoreSecretInput{SecretId: &secret}))
}
