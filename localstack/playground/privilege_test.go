package playground_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// These scenarios are here for the permissions that only rare things need.

// Each step of a routine run and of a containment finds, when it is about to write its record, that a dozen others were
// written meanwhile: it asks the bucket where the chain ends, and goes on there.
func TestChainMovedOnFarAhead(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	others := &audit.Log{S3: s3.NewFromConfig(p.AWS), Bucket: playground.AuditBucket, Account: stack.Account, Region: stack.Region,
		Retention: 24 * time.Hour, Lines: io.Discard}
	moved := 0
	p.Stack.Endpoint.Kill = func(who stack.Identity) {
		for range 12 {
			moved++
			if _, err := others.Append(context.Background(), audit.Head{}, audit.Record{ID: fmt.Sprint("other-", moved),
				Time: audit.Stamp(p.Stack.Clock.Now()), Environment: "prod", Secret: orders, Event: "noted", Step: "Test"}); err != nil {
				t.Error(err)
			}
		}
	}
	steps := []string{"create-secret", "set-secret", "test-secret", "finish-secret", "propagate-secret", "confirm-adoption", "revoke-secret", "close-run"}
	for _, s := range steps {
		planned(t, p, stack.Fault{Function: "mayfly-" + s, Service: "s3", Operation: "PutObject", Mode: "kill"})
	}
	f.rotate(t, "routine")
	p.Stack.Endpoint.ClearFaults()
	planned(t, p, stack.Fault{Function: "mayfly-contain-secret", Service: "s3", Operation: "PutObject", Mode: "kill"})
	contained := execute(t, p, playground.RotateMachine, incident("far-ahead"))
	if got := end(t, p, contained); got != "Rotated" {
		t.Errorf("the containment ended in %s, want Rotated%s", got, why(t, p, contained))
	}
	if want := 12 * (len(steps) + 1); moved != want {
		t.Errorf("%d records were written in between, want %d", moved, want)
	}
	if _, err := p.CheckAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.CheckLaws(t.Context(), orders); err != nil {
		t.Error(err)
	}
}

// A contract that is gone is withdrawn: no event finds its secret any more, and the secret stays. When it is back, it is in
// force as before.
func TestContractComesAndGoes(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	const gone = "prod/payment-api-key"
	without := p.Bundle
	without.Contracts = nil
	for _, c := range p.Bundle.Contracts {
		if c.ID() != gone {
			without.Contracts = append(without.Contracts, c)
		}
	}
	for _, deployed := range []struct {
		bundle contract.Bundle
		want   string
	}{{without, "FailedClean"}, {p.Bundle, "Rotated"}} {
		if err := p.Deploy(t.Context(), deployed.bundle); err != nil {
			t.Fatal(err)
		}
		execution, err := p.Rotate(t.Context(), gone, "asked for by hand", "test")
		must(t)(nil, err)
		must(t)(p.Wait(t.Context(), execution))
		if got := end(t, p, execution); got != deployed.want {
			t.Errorf("with %d contracts the run ended in %s, want %s", len(deployed.bundle.Contracts), got, deployed.want)
		}
	}
}

// Each route of the webhook receiver has a signing key that the receiver can read: it tells a wrong signature from a right
// one.
func TestEachRouteReadsItsKey(t *testing.T) {
	t.Parallel()
	h := hook{t, start(t, playground.Options{})}
	wrong := strings.Repeat("0", 64)
	now := fmt.Sprint(h.p.Stack.Clock.Now().Unix())
	for route, headers := range map[string]map[string]string{
		"github":    {"X-Hub-Signature-256": "sha256=" + wrong},
		"pagerduty": {"X-PagerDuty-Signature": "v1=" + wrong},
		"siem":      {"X-Mayfly-Timestamp": now, "X-Mayfly-Signature": "v1=" + wrong},
		"provider":  {"X-Mayfly-Timestamp": now, "X-Mayfly-Signature": "v1=" + wrong},
	} {
		if status, said := h.post(route, []byte("{}"), headers); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s, want 401", route, status, said)
		}
	}
}

