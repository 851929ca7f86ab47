// Package authority is Secrets Manager as the steps see it: the only place that stores values.
package authority

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// The staging labels of rotation.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// Secret is what can be known of a secret without reading its value.
type Secret struct {
	ARN      string // with the six characters behind the name
	Key      string // KMS key that it is encrypted under, as it was given; "" for the account's own
	Tags     map[string]string
	Current  string // version ids; "" where no version has the label
	Previous string
	Pending  string
	Created  time.Time
	Deleted  time.Time // when it was marked for deletion; zero: it is not
}

// Describer is the one call that Describe makes.
type Describer interface {
	DescribeSecret(ctx context.Context, in *secretsmanager.DescribeSecretInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
}

// Describe reads tags and labels. Errors: SecretMissing, also for a secret that is marked for deletion; AuthorityUnavailable.
func Describe(ctx context.Context, sm Describer, id string) (Secret, error) {
	s, err := Look(ctx, sm, id)
	if err == nil && !s.Deleted.IsZero() {
		return Secret{}, fault.New(fault.SecretMissing, "%s is marked for deletion: restore it, or withdraw its contract", id)
	}
	return s, err
}

// Look is Describe of a secret that may be marked for deletion: within its recovery window it is still described, and refuses
// everything else.
func Look(ctx context.Context, sm Describer, id string) (Secret, error) {
	out, err := sm.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		return Secret{}, translate(err, "describe %s", id)
	}
	s := Secret{
		ARN: aws.ToString(out.ARN), Key: aws.ToString(out.KmsKeyId), Tags: make(map[string]string, len(out.Tags)),
		Created: aws.ToTime(out.CreatedDate), Deleted: aws.ToTime(out.DeletedDate),
	}
	for _, t := range out.Tags {
		s.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, Current) {
			s.Current = version
		}
		if slices.Contains(labels, Previous) {
			s.Previous = version
		}
		if slices.Contains(labels, Pending) {
			s.Pending = version
		}
	}
	return s, nil
}

// Lister is the one call that VersionCreated and Versions make.
type Lister interface {
	ListSecretVersionIds(ctx context.Context, in *secretsmanager.ListSecretVersionIdsInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.ListSecretVersionIdsOutput, error)
}

// VersionCreated says when a labelled version was created; the zero time when there is none of this id.
func VersionCreated(ctx context.Context, sm Lister, id, version string) (time.Time, error) {
	pages := secretsmanager.NewListSecretVersionIdsPaginator(sm, &secretsmanager.ListSecretVersionIdsInput{SecretId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return time.Time{}, translate(err, "list the versions of %s", id)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.VersionId) == version {
				return aws.ToTime(v.CreatedDate), nil
			}
		}
	}
	return time.Time{}, nil
}

// Versions lists the ids of all versions that are still there, labelled or not, the newest first.
func Versions(ctx context.Context, sm Lister, id string) ([]string, error) {
	var all []types.SecretVersionsListEntry
	pages := secretsmanager.NewListSecretVersionIdsPaginator(sm, &secretsmanager.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, translate(err, "list the versions of %s", id)
		}
		all = append(all, page.Versions...)
	}
	slices.SortStableFunc(all, func(a, b types.SecretVersionsListEntry) int {
		return aws.ToTime(b.CreatedDate).Compare(aws.ToTime(a.CreatedDate))
	})
	ids := make([]string, len(all))
	for i, v := range all {
		ids[i] = aws.ToString(v.VersionId)
	}
	return ids, nil
}

// Reader is the one call that Read makes.
type Reader interface {
	GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Read gets the value of a version, or of AWSCURRENT where version is empty.
// Errors: SecretMissing (no such secret or version), AuthorityUnavailable.
func Read(ctx context.Context, sm Reader, id, version string) (credential.Value, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &id}
	if version != "" {
		in.VersionId = &version
	}
	return read(ctx, sm, id, in)
}

// ReadLabelled gets the value of the version that carries a label. Errors as Read; SecretMissing when none carries it.
func ReadLabelled(ctx context.Context, sm Reader, id, label string) (credential.Value, error) {
	return read(ctx, sm, id, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &label})
}

