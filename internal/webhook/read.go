package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// malformed is the refusal of a signed body that is not what its route reads. Errors of package trigger repeat nothing of it.
func malformed(err error) *Refusal {
	return &Refusal{http.StatusBadRequest, BodyMalformed, err.Error()}
}

// meaning makes a reading of one normalised event. What it means is asked here already: an event that lacks what its sender
// promises is refused while the sender can still be told, and one that affects nothing needs no execution to find that out.
func meaning[T trigger.Normalised](id string, replay []string, n T, err error) (reading, error) {
	if err != nil {
		return reading{}, malformed(err)
	}
	resolution, err := n.Resolution()
	if err != nil {
		return reading{}, malformed(err)
	}
	said := reading{id: id, replay: replay, ignored: resolution.Ignored}
	if said.ignored == "" {
		said.events = []trigger.Normalised{n}
	}
	return said, nil
}

// readGitHub reads a webhook of GitHub's. The delivery id and the event's name are not signed, so the body itself is what a
// replay is known by, and the delivery id besides.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
func readGitHub(_ context.Context, in *Request) (reading, error) {
	id := in.header("x-github-delivery")
	replay := []string{in.bodyID()}
	if id != "" {
		replay = append(replay, "delivery "+id)
	}
	if strings.HasPrefix(in.header("content-type"), "application/x-www-form-urlencoded") {
		return reading{}, malformed(fault.New(fault.InputMalformed, "the webhook sends forms: set its content type to application/json"))
	}
	switch kind := in.header("x-github-event"); kind {
	case "push":
		n, err := trigger.NewGitHubPush(in.Body)
		return meaning(id, replay, n, err)
	case "deployment_status":
		n, err := trigger.NewGitHubDeployment(in.Body)
		return meaning(id, replay, n, err)
	default:
		return reading{id: id, replay: replay, ignored: "GitHub's event " + quoted(kind) + " rotates nothing: push and deployment_status do"}, nil
	}
}

// readPagerDuty reads a V3 webhook. Its event id is signed, and stays the same when PagerDuty delivers again.
// https://developer.pagerduty.com/docs/webhooks-overview
func readPagerDuty(_ context.Context, in *Request) (reading, error) {
	var b struct {
		Event struct {
			ID   string `json:"id"`
			Type string `json:"event_type"`
		} `json:"event"`
	}
	if json.Unmarshal(in.Body, &b) != nil || b.Event.ID == "" || len(b.Event.ID) > longest || b.Event.Type == "" {
		return reading{}, malformed(fault.New(fault.InputMalformed, "the body is no event of PagerDuty's with id and event_type"))
	}
	id, replay := b.Event.ID, []string{"event " + b.Event.ID}
	if b.Event.Type != "incident.triggered" {
		return reading{id: id, replay: replay, ignored: "PagerDuty's event " + quoted(b.Event.Type) + " rotates nothing: incident.triggered does"}, nil
	}
	n, err := trigger.NewPagerDutyIncident(in.Body)
	return meaning(id, replay, n, err)
}

// readSIEM reads an alert of any other tool: trigger.SIEMAlert. Its id is signed.
func readSIEM(_ context.Context, in *Request) (reading, error) {
	n, err := trigger.NewSIEMAlert(in.Body)
	if err == nil && len(n.ID) > longest {
		err = fault.New(fault.InputMalformed, "the alert's id has more than %d bytes", longest)
	}
	n.Title, n.Actor, n.System = line(n.Title), line(n.Actor), line(n.System)
	return meaning(n.ID, []string{"alert " + n.System + " " + n.ID}, n, err)
}

// readProvider reads what a provider of credentials says of its side: trigger.ProviderChange. Its id is signed.
func readProvider(_ context.Context, in *Request) (reading, error) {
	n, err := trigger.NewProviderChange(in.Body)
	if err == nil && len(n.ID) > longest {
		err = fault.New(fault.InputMalformed, "the change's id has more than %d bytes", longest)
	}
	n.Provider, n.Change = line(n.Provider), line(n.Change)
	return meaning(n.ID, []string{"change " + n.Provider + " " + n.ID}, n, err)
}

// line is free text, short and without anything that looks like a generated value.
func line(text string) string { return clip(fault.Redact(clip(text))) }

func quoted(text string) string { return fmt.Sprintf("%q", line(text)) }
