package audit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

func TestAnswers(t *testing.T) {
	at := func(minute int) string { return audit.Stamp(time.Date(2026, 3, 2, 12, minute, 0, 0, time.UTC)) }
	rec := func(secret string, seq int64, outcome, trigger string) audit.Record {
		return audit.Record{
			Environment: "prod", Secret: secret, Owner: "orders-team", Seq: seq, Time: at(int(seq)), Outcome: outcome, ReasonCode: "code " + trigger,
			Reason: "reason " + trigger, TriggerType: "manual", TriggerSource: "cli", TriggerID: trigger, Actor: "dana", RunID: "run " + trigger,
			ExecutionARN: "execution " + trigger, ContractCommit: "commit", ContractDigest: "digest", VersionFrom: "from " + trigger, VersionTo: "to " + trigger,
		}
	}
	records := []audit.Record{
		rec("prod/orders-db", 1, "", "one"), rec("prod/orders-db", 2, audit.Rotated, "one"),
		rec("prod/orders-db", 3, audit.Rotated, "two"), rec("prod/orders-db", 4, "", "three"), rec("prod/orders-db", 5, audit.FailedClean, "three"),
		rec("prod/orders-db", 6, audit.Skipped, "four"), // a request that led to no run does not hide how the last run ended
		rec("prod/never", 1, audit.Skipped, "five"),
		rec("prod/applied", 1, "", ""),
	}
	want := []audit.Answer{
		{Environment: "prod", Secret: "prod/applied"},
		{Environment: "prod", Secret: "prod/never"},
		{Environment: "prod", Secret: "prod/orders-db", Owner: "orders-team", LastRotated: at(3),
			Why:      &audit.Why{TriggerType: "manual", TriggerSource: "cli", TriggerID: "two", Actor: "dana", Reason: "reason two"},
			Workflow: &audit.Workflow{ExecutionARN: "execution two", RunID: "run two", ContractCommit: "commit", ContractDigest: "digest"},
			Outcome:  &audit.Outcome{Closed: at(5), Outcome: "failed_clean", ReasonCode: "code three", Reason: "reason three", VersionFrom: "from three", VersionTo: "to three"}},
	}
	if diff := cmp.Diff(want, audit.Answers(records)); diff != "" {
		t.Errorf("(- want, + got):\n%s", diff)
	}
	slices.Reverse(records)
	if diff := cmp.Diff(want, audit.Answers(records)); diff != "" {
		t.Errorf("in the other order (- want, + got):\n%s", diff)
	}
	if got := audit.Answers(nil); got == nil || len(got) != 0 {
		t.Errorf("no records: %#v, want an empty list", got)
	}
}

// Recent reads back over midnight to the last rotation, and no further.
func TestRecentReadsAsFarAsNeeded(t *testing.T) {
	b := start(t)
	head, day := audit.Head{}, time.Date(2026, 3, 2, 23, 50, 0, 0, time.UTC)
	for i, outcome := range []string{audit.Rotated, "", audit.Rotated, "", audit.FailedClean} {
		rec := record(string(rune('a'+i)), day.Add(time.Duration(i)*4*time.Minute))
		rec.Outcome = outcome
		var err error
		if head, err = b.log.Append(t.Context(), head, rec); err != nil {
			t.Fatal(err)
		}
	}
	other := record("other", day)
	other.Secret = "prod/token"
	if _, err := b.log.Append(t.Context(), audit.Head{}, other); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string][]string{"prod/orders-db": {"e", "d", "c"}, "": {"e", "d", "other", "c"}, "prod/unknown": nil} {
		records, err := b.log.Recent(t.Context(), "prod", secret)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range records {
			if r.Event != audit.EventSealed {
				ids = append(ids, r.ID)
			}
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%q (- want, + got):\n%s", secret, diff)
		}
	}
}
