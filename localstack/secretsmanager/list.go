package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type filter struct {
	Key    string
	Values []string
}

type listSecretsInput struct {
	Filters                []filter
	IncludePlannedDeletion bool
	MaxResults             int
	NextToken              string
	SortBy                 string // only created-date, the default, and name
	SortOrder              string // asc, the default, or desc
}

type listSecretsOutput struct {
	SecretList []secretEntry
	NextToken  string `json:",omitempty"`
}

type secretEntry struct {
	ARN                    string
	Name                   string
	Description            string `json:",omitempty"`
	KmsKeyId               string `json:",omitempty"`
	CreatedDate            *stack.Time
	LastChangedDate        *stack.Time
	LastAccessedDate       *stack.Time         `json:",omitempty"`
	DeletedDate            *stack.Time         `json:",omitempty"`
	Tags                   []tag               `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
func (s *Service) listSecrets(_ context.Context, _ *stack.Call, in *listSecretsInput) (*listSecretsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.filter(in.Filters, in.IncludePlannedDeletion)
	if err != nil {
		return nil, err
	}
	switch in.SortBy {
	case "", "created-date":
	case "name":
		slices.SortFunc(found, func(a, b *secret) int { return strings.Compare(a.name, b.name) })
	default:
		return nil, invalidParameter("SortBy: the local stack sorts by created-date and name, not by %s.", in.SortBy)
	}
	if in.SortOrder == "desc" {
		slices.Reverse(found)
	}
	page, next, err := paginate(found, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listSecretsOutput{SecretList: []secretEntry{}, NextToken: next}
	for _, sec := range page {
		out.SecretList = append(out.SecretList, secretEntry{ARN: sec.arn, Name: sec.name, Description: sec.description, KmsKeyId: sec.kmsKey,
			CreatedDate: when(sec.created), LastChangedDate: when(sec.changed), LastAccessedDate: when(sec.accessed),
			DeletedDate: when(sec.deletion), Tags: slices.Clone(sec.tags), SecretVersionsToStages: sec.stages()})
	}
	return out, nil
}

// filter returns the secrets that pass all filters, the oldest first. A filter passes if any of its values fits.
func (s *Service) filter(filters []filter, deleted bool) ([]*secret, error) {
	var out []*secret
	for _, sec := range s.secrets {
		if !sec.deletion.IsZero() && !deleted {
			continue
		}
		fits := true
		for _, f := range filters {
			ok, err := f.fits(sec)
			if err != nil {
				return nil, err
			}
			fits = fits && ok
		}
		if fits {
			out = append(out, sec)
		}
	}
	slices.SortFunc(out, func(a, b *secret) int {
		return cmp.Or(a.created.Compare(b.created), strings.Compare(a.name, b.name))
	})
	return out, nil
}

// fits matches by prefix; a value that begins with "!" must not match. Names and tags are case-sensitive, descriptions
// and "all" are not, and are matched word by word: https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
func (f filter) fits(sec *secret) (bool, error) {
	var fields []string
	words := false
	switch f.Key {
	case "name":
		fields = []string{sec.name}
	case "description":
		fields, words = []string{sec.description}, true
	case "tag-key":
		for _, t := range sec.tags {
			fields = append(fields, t.Key)
		}
	case "tag-value":
		for _, t := range sec.tags {
			fields = append(fields, t.Value)
		}
	case "all":
		fields, words = []string{sec.name, sec.description}, true
		for _, t := range sec.tags {
			fields = append(fields, t.Key, t.Value)
		}
	default:
		return false, invalidParameter("Filters: the local stack knows name, description, tag-key, tag-value and all, not %q.", f.Key)
	}
	for _, want := range f.Values {
		want, not := strings.CutPrefix(want, "!")
		if slices.ContainsFunc(fields, func(field string) bool { return begins(field, want, words) }) != not {
			return true, nil
		}
	}
	return false, nil
}

func begins(field, want string, words bool) bool {
	if !words {
		return strings.HasPrefix(field, want)
	}
	field, want = strings.ToLower(field), strings.ToLower(want)
	return strings.HasPrefix(field, want) || slices.ContainsFunc(strings.FieldsFunc(field, func(r rune) bool { return strings.ContainsRune(" /_+=.@-", r) }),
		func(word string) bool { return strings.HasPrefix(word, want) })
}

// paginate cuts one page out; tokens are offsets.
func paginate[T any](all []T, size int, token string) (page []T, next string, err error) {
	if size == 0 {
		size = 100
	}
	if size < 1 || size > 100 {
		return nil, "", invalidParameter("MaxResults must be between 1 and 100.")
	}
	from := 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(all) {
			return nil, "", &stack.Error{Code: "InvalidNextTokenException", Message: "The NextToken value is invalid."}
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next, nil
}

type batchGetSecretValueInput struct {
	SecretIdList []string
	Filters      []filter
	MaxResults   int
	NextToken    string
}

type batchGetSecretValueOutput struct {
	SecretValues []*secretValue
	Errors       []batchError
	NextToken    string `json:",omitempty"`
}

type batchError struct {
	SecretId  string
	ErrorCode string
	Message   string
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
func (s *Service) batchGetSecretValue(_ context.Context, _ *stack.Call, in *batchGetSecretValueInput) (*batchGetSecretValueOutput, error) {
	if (len(in.SecretIdList) == 0) == (len(in.Filters) == 0) {
		return nil, invalidParameter("You must include Filters or SecretIdList, but not both.")
	}
	if len(in.SecretIdList) > 20 || in.MaxResults > 20 {
		return nil, invalidParameter("BatchGetSecretValue returns at most 20 secrets.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &batchGetSecretValueOutput{SecretValues: []*secretValue{}, Errors: []batchError{}}
	ids := in.SecretIdList
	if len(in.Filters) > 0 {
		found, err := s.filter(in.Filters, false)
		if err != nil {
			return nil, err
		}
		page, next, err := paginate(found, cmp.Or(in.MaxResults, 20), in.NextToken)
		if err != nil {
			return nil, err
		}
		out.NextToken = next
		for _, sec := range page {
			ids = append(ids, sec.arn)
		}
	}
	for _, id := range ids {
		value, err := s.read(&getSecretValueInput{SecretId: id})
		var e *stack.Error
		if errors.As(err, &e) {
			out.Errors = append(out.Errors, batchError{SecretId: id, ErrorCode: e.Code, Message: e.Message})
			continue
		}
		out.SecretValues = append(out.SecretValues, value)
	}
	return out, nil
}
