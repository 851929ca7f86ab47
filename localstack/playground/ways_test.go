package playground_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// way is one way in, and what the run that follows says about itself.
type way struct {
	name   string
	kind   trigger.Kind                                                            // what of trigger.Read it tries
	before func(t *testing.T, p *playground.Playground)                            // what must be so; nil: nothing
	undo   func(t *testing.T, p *playground.Playground)                            // what was left behind; nil: nothing
	event  func(t *testing.T, p *playground.Playground) (bus string, event []byte) // delivered five times at once
	post   func(h hook) (route string, body []byte, headers map[string]string)     // instead: a webhook, sent five times at once
	call   func(t *testing.T, p *playground.Playground)                            // instead: calls through the SDK, which CloudTrail tells of

	secret string          // "" is orders
	mode   trigger.Mode    // "" is routine
	want   trigger.Trigger // of an event it follows from the event; ID "" and Actor "*" are anything, Reason are words of it
}

// Every source of package trigger, through the rules of the template, the webhook or by hand, ends in one finished run that
// says why it was; and the same event five times at once is one run.
func TestEverySource(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk, Uninspected: true}) // what the ways leave behind is not to be put back meanwhile
	hasten(p)
	furnish(t, p)
	table := slices.Concat(sampled(), posted(), called())
	for _, w := range table {
		t.Run(w.name, func(t *testing.T) { w.test(t, p) })
	}
	t.Run("table", func(t *testing.T) { complete(t, table) })
	t.Run("samples that mean nothing", func(t *testing.T) { samplesThatMeanNothing(t, p) })
	t.Run("as large as EventBridge takes", func(t *testing.T) { largeFinding(t, p) })
	t.Run("Mayfly's own calls", func(t *testing.T) { ownCalls(t, p) })
	clean(t, p)
}

// A policy that loosens the contract is refused where it would be used, on record, and put back with the next inspection.
func TestLoosenedPolicy(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	(&failing{Playground: p}).rotate(t, "onboard")
	p.Stack.Clock.Advance(11 * time.Minute)
	settled(t, p)
	before := len(runs(t, p, orders))
	tag(t, p, orders, "ttl", "48h")
	settled(t, p)
	if !slices.ContainsFunc(records(t, p), func(r audit.Record) bool {
		return r.Secret == orders && r.Event == "refused" && r.ReasonCode == string(fault.PolicyInvalid) && r.TriggerType == string(trigger.PolicyChange) && strings.Contains(r.Reason, "ttl")
	}) {
		t.Errorf("it was not refused on record: %s", told(t, p))
	}
	inspect(t, p, false)
	c, _ := p.Bundle.Find(orders)
	if got := tagsOf(t, p, orders)["mayfly:ttl"]; got != c.TTL.String() {
		t.Errorf("the ttl is %s, the contract's %s", got, c.TTL)
	}
	if on := found(t, p, orders); len(on) != 1 || on[0].ReasonCode != string(inspection.TagDrift) || !strings.Contains(on[0].Reason, "mayfly:ttl") {
		t.Errorf("that it was put back is on record as %+v", on)
	}
	if made := len(runs(t, p, orders)) - before; made != 0 {
		t.Errorf("it made %d runs", made)
	}
	clean(t, p)
}

// readAndIgnored are kinds that are read for the sake of the record, and rotate nothing, whatever they say.
var readAndIgnored = []trigger.Kind{
	{Source: "aws.access-analyzer", DetailType: "Internal Access Finding"},
	{Source: "aws.secretsmanager", DetailType: "AWS Service Event via CloudTrail"},
}

// complete fails when package trigger reads a kind of event that no way tries.
func complete(t *testing.T, table []way) {
	tried := map[trigger.Kind]bool{}
	for _, w := range table {
		tried[w.kind] = true
		if !slices.Contains(trigger.Read(), w.kind) {
			t.Errorf("%s tries %+v, which nobody reads", w.name, w.kind)
		}
	}
	for _, k := range trigger.Read() {
		if !tried[k] && !slices.Contains(readAndIgnored, k) {
			t.Errorf("no way tries %+v", k)
		}
	}
}

const (
	ledger     = "prod/ledger-key" // encrypted with a key of its owner's
	partnerBus = "aws.partner/pagerduty.com/00000000/mayfly"
)

