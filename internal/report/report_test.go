package report_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/report"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func at(before time.Duration) string { return noon.Add(-before).Format(time.RFC3339) }

// scene is two secrets in two environments, in good order: one was rotated by hand five hours ago, the other was never.
func scene() report.Facts {
	db := contract.WithDefaults(contract.Contract{
		Name: "db", Owner: "team", Environment: "prod", Services: []string{"api"}, TTL: contract.Duration(24 * time.Hour),
		RotateOn: []string{"incident"}, BlastRadius: "minimal", Kind: contract.Postgres,
		Compliance: map[string]string{"iso_27001": "A.9.2", "pci_dss": "8.6.3", "house": "R-7"},
		Target:     &contract.Target{Host: "db.example", Port: 5432, Database: "orders", Owner: "orders"},
	})
	key := contract.WithDefaults(contract.Contract{Name: "key", Owner: "team", Environment: "staging", Services: []string{"api"},
		TTL: contract.Duration(7 * 24 * time.Hour), RotateOn: []string{"incident"}, BlastRadius: "minimal"})
	api := contract.Service{Name: "api", Environments: map[string]contract.Placement{
		"prod": {Role: "arn:aws:iam::000000000000:role/prod-api"}, "staging": {Role: "arn:aws:iam::000000000000:role/staging-api"},
	}}
	stands := func(c contract.Contract, tags map[string]string) report.Standing {
		return report.Standing{Tags: tags, Standing: registry.Standing{DueAt: noon.Add(time.Hour), Entry: registry.Entry{Contract: c, Digest: contract.Digest(c), Commit: "4f2d"}}}
	}
	return report.Facts{
		Now: noon, Account: "000000000000", Region: "us-east-1", Bucket: "audit", Folder: "contracts", Runs: 10,
		Standing: []report.Standing{
			stands(db, map[string]string{"mayfly:rotated-at": at(5 * time.Hour), "mayfly:expires-at": at(-19 * time.Hour)}),
			stands(key, map[string]string{"mayfly:rotated-at": at(24 * time.Hour), "mayfly:expires-at": at(-6 * 24 * time.Hour)}),
		},
		Written: contract.Bundle{Services: []contract.Service{api}, Contracts: []contract.Contract{db, key}},
		Chains: []audit.Chain{
			{Environment: "account", Secret: "events", Records: 3, From: at(time.Hour), To: at(0), Head: "e0"},
			{Environment: "prod", Secret: "prod--db", Records: 4, From: at(6 * time.Hour), To: at(5 * time.Hour), Head: "d0"},
			{Environment: "staging", Secret: "staging--key", Records: 1, From: at(24 * time.Hour), To: at(24 * time.Hour), Head: "c0"},
		},
		Records: []audit.Record{
			run("prod/db", "one", 5*time.Hour, "admitted", func(r *audit.Record) { r.Reason = "a drill (a person asked for it)" }),
			run("prod/db", "one", 5*time.Hour, "finishing", nil),
			run("prod/db", "one", 5*time.Hour-3*time.Second, "revoked", func(r *audit.Record) {
				r.Outcome, r.Reason = "refused", "a login with version v1 was tried and refused"
			}),
			run("prod/db", "one", 5*time.Hour-4*time.Second, "closed", func(r *audit.Record) { r.Outcome, r.Reason = audit.Rotated, "a drill" }),
			run("staging/key", "", 24*time.Hour, "applied", func(r *audit.Record) { r.Step = "ApplyContracts" }),
		},
	}
}

// run is a record of a run; its step follows from its event where that matters.
func run(secret, execution string, before time.Duration, event string, more func(*audit.Record)) audit.Record {
	environment, _, _ := strings.Cut(secret, "/")
	r := audit.Record{Environment: environment, Secret: secret, Owner: "team", Event: event, Time: at(before), ExecutionARN: execution, Step: "AdmitRotation",
		TriggerType: "manual", TriggerID: "cli-1", TriggerSource: "cli", Actor: "somebody", VersionFrom: "v1", VersionTo: "v2", Seq: int64(1e6 - before/time.Second)}
	if more != nil {
		more(&r)
	}
	return r
}

func codes(found []report.Finding) []string {
	all := []string{}
	for _, f := range found {
		all = append(all, f.Code)
	}
	return all
}

