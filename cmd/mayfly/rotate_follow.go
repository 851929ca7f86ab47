package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// followed is an execution as far as it has been seen.
type followed struct {
	*started
	began time.Time
	seen  int64        // id of the last event
	state string       // entered last
	run   rotation.Run // as that state was given it
	ended bool
}

// progress says what became of an execution, so long after its start. text may be "" for the end, when s says it all.
type progress func(s *started, after time.Duration, text string)

// progress writes lines for people; scripts get everything at the end.
func (c rotate) progress(out output) progress {
	if c.JSON {
		return func(*started, time.Duration, string) {}
	}
	p := paints(out.Out)
	return func(s *started, after time.Duration, text string) {
		if text == "" {
			text = p.in(outcomeColour(s.Outcome), s.Outcome)
			if s.ReasonCode != "" {
				text += " (" + s.ReasonCode + ")"
			}
			if s.Reason != "" {
				text += ": " + s.Reason
			}
		}
		fmt.Fprintf(out.Out, "%s  %6.1fs  %s\n", s.Secret, after.Seconds(), text)
	}
}

// follow looks at the executions until all have ended.
func follow(ctx context.Context, client *sfn.Client, runs []started, say progress) error {
	all := make([]*followed, len(runs))
	for i := range runs {
		all[i] = &followed{started: &runs[i]}
	}
	// GetExecutionHistory allows 20 calls a second: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
	slowest := max(time.Second, time.Duration(len(runs))*100*time.Millisecond)
	for pause := slowest / 10; ; pause = min(2*pause, slowest) {
		open := 0
		for _, f := range all {
			if f.ended {
				continue
			}
			if err := f.look(ctx, client, say); err != nil {
				return interrupted(err)
			}
			if !f.ended {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return interrupted(ctx.Err())
		case <-time.After(pause):
		}
	}
}

func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped waiting; the runs go on, and `mayfly history SECRET` tells how they ended")
	}
	return err
}

// look reads what has happened since the last look.
func (f *followed) look(ctx context.Context, client *sfn.Client, say progress) error {
	pages := sfn.NewGetExecutionHistoryPaginator(client, &sfn.GetExecutionHistoryInput{ExecutionArn: &f.Execution, MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if e.Id > f.seen {
				f.seen = e.Id
				f.event(e, say)
			}
		}
	}
	return nil
}

// event takes in one event of the history.
func (f *followed) event(e types.HistoryEvent, say progress) {
	at := aws.ToTime(e.Timestamp)
	if f.began.IsZero() {
		f.began = at
	}
	after := at.Sub(f.began)
	switch {
	case e.StateEnteredEventDetails != nil:
		f.state = aws.ToString(e.StateEnteredEventDetails.Name)
		var run rotation.Run // an input that is none says nothing, and no state after it will either
		if json.Unmarshal([]byte(aws.ToString(e.StateEnteredEventDetails.Input)), &run) == nil {
			f.run = run
		}
		f.States = append(f.States, f.state)
		text := f.state
		if e.Type == types.HistoryEventTypeWaitStateEntered {
			text = fmt.Sprintf("%s (%d s)", f.state, f.run.WaitSeconds)
		}
		say(f.started, after, text)
	case e.TaskFailedEventDetails != nil:
		say(f.started, after, fmt.Sprintf("%s failed: %s", f.state, aws.ToString(e.TaskFailedEventDetails.Error)))
	case e.ExecutionFailedEventDetails != nil:
		d := e.ExecutionFailedEventDetails
		f.end(f.outcome(), after, say, aws.ToString(d.Error), aws.ToString(d.Cause))
	case e.Type == types.HistoryEventTypeExecutionSucceeded:
		f.end(f.outcome(), after, say, "", "")
	case e.Type == types.HistoryEventTypeExecutionAborted:
		f.end("aborted", after, say, "", "somebody stopped the execution")
	case e.Type == types.HistoryEventTypeExecutionTimedOut:
		f.end("timed_out", after, say, "States.Timeout", "")
	}
}

// outcome follows from the state in which it ended: a request that was refused has no other.
func (f *followed) outcome() string {
	byState := map[string]string{"Rotated": audit.Rotated, "Skipped": audit.Skipped, "FailedClean": audit.FailedClean, "FailedDirty": audit.FailedDirty}
	if ended, ok := byState[f.state]; ok {
		return ended
	}
	return "failed"
}

// end notes how it ended and why: as the run says, or the error that it was caught with, or else what Step Functions says.
func (f *followed) end(outcome string, after time.Duration, say progress, failure, cause string) {
	f.ended, f.Outcome, f.Seconds = true, outcome, after.Seconds()
	switch {
	case f.run.ReasonCode != "":
		f.ReasonCode, f.Reason = f.run.ReasonCode, f.run.Reason
	case f.run.Error != nil:
		f.ReasonCode, f.Reason = string(f.run.Error.Code()), f.run.Error.Message()
	default:
		f.ReasonCode, f.Reason = failure, cause
	}
	f.Reason = strings.TrimPrefix(f.Reason, f.ReasonCode+": ")
	say(f.started, after, "")
}
