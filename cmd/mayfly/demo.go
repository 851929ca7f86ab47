package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// demo shows the main job, start to end.
type demo struct {
	local
	Events string `help:"Folder of sample events." default:"events" type:"existingdir"`
}

// Help is shown by --help.
func (demo) Help() string {
	return `Brings the whole of Mayfly up on this machine and rotates a real PostgreSQL credential: by schedule, after a
deployment, during an incident and by hand, while a service logs in every 5 ms. Others try to read a secret, and fail. Then
it verifies the audit chain and answers the auditor's questions. Ends with "demo: ok", or says what failed and exits 1.

Example:
  make demo`
}

// scenes is the demo while it runs.
type scenes struct {
	demo
	*playground.Playground
	output
	painter
	began   time.Time
	service *playground.Service
	seen    playground.Counts // of the service, at the end of the scene before
}

const demoSecret = "prod/orders-db"

// Run plays the scenes.
func (d demo) Run(out output, ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	s := &scenes{demo: d, output: out, painter: paints(out.Out), began: time.Now()}
	defer func() {
		if err == nil {
			return
		}
		fmt.Fprintf(out.Out, "\n%s\n", s.in(red, "demo: failed: "+err.Error()))
		err = errFindings
	}()
	if err := s.up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"a) The clock reaches the rotation window", s.schedule},
		{"b) A deployment succeeds", s.deployment},
		{"c) GuardDuty reports the credential stolen", s.incident},
		{"d) Somebody rotates by hand: aws stepfunctions start-execution", s.byHand},
		{"e) Others try to read " + triedSecret, s.access},
		{"f) The auditor comes", s.audit},
	} {
		s.title(scene.title)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	fmt.Fprintf(out.Out, "\n%s\n", s.in(green, "demo: ok"))
	return nil
}

func (s *scenes) title(text string) { fmt.Fprintf(s.Out, "\n%s\n", s.in("\x1b[1m", text)) }

// line writes one line of the timeline: how long the demo has run, and what was seen.
func (s *scenes) line(format string, a ...any) {
	fmt.Fprintf(s.Out, "  %6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, a...))
}

// proven writes a line that says what was checked, after it was.
func (s *scenes) proven(format string, a ...any) {
	s.line("%s %s", s.in(green, "✓"), fmt.Sprintf(format, a...))
}

func (s *scenes) up(ctx context.Context) (err error) {
	o, err := s.options()
	if err != nil {
		return err
	}
	// Waits of minutes are seconds here; everything else is as it would be.
	o.Policy = map[string]string{"quiet_period": "1s", "max_overlap": "5s"}
	o.Step = func(what string) { s.line("%s", what) }
	s.title("Mayfly on one machine")
	if s.Playground, err = playground.Start(ctx, o); err != nil {
		return err
	}
	runs, err := s.Runs(ctx, demoSecret)
	if err != nil {
		return err
	}
	if len(runs) != 1 || runs[0].Outcome != audit.Rotated {
		return fmt.Errorf("%s was not taken over on deployment: %+v", demoSecret, runs)
	}
	s.proven("%d contracts in force; %s, which a team had set up by hand, is taken over: its owner %s no longer logs in itself",
		len(s.Bundle.Contracts), demoSecret, s.Target(demoSecret).Owner)
	consumer, err := s.Consumer(demoSecret)
	if err != nil {
		return err
	}
	s.service = &playground.Service{Secrets: consumer, Secret: demoSecret, Target: s.Target(demoSecret)}
	s.service.Start(context.WithoutCancel(ctx))
	s.line("a service begins to log in every 5 ms with a value that it caches for half a second")
	return nil
}

// Close stops the service before everything else.
func (s *scenes) Close() error {
	if s.Playground == nil {
		return nil
	}
	if s.service != nil {
		s.service.Stop()
	}
	return s.Playground.Close()
}

func (s *scenes) schedule(ctx context.Context) error {
	var ahead time.Duration
	shown, _ := s.Bundle.Find(demoSecret)
	for _, c := range s.Bundle.Contracts {
		if c.TTL > shown.TTL {
			continue // not due before the one that is shown expires
		}
		due, err := s.DueAt(ctx, c.ID())
		if err != nil {
			return err
		}
		ahead = max(ahead, due.Sub(s.Stack.Clock.Now())+time.Minute)
	}
	return s.routine(ctx, "schedule", func() error {
		s.line("the clock moves on by %s, until every secret with a ttl of %s is due; EventBridge Scheduler asks", ahead.Round(time.Minute), shown.TTL)
		s.Stack.Clock.Advance(ahead)
		return nil
	})
}

func (s *scenes) deployment(ctx context.Context) error {
	// Within ten minutes of a rotation another event would be held back: one rotation answers both.
	s.Stack.Clock.Advance(11 * time.Minute)
	return s.routine(ctx, "deployment", func() error {
		s.line("CodeDeploy: application orders, SUCCESS")
		return s.Send(ctx, filepath.Join(s.Events, "codedeploy-success.json"))
	})
}

func (s *scenes) byHand(ctx context.Context) error {
	input, err := json.Marshal(map[string]any{"secret": demoSecret,
		"trigger": map[string]string{"type": "manual", "id": "demo", "source": "aws.states", "actor": "on-call", "reason": "a colleague left"}})
	if err != nil {
		return err
	}
	return s.routine(ctx, "manual", func() error { return s.start(ctx, string(input)) })
}

// start starts mayfly-rotate with the AWS CLI, unchanged, or with the SDK where there is none.
func (s *scenes) start(ctx context.Context, input string) error {
	cli, err := exec.LookPath("aws")
	if err != nil {
		s.line("no AWS CLI here: started through the SDK")
		_, err := sfn.NewFromConfig(s.AWS).StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(playground.RotateMachine), Input: &input})
		return err
	}
	s.line("$ aws stepfunctions start-execution --state-machine-arn …:mayfly-rotate --input '%s'", input)
	cmd := exec.CommandContext(ctx, cli, "stepfunctions", "start-execution", "--state-machine-arn", playground.RotateMachine, "--input", input)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+s.Stack.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_DEFAULT_REGION="+stack.Region, "AWS_PAGER=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("aws stepfunctions start-execution: %w: %s", err, strings.TrimSpace(string(text)))
	}
	return nil
}

