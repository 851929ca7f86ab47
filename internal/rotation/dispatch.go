package rotation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Inline is how many starts travel in the state of mayfly-respond and begin at once; more are a fleet: a list in S3 and a
// Distributed Map. It is what an inline Map runs side by side.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const Inline = 40

// StartsPerSecond is the pace at which a fleet's turns come. Secrets Manager takes 50 writes of values and labels a second in
// an account and Region, all callers together, and a rotation makes three: the value, AWSCURRENT, AWSPENDING. That is 16
// rotations, which the Map never exceeds; one is left for retries and for others. Step Functions would take more: 100
// children a second, 150 starts.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const StartsPerSecond = 15

// PerEvaluation is how many starts one evaluation brings about: what has surely begun when the next one comes, 15 minutes
// later. The rest stays due, and the next evaluation finds it; so no secret is in the lists of two.
const PerEvaluation = 10_000

// Start is a rotation to be started, with what its place in the queue follows from.
type Start struct {
	Secret, Because string
	Compromised     string // why its value itself is known to be in wrong hands; "" if it is not
	Environment     string
	Mode            trigger.Mode
	Severity        float64 // of the incident, 0 for anything else
	BlastRadius     string  // as the contract declares it: minimal, limited, broad
}

// Order sorts the most exposed first: environment prod before others, containment before routine, the severer incident, the
// larger declared blast radius, and then by id, so that the same starts always come in the same order.
func Order(starts []Start) {
	slices.SortFunc(starts, func(a, b Start) int {
		return cmp.Or(
			first(a.Environment == "prod", b.Environment == "prod"),
			first(a.Mode == trigger.Contain, b.Mode == trigger.Contain),
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(reach(b.BlastRadius), reach(a.BlastRadius)),
			strings.Compare(a.Secret, b.Secret),
		)
	})
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// reach ranks a declared blast radius; a word that is no level may mean anything, so it counts as the largest.
func reach(radius string) int {
	if at := slices.Index([]string{"minimal", "limited", "broad"}, radius); at >= 0 {
		return at
	}
	return 3
}

// Pace gives ordered starts of a trigger their names and times: StartsPerSecond of them in every second, from a time on.
// No containment waits for a routine rotation: all of them come first, in their own order.
func Pace(starts []Start, t trigger.Trigger, from time.Time) []Started {
	from = from.UTC().Truncate(time.Second)
	list := make([]Started, 0, len(starts))
	for _, contain := range []bool{true, false} {
		for _, s := range starts {
			if (s.Mode == trigger.Contain) != contain {
				continue
			}
			at := from.Add(time.Duration(len(list)/StartsPerSecond) * time.Second)
			list = append(list, Started{Secret: s.Secret, Name: trigger.ExecutionName(s.Secret, t), Because: s.Because, NotBefore: at, Compromised: s.Compromised})
		}
	}
	return list
}

// Dispatch is where the list of a fleet lies, and where Step Functions writes what became of each start.
type Dispatch struct {
	Bucket  string `json:"bucket"`
	Key     string `json:"key"`     // of the list: a JSON array of Started
	Results string `json:"results"` // prefix of the results
}

// Lists keeps the lists of fleets in a bucket.
type Lists struct {
	S3 interface {
		PutObject(ctx context.Context, in *s3.PutObjectInput, opts ...func(*s3.Options)) (*s3.PutObjectOutput, error)
		GetObject(ctx context.Context, in *s3.GetObjectInput, opts ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	}
	Bucket string
}

// Keep writes the list of an execution, once: see Keep below.
func (l *Lists) Keep(ctx context.Context, execution string, list []Started) (kept []Started, at Dispatch, err error) {
	return Keep(ctx, l, execution, "secrets.json", list)
}

// Keep writes a list of an execution, once: the list that is there already, written by an attempt whose answer was lost,
// stands, and is what Keep returns. Whatever the registry says by then, one execution works off one list.
// Errors: OutcomeUnknown; the next attempt finds out.
func Keep[T any](ctx context.Context, l *Lists, execution, file string, list []T) (kept []T, at Dispatch, err error) {
	at = Dispatch{Bucket: l.Bucket, Key: "dispatch/" + execution + "/" + file, Results: "results/" + execution}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, at, fault.Wrap(err, fault.Internal, "write the list of %s", execution)
	}
	_, err = l.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &l.Bucket, Key: &at.Key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*"),
	})
	var refused *smithyhttp.ResponseError
	if errors.As(err, &refused) && refused.HTTPStatusCode() == http.StatusPreconditionFailed {
		err = l.read(ctx, at.Key, &kept)
		return kept, at, fault.Wrap(err, fault.OutcomeUnknown, "read the list %s, which an earlier attempt wrote", at.Key)
	}
	return list, at, fault.Wrap(err, fault.OutcomeUnknown, "write the list %s", at.Key)
}

func (l *Lists) read(ctx context.Context, key string, list any) error {
	out, err := l.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &l.Bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, list)
}