// furnish deploys the template once more, as it is where PagerDuty is a partner and a contract names a KMS key.
func furnish(t *testing.T, p *playground.Playground) {
	t.Helper()
	must(t)(eventbridge.NewFromConfig(p.AWS).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String(partnerBus), EventSourceName: aws.String(partnerBus)}))
	key, err := kms.NewFromConfig(p.AWS).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/mayfly")})
	must(t)(nil, err)
	c, ok := p.Bundle.Find(payments)
	if !ok {
		t.Fatal("no contract to copy")
	}
	c.Name, c.KMSKey, c.RotateOn = "ledger-key", *key.KeyMetadata.Arn, []string{"access_change", "upstream", "incident"}
	more := p.Bundle
	more.Contracts = append(slices.Clone(more.Contracts), c)
	must(t)(nil, p.Redeploy(t.Context(), synthesized(t, more, fmt.Sprintf(`"pagerDutyBus":%q`, partnerBus)), more))
	settled(t, p)
}

// synthesized is the assembly for other contracts, with more context: members of a JSON object.
func synthesized(t *testing.T, b contract.Bundle, context string) (assembly string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	must(t)(nil, err)
	functions, assembly := withContracts(t, root, b), t.TempDir()
	synth := exec.CommandContext(t.Context(), filepath.Join(root, "build", "infra"))
	synth.Dir = root
	synth.Env = append(os.Environ(), "CDK_OUTDIR="+assembly, fmt.Sprintf(`CDK_CONTEXT_JSON={"functions":%q,%s}`, functions, context))
	if out, err := synth.CombinedOutput(); err != nil {
		t.Fatalf("synthesize: %v\n%s", err, out)
	}
	return assembly
}

// withContracts is the folder of the built functions, with other contracts to apply. CloudFormation calls the function that
// applies them only where their digest in the template is another.
func withContracts(t *testing.T, root string, b contract.Bundle) (functions string) {
	t.Helper()
	functions, err := os.MkdirTemp(filepath.Join(root, ".mayfly"), "functions-") // where links to the built ones are possible
	must(t)(nil, err)
	t.Cleanup(func() { must(t)(nil, os.RemoveAll(functions)) })
	built, err := filepath.Glob(filepath.Join(root, "build", "local", "*", "*"))
	must(t)(nil, err)
	for _, file := range built {
		copied := filepath.Join(functions, filepath.Base(filepath.Dir(file)), filepath.Base(file))
		must(t)(nil, os.MkdirAll(filepath.Dir(copied), 0o755))
		must(t)(nil, os.Link(file, copied))
	}
	compiled, err := b.Compile()
	must(t)(nil, err)
	contracts := filepath.Join(functions, "apply-contracts", "contracts.json")
	must(t)(nil, os.Remove(contracts)) // not through the link
	must(t)(nil, os.WriteFile(contracts, compiled, 0o644))
	return functions
}

