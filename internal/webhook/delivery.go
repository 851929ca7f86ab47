package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Delivery is one signed request, by everything that would make another one a replay of it.
type Delivery struct {
	IDs    []string // hashes, one or two: see deliveryID
	Source string   // the route
	At     time.Time
}

// Deliveries is the Memory in a bucket: one object per id, deliveries/<id>, which the bucket's lifecycle deletes after 90
// days: as long as Step Functions keeps the name of an execution from being used again, so that a replay that is older
// starts nothing but a rotation nobody needed.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
type Deliveries struct {
	S3     S3
	Bucket string
}

// S3 is what Deliveries needs of the service. An object is durable once its put returns, and whoever looks afterwards sees
// it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
type S3 interface {
	HeadObject(ctx context.Context, in *s3.HeadObjectInput, opts ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	PutObject(ctx context.Context, in *s3.PutObjectInput, opts ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// KeyPrefix begins the key of every delivery; the receiver may touch no other objects of the bucket.
const KeyPrefix = "deliveries/"

// Seen implements Memory. S3 answers 403 for an object that is not there to who may not list the bucket, as the receiver
// may not: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html. Where the permission itself is missing,
// Remember fails as well.
func (d *Deliveries) Seen(ctx context.Context, ids []string) (bool, error) {
	for _, id := range ids {
		_, err := d.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &d.Bucket, Key: aws.String(KeyPrefix + id)})
		switch status(err) {
		case http.StatusOK:
			return true, nil
		case http.StatusNotFound, http.StatusForbidden:
		default:
			return false, fault.Wrap(err, fault.RegistryUnavailable, "look whether a delivery is known")
		}
	}
	return false, nil
}

// Remember implements Memory. An id that is there already makes the delivery a replay, and the ids after it are not kept.
func (d *Deliveries) Remember(ctx context.Context, delivery Delivery) (first bool, err error) {
	body, err := json.Marshal(map[string]string{"source": delivery.Source, "received": delivery.At.UTC().Format(time.RFC3339)})
	if err != nil {
		return false, fault.Wrap(err, fault.Internal, "write a delivery")
	}
	for _, id := range delivery.IDs {
		if first, err = d.put(ctx, KeyPrefix+id, body); err != nil || !first {
			return false, fault.Wrap(err, fault.RegistryUnavailable, "remember a delivery")
		}
	}
	return true, nil
}

const attempts = 5

// put writes an object that is not there yet. A twin that is being written at the same moment is a conflict, which only the
// next attempt can tell from a replay.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (d *Deliveries) put(ctx context.Context, key string, body []byte) (first bool, err error) {
	for range attempts {
		_, err = d.S3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &d.Bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*"),
		})
		switch status(err) {
		case http.StatusPreconditionFailed:
			return false, nil
		case http.StatusConflict:
		default:
			return err == nil, err
		}
	}
	return false, err
}

// status is what S3 answered with, 0 if it did not.
func status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if refused, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return refused.HTTPStatusCode()
	}
	return 0
}
