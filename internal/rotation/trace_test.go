package rotation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/registry/dynamo"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
	localdynamodb "github.com/mayfly-secrets/mayfly/localstack/dynamodb"
	locals3 "github.com/mayfly-secrets/mayfly/localstack/s3"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

const contractsTable = `{"TableName": "contracts", "BillingMode": "PAY_PER_REQUEST",
	"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
	"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "item", "AttributeType": "S"}, {"AttributeName": "lookup", "AttributeType": "S"}],
	"GlobalSecondaryIndexes": [{"IndexName": "lookup", "Projection": {"ProjectionType": "KEYS_ONLY"},
		"KeySchema": [{"AttributeName": "lookup", "KeyType": "HASH"}, {"AttributeName": "secret", "KeyType": "RANGE"}]}]}`

// family is a registry on the local stack, with a TraceLineage that asks it.
type family struct {
	*testing.T
	reg  *dynamo.Registry
	step rotation.TraceLineage
	log  *written
	now  time.Time
}

func newFamily(t *testing.T) *family {
	t.Helper()
	clock := stack.NewClock()
	tables, buckets := localdynamodb.New(clock), locals3.New(clock)
	server := stacktest.Start(t, clock, tables, buckets)
	for _, table := range []string{contractsTable, `{"TableName": "runs", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "secret", "KeyType": "HASH"}, {"AttributeName": "run", "KeyType": "RANGE"}],
		"AttributeDefinitions": [{"AttributeName": "secret", "AttributeType": "S"}, {"AttributeName": "run", "AttributeType": "S"}]}`} {
		if _, err := tables.Resources()["AWS::DynamoDB::Table"](t.Context(), stack.Resource{LogicalID: "Table", Type: "AWS::DynamoDB::Table", Properties: json.RawMessage(table)}); err != nil {
			t.Fatal(err)
		}
	}
	objects := s3.NewFromConfig(server.Config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("dispatch")}); err != nil {
		t.Fatal(err)
	}
	f := &family{T: t, log: &written{}, now: clock.Now().UTC().Truncate(time.Second),
		reg: &dynamo.Registry{DB: dynamodb.NewFromConfig(server.Config), Contracts: "contracts", Runs: "runs"}}
	f.step = rotation.TraceLineage{Log: f.log, Registry: f.reg, Lists: &rotation.Lists{S3: objects, Bucket: "dispatch"}}
	return f
}

// has notes that a version has a value, and when it ended, if it did.
func (f *family) has(secret, version, value string, ended time.Duration) {
	f.Helper()
	print := strings.Repeat(fmt.Sprintf("%02x", value[0]), 32)
	if err := f.reg.SetFingerprint(f.Context(), secret, version, print); err != nil {
		f.Fatal(err)
	}
	if ended == 0 {
		return
	}
	environment, name, _ := strings.Cut(secret, "/")
	claim := registry.Claim{Secret: secret, Now: f.now, Lease: registry.Lease{Run: version, Until: f.now.Add(time.Hour)}}
	err := f.reg.Apply(f.Context(), contract.Contract{Environment: environment, Name: name}, nil, nil, "", "", nil, f.now, f.now)
	if err == nil {
		_, err = f.reg.Acquire(f.Context(), claim)
	}
	if err == nil {
		err = f.reg.Close(f.Context(), registry.Closing{Secret: secret, Run: version, Revoked: []string{version}, Ended: f.now.Add(ended), DueAt: f.now})
	}
	if err != nil {
		f.Fatal(err)
	}
}

var finding = trigger.Trigger{Type: trigger.Incident, ID: "finding", Source: "aws.guardduty", Severity: 9.5, Reason: "stolen"}

// trace asks about what was contained by an execution that began a moment ago.
func (f *family) trace(contained rotation.Response) rotation.Response {
	f.Helper()
	contained.Trigger, contained.Mode, contained.Trace = finding, trigger.Contain, true
	in := rotation.Contained{Response: contained}
	in.Context.Execution.ID, in.Context.Execution.Name, in.Context.Execution.StartTime = "arn:execution", "execution", f.now
	in.Context.State.Name, in.Context.State.EnteredTime = "TraceLineage", f.now.Add(time.Second)
	out, err := f.step.Handle(f.Context(), in)
	if err != nil {
		f.Fatal(err)
	}
	if out.Trace || out.Trigger != finding || out.Mode != trigger.Contain {
		f.Errorf("the answer is %+v: it has to contain for the same trigger, and not be traced again", out)
	}
	return out
}

