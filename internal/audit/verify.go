package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Chain is what a verification found for one secret.
type Chain struct {
	Environment string   `json:"environment"`
	Secret      string   `json:"secret"` // as its slug
	Records     int      `json:"records"`
	From        string   `json:"from"` // time of the first record
	To          string   `json:"to"`   // time of the last
	Head        string   `json:"head"` // hash of the last record: note it elsewhere to prove later that none was cut off
	Problems    []string `json:"problems,omitempty"`
}

// Locker is what Verify needs beyond Bucket.
type Locker interface {
	Bucket
	HeadObject(ctx context.Context, in *s3.HeadObjectInput, opts ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput, opts ...func(*s3.Options)) (*s3.ListObjectVersionsOutput, error)
}

// Verify reads every record of an environment and checks each chain from the bucket alone: no gap in seq, each prev_hash
// the hash of the record before, every hash that of its bytes, every record in the one partition where it may lie, every
// object locked in COMPLIANCE mode beyond now. Object Lock lets nobody remove a version, but anybody who may write can lay
// another one, or a delete marker, on top: so every version of every key is read, and a key with more than one is a finding.
// That the last records of a chain are all there only a head noted elsewhere can prove. Each record is given to each, in order, when it is not nil.
func (l *Log) Verify(ctx context.Context, bucket Locker, environment string, now time.Time, each func(Record)) ([]Chain, error) {
	dates, err := l.Dates(ctx, environment)
	if err != nil {
		return nil, err
	}
	v := verification{log: l, bucket: bucket, now: now, each: each, chains: map[string]*verified{}}
	for _, date := range dates {
		prefix := partition(environment, date)
		pages := s3.NewListObjectVersionsPaginator(bucket, &s3.ListObjectVersionsInput{Bucket: &l.Bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, m := range page.DeleteMarkers {
				v.chain(environment, date, *m.Key).problem(*m.Key, "was hidden by a delete marker at %s", Stamp(aws.ToTime(m.LastModified)))
			}
			for _, o := range page.Versions {
				if err := v.object(ctx, environment, date, *o.Key, aws.ToString(o.VersionId)); err != nil {
					return nil, err
				}
			}
		}
	}
	chains := make([]Chain, 0, len(v.order))
	for _, slug := range v.order {
		chains = append(chains, v.chains[slug].Chain)
	}
	return chains, nil
}

type verified struct {
	Chain
	head Head
	key  string // last one seen
}

type verification struct {
	log    *Log
	bucket Locker
	now    time.Time
	each   func(Record)
	chains map[string]*verified
	order  []string
}

func (v *verification) chain(environment, date, key string) *verified {
	slug, _, _ := strings.Cut(strings.TrimPrefix(key, partition(environment, date)), "/")
	c := v.chains[slug]
	if c == nil {
		c = &verified{Chain: Chain{Environment: environment, Secret: slug}}
		v.chains[slug], v.order = c, append(v.order, slug)
	}
	return c
}

func (c *verified) problem(key, format string, args ...any) {
	c.Problems = append(c.Problems, key+": "+fmt.Sprintf(format, args...))
}

// object checks one version of one key. The listing gives the versions of a key together, the newest first.
func (v *verification) object(ctx context.Context, environment, date, key, version string) error {
	c := v.chain(environment, date, key)
	problem := func(format string, args ...any) { c.problem(key, format, args...) }
	if c.key == key {
		problem("has another version, %s: something was written over the record", version)
		return nil
	}
	c.key = key
	body, err := v.log.version(ctx, key, version)
	if err != nil {
		return err
	}
	rec, err := Read(body)
	if err != nil {
		problem("%v", err)
	}
	head, err := v.bucket.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &v.log.Bucket, Key: &key, VersionId: &version})
	if err != nil {
		return err
	}
	if head.ObjectLockMode != types.ObjectLockModeCompliance || head.ObjectLockRetainUntilDate == nil || head.ObjectLockRetainUntilDate.Before(v.now) {
		problem("is not locked")
	}
	if want := Key(rec.Environment, date, rec.Secret, rec.Seq); want != key {
		problem("holds record %d of %s, which belongs to %s", rec.Seq, rec.Secret, want)
	}
	if rec.Seq != c.head.Seq+1 {
		problem("seq %d follows %d: records are missing", rec.Seq, c.head.Seq)
	}
	if rec.PrevHash != c.head.Hash {
		problem("prev_hash is not the hash of the record before")
	}
	if c.head.Date != "" && c.head.Date != date {
		problem("lies under date=%s, the record before points to date=%s", date, c.head.Date)
	}
	if v.each != nil {
		v.each(rec)
	}
	if c.Records++; c.From == "" {
		c.From = rec.Time
	}
	c.To, c.Head, c.head = rec.Time, rec.Hash, headOf(rec, date)
	return nil
}