func (w way) test(t *testing.T, p *playground.Playground) {
	secret := orders
	if w.secret != "" {
		secret = w.secret
	}
	if w.before != nil {
		w.before(t, p)
		settled(t, p)
	}
	p.Stack.Clock.Advance(11 * time.Minute) // past the cool-down of the case before
	settled(t, p)
	if w.undo != nil {
		defer func() { w.undo(t, p); settled(t, p) }()
	}
	before := len(runs(t, p, secret))
	want := w.deliver(t, p)
	settled(t, p)
	history := runs(t, p, secret)
	if made := len(history) - before; made != 1 || len(history[0].TriggerIDs) < 1 {
		t.Fatalf("%d runs of %s, want 1: %s", made, secret, told(t, p))
	}
	run, mode := latest(t, p, secret), trigger.Routine
	if w.mode != "" {
		mode = w.mode
	}
	if run.Mode != string(mode) || run.Outcome != "rotated" {
		t.Errorf("the run is %s and ended %s (%s), want %s and rotated", run.Mode, run.Outcome, run.ReasonCode, mode)
	}
	got := run.Trigger
	if got.Type != want.Type || got.ID == "" || want.ID != "" && got.ID != want.ID || got.Source != want.Source ||
		want.Actor != "*" && got.Actor != want.Actor || want.Reason == "" || !strings.Contains(got.Reason, want.Reason) {
		t.Errorf("the history names %+v, want %+v", got, want)
	}
	said, admitted := 0, ""
	for _, r := range records(t, p) {
		if r.ExecutionARN != run.Execution || r.Event == "sealed" { // the first record of a day also seals the day before
			continue
		}
		if said++; r.Event == "admitted" {
			admitted = r.Reason
		}
		if r.TriggerType != string(got.Type) || r.TriggerID != got.ID || r.TriggerSource != got.Source || r.Actor != got.Actor {
			t.Errorf("record %s of the run names %s %s %s %q, its history %+v", r.Event, r.TriggerType, r.TriggerID, r.TriggerSource, r.Actor, got)
		}
	}
	if said == 0 || !strings.Contains(admitted, want.Reason) {
		t.Errorf("the run left %d records, and was admitted because %q, want %q", said, admitted, want.Reason)
	}
	if p.Target(secret) != nil {
		if err := p.CheckLaws(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
}

// deliver lets it happen, and says which trigger the run has to name.
func (w way) deliver(t *testing.T, p *playground.Playground) trigger.Trigger {
	t.Helper()
	const times = 5
	switch {
	case w.event != nil:
		bus, event := w.event(t, p)
		r, err := trigger.Resolve(event)
		must(t)(nil, err)
		var e struct {
			Source     string
			DetailType string `json:"detail-type"`
		}
		must(t)(nil, json.Unmarshal(event, &e))
		if !w.kind.Takes(e.Source, e.DetailType) {
			t.Fatalf("the event is of %s, %s, and not %+v", e.Source, e.DetailType, w.kind)
		}
		started := responses(t, p)
		at(times, func() error { return p.Stack.Events.Put(t.Context(), bus, event) })(t)
		settled(t, p)
		if got := responses(t, p) - started; got != times {
			t.Errorf("mayfly-respond was started %d times, want %d", got, times)
		}
		return r.Trigger
	case w.post != nil:
		h := hook{t, p}
		route, body, headers := w.post(h)
		accepted := make(chan bool, times)
		at(times, func() error {
			status, said := h.post(route, body, headers)
			accepted <- status == http.StatusAccepted
			if status != http.StatusAccepted && status != http.StatusConflict {
				return fmt.Errorf("answered %d %s", status, said)
			}
			return nil
		})(t)
		n := 0
		for range times {
			if <-accepted {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of %d deliveries were taken in, want 1", n, times)
		}
	default:
		w.call(t, p)
	}
	return w.want
}

// at does something several times at once.
func at(times int, do func() error) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		var wg sync.WaitGroup
		for range times {
			wg.Go(func() {
				if err := do(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// file is a sample of events/, with changes: pairs of what stands there and what shall.
func file(name string, changes ...string) func(*testing.T, *playground.Playground) (string, []byte) {
	return func(t *testing.T, _ *playground.Playground) (string, []byte) {
		t.Helper()
		text := sample(t, name)
		for pair := range slices.Chunk(changes, 2) {
			if !bytes.Contains(text, []byte(pair[0])) {
				t.Fatalf("%s has no %s", name, pair[0])
			}
			text = bytes.ReplaceAll(text, []byte(pair[0]), []byte(pair[1]))
		}
		return "", text
	}
}

// onKey is a sample about a KMS key, made to be about that of ledger.
func onKey(name string) func(*testing.T, *playground.Playground) (string, []byte) {
	return func(t *testing.T, p *playground.Playground) (string, []byte) {
		t.Helper()
		c, _ := p.Bundle.Find(ledger)
		_, id, _ := strings.Cut(c.KMSKey, "/")
		return file(name, "0b1c2d3e-4f50-4617-8283-94a5b6c7d8e9", id)(t, p)
	}
}

// atTheDatabase is the sample of a login, at the playground's server, of the login in use.
func atTheDatabase(t *testing.T, p *playground.Playground) (string, []byte) {
	t.Helper()
	v, _, err := p.Value(t.Context(), orders, "")
	must(t)(nil, err)
	return file("guardduty-database-login.json", `"dbInstanceIdentifier": "prod-orders"`, `"dbInstanceIdentifier": "`+contract.Server(p.Target(orders).Host)+`"`,
		"orders_app_b", v.User())(t, p)
}

// signed are the headers of a body that a SIEM or provider signs.
func (h hook) signed(route string, body []byte) map[string]string {
	h.Helper()
	stamp := fmt.Append(nil, h.p.Stack.Clock.Now().Unix())
	return map[string]string{"X-Mayfly-Timestamp": string(stamp), "X-Mayfly-Signature": "v1=" + hex.EncodeToString(sign(h.key(route), stamp, []byte("."), body))}
}