// What a function must never do, it may not even where a resource policy says otherwise: one that it put itself, say.
func TestDenialsOutweigh(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	const secret = "prod/payment-api-key"
	all := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"secretsmanager:*","Resource":"*"},` +
		`{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::000000000000:role/mayfly-apply-contracts","arn:aws:iam::000000000000:role/mayfly-create-secret",` +
		`"arn:aws:iam::000000000000:role/mayfly-receive-webhook"]},"Action":"secretsmanager:*","Resource":"*"}]}`
	must(t)(p.Secrets().PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: aws.String(secret), ResourcePolicy: &all}))
	as := func(function string) *secretsmanager.Client {
		return secretsmanager.NewFromConfig(p.Stack.As(stack.Identity{Role: "mayfly-" + function,
			ARN: "arn:aws:sts::000000000000:assumed-role/mayfly-" + function + "/test"}))
	}
	read := func(function string) error {
		_, err := as(function).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(secret)})
		return err
	}
	put := func(function string) error {
		_, err := as(function).PutResourcePolicy(t.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: aws.String(secret), ResourcePolicy: &all})
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"who creates secrets reads":               {read("apply-contracts"), "with an explicit deny in an identity-based policy"},
		"who reads says who may":                  {put("create-secret"), "with an explicit deny in an identity-based policy"},
		"the receiver reads what is not its key":  {read("receive-webhook"), "with an explicit deny in an identity-based policy"},
		"the receiver says who may read":          {put("receive-webhook"), "with an explicit deny in an identity-based policy"},
		"who reads reads (the policy does allow)": {read("create-secret"), ""},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
}

// With a VPC, functions have a few permissions and denials more, and all goes its way. The network itself is not here.
func TestDeployedIntoAVPC(t *testing.T) {
	t.Parallel()
	needed, err := once(t, filepath.Join("..", "..", ".mayfly", "cdk.vpc"))
	if err != nil || len(needed) < 50 {
		t.Fatalf("%d permissions were needed: %v; no template? run `make synth-local`", len(needed), err)
	}
}

// A run that was cut off cannot say so itself: whoever is subscribed to the alarms hears of it from EventBridge.
func TestAbortedRunRingsTheAlarm(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Policy: brisk})
	told := make(chan string, 10)
	p.Stack.Events.Targets.Publish = func(_ context.Context, topic, _, message string) error {
		told <- topic + " " + message
		return nil
	}
	(&failing{Playground: p}).rotate(t, "onboard")
	stop(t, p, write{"mayfly-test-secret", "s3", "PutObject", 0})
	select {
	case said := <-told:
		if !strings.HasPrefix(said, "arn:aws:sns:us-east-1:000000000000:mayfly-alarms ") || !strings.Contains(said, "ABORTED") {
			t.Errorf("told: %s", said)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody was told")
	}
}

// A tick that mayfly-respond cannot take is left in the queue from which `mayfly redrive` takes it, by the schedule's role.
func TestUndeliveredTick(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{})
	p.Stack.Schedules.Targets.Start = func(context.Context, string, string, []byte) (string, error) {
		return "", &stack.Error{Code: "StateMachineDoesNotExist", Message: "gone"}
	}
	p.Stack.Clock.Advance(15 * time.Minute)
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	queue := sqs.NewFromConfig(p.AWS)
	url, err := queue.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mayfly-undelivered-ticks")})
	must(t)(nil, err)
	out, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, WaitTimeSeconds: 5,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
	must(t)(nil, err)
	if len(out.Messages) != 1 {
		t.Fatalf("%d messages, want the tick", len(out.Messages))
	}
	if code := out.Messages[0].MessageAttributes["ERROR_CODE"]; aws.ToString(code.StringValue) != "NO_RESOURCE" {
		t.Errorf("the message has the attributes %v", out.Messages[0].MessageAttributes)
	}
}
