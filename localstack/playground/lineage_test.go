package playground_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/policy"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

const copied = "prod/payment-api-key-of-old" // whose contract says nothing of incidents

// sharing is a playground in which somebody put the value of payment under another contract, too.
func sharing(t *testing.T) *playground.Playground {
	t.Helper()
	p := start(t, playground.Options{Bundle: contract.Bundle{Contracts: []contract.Contract{{Name: "payment-api-key-of-old", Owner: "payments-team",
		Environment: "prod", Services: []string{"billing-service"}, TTL: contract.Duration(24 * 3600e9), Kind: contract.Random, RotateOn: []string{"schedule"}, BlastRadius: "minimal"}}}})
	execution, err := p.Rotate(t.Context(), payment, "first", "a value of a run's own")
	must(t)(nil, err)
	must(t)(p.Wait(t.Context(), execution))
	value, _, err := p.Value(t.Context(), payment, "")
	must(t)(nil, err)
	put(t, p, copied, value.Reveal())
	settled(t, p)
	inspect(t, p, false)
	if live(t, p, copied).Print != live(t, p, payment).Print {
		t.Fatal("the inspection did not see that they hold one value")
	}
	return p
}

func index(p *playground.Playground) *dynamo.Registry {
	return &dynamo.Registry{DB: dynamodb.NewFromConfig(p.AWS), Contracts: playground.ContractsTable, Runs: playground.RunsTable}
}

