package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Bucket is what a Log needs of S3. Put is durable once it returns.
type Bucket interface {
	PutObject(ctx context.Context, in *s3.PutObjectInput, opts ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(ctx context.Context, in *s3.GetObjectInput, opts ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, opts ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Log appends records to the chains in one bucket.
type Log struct {
	S3        Bucket
	Bucket    string
	Retention time.Duration // how long each record is locked, counted from its time
	Account   string
	Region    string
	Lines     io.Writer // gets every written record as one line; in Lambda, stdout

	// heads remembers where this process last left a chain, for callers that bring no head. It is a hint: one that is out
	// of date is found out by the conditional put, as any head is.
	heads sync.Map // environment + secret -> Head
}

// How often an append moves on to a head that it did not know, before it gives up and lets the step be retried.
const maxConflicts = 64

// After so many, the head is not merely a few records old, as it is when others write at the same time: it is that of a
// process that remembered it from long ago, or of a registry that was restored from a backup. Then the bucket is asked. A
// record of rec's id in between is then not seen, and stands there twice.
const farBehind = 8

// Append writes rec behind head and returns the new head.
//
// The rule that makes a fork impossible: where record n+1 lies follows from record n alone, never from a clock. It is the
// partition of record n, or of the date of its time if that is later; and only a "sealed" record may be younger than its
// partition. So every writer that believes in the same head competes for the same key, and S3's conditional put lets one of
// them win. Who loses reads the winner and appends after it. A record that is already there with rec's id is rec itself,
// written by an attempt whose answer was lost.
//
// Errors are AuditUnavailable: the record is not known to be there, and the step must not proceed.
func (l *Log) Append(ctx context.Context, head Head, rec Record) (Head, error) {
	rec.Schema, rec.Account, rec.Region = Schema, l.Account, l.Region
	head, err := l.append(ctx, head, rec)
	return head, fault.Wrap(err, fault.AuditUnavailable, "audit record %q of %s was not written, so step %s does not proceed", rec.Event, rec.Secret, rec.Step)
}

func (l *Log) append(ctx context.Context, head Head, rec Record) (Head, error) {
	chain, remember := rec.Environment+" "+rec.Secret, head.Date == ""
	if known, ok := l.heads.Load(chain); ok && head.Date == "" {
		head = known.(Head)
	}
	if head.Date == "" {
		found, err := l.Find(ctx, rec.Environment, rec.Secret)
		if err != nil {
			return head, err
		}
		head = found
	}
	for conflicts := range maxConflicts {
		if conflicts == farBehind {
			found, err := l.Find(ctx, rec.Environment, rec.Secret)
			if err != nil {
				return head, err
			}
			if found.Seq > head.Seq {
				head = found
			}
		}
		next := rec
		switch date := dateOf(rec.Time); {
		case head.Date == "":
			head.Date = date
		case date > head.Date:
			next = sealOf(rec)
		}
		stored, err := l.put(ctx, head, next)
		if errors.Is(err, errConflict) {
			continue
		}
		if err != nil {
			return head, err
		}
		head = headOf(stored, head.Date)
		if stored.ID == rec.ID {
			if remember {
				l.heads.Store(chain, head)
			}
			return head, nil
		}
	}
	return head, fmt.Errorf("other writers were faster %d times", maxConflicts)
}

// errConflict is S3's 409 ConditionalRequestConflict: something else happened to the key during the write, which is to be
// tried again. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
var errConflict = errors.New("conflicting write")

// sealOf makes the record that closes a day's partition for the sake of rec.
func sealOf(rec Record) Record {
	return Record{
		Schema: rec.Schema, ID: rec.ID + "-seal", Time: rec.Time, Account: rec.Account, Region: rec.Region,
		Environment: rec.Environment, Secret: rec.Secret, Owner: rec.Owner, Services: rec.Services, Event: EventSealed, Step: rec.Step,
		RunID: rec.RunID, ExecutionARN: rec.ExecutionARN, Attempt: rec.Attempt,
		Reason: "the chain goes on under date=" + dateOf(rec.Time),
	}
}

// put writes rec behind head unless that place is taken, and returns the record that lies there now.
func (l *Log) put(ctx context.Context, head Head, rec Record) (Record, error) {
	rec.Seq, rec.PrevHash = head.Seq+1, head.Hash
	body, err := rec.Seal()
	if err != nil {
		return rec, err
	}
	at, err := time.Parse(time.RFC3339, rec.Time)
	if err != nil {
		return rec, err
	}
	key := Key(rec.Environment, head.Date, rec.Secret, rec.Seq)
	_, err = l.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &l.Bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"),
		IfNoneMatch: aws.String("*"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(at.Add(l.Retention)),
	})
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		// The log line is a copy; the bucket is the record. A line that is lost is not worth a failed step.
		_, _ = l.Lines.Write(append(body, '\n'))
		return rec, nil
	case errors.As(err, &response) && response.HTTPStatusCode() == http.StatusPreconditionFailed:
		return l.get(ctx, key)
	case errors.As(err, &response) && response.HTTPStatusCode() == http.StatusConflict:
		return rec, errConflict
	default:
		return rec, err
	}
}

func (l *Log) get(ctx context.Context, key string) (Record, error) {
	body, err := l.body(ctx, key)
	if err != nil {
		return Record{}, err
	}
	return Read(body)
}

// body fetches an object; no record is larger than a megabyte.
func (l *Log) body(ctx context.Context, key string) ([]byte, error) {
	return l.fetch(ctx, &s3.GetObjectInput{Bucket: &l.Bucket, Key: &key})
}

// version fetches one version of an object.
func (l *Log) version(ctx context.Context, key, version string) ([]byte, error) {
	return l.fetch(ctx, &s3.GetObjectInput{Bucket: &l.Bucket, Key: &key, VersionId: &version})
}

func (l *Log) fetch(ctx context.Context, in *s3.GetObjectInput) ([]byte, error) {
	out, err := l.S3.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(io.LimitReader(out.Body, 1<<20))
}
