package playground_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/contract/source"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/postgres"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const orders = "prod/orders-db"

// start brings a playground up in which waits take a second or two. Contracts in the options come on top of the repository's.
// Inspections do not come by themselves: the tests change things behind Mayfly's back.
func start(t *testing.T, o playground.Options) *playground.Playground {
	t.Helper()
	o.Uninspected = true
	return startInspected(t, o)
}

// startInspected is start with the inspections that come by themselves.
func startInspected(t *testing.T, o playground.Options) *playground.Playground {
	t.Helper()
	root := filepath.Join("..", "..")
	bundle, problems := source.Load(os.DirFS(filepath.Join(root, "contracts")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	bundle.Contracts = append(bundle.Contracts, o.Bundle.Contracts...)
	o.Assembly, o.Bundle = assembly(), bundle
	if _, err := os.Stat(filepath.Join(o.Assembly, "manifest.json")); err != nil {
		t.Fatalf("no synthesized template: run `make synth-local` (%v)", err)
	}
	if o.Policy == nil {
		o.Policy = map[string]string{"quiet_period": "1s", "max_overlap": "6s"}
	}
	p, err := playground.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	observe(t, p.Stack)
	return p
}

// assembly is the synthesized template with its functions, or the one that a mutation has put in its place.
func assembly() string {
	return cmp.Or(os.Getenv("MAYFLY_ASSEMBLY"), filepath.Join("..", "..", ".mayfly", "cdk.out"))
}

// consumer is the service that may read the secret.
func consumer(t *testing.T, p *playground.Playground, secret string) *secretsmanager.Client {
	t.Helper()
	c, err := p.Consumer(secret)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve starts a service on the secret; its failures fail the test.
func serve(t *testing.T, p *playground.Playground, secret string) *playground.Service {
	t.Helper()
	s := &playground.Service{Secrets: consumer(t, p, secret), Secret: secret, Target: p.Target(secret), Every: 20 * time.Millisecond, Cache: 300 * time.Millisecond}
	s.Start(t.Context())
	t.Cleanup(func() {
		if c := s.Stop(); c.Failures > 0 || c.Logins == 0 {
			t.Errorf("law 8: the service saw %d logins and %d failures, the first: %s", c.Logins, c.Failures, c.First)
		}
	})
	return s
}

// write is one external write of a routine dual rotation: the nth matching call of a function, or the nth COMMIT at the
// database.
type write struct {
	function, service, operation string
	nth                          int
}

func (w write) String() string {
	if w.service == "" {
		return fmt.Sprintf("database COMMIT %d", w.nth+1)
	}
	return fmt.Sprintf("%s %s.%s %d", w.function, w.service, w.operation, w.nth+1)
}

// writes lists every external write; TestTableIsComplete holds it against what a run really does.
var writes = []write{
	{"mayfly-admit-rotation", "dynamodb", "UpdateItem", 0},
	{"mayfly-admit-rotation", "s3", "PutObject", 0},
	{"mayfly-admit-rotation", "dynamodb", "UpdateItem", 1},
	{"mayfly-create-secret", "s3", "PutObject", 0},
	{"mayfly-create-secret", "secretsmanager", "PutSecretValue", 0},
	{"mayfly-set-secret", "s3", "PutObject", 0},
	{"", "", "COMMIT", 0},
	{"mayfly-test-secret", "s3", "PutObject", 0},
	{"mayfly-finish-secret", "s3", "PutObject", 0},
	{"mayfly-finish-secret", "dynamodb", "UpdateItem", 0},
	{"mayfly-finish-secret", "secretsmanager", "UpdateSecretVersionStage", 0},
	{"mayfly-finish-secret", "secretsmanager", "UpdateSecretVersionStage", 1},
	{"mayfly-propagate-secret", "s3", "PutObject", 0},
	{"mayfly-propagate-secret", "secretsmanager", "PutResourcePolicy", 0},
	{"mayfly-confirm-adoption", "s3", "PutObject", 0},
	{"", "", "COMMIT", 1},
	{"mayfly-revoke-secret", "s3", "PutObject", 0},
	{"mayfly-revoke-secret", "s3", "PutObject", 1},
	{"mayfly-close-run", "s3", "PutObject", 0},
	{"mayfly-close-run", "secretsmanager", "TagResource", 0},
	{"mayfly-close-run", "dynamodb", "TransactWriteItems", 0},
}

// TestEveryWriteFails goes through every external write of every step, failed (the function dies before the write took
// effect) and failed but persisted (it dies after), each followed by the state machine's own retry, and separately by the
// end of the execution and a new run. Afterwards all laws hold, nobody had to help, and the service noticed nothing.
func TestEveryWriteFails(t *testing.T) {
	for worker := range workers {
		t.Run(fmt.Sprint("part", worker), func(t *testing.T) {
			t.Parallel()
			f := &failing{Playground: start(t, playground.Options{Cut: true})}
			f.Stack.Machines.Random = func() float64 { return 0.3 }
			f.rotate(t, "onboard")
			serve(t, f.Playground, orders)
			n := 0
			for _, w := range writes {
				for _, after := range []bool{false, true} {
					for _, newRun := range []bool{false, true} {
						if n++; n%workers == worker {
							f.one(t, w, after, newRun)
						}
					}
				}
			}
			if records, err := f.CheckAudit(t.Context()); err != nil || records == 0 {
				t.Errorf("%d audit records; %v", records, err)
			}
			if leaks, err := f.Leaks(t.Context()); err != nil || len(leaks) > 0 {
				t.Errorf("values were found in %v, %v", leaks, err)
			}
		})
	}
}

// workers is how many playgrounds share the table: most of the time is waiting.
const workers = 4

type failing struct {
	*playground.Playground
	secret string // "": orders
	serial atomic.Int64
}

func (f *failing) id() string { return cmp.Or(f.secret, orders) }

func (f *failing) rotate(t *testing.T, id string) string {
	t.Helper()
	execution, err := f.Rotate(t.Context(), f.id(), id, "test")
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.Wait(t.Context(), execution)
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != "SUCCEEDED" {
		t.Fatalf("%s: the run ended %s: %s", id, out.Status, aws.ToString(out.Error))
	}
	return execution
}

func (f *failing) one(t *testing.T, w write, after, newRun bool) {
	t.Helper()
	name := fmt.Sprintf("%s, failed%s, then %s", w, map[bool]string{true: " but persisted"}[after], map[bool]string{false: "retry", true: "new run"}[newRun])
	id := fmt.Sprint("t", f.serial.Add(1))
	began := time.Now()
	struck := make(chan string, 1) // the execution that was struck
	f.Stack.Endpoint.Kill = func(who stack.Identity) {
		f.Stack.Functions.Kill(who)
		struck <- who.Execution
	}
	var cut *postgres.Cut
	if w.service == "" {
		cut = f.Proxy.Plan(&postgres.Cut{Match: regexp.MustCompile(`(?i)^\s*commit\b`), Nth: w.nth + 1, After: after})
	} else if err := f.Stack.Endpoint.AddFault(stack.Fault{Function: w.function, Service: w.service, Operation: w.operation,
		Skip: w.nth, Mode: "kill", When: map[bool]string{false: "before", true: "after"}[after]}); err != nil {
		t.Fatal(err)
	}
	execution, err := f.Rotate(t.Context(), f.id(), id, "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := f.await(ctx, cut, struck); err != nil {
		t.Errorf("%s: the fault never struck: %v", name, err)
	}
	if newRun {
		_, err := sfn.NewFromConfig(f.AWS).StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &execution})
		if err != nil {
			t.Fatal(err)
		}
		if execution, err = f.Rotate(ctx, f.id(), id+"-again", "test"); err != nil {
			t.Fatal(err)
		}
	}
	out, err := f.Wait(ctx, execution)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	f.Stack.Endpoint.ClearFaults()
	if out.Status != "SUCCEEDED" {
		t.Errorf("%s: the run ended %s: %s %s", name, out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	if err := f.CheckLaws(ctx, f.id()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := f.fingerprinted(ctx); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	t.Logf("%s: %s", name, time.Since(began).Round(time.Millisecond))
}

// await returns when the planned fault has struck.
func (f *failing) await(ctx context.Context, cut *postgres.Cut, struck chan string) error {
	if cut == nil {
		select {
		case <-struck:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for !cut.Fired() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return errors.New("the connection was not cut")
		}
	}
	return nil
}
