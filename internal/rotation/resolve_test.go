package rotation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	locals3 "github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// responding is ResolveTrigger on a bucket, each call in a process that has just started.
type responding struct {
	*testing.T
	server *stacktest.Server
	bucket *s3.Client
}

func respond(t *testing.T) responding {
	t.Helper()
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, locals3.New(clock))
	client := s3.NewFromConfig(server.Config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("audit"), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	return responding{t, server, client}
}

func (r responding) log() *audit.Log {
	return &audit.Log{S3: r.bucket, Bucket: "audit", Retention: 400 * 24 * time.Hour, Account: "000000000000", Region: "us-east-1", Lines: io.Discard}
}

// event is handled, in an execution that began and a state that was entered when they did.
func (r responding) event(execution string, began, entered time.Time, attempt int) error {
	var c rotation.Context
	c.Execution.ID, c.Execution.Name, c.Execution.StartTime = execution, execution, began
	c.State.Name, c.State.EnteredTime, c.State.RetryCount = "ResolveTrigger", entered, attempt
	step := rotation.ResolveTrigger{Log: r.log()}
	_, err := step.Handle(context.Background(), rotation.Event{Event: json.RawMessage(`{"source":"aws.ssm"}`), Context: c})
	return err
}

// chains verifies the account's chains.
func (r responding) chains() []audit.Chain {
	r.Helper()
	chains, err := r.log().Verify(r.Context(), r.bucket, audit.NoEnvironment, noon, nil)
	if err != nil {
		r.Fatal(err)
	}
	for _, c := range chains {
		if len(c.Problems) > 0 {
			r.Errorf("chain %s: %q", c.Secret, c.Problems)
		}
	}
	return chains
}

// A process that knows nothing writes an event's record with one call, however many events there are at once.
func TestEventsDoNotQueueForOneChain(t *testing.T) {
	r := respond(t)
	r.server.Endpoint.ResetCalls()
	const events = 100
	errs := make(chan error, events)
	for i := range events {
		go func() { errs <- r.event(fmt.Sprint("e", i), noon, noon, 0) }()
	}
	for range events {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if calls := r.server.Endpoint.Calls(); len(calls) != events {
		t.Errorf("%d calls for %d events", len(calls), events)
	}
	if chains := r.chains(); len(chains) != events {
		t.Errorf("%d chains, want %d", len(chains), events)
	}
}

// Attempts of one state, at once and on both sides of midnight, and a redrive a week later, are one chain.
func TestAttemptsOfAnEventAreOneChain(t *testing.T) {
	r := respond(t)
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const attempts = 6
	errs := make(chan error, attempts)
	for i := range attempts {
		go func() {
			errs <- r.event("e", midnight.Add(-time.Second), midnight.Add(time.Duration(i/2%2-1)*time.Millisecond), i/2)
		}()
	}
	for range attempts {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := r.event("e", midnight.Add(-time.Second), midnight.Add(7*24*time.Hour), 0); err != nil {
		t.Error(err)
	}
	chains := r.chains()
	// Each attempt came twice and is one record. One seal closes the day before midnight, one the day that the redrive found.
	if want := attempts/2 + 1 + 2; len(chains) != 1 || chains[0].Records != want || !strings.HasPrefix(chains[0].Secret, "events--") {
		t.Errorf("chains %+v, want one of %d records", chains, want)
	}
}
