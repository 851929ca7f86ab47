package rotation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	locals3 "github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 750_000_000, time.UTC)

func TestOrder(t *testing.T) {
	want := []rotation.Start{
		{Secret: "prod/z", Environment: "prod", Mode: trigger.Contain, Severity: 9, BlastRadius: "minimal"},
		{Secret: "prod/y", Environment: "prod", Mode: trigger.Routine, Severity: 8, BlastRadius: "minimal"},
		{Secret: "prod/x", Environment: "prod", Mode: trigger.Routine, Severity: 7, BlastRadius: "no level"},
		{Secret: "prod/w", Environment: "prod", Mode: trigger.Routine, Severity: 7, BlastRadius: "broad"},
		{Secret: "prod/u", Environment: "prod", Mode: trigger.Routine, Severity: 7, BlastRadius: "limited"},
		{Secret: "prod/v", Environment: "prod", Mode: trigger.Routine, Severity: 7, BlastRadius: "limited"},
		{Secret: "prod/a", Environment: "prod", Mode: trigger.Routine, Severity: 7, BlastRadius: "minimal"},
		{Secret: "dev/z", Environment: "dev", Mode: trigger.Contain, Severity: 10, BlastRadius: "broad"},
		{Secret: "dev/a", Environment: "dev", Mode: trigger.Routine, Severity: 10, BlastRadius: "broad"},
	}
	for range 50 {
		got := slices.Clone(want)
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		rotation.Order(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order (- want, + got):\n%s", diff)
		}
	}
}

func TestPace(t *testing.T) {
	cause := trigger.Trigger{Type: trigger.Incident, ID: "1", Source: "aws.guardduty", Severity: 8}
	var starts []rotation.Start
	for i := range 100 {
		s := rotation.Start{Secret: fmt.Sprintf("prod/s-%02d", i), Because: "it was named", Mode: trigger.Routine}
		if i%5 == 4 {
			s.Mode = trigger.Contain
		}
		starts = append(starts, s)
	}
	list := rotation.Pace(starts, cause, noon)
	if len(list) != len(starts) {
		t.Fatalf("%d of %d starts", len(list), len(starts))
	}
	inSecond := map[time.Time]int{}
	for i, s := range list {
		if contained := strings.HasSuffix(s.Secret, "4") || strings.HasSuffix(s.Secret, "9"); contained != (i < 20) {
			t.Errorf("start %d is %s: containments come first, and before nothing else", i, s.Secret)
		}
		if i > 0 && s.NotBefore.Before(list[i-1].NotBefore) {
			t.Errorf("start %d is before the one before it", i)
		}
		if s.Name != trigger.ExecutionName(s.Secret, cause) || s.Because != "it was named" {
			t.Errorf("start %+v", s)
		}
		inSecond[s.NotBefore]++
	}
	if first := list[0].NotBefore; first.After(noon) || noon.Sub(first) >= time.Second {
		t.Errorf("the first starts at %s, want at once", first)
	}
	for at, n := range inSecond {
		if at.Nanosecond() != 0 || n > rotation.StartsPerSecond {
			t.Errorf("%d starts at %s, want at most %d in each whole second", n, at, rotation.StartsPerSecond)
		}
	}
	if last := list[99].NotBefore.Sub(list[0].NotBefore); last != 6*time.Second {
		t.Errorf("100 starts take %s, want 6s", last)
	}
}

// scene is a ResolveTrigger with a registry that a test writes and with S3 as it is.
type scene struct {
	*testing.T
	*rotation.ResolveTrigger
	objects   *s3.Client
	contracts map[string]contract.Contract
	lines     bytes.Buffer
}

func (s *scene) FindAll(_ context.Context, secrets []string) ([]contract.Contract, error) {
	var found []contract.Contract
	for _, id := range secrets {
		if c, ok := s.contracts[id]; ok {
			found = append(found, c)
		}
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] }) // DynamoDB has no order either
	return found, nil
}

func (s *scene) Lookup(context.Context, []string) ([]string, error) { return s.ids(), nil }

func (s *scene) Due(context.Context, time.Time) ([]string, error) { return s.ids(), nil }

func (s *scene) ids() []string {
	var ids []string
	for id := range s.contracts { // in the random order of maps
		ids = append(ids, id)
	}
	return ids
}

