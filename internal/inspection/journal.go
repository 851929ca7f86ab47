package inspection

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/authority"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Events of an inspection, in records.
const (
	EventInspecting = "inspecting" // an inspection begins
	EventFound      = "found"      // something is wrong with a secret
	EventProbed     = "probed"     // evidence: reading was tried as others
)

// Batch is what a step is given: a few secrets under contract.
type Batch struct {
	Secrets []string         `json:"secrets"`
	Access  bool             `json:"access"` // this inspection tries more than the one of every 15 minutes
	Context rotation.Context `json:"context"`
}

// Report is what a step did.
type Report struct {
	Secrets  int `json:"secrets"`  // that were looked at
	Busy     int `json:"busy"`     // that a run had, and were left to it
	Findings int `json:"findings"` // that stand
}

// Registry is what an inspection needs of the registry.
type Registry interface {
	// Standings reads how secrets stand; those whose contract is no longer in force are left out.
	Standings(ctx context.Context, secrets []string) ([]registry.Standing, error)
	// Standing reads how one stands; registry.ErrNotInForce.
	Standing(ctx context.Context, secret string) (registry.Standing, error)
	// Note remembers the findings of one step; durable once it returns.
	Note(ctx context.Context, secret, step string, found registry.Found) error
}

// Bus takes events. Put has put one once it returns, perhaps more than once. Errors: OutcomeUnknown.
type Bus interface {
	Put(ctx context.Context, f trigger.InspectionFinding) error
}

// Journal is where findings go: record, log line, memory, event.
type Journal struct {
	Log      rotation.Log
	Registry Registry
	Bus      Bus
	Lines    io.Writer // gets each finding that stands as one line, at every inspection; in Lambda, stdout
}

// forgotten is how long after its end a lease that nobody took over keeps inspections away: until then the run has the
// secret, or the evaluation that goes on with it.
const forgotten = time.Hour

// sideBySide is how many secrets of a batch are looked at at once: they mostly wait, for AWS and for targets.
const sideBySide = 5

// busy tells whether a run has the secret: what it leaves half done is no drift.
func busy(s registry.Standing, now time.Time) bool {
	return s.Lease.Run != "" && now.Before(s.Lease.Until.Add(forgotten))
}

// each looks at every secret of a batch that no run has. One that cannot be looked at does not keep the others from it; the
// error names all of them, and the next attempt looks again.
func (j *Journal) each(ctx context.Context, b Batch, look func(registry.Standing) (findings int, err error)) (Report, error) {
	if len(b.Secrets) == 0 || b.Context.Execution.ID == "" || b.Context.State.EnteredTime.IsZero() {
		return Report{}, fault.New(fault.InputMalformed, "the batch has no secrets, execution or time: steps are called by mayfly-inspect")
	}
	standings, err := j.Registry.Standings(ctx, b.Secrets)
	if err != nil {
		return Report{}, err
	}
	var (
		done   Report
		failed []error
		mu     sync.Mutex
		wg     sync.WaitGroup
		turns  = make(chan struct{}, sideBySide)
	)
	for _, s := range standings {
		if busy(s, b.Context.Now()) {
			mu.Lock()
			done.Busy++
			mu.Unlock()
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			n, err := look(s)
			mu.Lock()
			defer mu.Unlock()
			if failed = append(failed, err); err == nil {
				done.Secrets++
				done.Findings += n
			}
		})
	}
	wg.Wait()
	return done, errors.Join(failed...)
}

