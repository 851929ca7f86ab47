package stepfunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	sdk "github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// bucket makes the bucket of datasets and puts objects into it.
func (b *bench) bucket(objects map[string]string) {
	b.Helper()
	if _, err := b.objects.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("fleets")}); err != nil {
		b.Fatal(err)
	}
	for key, body := range objects {
		if _, err := b.objects.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String("fleets"), Key: &key, Body: strings.NewReader(body)}); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *bench) object(key string, into any) string {
	b.Helper()
	out, err := b.objects.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String("fleets"), Key: &key})
	if err != nil {
		b.Fatalf("%s: %v", key, err)
	}
	text, err := io.ReadAll(out.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		b.Fatalf("%s: %v", key, err)
	}
	return string(text)
}

// fleet is a distributed Map with a list and results in S3; more goes into its state, states into its processor.
func fleet(more, states string) string {
	return `"M":{"Type":"Map","Label":"Fleet",` + more + `
		"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"fleets","Key.$":"$.key"}},
		"ItemSelector":{"n.$":"$$.Map.Item.Value.n","i.$":"$$.Map.Item.Index","why.$":"$.why"},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Odd?","States":{
			"Odd?":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":3,"Next":"No"}],"Default":"Yes"},
			"Yes":{"Type":"Succeed"},"No":{"Type":"Fail","Error":"Three","Cause":"an odd one"}` + states + `}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"fleets","Prefix":"out"}},"Next":"Count"},
		"Count":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:describeMapRun","Parameters":{"MapRunArn.$":"$.MapRunArn"},"ResultPath":"$.run","End":true}`
}