func read(ctx context.Context, sm Reader, id string, in *secretsmanager.GetSecretValueInput) (credential.Value, error) {
	out, err := sm.GetSecretValue(ctx, in)
	if err != nil {
		return credential.Value{}, translate(err, "read %s", id)
	}
	if out.SecretString == nil {
		return credential.Value{}, fault.New(fault.ValueInvalid, "%s holds a binary value: Mayfly rotates text values", id)
	}
	return credential.Parse(*out.SecretString), nil
}

// Putter is the one call that Put makes.
type Putter interface {
	PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
}

// Put stores a value as AWSPENDING under a version id of the caller's choice. If that version is already there, an earlier
// attempt stored it, and what it stored stands: the version id is a derived token, and Secrets Manager refuses a second
// value for it. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func Put(ctx context.Context, sm Putter, id, version string, v credential.Value) (stored bool, err error) {
	_, err = sm.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &id, ClientRequestToken: &version, SecretString: aws.String(v.Reveal()), VersionStages: []string{Pending},
	})
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) {
		return false, nil
	}
	return err == nil, translate(err, "store a new version of %s", id)
}

// Labeller is the one call that Promote and Unlabel make.
type Labeller interface {
	UpdateSecretVersionStage(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// ErrElsewhere says that a label does not sit where the caller believed: the compare-and-swap failed.
var ErrElsewhere = errors.New("the label is on another version")

// Promote moves AWSCURRENT from one version to another, as a compare-and-swap: it fails with ErrElsewhere when AWSCURRENT
// is not on from. An empty from means that no version has the label.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func Promote(ctx context.Context, sm Labeller, id, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: aws.String(Current), MoveToVersionId: &to}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	return label(ctx, sm, in)
}

// Unlabel takes a label off a version; ErrElsewhere when it was not there.
func Unlabel(ctx context.Context, sm Labeller, id, stage, version string) error {
	return label(ctx, sm, &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: &stage, RemoveFromVersionId: &version})
}

func label(ctx context.Context, sm Labeller, in *secretsmanager.UpdateSecretVersionStageInput) error {
	_, err := sm.UpdateSecretVersionStage(ctx, in)
	var parameter *types.InvalidParameterException
	if errors.As(err, &parameter) {
		return ErrElsewhere
	}
	return translate(err, "move label %s of %s", aws.ToString(in.VersionStage), aws.ToString(in.SecretId))
}

// Tagger is the one call that Tag makes.
type Tagger interface {
	TagResource(ctx context.Context, in *secretsmanager.TagResourceInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.TagResourceOutput, error)
}

// Tag sets tags; others stay.
func Tag(ctx context.Context, sm Tagger, id string, tags map[string]string) error {
	_, err := sm.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &id, Tags: List(tags)})
	return translate(err, "write the tags of %s", id)
}

// Restorer is the one call that Restore makes.
type Restorer interface {
	RestoreSecret(ctx context.Context, in *secretsmanager.RestoreSecretInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error)
}

// Restore takes the mark for deletion off a secret. Done twice, it is what done once is.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html
func Restore(ctx context.Context, sm Restorer, id string) error {
	_, err := sm.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &id})
	return translate(err, "restore %s", id)
}

// List writes tags as the API wants them, sorted, with the characters and lengths that a tag may have.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
func List(tags map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(tags))
	for k, v := range tags {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tagText(v))})
	}
	sort.Slice(list, func(i, j int) bool { return *list[i].Key < *list[j].Key })
	return list
}

func tagText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" +-=._:/@", r) {
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), 256)]
}

// translate gives a Secrets Manager error its code.
func translate(err error, format string, args ...any) error {
	code := fault.AuthorityUnavailable
	var (
		missing *types.ResourceNotFoundException
		request *types.InvalidRequestException // "… because it was marked for deletion"
	)
	if errors.As(err, &missing) || errors.As(err, &request) {
		code = fault.SecretMissing
	}
	return fault.Wrap(err, code, format+keyHint(err), args...)
}
