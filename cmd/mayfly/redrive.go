package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// redrive hands what could not be delivered to mayfly-respond.
type redrive struct {
	Queue   string `enum:"undelivered-events,undelivered-ticks" default:"undelivered-events" help:"undelivered-events or undelivered-ticks."`
	DryRun  bool   `help:"Show what is there and why, and leave it."`
	Machine string `default:"mayfly-respond" help:"State machine to start."`
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (redrive) Help() string {
	return `EventBridge keeps an event that it could not deliver in queue mayfly-undelivered-events, and the schedule a tick in
mayfly-undelivered-ticks, for 14 days. This command starts mayfly-respond with each, as the rule would have done, and
deletes it from the queue once it is started. Broken off and run again, it starts none twice: the execution's name
follows from the message. What cannot be started stays in the queue; exit 1 says so.

Remove the cause first: --dry-run shows it.

Examples:
  mayfly redrive --dry-run
  mayfly redrive
  mayfly redrive --queue undelivered-ticks --json`
}

// letter is one dead letter, and what became of it; scripts read it.
type letter struct {
	MessageID    string `json:"message_id"`
	EventID      string `json:"event_id,omitempty"`
	Source       string `json:"source,omitempty"`
	DetailType   string `json:"detail_type,omitempty"`
	Rule         string `json:"rule,omitempty"`   // ARN of the rule or schedule
	Target       string `json:"target,omitempty"` // ARN
	ErrorCode    string `json:"error_code,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	Exhausted    string `json:"exhausted,omitempty"` // which bound ended the retries; empty: retrying could not help
	Attempts     string `json:"retry_attempts,omitempty"`
	Outcome      string `json:"outcome"` // found (with --dry-run), started, repeated, kept
	Execution    string `json:"execution,omitempty"`
	Kept         string `json:"kept_because,omitempty"`
}

// Outcomes of a letter.
const (
	letterFound    = "found"
	letterStarted  = "started"
	letterRepeated = "repeated" // an earlier redrive had started it, and was broken off before it could delete the letter
	letterKept     = "kept"
)

// Run redrives the queue.
func (c redrive) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c redrive) run(ctx context.Context, out output) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	is, err := conn.who(ctx)
	if err != nil {
		return err
	}
	queue := deadLetters{SQS: sqs.NewFromConfig(conn.Config), States: sfn.NewFromConfig(conn.Config), Machine: conn.machineARN(c.Machine, is)}
	at, err := queue.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("mayfly-" + c.Queue), QueueOwnerAWSAccountId: &is.Account})
	if err != nil {
		return err
	}
	queue.URL = aws.ToString(at.QueueUrl)
	letters, failed := queue.each(ctx, func(m sqstypes.Message) (letter, error) {
		l, input := readLetter(m)
		if c.DryRun {
			l.Outcome = letterFound
		} else if err := queue.redrive(ctx, &l, m, input); err != nil {
			return l, err
		}
		if !c.JSON {
			fmt.Fprintln(out.Out, l.line())
		}
		return l, nil
	})
	if c.JSON {
		failed = errors.Join(failed, out.json(letters))
	}
	if failed != nil {
		return failed
	}
	if len(letters) == 0 && !c.JSON {
		fmt.Fprintf(out.Out, "mayfly-%s is empty\n", c.Queue)
	}
	for _, l := range letters {
		if l.Outcome == letterKept {
			return errFindings
		}
	}
	return nil
}

// deadLetters is a queue of dead letters, and the machine that they were meant for.
type deadLetters struct {
	SQS     *sqs.Client
	States  *sfn.Client
	URL     string
	Machine string // ARN
}

// each hands every message that is in the queue to do, once, and makes those that are left visible again.
func (d deadLetters) each(ctx context.Context, do func(sqstypes.Message) (letter, error)) (letters []letter, err error) {
	letters = []letter{}
	left, seen := map[string]*string{}, map[string]bool{} // by message id
	defer func() {
		for _, handle := range left {
			// What this cannot make visible comes back by itself, when the time below is over.
			_, _ = d.SQS.ChangeMessageVisibility(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &d.URL, ReceiptHandle: handle, VisibilityTimeout: 0})
		}
	}()
	for {
		// Long polling asks every server of the queue, where a short poll asks some and may find nothing.
		// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
		page, err := d.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &d.URL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 300, MessageAttributeNames: []string{"All"},
		})
		if err != nil || len(page.Messages) == 0 {
			return letters, err
		}
		news := false
		for _, m := range page.Messages {
			id := aws.ToString(m.MessageId)
			left[id] = m.ReceiptHandle
			if seen[id] {
				continue // SQS delivers at least once
			}
			seen[id], news = true, true
			l, err := do(m)
			if err != nil {
				return letters, err
			}
			if letters = append(letters, l); l.Outcome == letterStarted || l.Outcome == letterRepeated {
				delete(left, id)
			}
		}
		if !news {
			return letters, nil
		}
	}
}

// redrive starts the machine with the input and deletes the message, in this order: broken off between the two, the next
// redrive finds the execution by its name. An error is one that would meet every other letter, too.
func (d deadLetters) redrive(ctx context.Context, l *letter, m sqstypes.Message, input string) error {
	if l.Target != "" && l.Target != d.Machine {
		l.Outcome, l.Kept = letterKept, "it was meant for another target"
		return nil
	}
	name := redriveName(input)
	input = string(handedOver([]byte(input)))
	_, err := d.States.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &d.Machine, Name: &name, Input: &input})
	var exists *types.ExecutionAlreadyExists
	var invalid *types.InvalidExecutionInput
	l.Outcome, l.Execution = letterStarted, strings.Replace(d.Machine, ":stateMachine:", ":execution:", 1)+":"+name
	switch {
	case errors.As(err, &exists):
		l.Outcome = letterRepeated
	case errors.As(err, &invalid), err != nil && len(input) > 256<<10:
		l.Outcome, l.Execution, l.Kept = letterKept, "", fmt.Sprintf("Step Functions does not take its %d bytes as input", len(input))
		return nil
	case err != nil:
		return fmt.Errorf("message %s was not started: %w", l.MessageID, plain(err))
	}
	if _, err := d.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &d.URL, ReceiptHandle: m.ReceiptHandle}); err != nil {
		return fmt.Errorf("message %s was started and not deleted; the next redrive joins the execution: %w", l.MessageID, plain(err))
	}
	return nil
}

// redriveName is the name of the execution for an input: at most 80 characters of [A-Za-z0-9-_], the same for the same
// event, so that an event which two rules could not deliver is answered once.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
func redriveName(input string) string {
	sum := sha256.Sum256([]byte(input))
	return "redrive-" + hex.EncodeToString(sum[:20])
}

// readLetter reads a dead letter: what EventBridge or Scheduler say in its attributes, and the event in its body.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
func readLetter(m sqstypes.Message) (l letter, input string) {
	said := func(names ...string) string {
		for _, name := range names {
			if text := aws.ToString(m.MessageAttributes[name].StringValue); text != "" {
				return text
			}
		}
		return ""
	}
	l = letter{
		MessageID: aws.ToString(m.MessageId), Rule: said("RULE_ARN", "SCHEDULE_ARN"), Target: said("TARGET_ARN"),
		ErrorCode: said("ERROR_CODE"), ErrorMessage: said("ERROR_MESSAGE"), Exhausted: said("EXHAUSTED_RETRY_CONDITION"), Attempts: said("RETRY_ATTEMPTS"),
	}
	input = aws.ToString(m.Body)
	var body struct {
		ID         string `json:"id"`
		Source     string `json:"source"`
		DetailType string `json:"detail-type"`
		Input      string `json:"Input"` // Scheduler keeps the request that it would have made, with the event in it as text
	}
	if json.Unmarshal([]byte(input), &body) == nil && body.Source == "" && body.Input != "" {
		input = body.Input
		_ = json.Unmarshal([]byte(input), &body) // what is no event has neither id nor source to show
	}
	l.EventID, l.Source, l.DetailType = body.ID, body.Source, body.DetailType
	return l, input
}

// line says what a letter is and what became of it.
func (l letter) line() string {
	what := strings.TrimSpace(l.Source + " " + l.EventID)
	if what == "" {
		what = "message " + l.MessageID
	}
	line := fmt.Sprintf("%s  %s: %s", what, l.Outcome, l.ErrorCode)
	if l.ErrorMessage != "" {
		line += " (" + l.ErrorMessage + ")"
	}
	if l.Rule != "" {
		line += ", by " + l.Rule[strings.LastIndex(l.Rule, ":")+1:]
	}
	switch {
	case l.Kept != "":
		line += "; kept, because " + l.Kept + ": " + l.Target
	case l.Execution != "":
		line += "; " + l.Execution
	}
	return line
}
