package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	locals3 "github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const bucket = "mayfly-audit-test"

type bench struct {
	*stacktest.Server
	s3  *s3.Client
	log *audit.Log
	out *bytes.Buffer
}

func start(t *testing.T) *bench {
	t.Helper()
	clock := stack.NewClock()
	server := stacktest.Start(t, clock, locals3.New(clock))
	client := s3.NewFromConfig(server.Config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	return &bench{Server: server, s3: client, out: out, log: newLog(client, out)}
}

func newLog(client *s3.Client, lines io.Writer) *audit.Log {
	return &audit.Log{S3: client, Bucket: bucket, Retention: 400 * 24 * time.Hour, Account: "000000000000", Region: "us-east-1", Lines: lines}
}

func record(id string, at time.Time) audit.Record {
	return audit.Record{ID: id, Time: audit.Stamp(at), Environment: "prod", Secret: "prod/orders-db", Event: "setting", Step: "SetSecret"}
}

// verify checks the whole bucket and returns the ids in the order of the chain.
func (b *bench) verify(t *testing.T) (ids []string, problems []string) {
	t.Helper()
	chains, err := b.log.Verify(t.Context(), b.s3, "prod", time.Now(), func(r audit.Record) {
		if r.Event != audit.EventSealed {
			ids = append(ids, r.ID)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chains {
		problems = append(problems, c.Problems...)
	}
	return ids, problems
}

func TestChainOverMidnight(t *testing.T) {
	b := start(t)
	day := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	var head audit.Head
	var err error
	for i, at := range []time.Time{day, day.Add(2 * time.Second), day.Add(3 * time.Second), day.Add(-time.Hour), day.Add(80 * time.Hour)} {
		if head, err = b.log.Append(t.Context(), head, record(fmt.Sprint(i), at)); err != nil {
			t.Fatal(err)
		}
	}
	// Five records and two seals: one for the night, one for the days that passed; a clock that went back needs none.
	if head.Seq != 7 {
		t.Errorf("head is %+v, want seq 7", head)
	}
	ids, problems := b.verify(t)
	if got := strings.Join(ids, ""); got != "01234" || len(problems) > 0 {
		t.Errorf("chain %s with problems %q, want 01234 with none", got, problems)
	}
	found, err := b.log.Find(t.Context(), "prod", "prod/orders-db")
	if err != nil || found != head {
		t.Errorf("Find gives %+v, %v; want %+v", found, err, head)
	}
}

// Writers that all believe in the same head, on both sides of midnight, must end in one chain without a fork or a gap.
func TestConcurrentWritersNeverFork(t *testing.T) {
	b := start(t)
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	head, err := b.log.Append(t.Context(), audit.Head{}, record("first", midnight.Add(-time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	const writers = 20
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			at := midnight.Add(time.Duration(i-writers/2) * time.Second)
			if _, err := newLog(b.s3, io.Discard).Append(context.Background(), head, record(fmt.Sprint("w", i), at)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids, problems := b.verify(t)
	if len(problems) > 0 {
		t.Errorf("problems: %q", problems)
	}
	seen := map[string]int{}
	for _, id := range ids {
		seen[id]++
	}
	if len(seen) != writers+1 || len(ids) != writers+1 {
		t.Errorf("%d records, %d different; want %d", len(ids), len(seen), writers+1)
	}
}

// Two processes that bring no head and remember their own append to one chain, each out of date every time.
func TestRememberedHeadsAreOnlyHints(t *testing.T) {
	b := start(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	logs := []*audit.Log{newLog(b.s3, io.Discard), newLog(b.s3, io.Discard)}
	for i := range 10 {
		if i == 4 {
			b.Endpoint.ResetCalls()
		}
		if _, err := logs[i/2%2].Append(t.Context(), audit.Head{}, record(fmt.Sprint(i), at)); err != nil {
			t.Fatal(err)
		}
	}
	if ids, problems := b.verify(t); strings.Join(ids, "") != "0123456789" || len(problems) > 0 {
		t.Errorf("chain %q with problems %q", ids, problems)
	}
	for _, c := range b.Endpoint.Calls()[:6] {
		if strings.HasPrefix(c.Operation, "List") {
			t.Errorf("%s, although the head was known", c.Operation)
		}
	}
}

// A write whose answer was lost is found, not written again; a write that failed is.
// A process that has slept, and a registry that was restored, know a head that is far from the end.
func TestHeadsFarBehind(t *testing.T) {
	b := start(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old, err := b.log.Append(t.Context(), audit.Head{}, record("first", at))
	if err != nil {
		t.Fatal(err)
	}
	others, head := newLog(b.s3, io.Discard), old
	for i := range 100 {
		if head, err = others.Append(t.Context(), head, record(fmt.Sprint(i), at.Add(time.Hour*time.Duration(i)))); err != nil {
			t.Fatal(err)
		}
	}
	for id, known := range map[string]audit.Head{"remembered": {}, "restored": old} {
		if _, err := b.log.Append(t.Context(), known, record(id, at.Add(200*time.Hour))); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if ids, problems := b.verify(t); len(ids) != 103 || len(problems) > 0 {
		t.Errorf("%d records, want 103; %v", len(ids), problems)
	}
}

func TestLostAnswers(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for _, mode := range []string{"fail", "drop"} {
			t.Run(when+"/"+mode, func(t *testing.T) {
				b := start(t)
				at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
				head, err := b.log.Append(t.Context(), audit.Head{}, record("a", at))
				if err != nil {
					t.Fatal(err)
				}
				b.fault(t, fmt.Sprintf(`{"service":"s3","operation":"PutObject","when":%q,"mode":%q,"count":8}`, when, mode))
				if _, err := b.log.Append(t.Context(), head, record("b", at)); fault.CodeOf(err) != fault.AuditUnavailable {
					t.Errorf("append gave %v, want AuditUnavailable", err)
				}
				b.clear(t)
				for range 2 { // the retried step, and a step that starts from the same outdated head
					if _, err := b.log.Append(t.Context(), head, record("b", at)); err != nil {
						t.Fatal(err)
					}
				}
				if ids, problems := b.verify(t); strings.Join(ids, "") != "ab" || len(problems) > 0 {
					t.Errorf("chain %q with problems %q, want a, b", ids, problems)
				}
			})
		}
	}
}

func TestVerifySeesTampering(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tamper := range map[string]func(t *testing.T, b *bench){
		"altered": func(t *testing.T, b *bench) {
			b.overwrite(t, 2, func(body []byte) []byte { return bytes.Replace(body, []byte("setting"), []byte("testing"), 1) })
		},
		"altered and hashed again": func(t *testing.T, b *bench) {
			b.overwrite(t, 2, func([]byte) []byte {
				r := record("x", at)
				r.Seq, r.PrevHash = 2, "00"
				body, err := r.Seal()
				if err != nil {
					t.Fatal(err)
				}
				return body
			})
		},
		"the last one hidden": func(t *testing.T, b *bench) {
			if _, err := b.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key(3))}); err != nil {
				t.Fatal(err)
			}
		},
		"hidden": func(t *testing.T, b *bench) {
			// Object Lock keeps the version, but a delete marker hides it from a listing.
			if _, err := b.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key(2))}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			var head audit.Head
			var err error
			for _, id := range []string{"a", "b", "c"} {
				if head, err = b.log.Append(t.Context(), head, record(id, at)); err != nil {
					t.Fatal(err)
				}
			}
			if _, problems := b.verify(t); len(problems) > 0 {
				t.Fatalf("problems before tampering: %q", problems)
			}
			tamper(t, b)
			if _, problems := b.verify(t); len(problems) == 0 {
				t.Error("tampering was not noticed")
			}
		})
	}
}

// The bucket itself refuses what would rewrite history.
func TestRecordsAreLocked(t *testing.T) {
	b := start(t)
	at := time.Now()
	if _, err := b.log.Append(t.Context(), audit.Head{}, record("a", at)); err != nil {
		t.Fatal(err)
	}
	k := audit.Key("prod", at.UTC().Format(time.DateOnly), "prod/orders-db", 1)
	out, err := b.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &k})
	if err != nil {
		t.Fatal(err)
	}
	if out.ObjectLockMode != types.ObjectLockModeCompliance || out.ObjectLockRetainUntilDate.Before(at.Add(399*24*time.Hour)) {
		t.Errorf("lock is %s until %v", out.ObjectLockMode, out.ObjectLockRetainUntilDate)
	}
	if _, err := b.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &k, VersionId: out.VersionId}); err == nil {
		t.Error("a locked version was deleted")
	}
	if lines := strings.Count(b.out.String(), "\n"); lines != 1 || !strings.Contains(b.out.String(), `"schema":"mayfly.audit.v1"`) {
		t.Errorf("the log has %d lines: %s", lines, b.out)
	}
}

func key(seq int64) string { return audit.Key("prod", "2026-03-01", "prod/orders-db", seq) }

func (b *bench) overwrite(t *testing.T, seq int64, change func([]byte) []byte) {
	t.Helper()
	out, err := b.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key(seq))})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key(seq)), Body: bytes.NewReader(change(body)), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) fault(t *testing.T, body string) {
	t.Helper()
	res, err := http.Post(b.URL+"/_local/faults", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("fault refused: %s", text)
	}
}

func (b *bench) clear(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, b.URL+"/_local/faults", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}
