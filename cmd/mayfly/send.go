package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// send puts an event where its source would put it.
type send struct {
	File    string `arg:"" help:"File with one event; - for standard input."`
	Direct  bool   `help:"Start mayfly-respond with the file as it stands, past bus and rules."`
	Bus     string `default:"default" help:"Event bus."`
	Machine string `default:"mayfly-respond" help:"State machine that --direct starts."`
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (send) Help() string {
	return `The file is an EventBridge envelope, or {"source", "detail-type", "detail"}. EventBridge gives each event an id of
its own, which is what this command writes. From people, AWS takes no event whose source begins with "aws." (the local
stack does): there, --direct hands it to mayfly-respond as the rule would.

Examples:
  mayfly send events/codedeploy-success.json
  mayfly send --direct events/manual.json`
}

// sentEvent is what a file holds of an event.
type sentEvent struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Time       string          `json:"time"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// sent is the answer; scripts read it.
type sent struct {
	ID        string `json:"id"`                  // of the event, as rules see it; of the file's where --direct is given
	Execution string `json:"execution,omitempty"` // with --direct
}

// Run sends the event and writes its id.
func (c send) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c send) run(ctx context.Context, out output) error {
	data, err := read(c.File)
	if err != nil {
		return err
	}
	var event sentEvent
	if err := json.Unmarshal(data, &event); err != nil {
		return usageError{c.File + " holds no event: it is not one JSON object with the members of an EventBridge envelope"}
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	if c.Direct {
		return c.direct(ctx, out, conn, event.ID, data)
	}
	if event.Source == "" || event.DetailType == "" || len(event.Detail) == 0 {
		return usageError{c.File + " lacks source, detail-type or detail, so no rule could match it; --direct hands it to mayfly-respond as it stands"}
	}
	id, err := c.put(ctx, conn, event)
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(sent{ID: id})
	}
	_, err = fmt.Fprintln(out.Out, id)
	return err
}

// put puts the event on the bus and returns its id.
func (c send) put(ctx context.Context, conn connection, event sentEvent) (string, error) {
	entry := types.PutEventsRequestEntry{
		Source: &event.Source, DetailType: &event.DetailType, Detail: aws.String(string(event.Detail)), Resources: event.Resources, EventBusName: &c.Bus,
	}
	if at, err := time.Parse(time.RFC3339, event.Time); err == nil {
		entry.Time = &at
	}
	out, err := eventbridge.NewFromConfig(conn.Config).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err != nil {
		return "", err
	}
	if len(out.Entries) != 1 {
		return "", errors.New("EventBridge gave no answer for the event; send it again")
	}
	result := out.Entries[0]
	switch {
	case result.ErrorCode == nil:
		return aws.ToString(result.EventId), nil
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
	case *result.ErrorCode == "NotAuthorizedForSourceException" && strings.HasPrefix(event.Source, "aws."):
		return "", fmt.Errorf("EventBridge takes events from %s only from AWS itself; --direct starts mayfly-respond with it, as the rule would", event.Source)
	default:
		return "", fmt.Errorf("EventBridge refused the event: %s (%s)", *result.ErrorCode, aws.ToString(result.ErrorMessage))
	}
}

// direct starts mayfly-respond with the event, which is what rules and schedule do.
func (c send) direct(ctx context.Context, out output, conn connection, id string, data []byte) error {
	is, err := conn.who(ctx)
	if err != nil {
		return err
	}
	machine := conn.machineARN(c.Machine, is)
	answer, err := sfn.NewFromConfig(conn.Config).StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Input: aws.String(string(handedOver(data)))})
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(sent{ID: id, Execution: aws.ToString(answer.ExecutionArn)})
	}
	_, err = fmt.Fprintln(out.Out, aws.ToString(answer.ExecutionArn))
	return err
}
