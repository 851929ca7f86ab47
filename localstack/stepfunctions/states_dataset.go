package stepfunctions

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Objects is S3, as a distributed Map uses it: s3.Service is one.
type Objects interface {
	// Object reads an object, or one version of it. Its error is a *stack.Error.
	Object(bucket, key, versionID string) ([]byte, error)
	// Store writes an object. Its error is a *stack.Error.
	Store(bucket, key, contentType string, body []byte) error
	// Encryption tells under which KMS key an object lies, or with key "" a new one will; "" if under none.
	Encryption(bucket, key, versionID string) (kmsKey string, bucketKey, exists bool)
}

// reader is an ItemReader for a JSON array in S3:
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
type reader struct {
	parameters objectTemplate // Bucket, Key, VersionId
	most       int            // MaxItems; 0 for all
	mostFrom   *path
}

// writer is a ResultWriter: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
type writer struct {
	parameters objectTemplate // Bucket, Prefix
}

func (p *parser) itemReader(f *fields) *reader {
	if !f.has("ItemReader") {
		return nil
	}
	r := p.dataset(f, "ItemReader", "arn:aws:states:::s3:getObject")
	defer r.finish()
	var raw map[string]json.RawMessage
	r.decode("ReaderConfig", &raw)
	c := p.fields(r.at+"/ReaderConfig", raw)
	defer c.finish()
	if kind := c.text("InputType"); kind != "JSON" {
		p.problem(r.at, "InputType must be JSON: the local stack reads no %q", kind)
	}
	return &reader{
		parameters: p.place(r, []string{"Bucket", "Key"}, "VersionId"),
		most:       c.whole("MaxItems", 0, 0), mostFrom: c.path("MaxItemsPath"),
	}
}

func (p *parser) resultWriter(f *fields) *writer {
	if !f.has("ResultWriter") {
		return nil
	}
	w := p.dataset(f, "ResultWriter", "arn:aws:states:::s3:putObject")
	defer w.finish()
	return &writer{parameters: p.place(w, []string{"Bucket"}, "Prefix")}
}

func (p *parser) dataset(f *fields, name, resource string) *fields {
	var raw map[string]json.RawMessage
	f.decode(name, &raw)
	inner := p.fields(f.at+"/"+name, raw)
	if got := inner.text("Resource"); got != resource {
		p.problem(inner.at, "the Resource must be %s: the local stack has no %q here", resource, got)
	}
	return inner
}

// place reads the Parameters that say where in S3.
func (p *parser) place(f *fields, required []string, optional string) objectTemplate {
	given, _ := f.template("Parameters").(objectTemplate)
	known := map[string]bool{optional: true}
	for _, name := range required {
		known[name] = true
		if given[name] == nil {
			p.problem(f.at+"/Parameters", "the field %q is missing", name)
		}
	}
	for name := range given {
		if !known[name] {
			p.problem(f.at+"/Parameters", "the field %q is not supported here", name)
		}
	}
	return given
}

// texts evaluates parameters that must be strings; those that are absent are "".
func texts(parameters objectTemplate, sc *scope, names ...string) ([]string, error) {
	out := make([]string, len(names))
	for i, name := range names {
		if parameters[name] == nil {
			continue
		}
		v, err := parameters[name].eval(sc)
		if err != nil {
			return nil, err
		}
		text, ok := v.(string)
		if !ok {
			return nil, faultf(errRuntime, "The %s of a dataset is %s, not a string.", name, kindOf(v))
		}
		out[i] = text
	}
	return out, nil
}

// readItems reads the array that a distributed Map runs over.
func (t *thread) readItems(s *state, sc *scope) (items, error) {
	r := s.each.reader
	most, err := numberFrom(r.mostFrom, sc, float64(r.most), "MaxItemsPath")
	if err != nil {
		return items{}, err
	}
	at, err := texts(r.parameters, sc, "Bucket", "Key", "VersionId")
	if err != nil {
		return items{}, err
	}
	bucket, key, version := at[0], at[1], at[2]
	objects := t.x.service.Objects
	failed := func(why any) error {
		return faultf(errItemReader, "Unable to read s3://%s/%s: %v", bucket, key, why)
	}
	action := "s3:GetObject"
	if version != "" {
		action = "s3:GetObjectVersion"
	}
	if err := t.mayUse(action, "kms:Decrypt", bucket, key, version); err != nil {
		return items{}, failed(err)
	}
	body, err := objects.Object(bucket, key, version)
	if err != nil {
		return items{}, failed(err)
	}
	var list items
	if err := json.Unmarshal(body, &list.texts); err != nil {
		return items{}, failed(fmt.Sprintf("it holds no JSON array: %v", err))
	}
	if most > 0 && int(most) < len(list.texts) {
		list.texts = list.texts[:int(most)]
	}
	return list, nil
}