// settle acts upon what was found of a secret; see the package's comment for the order. Where a run has begun since the
// secret was looked at, what was seen may be its doing, and is left to the next inspection.
func (j *Journal) settle(ctx context.Context, c rotation.Context, s registry.Standing, secret authority.Secret, findings []Finding, repair func(Repair) error) error {
	before := s.Found[c.State.Name]
	if len(findings) == 0 && len(before) == 0 {
		return nil
	}
	for _, f := range findings {
		j.line(c, s, f)
	}
	o := look(s, secret, findings, c.Now())
	record, after := remember(before, findings, o)
	if len(record) > 0 {
		again, err := j.Registry.Standing(ctx, s.Contract.ID())
		if errors.Is(err, registry.ErrNotInForce) || err == nil && (again.Fence != s.Fence || again.Lease.Run != s.Lease.Run) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	head := s.Head
	for _, f := range record {
		var err error
		if head, err = j.Log.Append(ctx, head, recordOf(c, s, secret, f)); err != nil {
			return err
		}
	}
	if !same(before, after) {
		if err := j.Registry.Note(ctx, s.Contract.ID(), c.State.Name, after); err != nil {
			return err
		}
	}
	for _, f := range findings {
		if f.Repair.none() {
			continue
		}
		if err := repair(f.Repair); err != nil {
			return err
		}
	}
	return j.ask(ctx, c, s, after, findings, o)
}

// look is what a rotation would be decided on once everything is put back.
func look(s registry.Standing, secret authority.Secret, findings []Finding, now time.Time) outlook {
	held := secret.Tags
	for _, f := range findings {
		held = with(held, f.Repair.Tags)
	}
	p, _ := policy.Check(held, s.Contract)
	facts, _ := policy.FactsFromTags(held) // a time that is none leaves them unknown, and an unknown age is due
	facts.NoCurrent = secret.Current == ""
	return outlook{Standing: s, Policy: p, Facts: facts, Now: now}
}

// ask puts the events that are to be put, and remembers that they were. A finding that is gone is then forgotten.
func (j *Journal) ask(ctx context.Context, c rotation.Context, s registry.Standing, found registry.Found, findings []Finding, o outlook) error {
	codes := due(found, o)
	if len(codes) == 0 {
		return nil
	}
	slices.Sort(codes)
	after := maps.Clone(found)
	for _, code := range codes {
		n := after[code]
		if err := j.Bus.Put(ctx, trigger.InspectionFinding{
			ID: n.Trigger, Secret: s.Contract.ID(), Finding: code, Type: trigger.Type(n.Type), Reason: clip(n.Reason, 400), Severity: triggerOf(trigger.Type(n.Type), "", "").Severity,
		}); err != nil {
			return err
		}
		n.Put = c.Now()
		after[code] = n
		if !slices.ContainsFunc(findings, func(f Finding) bool { return string(f.Code) == code }) {
			delete(after, code)
		}
	}
	return j.Registry.Note(ctx, s.Contract.ID(), c.State.Name, after)
}

// line writes a finding to the log, for alarms: a record of it there may be a day old.
func (j *Journal) line(c rotation.Context, s registry.Standing, f Finding) {
	said, _ := json.Marshal(map[string]string{ // texts alone always marshal
		"schema": "mayfly.finding.v1", "time": audit.Stamp(c.Now()), "environment": s.Contract.Environment, "secret": s.Contract.ID(),
		"step": c.State.Name, "grade": string(f.Code.Grade()), "code": string(f.Code), "reason": f.Reason,
	})
	_, _ = j.Lines.Write(append(said, '\n'))
}

// recordOf is the record of a finding.
func recordOf(c rotation.Context, s registry.Standing, secret authority.Secret, f fresh) audit.Record {
	rec := record(c, s, f.Noted.ID, EventFound)
	rec.Outcome, rec.ReasonCode, rec.Reason, rec.VersionFrom = string(f.Code.Grade()), string(f.Code), f.Reason, secret.Current
	if f.Noted.Trigger != "" {
		rec.TriggerType, rec.TriggerID, rec.TriggerSource = f.Noted.Type, f.Noted.Trigger, trigger.InspectionSource
	}
	return rec
}

// record starts the record of an event of this inspection.
func record(c rotation.Context, s registry.Standing, id, event string) audit.Record {
	return audit.Record{
		ID: id, Time: audit.Stamp(c.Now()), Environment: s.Contract.Environment, Secret: s.Contract.ID(), Owner: s.Contract.Owner,
		Services: strings.Join(s.Contract.Services, ","), Event: event, Step: c.State.Name, ExecutionARN: c.Execution.ID,
		Attempt: c.State.RetryCount + 1, ContractDigest: s.Digest, ContractCommit: s.Commit, Compliance: rotation.Compliance(s.Contract.Compliance),
	}
}

func clip(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}