// routine lets something cause a rotation and sees it through: one run of the expected trigger, nobody disturbed, the old
// credential refused.
func (s *scenes) routine(ctx context.Context, trigger string, cause func() error) error {
	old, from, err := s.Value(ctx, demoSecret, "")
	if err != nil {
		return err
	}
	if err := cause(); err != nil {
		return err
	}
	run, err := s.follow(ctx, trigger)
	if err != nil {
		return err
	}
	if run.Outcome != audit.Rotated || run.VersionFrom != from {
		return fmt.Errorf("the run ended %s %s, from version %s; want it rotated from %s", run.Outcome, run.ReasonCode, run.VersionFrom, from)
	}
	if err := playground.Login(ctx, s.Target(demoSecret), old); !playground.Refused(err) {
		return fmt.Errorf("the old credential is not refused: %v", err)
	}
	if err := s.CheckLaws(ctx, demoSecret); err != nil {
		return err
	}
	s.proven("%s → %s; the old credential is refused", brief(from), brief(run.VersionTo))
	return s.undisturbed()
}

// undisturbed compares what the service saw with the scene before.
func (s *scenes) undisturbed() error {
	now := s.service.Counts()
	if failed := now.Failures - s.seen.Failures; failed > 0 {
		return fmt.Errorf("the service saw %d failed logins, the first: %s", failed, now.First)
	}
	s.proven("the service logged in %d times meanwhile; 0 failed", now.Logins-s.seen.Logins)
	s.seen = now
	return nil
}

func (s *scenes) incident(ctx context.Context) error {
	stolen, _, err := s.Value(ctx, demoSecret, "")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.Send(ctx, filepath.Join(s.Events, "guardduty-critical.json")); err != nil {
		return err
	}
	s.line("GuardDuty: a critical finding names the role that reads %s", demoSecret)
	for !playground.Refused(playground.Login(ctx, s.Target(demoSecret), stolen)) {
		if ctx.Err() != nil {
			return errors.New("the stolen credential still logs in")
		}
	}
	refused := time.Since(began)
	s.proven("from event to the stolen credential refused: %d ms", refused.Milliseconds())
	run, err := s.follow(ctx, "incident")
	if err != nil {
		return err
	}
	if run.Outcome != audit.Rotated || run.Mode != "contain" {
		return fmt.Errorf("the run ended %s %s in mode %s; want it contained and rotated", run.Outcome, run.ReasonCode, run.Mode)
	}
	if err := s.CheckLaws(ctx, demoSecret); err != nil {
		return err
	}
	s.proven("a new credential is in place: %s", brief(run.VersionTo))
	// Containment puts safety first: the service is locked out until it reads its secret again.
	time.Sleep(time.Second)
	before := s.service.Counts()
	time.Sleep(time.Second)
	now := s.service.Counts()
	if now.Logins == before.Logins || now.Failures != before.Failures {
		return fmt.Errorf("the service is not back: %s", now.First)
	}
	s.proven("the service, locked out for a moment (%d failed logins), is back", now.Failures-s.seen.Failures)
	s.seen = now
	return nil
}

