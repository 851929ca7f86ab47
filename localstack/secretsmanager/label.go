package secretsmanager

import (
	"context"
	"fmt"
	"slices"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// newLabels checks the labels of a PutSecretValue; none means AWSCURRENT.
func newLabels(in []string) ([]string, error) {
	if len(in) == 0 {
		return []string{current}, nil
	}
	if len(in) > maxLabels {
		return nil, invalidParameter("VersionStages must have 1 to %d labels.", maxLabels)
	}
	for _, l := range in {
		if l == "" || len(l) > 256 {
			return nil, invalidParameter("A staging label must have 1 to 256 characters.")
		}
	}
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// canLabel says whether a secret may carry these labels beside those that it has.
func (sec *secret) canLabel(labels []string) error {
	have := map[string]bool{}
	for _, v := range sec.versions {
		for _, l := range v.stages {
			have[l] = true
		}
	}
	for _, l := range labels {
		have[l] = true
	}
	if len(have) > maxLabels {
		return &stack.Error{Code: "LimitExceededException", Message: fmt.Sprintf("You can't attach more than %d staging labels to the versions of a secret.", maxLabels)}
	}
	return nil
}

// label attaches a label to a version and takes it from the one that has it. Whoever loses AWSCURRENT gets AWSPREVIOUS.
// Nothing else moves: AWSPENDING in particular stays where it is.
func (s *Service) label(sec *secret, label string, to *version) {
	from := sec.holder(label)
	if from == to {
		return
	}
	if from != nil {
		from.drop(label)
		if label == current {
			s.label(sec, previous, from)
		}
	}
	to.stages = append(to.stages, label)
	slices.Sort(to.stages)
	s.note(sec, label, to)
}

func (v *version) drop(label string) {
	v.stages = slices.DeleteFunc(v.stages, func(l string) bool { return l == label })
}

type updateSecretVersionStageInput struct {
	SecretId            string
	VersionStage        string
	MoveToVersionId     string
	RemoveFromVersionId string
}

// A label moves as compare-and-swap: the caller names the version that has it now. A repetition of a move that took
// effect therefore fails, and its caller must look where the label is.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (s *Service) updateSecretVersionStage(ctx context.Context, _ *stack.Call, in *updateSecretVersionStageInput) (*named, error) {
	if in.VersionStage == "" || len(in.VersionStage) > 256 {
		return nil, invalidParameter("VersionStage must have 1 to 256 characters.")
	}
	if in.MoveToVersionId == "" && in.RemoveFromVersionId == "" {
		return nil, invalidParameter("You must specify MoveToVersionId, RemoveFromVersionId, or both.")
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	from := sec.holder(in.VersionStage)
	if in.RemoveFromVersionId != "" && (from == nil || from.id != in.RemoveFromVersionId) {
		if sec.version(in.RemoveFromVersionId) == nil {
			return nil, notFound(in.RemoveFromVersionId)
		}
		return nil, invalidParameter("Staging label %s is not attached to version %s.", in.VersionStage, in.RemoveFromVersionId)
	}
	if in.MoveToVersionId == "" {
		if in.VersionStage == current {
			return nil, invalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
		}
		from.drop(in.VersionStage)
		sec.changed = s.clock.Now()
		return &named{sec.arn, sec.name}, nil
	}
	to := sec.version(in.MoveToVersionId)
	if to == nil {
		return nil, notFound(in.MoveToVersionId)
	}
	if from != nil && from != to && in.RemoveFromVersionId == "" {
		return nil, invalidParameter("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", in.VersionStage, from.id)
	}
	if err := sec.canLabel([]string{in.VersionStage}); err != nil {
		return nil, err
	}
	s.label(sec, in.VersionStage, to)
	sec.changed = s.clock.Now()
	return &named{sec.arn, sec.name}, nil
}

func notFound(versionID string) error {
	return &stack.Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret version: " + versionID}
}