// mayUse asks whether the machine's role may do something with an object, and use the key that it lies under.
func (t *thread) mayUse(action, keyAction, bucket, key, version string) error {
	if err := t.authorize(t.ctx, action, "arn:aws:s3:::"+bucket+"/"+key); err != nil {
		return err
	}
	if action == "s3:PutObject" {
		key = ""
	}
	kmsKey, _, _ := t.x.service.Objects.Encryption(bucket, key, version)
	if kmsKey == "" {
		return nil
	}
	return t.authorize(t.ctx, keyAction, kmsKey)
}

// destination is where the results of a Map Run go.
type destination struct{ bucket, folder string }

func (w *writer) destination(sc *scope, run *mapRun) (destination, error) {
	at, err := texts(w.parameters, sc, "Bucket", "Prefix")
	if err != nil {
		return destination{}, err
	}
	folder := run.id
	if prefix := strings.TrimSuffix(at[1], "/"); prefix != "" {
		folder = prefix + "/" + run.id
	}
	return destination{at[0], folder}, nil
}

// resultFile is an entry of a manifest.
type resultFile struct {
	Key  string
	Size int
}

// manifest is what manifest.json holds.
type manifest struct {
	DestinationBucket string
	MapRunArn         string
	ResultFiles       struct{ FAILED, PENDING, SUCCEEDED []resultFile }
}

// childResult is one entry of a result file: a child execution as DescribeExecution tells about it.
type childResult struct {
	ExecutionArn                string
	Input                       string
	InputDetails                struct{ Included bool }
	Name                        string
	Output                      *string                  `json:",omitempty"`
	OutputDetails               *struct{ Included bool } `json:",omitempty"`
	Error, Cause                *string                  `json:",omitempty"`
	RedriveCount                int
	RedriveStatus               string
	RedriveStatusReason         string `json:",omitempty"`
	StartDate, StopDate, Status string
	StateMachineArn             string
}

func (x *execution) result() childResult {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := childResult{
		ExecutionArn: x.arn, Input: x.input, Name: x.name, RedriveStatus: "NOT_REDRIVABLE",
		StartDate: x.started.Format(millis), StopDate: x.stopped.Format(millis), Status: x.status, StateMachineArn: x.machine.arn,
	}
	r.InputDetails.Included = true
	if x.status == "SUCCEEDED" {
		r.Output, r.OutputDetails = &x.output, &struct{ Included bool }{true}
	}
	if f := x.fault; f != nil {
		r.Error, r.Cause = given(f.name), given(f.cause)
	}
	return r
}

// writeResults writes one file per kind of end and the manifest, and gives the Map state's output. Failed, timed out and
// aborted children are in the file FAILED. Nothing tells what is written of items whose child was never started: here they
// are in no file, and PENDING is empty.
func (t *thread) writeResults(run *mapRun, to destination, children []*execution) (any, error) {
	objects := t.x.service.Objects
	var done, failed []childResult
	for _, child := range children {
		switch {
		case child == nil:
		case child.status == "SUCCEEDED":
			done = append(done, child.result())
		default:
			failed = append(failed, child.result())
		}
	}
	store := func(name string, v any) ([]resultFile, error) {
		key := to.folder + "/" + name + ".json"
		if err := t.mayUse("s3:PutObject", "kms:GenerateDataKey", to.bucket, key, ""); err != nil {
			return nil, faultf(errResultWriter, "Unable to write s3://%s/%s: %v", to.bucket, key, err)
		}
		body := []byte(encode(v))
		if err := objects.Store(to.bucket, key, "application/json", body); err != nil {
			return nil, faultf(errResultWriter, "Unable to write s3://%s/%s: %v", to.bucket, key, err)
		}
		return []resultFile{{key, len(body)}}, nil
	}
	m := manifest{DestinationBucket: to.bucket, MapRunArn: run.arn}
	m.ResultFiles.FAILED, m.ResultFiles.PENDING, m.ResultFiles.SUCCEEDED = []resultFile{}, []resultFile{}, []resultFile{}
	for _, file := range []struct {
		name    string
		results []childResult
		into    *[]resultFile
	}{{"SUCCEEDED_0", done, &m.ResultFiles.SUCCEEDED}, {"FAILED_0", failed, &m.ResultFiles.FAILED}} {
		if len(file.results) == 0 {
			continue
		}
		files, err := store(file.name, file.results)
		if err != nil {
			return nil, err
		}
		*file.into = files
	}
	if _, err := store("manifest", m); err != nil {
		return nil, err
	}
	run.mu.Lock()
	run.items.ResultsWritten = len(done) + len(failed)
	run.mu.Unlock()
	return map[string]any{"MapRunArn": run.arn, "ResultWriterDetails": map[string]any{"Bucket": to.bucket, "Key": to.folder + "/manifest.json"}}, nil
}