func newScene(t *testing.T, n int) *scene {
	t.Helper()
	stacktest.Local(t)
	clock := stack.NewClock()
	s := &scene{T: t, contracts: map[string]contract.Contract{}}
	s.objects = s3.NewFromConfig(stacktest.Start(t, clock, locals3.New(clock)).Config, func(o *s3.Options) { o.UsePathStyle = true })
	for _, in := range []*s3.CreateBucketInput{{Bucket: aws.String("audit"), ObjectLockEnabledForBucket: aws.Bool(true)}, {Bucket: aws.String("fleets")}} {
		if _, err := s.objects.CreateBucket(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	s.add(0, n)
	s.ResolveTrigger = &rotation.ResolveTrigger{
		Log:      &audit.Log{S3: s.objects, Bucket: "audit", Retention: time.Hour, Account: stack.Account, Region: stack.Region, Lines: &s.lines},
		Registry: s, Lists: &rotation.Lists{S3: s.objects, Bucket: "fleets"},
	}
	return s
}

func (s *scene) add(from, to int) {
	for i := from; i < to; i++ {
		c := contract.Contract{Name: fmt.Sprintf("s-%05d", i), Environment: []string{"dev", "prod"}[i%2], RotateOn: []string{"incident"}, BlastRadius: "minimal"}
		s.contracts[c.ID()] = c
	}
}

// handle hands an evaluation over, as an attempt of an execution.
func (s *scene) handle(execution string, attempt int) rotation.Response {
	s.Helper()
	var e rotation.Event
	text := fmt.Sprintf(`{"event":{"source":"mayfly.schedule","detail-type":"Evaluation","time":"2026-03-02T12:00:00Z","detail":{}},
		"context":{"Execution":{"Id":"arn:%[1]s","Name":%[1]q},"State":{"Name":"ResolveTrigger","EnteredTime":%[2]q,"RetryCount":%[3]d}}}`,
		execution, time.Now().UTC().Truncate(time.Minute).Format(time.RFC3339), attempt)
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		s.Fatal(err)
	}
	r, err := s.Handle(s.Context(), e)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *scene) list(r rotation.Response) []rotation.Started {
	s.Helper()
	if r.Dispatch == nil {
		s.Fatal("no list was written")
	}
	out, err := s.objects.GetObject(s.Context(), &s3.GetObjectInput{Bucket: &r.Dispatch.Bucket, Key: &r.Dispatch.Key})
	if err != nil {
		s.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if err != nil {
		s.Fatal(err)
	}
	var list []rotation.Started
	if err := json.Unmarshal(body, &list); err != nil {
		s.Fatal(err)
	}
	return list
}

// Few travel in the state and start at once; one more is a fleet.
func TestFewAreInlineAndManyAreAFleet(t *testing.T) {
	s := newScene(t, rotation.Inline)
	r := s.handle("few", 0)
	if r.Count != rotation.Inline || len(r.Secrets) != rotation.Inline || r.Dispatch != nil {
		t.Errorf("%d secrets inline of %d, dispatch %v", len(r.Secrets), r.Count, r.Dispatch)
	}
	if r.Secrets[0].Secret != "prod/s-00001" || !r.Secrets[0].NotBefore.IsZero() {
		t.Errorf("the first is %+v", r.Secrets[0])
	}
	s.add(rotation.Inline, rotation.Inline+1)
	r = s.handle("many", 0)
	if r.Count != rotation.Inline+1 || len(r.Secrets) != 0 {
		t.Errorf("%d of %d inline", len(r.Secrets), r.Count)
	}
	if want := (&rotation.Dispatch{Bucket: "fleets", Key: "dispatch/many/secrets.json", Results: "results/many"}); !cmp.Equal(r.Dispatch, want) {
		t.Errorf("dispatch %+v", r.Dispatch)
	}
	list := s.list(r)
	if len(list) != rotation.Inline+1 || list[0].Secret != "prod/s-00001" || list[20].Secret != "dev/s-00000" || list[0].NotBefore.IsZero() {
		t.Errorf("the list is %+v", list)
	}
}

// Whatever the registry says by then, the attempts of one execution work off one list.
func TestRetriedAttemptsHaveOneList(t *testing.T) {
	s := newScene(t, 3000)
	one := s.handle("x", 0)
	before := s.list(one)
	s.add(3000, 3100)
	delete(s.contracts, "prod/s-00001")
	again := s.handle("x", 1)
	if diff := cmp.Diff(one, again); diff != "" || one.Count != 3000 {
		t.Errorf("the second attempt answers something else (- first, + second):\n%s", diff)
	}
	if !cmp.Equal(before, s.list(again)) {
		t.Error("the list changed between the attempts")
	}
	if other := s.handle("y", 0); other.Count != 3099 {
		t.Errorf("another execution counts %d", other.Count)
	}
	if n := strings.Count(s.lines.String(), `"reason":"3000 affected`); n != 2 {
		t.Errorf("%d records of 3000 affected:\n%.600s", n, s.lines.String())
	}
}

// An evaluation takes what it can start before the next one, and says what it leaves.
func TestEvaluationLeavesWhatItCannotStart(t *testing.T) {
	s := newScene(t, rotation.PerEvaluation+25)
	r := s.handle("x", 0)
	if list := s.list(r); r.Count != rotation.PerEvaluation || len(list) != rotation.PerEvaluation {
		t.Errorf("counted %d, listed %d", r.Count, len(list))
	}
	if !strings.Contains(s.lines.String(), "25 more are due and left to the next evaluation") {
		t.Errorf("record %.600s", s.lines.String())
	}
}

func TestListThatCannotBeKept(t *testing.T) {
	s := newScene(t, 0)
	lists := rotation.Lists{S3: s.objects, Bucket: "nowhere"}
	if _, _, err := lists.Keep(t.Context(), "x", nil); fault.CodeOf(err) != fault.OutcomeUnknown {
		t.Errorf("no bucket: %v", err)
	}
	lists.Bucket = "fleets"
	_, err := s.objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("fleets"), Key: aws.String("dispatch/x/secrets.json"), Body: strings.NewReader("[")})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := lists.Keep(t.Context(), "x", nil); fault.CodeOf(err) != fault.OutcomeUnknown || !strings.Contains(err.Error(), "dispatch/x/secrets.json") {
		t.Errorf("a list that does not parse: %v", err)
	}
}
