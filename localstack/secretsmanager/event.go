package secretsmanager

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

// labelUpdated is the native event "Secret Label Updated".
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-eventbridge.html
type labelUpdated struct {
	Version    string             `json:"version"`
	ID         string             `json:"id"`
	DetailType string             `json:"detail-type"`
	Source     string             `json:"source"`
	Account    string             `json:"account"`
	Time       string             `json:"time"`
	Region     string             `json:"region"`
	Resources  []string           `json:"resources"`
	Detail     labelUpdatedDetail `json:"detail"`
}

type labelUpdatedDetail struct {
	Name         string `json:"name"`
	LabelUpdated string `json:"labelUpdated"`
	VersionID    string `json:"versionId"`
}

// note keeps the event of a label that was attached, until unlock sends it. There is none for AWSPENDING and
// AWSPREVIOUS.
func (s *Service) note(sec *secret, label string, to *version) {
	if s.Emit == nil || label == pending || label == previous {
		return
	}
	event, _ := json.Marshal(labelUpdated{ // strings only: it always has a JSON form
		Version: "0", ID: name.UUID(), DetailType: "Secret Label Updated", Source: "aws.secretsmanager", Account: stack.Account, Region: stack.Region,
		Time: s.clock.Now().Format(time.RFC3339), Resources: []string{sec.arn},
		Detail: labelUpdatedDetail{Name: sec.name, LabelUpdated: label, VersionID: to.id},
	})
	s.events = append(s.events, event)
}

// unlock ends an operation that may have moved labels: it lets go of the state and then sends the events.
func (s *Service) unlock(ctx context.Context) {
	events := s.events
	s.events = nil
	s.mu.Unlock()
	for _, e := range events {
		s.Emit(ctx, e)
	}
}
