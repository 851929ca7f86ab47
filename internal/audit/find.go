package audit

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Find looks for the head of a secret's chain in the bucket: for a secret's first record, and after the registry, which
// usually knows the head, was lost. It reads the list of dates and, from the newest on, the secret's folder of each. The
// zero Head means that the secret has no record yet.
func (l *Log) Find(ctx context.Context, environment, secret string) (Head, error) {
	dates, err := l.Dates(ctx, environment)
	if err != nil {
		return Head{}, err
	}
	for _, date := range slices.Backward(dates) {
		keys, err := l.Keys(ctx, environment, date, secret)
		if err != nil {
			return Head{}, err
		}
		if len(keys) == 0 {
			continue
		}
		rec, err := l.get(ctx, keys[len(keys)-1])
		if err != nil {
			return Head{}, err
		}
		return headOf(rec, date), nil
	}
	return Head{}, nil
}

// Dates lists the partitions of an environment, oldest first.
func (l *Log) Dates(ctx context.Context, environment string) ([]string, error) {
	prefix := "audit/environment=" + environment + "/"
	var dates []string
	pages := s3.NewListObjectsV2Paginator(l.S3, &s3.ListObjectsV2Input{Bucket: &l.Bucket, Prefix: &prefix, Delimiter: aws.String("/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.CommonPrefixes {
			dates = append(dates, strings.TrimSuffix(strings.TrimPrefix(*p.Prefix, prefix+"date="), "/"))
		}
	}
	return dates, nil
}

// Keys lists the records of a secret in one partition, in order.
func (l *Log) Keys(ctx context.Context, environment, date, secret string) ([]string, error) {
	prefix := partition(environment, date) + contract.Slug(secret) + "/"
	var keys []string
	pages := s3.NewListObjectsV2Paginator(l.S3, &s3.ListObjectsV2Input{Bucket: &l.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

// Environments lists the environments that have records.
func (l *Log) Environments(ctx context.Context) ([]string, error) {
	const prefix = "audit/"
	var environments []string
	pages := s3.NewListObjectsV2Paginator(l.S3, &s3.ListObjectsV2Input{Bucket: &l.Bucket, Prefix: aws.String(prefix), Delimiter: aws.String("/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.CommonPrefixes {
			environments = append(environments, strings.TrimSuffix(strings.TrimPrefix(*p.Prefix, prefix+"environment="), "/"))
		}
	}
	return environments, nil
}