func TestReport(t *testing.T) {
	r := report.Build(scene())
	if len(r.Findings) > 0 || !r.Audit.OK || r.Audit.Records != 8 || len(r.Secrets) != 2 {
		t.Fatalf("%+v", r)
	}
	db := r.Secrets[0]
	if db.Secret != "prod/db" || db.Owner != "team" || !db.InForce || db.Level != "minimal" || db.Chain == nil || db.Chain.Head != "d0" || db.Commit != "4f2d" {
		t.Errorf("%+v", db)
	}
	if !strings.HasPrefix(db.Sentence, "If this leaks, its holder can log in to database orders at db.example") {
		t.Errorf("the sentence is %q", db.Sentence)
	}
	if db.Readers[0].Role != "arn:aws:iam::000000000000:role/prod-api" {
		t.Errorf("readers: %+v", db.Readers)
	}
	// Due at expiry minus rotate_before, a third of the ttl, and at most a tenth of that earlier.
	due, err := time.Parse(time.RFC3339, db.Life.DueAt)
	if expires := noon.Add(19 * time.Hour); err != nil || due.After(expires.Add(-8*time.Hour)) || due.Before(expires.Add(-8*time.Hour-48*time.Minute)) {
		t.Errorf("due at %s", db.Life.DueAt)
	}
	if db.Life.State != report.Fresh || db.Life.Age == nil || *db.Life.Age != 5*3600 || db.Life.OnExpiry != "deny" {
		t.Errorf("life: %+v", db.Life)
	}
	seconds := 4.0
	want := []report.Run{{
		Execution: "one", Started: at(5 * time.Hour), Ended: at(5*time.Hour - 4*time.Second), Seconds: &seconds, TriggerType: "manual", TriggerID: "cli-1",
		Source: "cli", Actor: "somebody", Reason: "a drill (a person asked for it)", Outcome: "rotated", VersionFrom: "v1", VersionTo: "v2",
		Proofs: []report.Proof{{Time: at(5*time.Hour - 3*time.Second), Outcome: "refused", Version: "v1", Text: "a login with version v1 was tried and refused"}},
	}}
	if diff := cmp.Diff(want, db.Runs); diff != "" {
		t.Error(diff)
	}
	if a := db.Answers; a.LastRotated != at(5*time.Hour-4*time.Second) || a.Why == nil || a.Why.TriggerID != "cli-1" || a.Workflow.ExecutionARN != "one" || a.Outcome.Outcome != "rotated" {
		t.Errorf("answers: %+v", a)
	}
	if key := r.Secrets[1]; key.Answers.LastRotated != "" || key.Answers.Outcome != nil || len(key.Runs) != 0 || key.Answers.Secret != "staging/key" {
		t.Errorf("%+v", key)
	}
}