func TestDatasets(t *testing.T) {
	b := start(t)
	b.bucket(map[string]string{"list.json": `[{"n":1},{"n":2},{"n":3},{"n":4}]`, "object.json": `{"n":1}`, "broken.json": `[{"n":1}`})
	m := b.machine("m", "M", fleet(`"ToleratedFailurePercentage":25,`, ""))
	out := b.end(b.begin(m, "", `{"key":"list.json","why":"x"}`))
	var result struct {
		MapRunArn           string
		ResultWriterDetails struct{ Bucket, Key string }
		Run                 struct {
			Status     string
			ItemCounts struct{ Total, Succeeded, Failed, Pending, ResultsWritten int }
		} `json:"run"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.Output)), &result); err != nil {
		t.Fatalf("%s %s: %v", out.Status, aws.ToString(out.Error), err)
	}
	id := result.MapRunArn[strings.LastIndex(result.MapRunArn, ":")+1:]
	if !strings.HasPrefix(result.MapRunArn, "arn:aws:states:us-east-1:000000000000:mapRun:m/Fleet:") ||
		result.ResultWriterDetails != struct{ Bucket, Key string }{"fleets", "out/" + id + "/manifest.json"} {
		t.Errorf("output %s", *out.Output)
	}
	if c := result.Run.ItemCounts; result.Run.Status != "SUCCEEDED" || c.Total != 4 || c.Succeeded != 3 || c.Failed != 1 || c.Pending != 0 || c.ResultsWritten != 4 {
		t.Errorf("the map run as a task sees it: %+v", result.Run)
	}
	b.results(result.MapRunArn, "out/"+id)
	described, err := b.client.DescribeMapRun(t.Context(), &sdk.DescribeMapRunInput{MapRunArn: &result.MapRunArn})
	if err != nil || described.Status != types.MapRunStatusSucceeded || described.ItemCounts.Succeeded != 3 || described.ItemCounts.Failed != 1 ||
		described.ToleratedFailurePercentage != 25 || aws.ToString(described.ExecutionArn) != *out.ExecutionArn || described.StopDate == nil {
		t.Errorf("%+v %v", described, err)
	}
	var missing *types.ResourceNotFound
	if _, err := b.client.DescribeMapRun(t.Context(), &sdk.DescribeMapRunInput{MapRunArn: aws.String(result.MapRunArn + "x")}); !errors.As(err, &missing) {
		t.Errorf("a map run that is not there: %v", err)
	}
	for key, want := range map[string]string{"object.json": "no JSON array", "broken.json": "no JSON array", "none.json": "NoSuchKey"} {
		out := b.end(b.begin(m, "", `{"key":"`+key+`","why":"x"}`))
		if aws.ToString(out.Error) != "States.ItemReaderFailed" || !strings.Contains(aws.ToString(out.Cause), want) {
			t.Errorf("%s: %s %s: %s", key, out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
		}
		if h := b.history(*out.ExecutionArn); !strings.Contains(h, "MapRunStarted MapRunFailed MapStateFailed ExecutionFailed") {
			t.Errorf("%s: history %s", key, h)
		}
	}
}

// results holds the manifest and the files of TestDatasets against what is documented.
func (b *bench) results(run, folder string) {
	b.Helper()
	type file struct {
		Key  string
		Size int
	}
	var m struct {
		DestinationBucket, MapRunArn string
		ResultFiles                  map[string][]file
	}
	b.object(folder+"/manifest.json", &m)
	if m.DestinationBucket != "fleets" || m.MapRunArn != run || len(m.ResultFiles["SUCCEEDED"]) != 1 || len(m.ResultFiles["FAILED"]) != 1 || m.ResultFiles["PENDING"] == nil {
		b.Fatalf("manifest %+v", m)
	}
	var ended []struct{ Name, Status, Input, Output, Error, Cause, StateMachineArn, ExecutionArn string }
	text := b.object(m.ResultFiles["SUCCEEDED"][0].Key, &ended)
	if m.ResultFiles["SUCCEEDED"][0].Key != folder+"/SUCCEEDED_0.json" || m.ResultFiles["SUCCEEDED"][0].Size != len(text) || len(ended) != 3 {
		b.Errorf("succeeded: %s", text)
	}
	if e := ended[1]; e.Input != `{"i":1,"n":2,"why":"x"}` || e.Output != e.Input || e.Status != "SUCCEEDED" || e.ExecutionArn != runs+"m/Fleet:"+e.Name || e.StateMachineArn != machines+"m/Fleet" {
		b.Errorf("an entry is %+v", e)
	}
	text = b.object(m.ResultFiles["FAILED"][0].Key, &ended)
	if len(ended) != 1 || ended[0].Error != "Three" || ended[0].Cause != "an odd one" || ended[0].Status != "FAILED" {
		b.Errorf("failed: %s", text)
	}
}

// Children run in the order of the list, as many at once as allowed; too many failures end the Map, and what had come to
// an end is written all the same.
func TestFleetsAreBounded(t *testing.T) {
	b := start(t)
	var list []map[string]any
	at := b.clock.Now().Truncate(time.Second)
	for i := range 30 {
		list = append(list, map[string]any{"n": 2 * i, "at": at.Add(time.Duration(i/10+1) * time.Minute).Format(time.RFC3339)})
	}
	text, _ := json.Marshal(list)
	b.bucket(map[string]string{"list.json": string(text), "bad.json": `[{"n":3},{"n":3},{"n":1},{"n":1}]`})
	m := b.machine("m", "M", strings.NewReplacer(`"StartAt":"Odd?"`, `"StartAt":"Wait"`, `"why.$":"$.why"`, `"at.$":"$$.Map.Item.Value.at"`).
		Replace(fleet(`"MaxConcurrency":12,`, `,"Wait":{"Type":"Wait","TimestampPath":"$.at","Next":"Odd?"}`)))
	arn := b.begin(m, "", `{"key":"list.json"}`)
	var live []int
	for done := false; !done; {
		b.idle()
		live = append(live, b.children(arn, types.ExecutionStatusRunning))
		b.clock.Advance(time.Minute)
		done = b.settled(arn)
	}
	if out := b.end(arn); out.Status != types.ExecutionStatusSucceeded || !slices.Equal(live, []int{12, 12, 10}) {
		t.Errorf("%s %s; children at once %v", out.Status, aws.ToString(out.Error), live)
	}
	strict := b.machine("strict", "M", strings.Replace(fleet(`"MaxConcurrency":1,`, ""), `"why.$":"$.why"`, `"why":1`, 1))
	out := b.end(b.begin(strict, "", `{"key":"bad.json"}`))
	if aws.ToString(out.Error) != "States.ExceedToleratedFailureThreshold" {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Error))
	}
	run := b.mapRun(*out.ExecutionArn)
	d, err := b.client.DescribeMapRun(t.Context(), &sdk.DescribeMapRunInput{MapRunArn: &run})
	if err != nil || d.Status != types.MapRunStatusFailed || d.ItemCounts.Failed != 1 || d.ItemCounts.Pending != 3 {
		t.Errorf("%+v %v", d, err)
	}
	b.object("out/"+run[strings.LastIndex(run, ":")+1:]+"/manifest.json", nil)
}

func (b *bench) mapRun(arn string) string {
	b.Helper()
	for _, e := range b.events(arn) {
		if e.MapRunStartedEventDetails != nil {
			return *e.MapRunStartedEventDetails.MapRunArn
		}
	}
	b.Fatal("no Map Run")
	return ""
}

func (b *bench) children(arn string, status types.ExecutionStatus) int {
	b.Helper()
	run := b.mapRun(arn)
	out, err := b.client.ListExecutions(b.Context(), &sdk.ListExecutionsInput{MapRunArn: &run, StatusFilter: status})
	if err != nil {
		b.Fatal(err)
	}
	return len(out.Executions)
}

func TestDatasetsNeedPermission(t *testing.T) {
	b := start(t)
	b.bucket(map[string]string{"list.json": `[{"n":2}]`})
	m := b.machine("m", "M", fleet("", ""))
	needs := map[string]string{
		"states:StartExecution m": "States.Permissions", "s3:GetObject list.json": "States.ItemReaderFailed",
		"s3:PutObject SUCCEEDED_0.json": "States.ResultWriterFailed", "s3:PutObject manifest.json": "States.ResultWriterFailed",
		"states:DescribeMapRun": "Sfn.AccessDeniedException",
	}
	asked := map[string]bool{}
	for denied, want := range needs {
		b.service.Authorize = func(_ context.Context, _, action, resource string) error {
			asked[action] = true
			what := action + " " + resource[strings.LastIndexAny(resource, "/:")+1:]
			if what == denied || action == denied {
				return fmt.Errorf("no %s on %s", action, resource)
			}
			return nil
		}
		if got := b.run(m, `{"key":"list.json","why":1}`); got != "FAILED "+want {
			t.Errorf("without %s: %s, want %s", denied, got, want)
		}
	}
	if len(asked) != 4 {
		t.Errorf("asked for %v", asked)
	}
}

func TestDatasetsAreReadStrictly(t *testing.T) {
	b := start(t)
	for change, want := range map[string]string{
		`"InputType":"JSON"|"InputType":"CSV"`:              "reads no",
		`s3:getObject|s3:listObjectsV2`:                     "has no",
		`"Bucket":"fleets","Key.$"|"Key.$"`:                 `"Bucket" is missing`,
		`"Prefix":"out"|"Prefix":"out","Suffix":"x"`:        `"Suffix" is not supported`,
		`"ReaderConfig":{|"ReaderConfig":{"MaxRows":1,`:     `"MaxRows" is not supported`,
		`"DISTRIBUTED","ExecutionType":"STANDARD"|"INLINE"`: `"ItemReader" is not supported`,
	} {
		from, to, _ := strings.Cut(change, "|")
		definition := strings.Replace(fleet("", ""), from, to, 1)
		_, err := b.client.CreateStateMachine(t.Context(), &sdk.CreateStateMachineInput{
			Name: aws.String("bad"), RoleArn: aws.String(role), Definition: aws.String(`{"StartAt":"M","States":{` + definition + `}}`),
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", to, err, want)
		}
	}
}