// follow waits until everything has settled and shows the states of the newest run, which must be the trigger's.
func (s *scenes) follow(ctx context.Context, trigger string) (playground.RunItem, error) {
	if err := s.Settle(ctx); err != nil {
		return playground.RunItem{}, err
	}
	runs, err := s.Runs(ctx, demoSecret)
	if err != nil {
		return playground.RunItem{}, err
	}
	run := runs[0]
	if run.Trigger != trigger {
		return run, fmt.Errorf("no run was started: the newest one has trigger %s, want %s", run.Trigger, trigger)
	}
	path, err := s.path(ctx, run.Execution)
	if err != nil {
		return run, err
	}
	s.line("mayfly-rotate: %s", path)
	return run, nil
}

// path is the way of an execution through its states, with milliseconds since its start.
func (s *scenes) path(ctx context.Context, execution string) (string, error) {
	var steps []string
	var start time.Time
	pages := sfn.NewGetExecutionHistoryPaginator(sfn.NewFromConfig(s.AWS), &sfn.GetExecutionHistoryInput{ExecutionArn: &execution})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, e := range page.Events {
			switch {
			case e.Type == sfntypes.HistoryEventTypeExecutionStarted:
				start = aws.ToTime(e.Timestamp)
			case e.StateEnteredEventDetails != nil && e.Type != sfntypes.HistoryEventTypeChoiceStateEntered:
				steps = append(steps, fmt.Sprintf("%s %d", aws.ToString(e.StateEnteredEventDetails.Name), aws.ToTime(e.Timestamp).Sub(start).Milliseconds()))
			}
		}
	}
	return strings.Join(steps, " › ") + " ms", nil
}

func (s *scenes) audit(ctx context.Context) error {
	client := s3.NewFromConfig(s.AWS)
	log := &audit.Log{S3: client, Bucket: playground.AuditBucket}
	environments, err := log.Environments(ctx)
	if err != nil {
		return err
	}
	var records []audit.Record
	for _, e := range environments {
		chains, err := log.Verify(ctx, client, e, s.Stack.Clock.Now(), func(r audit.Record) { records = append(records, r) })
		if err != nil {
			return err
		}
		for _, c := range chains {
			if len(c.Problems) > 0 {
				return fmt.Errorf("the chain of %s is broken: %s", c.Secret, strings.Join(c.Problems, "; "))
			}
			s.proven("%-22s %3d records, no gap, none altered, all locked; head %.12s…", c.Secret, c.Records, c.Head)
		}
	}
	leaks, err := s.Leaks(ctx)
	if err != nil {
		return err
	}
	if len(leaks) > 0 {
		return fmt.Errorf("secret values were found in %s", strings.Join(leaks, ", "))
	}
	s.proven("no value ever generated is in any history, log, table, bucket, server log or environment")
	return s.questions(records)
}

// questions answers the auditor's four questions for every secret under contract. One that was made by its contract and has
// not been due since was never rotated, and the records say that too.
func (s *scenes) questions(records []audit.Record) error {
	applied := map[string]audit.Record{}
	for _, r := range records {
		if _, known := applied[r.Secret]; !known && r.Event == rotation.EventApplied {
			applied[r.Secret] = r
		}
	}
	answers := map[string]audit.Answer{}
	for _, a := range audit.Answers(records) {
		answers[a.Secret] = a
	}
	var fresh []string
	for _, c := range s.Bundle.Contracts {
		a, r := answers[c.ID()], applied[c.ID()]
		switch {
		case r.ID == "":
			return fmt.Errorf("no record says that %s came under contract", c.ID())
		case a.Why != nil && a.Workflow != nil && a.Outcome != nil:
			s.answer(a)
		default:
			fresh = append(fresh, c.ID())
		}
	}
	if len(fresh) > 0 {
		fmt.Fprintf(s.Out, "\n    made by their contracts, never rotated, not due yet: %s\n", strings.Join(fresh, ", "))
	}
	for _, shown := range []string{demoSecret, "prod/payment-api-key"} {
		if answers[shown].Why == nil {
			return fmt.Errorf("the records of %s do not say when, why, by which workflow and with what outcome it was rotated", shown)
		}
	}
	return nil
}

func (s *scenes) answer(a audit.Answer) {
	_, execution, _ := strings.Cut(a.Workflow.ExecutionARN, ":execution:")
	fmt.Fprintf(s.Out, "\n    %s\n      when was it last rotated?  %s\n      why?                       %s from %s (%s)\n      by which workflow?         %s\n      did it succeed?            %s\n",
		s.in("\x1b[1m", a.Secret), a.LastRotated, a.Why.TriggerType, a.Why.TriggerSource, a.Why.Reason, execution, a.Outcome.Outcome)
}