func started(secrets ...string) rotation.Response {
	r := rotation.Response{Count: len(secrets)}
	for _, s := range secrets {
		r.Secrets = append(r.Secrets, rotation.Started{Secret: s, Name: "n"})
	}
	return r
}

// Who holds a value that a contained secret has, or had when the incident happened, is contained with it, and says why.
func TestTraceLineage(t *testing.T) {
	f := newFamily(t)
	for _, secret := range []string{"prod/api", "staging/api", "dr/api"} {
		f.has(secret, "v1", "shared by three", 0)
	}
	f.has("prod/api", "v2", "own", 0)
	f.has("prod/contained-already", "v1", "x: until a minute after the event", time.Minute)
	f.has("prod/contained-already", "v2", "y: its next", 0)
	f.has("staging/copy", "v7", "x: until a minute after the event", 0)
	f.has("prod/long-ago", "v1", "z: until two days before", -48*time.Hour)
	f.has("staging/leftover", "v1", "z: until two days before", 0)
	for name, c := range map[string]struct {
		contained []string
		want      []string
		record    string
	}{
		"one of three": {[]string{"prod/api"}, []string{
			"dr/api: its value is also that of prod/api, which an incident contains",
			"staging/api: its value is also that of prod/api, which an incident contains"}, "ValueShared"},
		"two of three": {[]string{"prod/api", "dr/api"}, []string{
			"staging/api: its value is also that of dr/api, prod/api, which an incident contains"}, "ValueShared"},
		"a containment that has closed by now": {[]string{"prod/contained-already"}, []string{
			"staging/copy: its value is also that of prod/contained-already, which an incident contains"}, "ValueShared"},
		"the other way round: what is revoked needs nothing more": {[]string{"staging/copy"}, nil, "NothingShared"},
		"a value of long ago": {[]string{"prod/long-ago"}, nil, "NothingShared"},
		"all of a family":     {[]string{"prod/api", "dr/api", "staging/api"}, nil, "NothingShared"},
		"no value known":      {[]string{"prod/never-seen"}, nil, "NothingShared"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // an answer that was lost is given again
				f.log.records = nil
				out := f.trace(started(c.contained...))
				var got []string
				for _, s := range out.Secrets {
					if s.Because != s.Compromised || s.Name != trigger.ExecutionName(s.Secret, finding) {
						t.Errorf("%+v", s)
					}
					got = append(got, s.Secret+": "+s.Compromised)
				}
				slices.Sort(got)
				if diff := cmp.Diff(c.want, got); diff != "" || out.Count != len(c.want) || out.Secrets == nil {
					t.Errorf("%d (-want +got):\n%s", out.Count, diff)
				}
				rec := f.log.records[0]
				if len(f.log.records) != 1 || rec.Event != rotation.EventTraced || rec.ReasonCode != c.record || rec.TriggerID != "finding" {
					t.Errorf("on record: %+v", f.log.records)
				}
				if unknown := strings.Contains(rec.Reason, "no fingerprint is known of prod/never-seen"); unknown != (name == "no value known") {
					t.Errorf("on record: %s", rec.Reason)
				}
			}
		})
	}
}

// A fleet is read from its list, and its lineage may be a fleet of its own, with a list beside the first.
func TestLineageOfAFleet(t *testing.T) {
	f := newFamily(t)
	var list []rotation.Started
	for i := range rotation.Inline + 1 {
		value := string(rune('A' + i))
		f.has(fmt.Sprintf("prod/api-%02d", i), "v1", value, 0)
		f.has(fmt.Sprintf("staging/api-%02d", i), "v1", value, 0)
		list = append(list, rotation.Started{Secret: fmt.Sprintf("prod/api-%02d", i)})
	}
	kept, at, err := f.step.Lists.Keep(t.Context(), "execution", list)
	if err != nil || len(kept) != len(list) {
		t.Fatal(err)
	}
	for range 2 {
		out := f.trace(rotation.Response{Count: len(list), Dispatch: &at})
		if out.Count != rotation.Inline+1 || len(out.Secrets) != 0 || out.Dispatch == nil || out.Dispatch.Key == at.Key {
			t.Fatalf("%+v, want a fleet with a list of its own", out)
		}
		kept, _, err := rotation.Keep[rotation.Started](t.Context(), f.step.Lists, "execution", "lineage.json", nil)
		if err != nil || len(kept) != out.Count || kept[0].Secret != "staging/api-00" || !strings.Contains(kept[0].Compromised, "prod/api-00") {
			t.Errorf("%d in the list, the first %+v; %v", len(kept), kept[:1], err)
		}
	}
}
