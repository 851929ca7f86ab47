package secretsmanager

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// mergeTags adds tags to those there are; a key that is there gets the new value.
// Limits: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html
func mergeTags(have, add []tag) ([]tag, error) {
	out := slices.Clone(have)
	for _, t := range add {
		if n := utf8.RuneCountInString(t.Key); n < 1 || n > 128 || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalidParameter("Tag keys must have 1 to 128 characters and not begin with aws:.")
		}
		if utf8.RuneCountInString(t.Value) > 256 {
			return nil, invalidParameter("The value of tag %s has more than 256 characters.", t.Key)
		}
		if i := slices.IndexFunc(out, func(o tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i] = t
			continue
		}
		out = append(out, t)
	}
	if len(out) > maxTags {
		return nil, invalidParameter("A secret can have at most %d tags.", maxTags)
	}
	return out, nil
}

type tagResourceInput struct {
	SecretId string
	Tags     []tag
}

func (s *Service) tagResource(_ context.Context, _ *stack.Call, in *tagResourceInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(sec.tags, in.Tags)
	if err != nil {
		return nil, err
	}
	sec.tags, sec.changed = tags, s.clock.Now()
	return &struct{}{}, nil
}

type untagResourceInput struct {
	SecretId string
	TagKeys  []string
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UntagResource.html
func (s *Service) untagResource(_ context.Context, _ *stack.Call, in *untagResourceInput) (*struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	sec.tags = slices.DeleteFunc(sec.tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	sec.changed = s.clock.Now()
	return &struct{}{}, nil
}