// live is the fingerprint of the version of a secret that could be used; there is one.
func live(t *testing.T, p *playground.Playground, secret string) registry.Fingerprint {
	t.Helper()
	prints, err := index(p).Fingerprints(t.Context(), secret)
	must(t)(nil, err)
	var found []registry.Fingerprint
	for _, f := range prints {
		if f.Ended.IsZero() {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d live fingerprints, want 1: %+v", secret, len(found), prints)
	}
	return found[0]
}

// fingerprinted says what is wrong with the fingerprints between runs: one leads to a version that is refused, or those of the
// versions that ended are forgotten. The version in use has none where its run died behind the commit point (S4).
func (f *failing) fingerprinted(ctx context.Context) error {
	prints, err := index(f.Playground).Fingerprints(ctx, f.id())
	if err != nil {
		return err
	}
	_, current, err := f.Value(ctx, f.id(), "")
	ended := 0
	for _, p := range prints {
		switch {
		case !p.Ended.IsZero():
			ended++
		case p.Version != current:
			err = errors.Join(err, fmt.Errorf("the fingerprint of %s, which is refused, leads to %s; AWSCURRENT is on %s", p.Version, f.id(), current))
		}
	}
	if ended == 0 {
		err = errors.Join(err, fmt.Errorf("no version of %s ended: this looks at the wrong thing", f.id()))
	}
	return err
}

// contained checks that the last run of each secret is the containment that one cause brought about, and that they have come
// apart; reason is what the record of the copy's admission has to say.
func contained(t *testing.T, p *playground.Playground, cause, reason string, was string) {
	t.Helper()
	for _, secret := range []string{payment, copied} {
		run := runs(t, p, secret)[0]
		if run.Mode != "contain" || run.Outcome != "rotated" || run.Trigger != cause {
			t.Errorf("the last run of %s is %+v, want a containment", secret, run)
		}
		if value, _ := value(t, p, secret); value == was {
			t.Errorf("%s still has the value", secret)
		}
	}
	if live(t, p, payment).Print == live(t, p, copied).Print {
		t.Error("they still hold one value")
	}
	if said := admitted(t, p, copied); !strings.Contains(said, reason) {
		t.Errorf("on record for %s: %q, want it to say %q", copied, said, reason)
	}
	if _, err := p.CheckAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if leaks, err := p.Leaks(t.Context()); err != nil || len(leaks) > 0 {
		t.Errorf("values, or hashes of values, were found in %v, %v", leaks, err)
	}
}

// admitted is the reason in the last record of an admission of a secret.
func admitted(t *testing.T, p *playground.Playground, secret string) string {
	t.Helper()
	last := audit.Record{}
	for _, o := range p.Stack.Buckets.Objects(playground.AuditBucket) {
		var rec audit.Record
		if json.Unmarshal(o.Body, &rec) == nil && rec.Secret == secret && rec.Event == "admitted" && rec.Seq > last.Seq {
			last = rec
		}
	}
	return last.Reason
}

// An incident on one secret contains all that hold its value, whatever their rotate_on says, also where the function that
// finds them dies around its record; each run says why.
func TestIncidentContainsItsLineage(t *testing.T) {
	for name, when := range map[string]string{"found at once": "", "the finder dies before its record": "before", "the finder dies after its record": "after"} {
		t.Run(name, func(t *testing.T) {
			p := sharing(t)
			died := 0
			if when != "" {
				p.Stack.Endpoint.Kill = func(who stack.Identity) { died++; p.Stack.Functions.Kill(who) }
				must(t)(nil, p.Stack.Endpoint.AddFault(stack.Fault{Function: "mayfly-trace-lineage", Service: "s3", Operation: "PutObject", Mode: "kill", When: when}))
			}
			was, _ := value(t, p, payment)
			before := len(runs(t, p, copied))
			_, err := p.Secrets().TagResource(t.Context(), &secretsmanager.TagResourceInput{SecretId: aws.String(payment),
				Tags: []smtypes.Tag{{Key: aws.String(policy.Prefix + policy.TagCompromised), Value: aws.String("found in a chat")}}})
			must(t)(nil, err)
			settled(t, p)
			contained(t, p, "annotation", "its value is also that of "+payment+", which an incident contains", was)
			if n := len(runs(t, p, copied)) - before; n != 1 || (died > 0) != (when != "") {
				t.Errorf("%s was rotated %d times; the finder died %d times", copied, n, died)
			}
		})
	}
}

// Fingerprints are an index: with the registry they can be lost, and an inspection fills it again.
func TestFingerprintsAreRebuilt(t *testing.T) {
	p := sharing(t)
	was := map[string]registry.Fingerprint{}
	for _, secret := range []string{payment, copied} {
		was[secret] = live(t, p, secret)
		_, err := dynamodb.NewFromConfig(p.AWS).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(playground.ContractsTable), Key: map[string]types.AttributeValue{
			"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "fingerprint#" + was[secret].Version}}})
		must(t)(nil, err)
	}
	inspect(t, p, false)
	for secret, f := range was {
		if got := live(t, p, secret); got != f {
			t.Errorf("%+v became %+v", f, got)
		}
	}
}

// A value that is found in the open is that of all who hold it: they are found at once.
func TestLeakContainsAllHolders(t *testing.T) {
	p := sharing(t)
	h := hook{t, p}
	was, _ := value(t, p, payment)
	h.leak(h.configureGitHub(), was, "https://github.com/o/r/blob/main/config.yml")
	settled(t, p)
	contained(t, p, "incident", "its value was found in the open", was)
}

// The lineage of a fleet is a fleet of its own: each of both is started once, while the function that finds it is killed
// wherever it can be, and finds other records in its chain when it comes to its own.
func TestLineageOfAFleetStartsWhileItsFinderDies(t *testing.T) {
	const n = 60
	f := newFleet(t, n, time.Now().Add(365*24*time.Hour))
	f.startOnly()
	reg := &dynamo.Registry{DB: dynamodb.NewFromConfig(f.Config()), Contracts: playground.ContractsTable}
	for i, secret := range f.secrets {
		print := fmt.Sprintf("%064x", i)
		_, name, _ := strings.Cut(secret, "/")
		must(t)(nil, errors.Join(reg.SetFingerprint(t.Context(), secret, "v", print), reg.SetFingerprint(t.Context(), "recovery/"+name, "v", print)))
	}
	kills := []stack.Fault{
		{Service: "s3", Operation: "GetObject", When: "before"},
		{Service: "dynamodb", Operation: "Query", When: "after", Skip: n},
		{Service: "s3", Operation: "PutObject", When: "before"},
		{Service: "s3", Operation: "PutObject", When: "after"},
		{Service: "s3", Operation: "PutObject", When: "after", Skip: 2},
	}
	for _, k := range kills {
		k.Function, k.Mode = "mayfly-trace-lineage", "kill"
		must(t)(nil, f.Endpoint.AddFault(k))
	}
	var once sync.Once
	f.Endpoint.Kill = func(who stack.Identity) {
		once.Do(func() { f.crowd(who.Execution) })
		f.Functions.Kill(who)
	}
	event := f.incident("lineage", "9.5")
	f.succeeded(f.respond(event, 1)...)
	if got := f.killed(); got != len(kills) {
		t.Errorf("the function was killed %d times, want %d", got, len(kills))
	}
	resolution, err := trigger.Resolve([]byte(event))
	must(t)(nil, err)
	want := map[string]bool{}
	for _, secret := range f.secrets {
		_, name, _ := strings.Cut(secret, "/")
		want[trigger.ExecutionName(secret, resolution.Trigger)], want[trigger.ExecutionName("recovery/"+name, resolution.Trigger)] = true, true
	}
	for _, x := range f.started() {
		if !want[*x.Name] {
			t.Errorf("%s was started twice, or is neither of the fleet nor of its lineage", *x.Name)
		}
		delete(want, *x.Name)
	}
	if len(want) > 0 {
		t.Errorf("%d of %d were not started", len(want), 2*n)
	}
}

// crowd writes so many records into the chain of an execution of mayfly-respond that its end has to be looked for.
func (f *fleet) crowd(execution string) {
	x, err := f.machines.DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: &execution})
	if err != nil {
		f.Error(err)
		return
	}
	others := &audit.Log{S3: s3.NewFromConfig(f.Config()), Bucket: playground.AuditBucket, Account: stack.Account, Region: stack.Region,
		Retention: 24 * time.Hour, Lines: io.Discard}
	chain, head := audit.Response(execution, *x.StartDate)
	for i := range 12 {
		if head, err = others.Append(context.Background(), head, audit.Record{ID: fmt.Sprint("other-", i), Time: audit.Stamp(f.Clock.Now()),
			Environment: audit.NoEnvironment, Secret: chain, Event: "noted", Step: "Test"}); err != nil {
			f.Error(err)
		}
	}
}