// What is wrong is found, is said of the right secret, and brings that secret to the front.
func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *report.Facts)
		want   []string
	}{
		"nothing":               {func(*report.Facts) {}, nil},
		"expired":               {func(f *report.Facts) { f.Now = noon.Add(20 * time.Hour) }, []string{report.ValueExpired}},
		"due, and not for long": {func(f *report.Facts) { f.Now = noon.Add(11 * time.Hour) }, nil},
		"overdue":               {func(f *report.Facts) { f.Now = noon.Add(12*time.Hour + time.Minute) }, []string{report.NotRotated}},
		"overdue, and under way": {func(f *report.Facts) {
			f.Now, f.Standing[0].Lease.Run = noon.Add(13*time.Hour), "run"
		}, nil},
		"missing":                  {func(f *report.Facts) { f.Standing[0].Missing, f.Standing[0].Tags = true, nil }, []string{report.Missing}},
		"compromised":              {func(f *report.Facts) { f.Standing[0].Tags["mayfly:compromised"] = "true" }, []string{report.Compromised}},
		"compromised no more":      {func(f *report.Facts) { f.Standing[0].Tags["mayfly:compromised"] = "false" }, nil},
		"kept past its expiry":     {func(f *report.Facts) { f.Standing[0].Tags["mayfly:on_expiry"] = "keep" }, []string{report.KeepsExpired}},
		"a policy that loosens":    {func(f *report.Facts) { f.Standing[0].Tags["mayfly:ttl"] = "40d" }, []string{report.PolicyInvalid}},
		"a tag that is misspelled": {func(f *report.Facts) { f.Standing[0].Tags["mayfly:max_overlab"] = "1h" }, []string{report.PolicyInvalid}},
		"an unknown service":       {func(f *report.Facts) { f.Standing[0].Contract.Services = []string{"ghost"} }, []string{report.NoSentence}},
		"failed clean": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "admitted", nil), run("prod/db", "two", time.Hour, "closed", func(r *audit.Record) {
				r.Outcome, r.ReasonCode, r.Reason = audit.FailedClean, "TargetUnavailable", "nobody answers"
			}))
		}, []string{report.FailedClean}},
		"failed dirty": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "admitted", nil), run("prod/db", "two", time.Hour, "closed", func(r *audit.Record) {
				r.Outcome, r.ReasonCode, r.Reason = audit.FailedDirty, "CurrentDead", "it does not log in"
			}))
		}, []string{report.FailedDirty}},
		"failed once, and mended": {func(f *report.Facts) {
			f.Records = slices.Insert(f.Records, 0, run("prod/db", "zero", 6*time.Hour, "admitted", nil), run("prod/db", "zero", 6*time.Hour, "closed", func(r *audit.Record) {
				r.Outcome, r.ReasonCode = audit.FailedClean, "TargetUnavailable"
			}))
		}, nil},
		"refused": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "refused", func(r *audit.Record) {
				r.Outcome, r.ReasonCode, r.Reason = audit.FailedClean, "GuardrailDenied", "GuardrailDenied: prod-expires: it must expire"
			}))
		}, []string{report.Refused}},
		"skipped since": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "skipped", func(r *audit.Record) { r.Outcome, r.ReasonCode = audit.Skipped, "NotDue" }))
		}, nil},
		"never ended": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "admitted", nil))
		}, []string{report.Unfinished}},
		"under way": {func(f *report.Facts) {
			f.Records = append(f.Records, run("prod/db", "two", time.Hour, "admitted", nil))
			f.Standing[0].Lease = registry.Lease{Run: "r", Execution: "two"}
		}, nil},
		"no proof": {func(f *report.Facts) { f.Records = slices.Delete(f.Records, 2, 3) }, []string{report.NotRevoked}},
		"no proof, and none wanted": {func(f *report.Facts) {
			f.Records, f.Standing[0].Tags["mayfly:revoke_old"] = slices.Delete(f.Records, 2, 3), "false"
		}, nil},
		"the chain is broken":           {func(f *report.Facts) { f.Chains[1].Problems = []string{"k: seq 3 follows 1: records are missing"} }, []string{report.ChainBroken}},
		"the chain of events is broken": {func(f *report.Facts) { f.Chains[0].Problems = []string{"k: was hidden"} }, []string{report.ChainBroken}},
		"found by an inspection": {func(f *report.Facts) {
			f.Standing[0].Found = map[string]registry.Found{"ProbeTargets": {"RevokedHonoured": {}}, "InspectSecrets": {"TagDrift": {}, "Late": {}, "SomethingNew": {}}}
			f.Records = append(f.Records, run("prod/db", "inspect", time.Minute, "found", func(r *audit.Record) {
				r.Step, r.Outcome, r.ReasonCode, r.Reason = "ProbeTargets", "probe_failed", "RevokedHonoured", "v1 logs in"
			}))
		}, []string{"RevokedHonoured", "TagDrift", "SomethingNew"}},
		"no chain":         {func(f *report.Facts) { f.Chains = slices.Delete(f.Chains, 1, 2) }, []string{report.NoRecords}},
		"no records":       {func(f *report.Facts) { f.Chains, f.Records = nil, nil }, []string{report.NothingRecorded, report.NoRecords, report.NoRecords}},
		"never applied":    {func(f *report.Facts) { f.Standing = f.Standing[:1] }, []string{report.NotInForce}},
		"lint complains":   {func(f *report.Facts) { f.Problems = 2 }, []string{report.ContractsInvalid}},
		"nothing is there": {func(f *report.Facts) { f.Standing, f.Written = nil, contract.Bundle{} }, []string{report.NothingToReport}},
	} {
		t.Run(name, func(t *testing.T) {
			f := scene()
			c.change(&f)
			r := report.Build(f)
			if diff := cmp.Diff(append([]string{}, c.want...), codes(r.Findings)); diff != "" {
				t.Errorf("%s\n%+v", diff, r.Findings)
			}
			for _, finding := range r.Findings {
				if finding.Secret != "" && !slices.ContainsFunc(r.Secrets, func(s report.Secret) bool { return s.Secret == finding.Secret && slices.Contains(s.Findings, finding) }) {
					t.Errorf("%+v is not said of its secret", finding)
				}
			}
			if _, err := r.HTML(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Secrets with findings come first in their environment, the gravest before the others; and the same in the list of findings.
func TestOrder(t *testing.T) {
	f := scene()
	for i, name := range []string{"a", "b", "c"} {
		c := f.Standing[0].Contract
		c.Name = name
		tags := map[string]string{"mayfly:rotated-at": at(5 * time.Hour), "mayfly:expires-at": at(-19 * time.Hour)}
		f.Standing = append(f.Standing, report.Standing{Tags: tags, Standing: registry.Standing{Entry: registry.Entry{Contract: c}}})
		f.Chains = append(f.Chains, audit.Chain{Environment: "prod", Secret: "prod--" + name, Records: 1})
		if i > 0 {
			tags["mayfly:on_expiry"] = "keep"
		}
		if name == "c" {
			tags["mayfly:compromised"] = "yes"
		}
	}
	r := report.Build(f)
	var names []string
	for _, s := range r.Secrets {
		names = append(names, s.Secret)
	}
	if want := []string{"prod/c", "prod/b", "prod/a", "prod/db", "staging/key"}; !slices.Equal(names, want) {
		t.Errorf("in the order %v, want %v", names, want)
	}
	if want := []string{report.Compromised, report.KeepsExpired, report.KeepsExpired}; !slices.Equal(codes(r.Findings), want) {
		t.Errorf("findings in the order %v, want %v", codes(r.Findings), want)
	}
	f.Environments = []string{"staging"}
	if r := report.Build(f); len(r.Secrets) != 1 || len(r.Findings) != 0 {
		t.Errorf("of staging alone: %+v", r)
	}
}

// The numbers of ISO 27001:2013 are shown with those of today.
func TestCompliance(t *testing.T) {
	of := func(framework, clause string) report.Clause {
		f := scene()
		f.Standing[0].Contract.Compliance = map[string]string{framework: clause}
		return report.Build(f).Secrets[0].Compliance[0]
	}
	for _, c := range []struct{ framework, clause, note, want string }{
		{"iso_27001", "A.9.2", "a number of ISO 27001:2013", "A.5.16 A.5.17 A.5.18 A.8.2"},
		{"iso_27001", "A.9.2.4", "a number of ISO 27001:2013", "A.5.17"},
		{"iso_27001", "9.4.2", "a number of ISO 27001:2013", "A.8.5"},
		{"ISO27001", "A.12.4", "a number of ISO 27001:2013", "A.8.15"},
		{"iso_27001", "A.10.1.1", "a number of ISO 27001:2013", "A.8.24"},
		{"iso_27001", "A.17.1", "a number of ISO 27001:2013", ""},
		{"iso_27001", "A.8.2", "", "A.8.2"},
		{"iso_27001", "A.8.24", "", "A.8.24"},
		{"iso_27001", "A.7.4", "", ""},
		{"pci_dss", "8.6.3", "", "8.6.3"},
		{"pci_dss", "3.6", "", "3.6"},
		{"soc_2", "CC7.4", "", "CC7.4"},
		{"house", "R-7", "", ""},
	} {
		got := of(c.framework, c.clause)
		var numbers []string
		for _, k := range got.Controls {
			numbers = append(numbers, k.Number)
			if k.Title == "" || k.Evidence == "" {
				t.Errorf("%s %s: control %s has no title or no evidence", c.framework, c.clause, k.Number)
			}
		}
		if got.Framework != c.framework || got.Clause != c.clause || got.Note != c.note || strings.Join(numbers, " ") != c.want {
			t.Errorf("%s %s is %+v, want %q, %q", c.framework, c.clause, got, c.note, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 seconds", 0: "0 seconds", time.Second: "1 second", 90 * time.Second: "1 minute", time.Hour: "1 hour",
		25 * time.Hour: "1 day 1 hour", 49*time.Hour + time.Minute: "2 days 1 hour", 3*time.Hour + 20*time.Minute: "3 hours 20 minutes", 30*24*time.Hour - time.Second: "29 days",
	} {
		if got := report.Words(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

// The members that scripts read are these, and lists are never null.
func TestJSON(t *testing.T) {
	data, err := json.Marshal(report.Build(scene()))
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	keys := func(v any) string {
		var names []string
		for k := range v.(map[string]any) {
			names = append(names, k)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	secret := r["secrets"].([]any)[0].(map[string]any)
	for what, c := range map[string]struct {
		of   any
		want string
	}{
		"report": {r, "account audit findings generated_at region schema secrets"},
		"audit":  {r["audit"], "bucket chains ok problems records"},
		"secret": {secret, "answers chain compliance contract_commit contract_digest environment findings in_force inspections kind level life owner readers running runs secret sentence services"},
		"life":   {secret["life"], "age due_at expires_at on_expiry rotated_at state ttl"},
		"run":    {secret["runs"].([]any)[0], "actor contained ended_at execution_arn outcome proofs reason reason_code refused seconds started_at trigger_id trigger_source trigger_type version_from version_to why"},
		"proof":  {secret["runs"].([]any)[0].(map[string]any)["proofs"].([]any)[0], "outcome text time version"},
	} {
		if got := keys(c.of); got != c.want {
			t.Errorf("%s has the members %s, want %s", what, got, c.want)
		}
	}
	empty, err := json.Marshal(report.Build(report.Facts{Now: noon, Written: contract.Bundle{Contracts: scene().Written.Contracts}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"findings", "inspections", "secrets", "runs", "readers", "compliance", "chains", "problems"} {
		if strings.Contains(string(empty), fmt.Sprintf("%q:null", list)) {
			t.Errorf("%s may be null: %s", list, empty)
		}
	}
}
