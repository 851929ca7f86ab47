package rotation_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// noContracts is a registry that has none; nothing else may be asked of it.
type noContracts struct{ *dynamo.Registry }

func (noContracts) Acquire(context.Context, registry.Claim) (registry.Entry, error) {
	return registry.Entry{}, registry.ErrNotInForce
}

// lastRecord is a log that keeps the last record.
type lastRecord struct{ audit.Record }

func (l *lastRecord) Append(_ context.Context, head audit.Head, rec audit.Record) (audit.Head, error) {
	l.Record = rec
	return head, nil
}

// FuzzAdmission gives any input to a run: whoever may start an execution writes it. It is refused by name and on record, and
// what the record repeats of it has bounds.
func FuzzAdmission(f *testing.F) {
	f.Add([]byte(`{"secret":"prod/orders-db","trigger":{"type":"manual","id":"1","source":"cli","actor":"dana","reason":"why"}}`))
	f.Add([]byte(`{"secret":"prod/orders-db","fence":9,"contract":{"name":"x"},"trigger":{"type":"incident","severity":1e300}}`))
	f.Add([]byte(`[1]`))
	f.Add([]byte(`{"secret":"?","trigger":7}`))
	f.Fuzz(func(t *testing.T, input []byte) {
		if !json.Valid(input) {
			return // Step Functions takes no other
		}
		var c rotation.Context
		c.Execution.ID, c.Execution.Name, c.Execution.StartTime = "arn:aws:states:us-east-1:000000000000:execution:mayfly-rotate:x", "x", noon
		c.State.Name, c.State.EnteredTime = "AdmitRotation", noon
		var log lastRecord
		step := rotation.AdmitRotation{Log: &log, Registry: noContracts{}}
		run, err := step.Handle(t.Context(), rotation.Admission{Input: input, Context: c})
		if code := fault.CodeOf(err); code != fault.InputMalformed && code != fault.SecretUnknown {
			t.Errorf("%v", err)
		}
		if run.Fence != 0 || run.Contract.Name != "" || run.To.ID != "" {
			t.Errorf("the input planted %+v", run)
		}
		r := log.Record
		if r.Event != rotation.EventRefused || r.Secret != audit.NoSecret || r.ReasonCode != string(fault.CodeOf(err)) {
			t.Errorf("the record says %+v", r)
		}
		if said := r.Reason + r.TriggerType + r.TriggerID + r.TriggerSource + r.Actor; len(said) > 4096 || strings.ContainsAny(r.Reason, "\x00\x1b") {
			t.Errorf("the record repeats %d bytes: %.200q", len(said), said)
		}
	})
}
